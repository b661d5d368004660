# Every command of the project. On a fresh machine `make demo` or `make test` does its own set-up.

VENV := .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0
# The first interpreter that is new enough; `make PYTHON=...` names another.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
# Two test processes with one thread each fit the two cores that CI has.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --durations=20

.PHONY: help setup demo test test-lazy test-naive test-python fmt lint types stubs examples bench check check-all clean

help:
	@echo "make demo        set up, then fine-tune a network on photos and write a report"
	@echo "make test        set up, then run the tests"
	@echo "make check       all that CI runs: lint, layers, types, stubs, tests, examples"
	@echo "make check-all   the same with the slow tests and the full demo"
	@echo "make setup | fmt | lint | types | stubs | test-lazy | test-naive | test-python | examples | bench | clean"

# --- set-up: stamp files say what is done. Torch comes first, so that TORCH chooses the build. ---

$(VENV)/torch.stamp:
	@test -n "$(PYTHON)" || { echo "regluon needs Python 3.11 or newer: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install "$(TORCH)"
	@touch $@

$(VENV)/demo.stamp: $(VENV)/torch.stamp pyproject.toml
	$(BIN)/python -m pip install -e ".[demo]"
	@touch $@

$(VENV)/dev.stamp: $(VENV)/torch.stamp pyproject.toml
	$(BIN)/python -m pip install -e ".[demo,dev]"
	@touch $(VENV)/demo.stamp $@

setup: $(VENV)/dev.stamp

# --- the two commands of the README ---

demo: $(VENV)/demo.stamp
	$(BIN)/regluon demo

test: setup
	$(PYTEST)

# --- for developers ---

# The tests run whole under the default, ThreadedEngine. LazyEngine gets a tenth of the operators'
# samples, NaiveEngine what touches arrays most; what chooses its engines itself has nothing to add.
# `make check-all` runs all of it under each, but for what is marked `once` and these files.
OWN := --ignore tests/engine --ignore tests/programs --ignore tests/test_profiler.py \
	--ignore tests/test_layout.py

test-lazy: setup
	MXNET_ENGINE_TYPE=LazyEngine $(PYTEST) --share 10 -m "not slow and not once" $(OWN)

test-naive: setup
	MXNET_ENGINE_TYPE=NaiveEngine $(PYTEST) tests/array tests/kvstore tests/optimizer \
		tests/test_autograd.py tests/test_operator.py tests/test_random.py

# Programs as the generated Python, as on machines without a C++ compiler.
test-python: setup
	REGLUON_NATIVE=0 $(PYTEST) -m "not slow" tests/graph tests/gluon/test_hybrid*.py \
		tests/gluon/test_mixed_precision.py tests/gluon/test_t*_step.py tests/gluon/nn/test_torch_block.py

fmt: setup
	$(BIN)/python tools/gen_stubs.py
	$(BIN)/python tools/gen_docs.py
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

stubs: setup
	$(BIN)/python tools/gen_stubs.py --check

examples: setup
	@set -e; for file in examples/*.py; do echo "== $$file --smoke"; $(BIN)/python $$file --smoke; done

bench: setup
	@set -e; for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python $$file; done

check: lint types stubs test test-lazy test-naive test-python examples

check-all: lint types stubs test-python examples
	$(PYTEST) -m ""
	MXNET_ENGINE_TYPE=LazyEngine $(PYTEST) -m "not once" $(OWN)
	MXNET_ENGINE_TYPE=NaiveEngine $(PYTEST) -m "not once" $(OWN)
	$(BIN)/regluon demo --full

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
