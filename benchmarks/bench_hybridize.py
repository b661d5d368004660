"""What hybridize() gives: against eager runs, MXNet 1.9.1, torch.compile, JAX and onnxruntime.

    python benchmarks/bench_hybridize.py [--mxnet-python PATH] [--jax-python PATH]
        [--ort-python PATH] [--compile] [--rounds 15] [--only mlp]

All peers have the same weights and batches (`networks.py`) and run interleaved in one run, each in
its own process; figures are medians, in seconds for a call. In each round the values of all
variants are compared: outputs, or the loss and the changes of the first and the last parameter. A
peer without its option is left out, and so is torch.compile of the ResNet-18, which takes minutes
to build, without --compile. Cases:

    mlp inference 1         the lecture's 512-256-128-2 network, 1000 calls and `waitall`
    mlp training 1, 32      forward, loss, backward and SGD
    resnet18 inference 1, 16
    resnet18 training 16    also in bfloat16, by regluon.amp and by mixed_precision ("pass step")
    build                   how much longer the first calls of a ResNet-18 take than eager ones,
                            in fresh processes: training with a batch of 4, torch.compile
                            without anything in its cache

The MLP runs on one thread, the ResNet-18 on two. Variants: "step" is `gluon.hybridize_step`,
"module" a torch module under `regluon.hybridize`, "module step" under `regluon.hybridize_step`. JAX
has its weights as arguments, inputs first.
The table goes to the terminal with the ratios that are goals, the record with all figures and the
largest relative differences to benchmarks/results/hybridize.json.

Measured on 2026-11-23 on a two-core Xeon with nothing else on it, ThreadedEngine, in several runs:
ratios of speed, and the goal. The machine's own speed changes within minutes, by cores:

    mlp inference 1         3.52-4.49 of imperative (2), 2.54-3.62 of MXNet static (1.3), 4.76-6.90
                            of torch.compile (2), 0.88, 0.89, 0.96, 1.16, 1.27 of JAX (1);
                            imperative 0.54-0.87, median 0.82, of torch eager (0.67); module
                            2.18-3.25 of torch.compile (2)
    mlp training 1          step 1.73, 1.91, 2.00, 2.04, 2.05, 2.28, 2.52 of imperative (2),
                            0.11-0.17 of JAX; imperative 0.62-0.83, median 0.67, of torch eager
                            (0.67); module 1.54-1.98, module step 2.13-2.87 of torch.compile (2)
    mlp training 32         step 1.62-2.15 of imperative (1.3), 0.36-0.47 of JAX; module 1.17-1.93,
                            module step 1.52-2.41, median 1.85, of torch.compile
    resnet18 inference 1    0.91, 0.93, 0.99, 0.99 of onnxruntime (0.95)
    resnet18 inference 16   0.84, 0.95, 1.04, 1.05 of onnxruntime (0.95)
    resnet18 training 16    1.22, 1.37 of MXNet (1), 1.18, 1.27 of torch.compile (1); in one process
                            with the torch modules 0.98, 1.02 and 0.90, 0.94; bfloat16 1.86-2.20 of
                            float32 (1.6), the pass 0.96 and 1.11 of regluon.amp's step
    build                   inference 0.19-0.40 s (0.5), training of 4 0.61-0.79 s, once 1.2 s, step
                            0.32-0.70 s (1.0), module 0.08-0.86 s; torch.compile 27-54 s

JAX fuses a small step into few kernels, where we call those of torch one by one. Of what
`regluon.hybridize(module)` takes for it, torch's optimizer and graph are more than a third; the
step as one program leaves the graph out.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import gluon_jobs
import networks
import numpy as np
import peer_regluon
import torch
import torch_jobs
from timing import Job, Peer, Values, interleave, machine, write_results

from regluon.graph import native


HERE = Path(__file__).parent
Measure = Callable[[int], tuple[float, Values]]

REPEATS = {
    "mlp inference 1": 1000,
    "mlp training 1": 200,
    "mlp training 32": 100,
    "resnet18 inference 1": 10,
    "resnet18 inference 16": 1,
    "resnet18 training 16": 1,
}
TOLERANCE = {
    "mlp inference": 1e-4,
    "mlp training": 5e-3,
    "resnet18 inference": 1e-3,
    "resnet18 training": 0.1,  # rounding already makes 0.01 of the first gradient of its stem
}
"""Of the largest value."""

GOALS: dict[str, list[tuple[str, str, float]]] = {
    "mlp inference 1": [
        ("torch eager", "regluon imperative", 1 / 1.5),
        ("regluon imperative", "regluon hybridized", 2),
        ("mxnet hybridized static", "regluon hybridized", 1.3),
        ("torch.compile", "regluon hybridized", 2),
        ("jax jit", "regluon hybridized", 1),
        ("torch.compile", "module hybridized", 2),
    ],
    "mlp training 1": [
        ("torch eager", "regluon imperative", 1 / 1.5),
        ("regluon imperative", "regluon step", 2),
        ("jax jit", "regluon step", 1),
        ("torch.compile", "module hybridized", 2),
        ("torch.compile", "module step", 2),
    ],
    "mlp training 32": [
        ("regluon imperative", "regluon step", 1.3),
        ("jax jit", "regluon step", 1),
        ("torch.compile", "module hybridized", 2),
        ("torch.compile", "module step", 2),
    ],
    "resnet18 inference 1": [("onnxruntime", "regluon hybridized", 0.95)],
    "resnet18 inference 16": [("onnxruntime", "regluon hybridized", 0.95)],
    "resnet18 training 16": [
        ("mxnet hybridized", "regluon hybridized", 1),
        ("torch.compile", "regluon hybridized", 1),
        ("regluon hybridized", "bfloat16 hybridized", 1.6),
    ],
}
"""By case: how many times faster the second variant is to be than the first.

A name stands for the fastest variant whose name begins with it.
"""


def differences(values: dict[str, list[Values]]) -> dict[str, float]:
    """Return by how much variants ever differ from the first one, relative to the largest value."""
    reference = next(iter(values.values()), [])
    found = dict.fromkeys(values, 0.0)
    for name, turns in values.items():
        for expected, given in zip(reference, turns, strict=True):
            for one, other in zip(expected, given, strict=False):  # bfloat16 shows its loss alone
                scale = float(np.max(np.abs(one))) or 1.0
                apart = np.max(np.abs(np.subtract(one, other))) / scale
                found[name] = float(np.maximum(found[name], apart))  # which keeps a NaN
    return found


def local(case: str) -> dict[str, Callable[[], Job]]:
    """Return what makes the variants of a case that run in this process."""
    names = ["torch eager", "module hybridized"]
    names.append("module hybridized frozen" if "inference" in case else "module step")
    if "resnet18" in case:
        names.append("torch eager channels_last")
    return {name: partial(torch_jobs.job, case, name) for name in names}


def settings(threads: int) -> tuple[str, ...]:
    """Return the environment that gives a peer so many threads."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
    flags = "XLA_FLAGS=--xla_cpu_multi_thread_eigen=" + str(threads > 1).lower()
    return (*(f"{name}={threads}" for name in names), flags)


@contextmanager
def peers(case: str, threads: int, args: argparse.Namespace) -> Iterator[dict[str, Measure]]:
    """Start the peers that take part in a case, and yield their variants."""
    gluon = [f"mxnet {way}" for way in gluon_jobs.ways(case)]
    jax = args.jax_python if "mlp" in case else ""
    ort = args.ort_python if "inference" in case else ""
    compiler = sys.executable if args.compile or "mlp" in case else ""
    scripts = {
        "peer_regluon.py": (sys.executable, peer_regluon.names(case)),
        "peer_mxnet.py": (args.mxnet_python, gluon),
        "peer_jax.py": (jax, ["jax jit"]),
        "peer_onnxruntime.py": (ort, ["onnxruntime"]),
        "torch_jobs.py": (compiler, ["torch.compile"]),
    }
    started: list[Peer] = []
    found: dict[str, Measure] = {}
    try:
        for script, (python, names) in scripts.items():
            if python:
                words = (str(threads), args.engine)
                peer = Peer(python, HERE / script, *words, settings=settings(threads))
                started.append(peer)
                for name in names:
                    found[name] = partial(peer.measure, f"{case}: {name}")
        yield found
    finally:
        for peer in started:
            peer.close()


def attempt(make: Callable[[], Measure], name: str, left: dict[str, str]) -> Measure | None:
    """Return a variant, or None where it cannot be made, with the reason in `left`."""
    try:
        measure = make()
        measure(1)
    except Exception as error:  # one variant that fails is no reason to lose all others
        left[name] = f"{type(error).__name__}: {error}".splitlines()[0]
        return None
    return measure


def run(case: str, args: argparse.Namespace) -> dict[str, Any]:
    """Measure one case and return the medians, the differences and what was left out."""
    threads = 1 if "mlp" in case else 2
    torch.set_num_threads(threads)
    rounds = args.rounds if "mlp" in case else max(1, args.rounds // 3)
    left: dict[str, str] = {}
    values: dict[str, list[Values]] = {}

    def variant(name: str, measure: Measure) -> Callable[[], float]:
        turns = values[name] = []

        def once() -> float:
            taken, found = measure(REPEATS[case])
            turns.append(found)
            return taken

        return once

    with peers(case, threads, args) as others:
        makers: dict[str, Callable[[], Measure]] = {
            name: lambda make=make: make().measure for name, make in local(case).items()
        }
        makers.update({name: lambda found=found: found for name, found in others.items()})
        measures = {name: attempt(make, name, left) for name, make in makers.items()}
        medians = interleave(
            {name: variant(name, found) for name, found in measures.items() if found}, rounds
        )
    apart = differences(values)
    bound = TOLERANCE[case.rsplit(" ", 1)[0]]
    return {
        "seconds": medians,
        "differences": apart,
        "disagree": [name for name, distance in apart.items() if not distance <= bound],
        "left out": left,
    }


def build(args: argparse.Namespace) -> dict[str, Any]:
    """Return the build times of a ResNet-18's programs, as medians over fresh processes."""
    orders = {
        "gluon inference": ("gluon", "inference", 1),
        "gluon training": ("gluon", "training", 4),
        "step training": ("step", "training", 4),
        "module inference": ("module", "inference", 1),
        "module training": ("module", "training", 4),
    }
    if args.compile:
        orders["torch.compile inference"] = ("torch.compile", "inference", 1)
        orders["torch.compile training"] = ("torch.compile", "training", 4)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in orders}
    left: dict[str, str] = {}
    for turn in range(max(1, args.rounds // 5)):
        for name, (way, task, size) in orders.items():
            if way == "torch.compile" and turn:
                continue  # a minute each
            with tempfile.TemporaryDirectory() as empty:
                words = [sys.executable, HERE / "build_time.py", way, task, size, 2]
                given = ["env", *settings(2), f"TORCHINDUCTOR_CACHE_DIR={empty}", *words]
                done = subprocess.run([str(w) for w in given], capture_output=True, text=True)
            if done.returncode:
                left[name] = done.stderr.strip().splitlines()[-1]
            else:
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
    medians = {
        name: {what: statistics.median(r[what] for r in runs) for what in runs[0]}
        for name, runs in found.items()
        if runs
    }
    return {"seconds": medians, "left out": left}


def fastest(medians: dict[str, float], name: str) -> float | None:
    return min((taken for n, taken in medians.items() if n.startswith(name)), default=None)


def ratios(case: str, medians: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return how many times faster one variant is than another, beside the goals."""
    found = {}
    for slow, fast, goal in GOALS[case]:
        over, under = fastest(medians, slow), fastest(medians, fast)
        if over and under:
            found[f"{slow} / {fast}"] = {"ratio": over / under, "goal": goal}
    return found


def show(case: str, found: dict[str, Any]) -> None:
    """Print one case."""
    print(case)
    for name, taken in sorted(found["seconds"].items(), key=lambda pair: pair[1]):
        apart = found["differences"].get(name, 0.0)
        print(f"    {name:<28}{taken * 1e6:12.1f} us   differs by {apart:.1e}")
    for name, pair in found["ratios"].items():
        print(f"    {name}: {pair['ratio']:.2f}, to be {pair['goal']:.2f}")
    for name in found["disagree"]:
        print(f"    DISAGREES {name}")
    show_left_out(found)


def show_build(found: dict[str, Any]) -> None:
    """Print the build times."""
    print("build")
    for name, taken in found["seconds"].items():
        print(f"    {name:<28}", "  ".join(f"{what} {t:.3f} s" for what, t in taken.items()))
    show_left_out(found)


def show_left_out(found: dict[str, Any]) -> None:
    for name, reason in found["left out"].items():
        print(f"    LEFT OUT {name}: {reason}")
    sys.stdout.flush()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What hybridize() gives.")
    parser.add_argument("--mxnet-python", default="", help="a Python with MXNet 1.9.1")
    parser.add_argument("--jax-python", default="", help="a Python with JAX")
    parser.add_argument("--ort-python", default="", help="a Python with onnx and onnxruntime")
    parser.add_argument("--compile", action="store_true", help="torch.compile of the ResNet-18")
    parser.add_argument("--engine", default="ThreadedEngine", help="of regluon")
    parser.add_argument("--rounds", type=int, default=15, help="a third of it for the ResNet-18")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    return parser.parse_args()


def main() -> None:
    """Run the chosen cases, print them and write the record."""
    args = arguments()
    native.ready(wait=True)  # or the first cases would run in Python
    for name in ("mxnet", "jax", "ort"):
        if not getattr(args, f"{name}_python"):
            print(f"{name} is left out: there is no --{name}-python")
    results: dict[str, Any] = {}
    for case in networks.CASES:
        if args.only in case:
            results[case] = found = run(case, args)
            found["ratios"] = ratios(case, found["seconds"])
            show(case, found)
    if args.only in "build":
        results["build"] = build(args)
        show_build(results["build"])
    if not args.only:
        record = {
            "unit": "s",
            "machine": machine(torch=torch.__version__),
            "native": native.ready(),
            "engine": args.engine,
            "rounds": args.rounds,
            "results": results,
        }
        print(f"written to {write_results('hybridize', record).name}")
    if any(found["left out"] or found.get("disagree") for found in results.values()):
        sys.exit("a variant failed, or its values differ")


if __name__ == "__main__":
    main()
