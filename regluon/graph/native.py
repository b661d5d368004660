"""The C++ replay of programs: built once with this machine's compiler, kept in a cache folder."""

import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from regluon.base import env
from regluon.graph.node import Graph, Node, Value, values_in


if sys.platform != "win32":
    import fcntl


_MODULE = "regluon_replay"
_SOURCE = Path(__file__).with_name("replay.cpp")
_LOG = logging.getLogger("regluon")
# The compiler goes on when this process ends, and only a whole library gets the final name.
_SCRIPT = 'new=$1; final=$2; shift 2; "$@" -o "$new" && mv -f "$new" "$final" || rm -f "$new"'

Replay = Callable[..., tuple[Tensor | None, ...]]


class Library:
    """The compiled library: loaded from the cache folder, or built by a thread of its own."""

    def __init__(self) -> None:
        self.module: ModuleType | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._begun = False

    def ready(self, wait: bool = False) -> bool:
        """Say whether the library is loaded; the first call loads it, or begins to build it."""
        if self.module is None and env("REGLUON_NATIVE") != "0":
            with self._lock:
                if not self._begun:
                    self._begun = True
                    self._begin()
            if wait and self._thread is not None:
                self._thread.join()
        return self.module is not None

    def _begin(self) -> None:
        command = compile_command()
        if command is None:
            _LOG.info("programs run in Python: there is no C++ compiler; CXX may name one")
            return
        path = cached_file(command)
        if path.exists():
            self._attempt(self._load, path)
        else:
            work = (self._build, command, path)
            self._thread = threading.Thread(
                target=self._attempt, args=work, name="regluon compiler", daemon=True
            )
            self._thread.start()

    def _attempt(self, step: Callable[..., None], *args: Any) -> None:
        try:
            step(*args)
        except Exception as error:  # whatever fails here, the Python program runs as well
            _LOG.info("programs run in Python: the C++ replay cannot be used: %s", error)

    def _load(self, path: Path) -> None:
        loader = ExtensionFileLoader(_MODULE, str(path))
        spec = spec_from_file_location(_MODULE, path, loader=loader)
        assert spec is not None
        module = module_from_spec(spec)
        loader.exec_module(module)
        self.module = module

    def _build(self, command: list[str], path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(path.with_suffix(".lock")) as lock:
            if not path.exists():  # another process may have built it meanwhile
                handle, new = tempfile.mkstemp(suffix=".new", dir=path.parent)
                os.close(handle)
                _run(["/bin/sh", "-c", _SCRIPT, "sh", new, str(path), *command], lock)
        self._load(path)


def _run(command: list[str], lock: int) -> None:
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=(lock,),  # held until the compiler ends, even if this process ends first
            start_new_session=True,
        )
        os.setpriority(os.PRIO_PROCESS, process.pid, 10)
        process.wait()
        said.seek(0)
        text = said.read().decode(errors="replace").strip()
    if text:
        lines = "\n".join(text.splitlines()[-8:])
        _LOG.info("what the C++ compiler said last:\n%s", lines)


@contextmanager
def _alone(path: Path) -> Iterator[int]:
    """Keep other processes from building the same file; yields a descriptor that holds the lock."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def compile_command() -> list[str] | None:
    """Return the command that builds the library, without its output; None without a compiler."""
    named = shlex.split(env("CXX"))
    found = (shutil.which(name) for name in named[:1] or ("g++", "clang++"))
    compiler = next((path for path in found if path), None)
    if compiler is None or sys.platform == "win32":
        return None
    torch_folder = Path(torch.__file__).parent
    headers = torch_folder / "include"
    includes = [headers, headers / "torch/csrc/api/include", sysconfig.get_paths()["include"]]
    tuned = "-march=native" if platform.machine() in ("x86_64", "AMD64") else "-mcpu=native"
    libraries = ["torch_python", "torch", "torch_cpu", "c10"]
    return [
        compiler,
        *named[1:],
        *(
            "-std=c++20",
            "-O2",
            "-ffp-contract=fast",
            tuned,
            "-w",
            "-fPIC",
            "-shared",
            "-fvisibility=hidden",
        ),
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch._C._GLIBCXX_USE_CXX11_ABI)}",
        *(f"-isystem{folder}" for folder in includes),
        str(_SOURCE),
        f"-L{torch_folder / 'lib'}",
        *(f"-l{library}" for library in libraries),
        *(["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []),
    ]


def cached_file(command: list[str]) -> Path:
    """Return where the library lies that this source, compiler, torch, Python and CPU give."""
    compiler = Path(command[0]).resolve()
    state = compiler.stat()
    parts = (
        _SOURCE.read_bytes(),
        torch.__version__,
        torch.version.git_version,
        EXTENSION_SUFFIXES[0],
        (str(compiler), state.st_size, state.st_mtime_ns),
        command,
        _processor(),
    )
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:24]
    folder = Path(env("REGLUON_CACHE")).expanduser()
    return folder / "native" / f"replay-{digest}{EXTENSION_SUFFIXES[0]}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    told = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    return "\n".join(sorted(set(told)))


_LIBRARY = Library()


def ready(wait: bool = False) -> bool:
    """Say whether programs can run in C++ now; the first call begins to build what they need.

    It takes the compiler some twenty seconds, once for each version of torch; `wait` waits for it.
    Whoever asks too early, or has no compiler, runs the Python program.
    """
    return _LIBRARY.ready(wait)


def replay(graph: Graph) -> Replay | None:
    """Return a function that runs a program in C++, or None where that cannot be had (yet).

    It takes one tensor for each input by position, or a `torch.Generator` where the input has no
    meta, and returns the outputs, None where there is none. It runs below autograd, gives up the
    interpreter lock, frees values after their last use, and may run on several threads at once.
    What an operator raises is raised with the operator's name, the user's line and the block.
    """
    if not ready():
        return None
    assert _LIBRARY.module is not None
    try:
        nodes = graph.nodes
        made: Replay = _LIBRARY.module.Replay(
            _described(graph), lambda error, place, python: nodes[place].failure(error, python)
        )
    except RuntimeError as error:  # such as an operator without a schema that C++ can read
        _LOG.info("a program runs in Python: %s", error)
        return None
    return made


def bridge(
    forward: Graph,
    backward: Graph,
    again: Callable[
        [tuple[Any, ...], tuple[Tensor | None, ...], list[int]], Sequence[Tensor | None]
    ],
    *,
    results: int,
    needed: Sequence[int],
    reused: Sequence[int],
    seeded: Sequence[int],
) -> Replay | None:
    """Return a function of the forward program's inputs that torch's autograd can go back through.

    It returns the first `results` outputs. The backward program takes the `needed` inputs, the
    `reused` results, all further outputs, and the gradients of the `seeded` results; it returns
    gradients of the inputs, as many as it has outputs, in order. Where gradients are to be
    differentiated again (create_graph), or come in for other results than the seeded ones,
    `again(inputs, gradients of the results, places of the inputs that were changed in place since)`
    returns those of the inputs instead.
    A tensor that changed in place in between, and a second backward pass without retain_graph, are
    errors as in torch. None where there is no library (yet).
    """
    first, second = replay(forward), replay(backward)
    if first is None or second is None:
        return None
    assert _LIBRARY.module is not None
    places = (needed, reused, seeded, _watched(forward, results, {*needed}, {*reused}))
    made: Replay = _LIBRARY.module.Bridge(first, second, again, tuple(map(tuple, places)), results)
    return made


def _watched(graph: Graph, results: int, needed: set[int], reused: set[int]) -> list[int]:
    """Return the inputs, then results, in whose memory a further output of the program lies."""
    extras = {v.meta.storage for v in graph.outputs[results:] if v is not None and v.meta} - {0}
    covered = needed | {place + len(graph.inputs) for place in reused}
    return [
        place
        for place, value in enumerate((*graph.inputs, *graph.outputs[:results]))
        if value is not None
        and value.meta is not None
        and value.meta.storage in extras
        and place not in covered
    ]


# The kinds of arguments that replay.cpp knows.
_CONSTANT, _COPY, _MOVE, _LIST = 0, 1, 2, 3


def _described(graph: Graph) -> tuple[Any, ...]:
    """Return a program as the tuples that replay.cpp reads; every value has a slot of its own."""
    fixed = [*graph.inputs, *graph.constants]
    slots = {value: slot for slot, value in enumerate(fixed)}
    for node in graph.nodes:
        for value in node.outputs:
            if value is not None:
                slots.setdefault(value, len(slots))
    touched = [_touched(node, fixed) for node in graph.nodes]
    ends = {value: place for place, node in enumerate(graph.nodes) for value in _touching(node)}
    for value in (*graph.outputs, *(value for values in touched for value in values)):
        ends.pop(value, None)  # type: ignore[arg-type]
    nodes = tuple(
        (
            *_described_node(node, slots, {v for v in node.inputs if ends.get(v) == place}),
            tuple(
                -1 if v is None or v in node.inputs or ends.get(v) == place else slots[v]
                for v in node.outputs
            ),
            tuple(slots[value] for value in touched[place]),
        )
        for place, node in enumerate(graph.nodes)
    )
    return (
        tuple(value.meta is not None for value in graph.inputs),
        tuple(graph.constants.values()),
        len(slots),
        nodes,
        tuple((_CONSTANT, None) if v is None else (_COPY, slots[v]) for v in graph.outputs),
    )


def _touching(node: Node) -> tuple[Value, ...]:
    return (*node.inputs, *(value for value in node.outputs if value is not None))


def _described_node(node: Node, slots: dict[Value, int], ending: set[Value]) -> tuple[Any, ...]:
    """Return a call as tuples; the last place in it of each value that ends here takes it away."""
    left = Counter(node.inputs)

    def argument(arg: Any) -> tuple[int, Any]:
        if isinstance(arg, Value):
            left[arg] -= 1
            return (_MOVE if arg in ending and not left[arg] else _COPY), slots[arg]
        if isinstance(arg, (list, tuple)) and any(True for _ in values_in(arg)):
            return _LIST, tuple(argument(item) for item in arg)
        return _CONSTANT, arg

    order = {} if node.opaque else _places(node)
    args = tuple(argument(arg) for arg in node.args)
    kwargs = sorted(node.kwargs.items(), key=lambda item: order.get(item[0], 0))
    named = {name: argument(arg) for name, arg in kwargs}
    if node.opaque:
        return node.target, tuple(named), args + tuple(named.values()), None
    schema = node.target._schema  # type: ignore[attr-defined]
    return schema.name, schema.overload_name, args, named


def _places(node: Node) -> dict[str, int]:
    arguments = node.target._schema.arguments  # type: ignore[attr-defined]
    return {argument.name: place for place, argument in enumerate(arguments)}


def _touched(node: Node, fixed: list[Value]) -> tuple[Value, ...]:
    """Return the inputs and constants whose memory an operator writes."""
    if node.opaque:  # what Python writes is counted by torch itself
        return ()
    written = node.written()
    memory = {value.meta.storage for value in written if value.meta is not None} - {0}
    return tuple(
        value
        for value in fixed
        if value in written or (value.meta is not None and value.meta.storage in memory)
    )
