"""Program: a graph as generated straight-line Python, the floor that works everywhere."""

import keyword
import math
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from regluon.graph import native
from regluon.graph.inductor import inductor
from regluon.graph.launch import Launch, launchable
from regluon.graph.node import Graph, Node, Run, Value
from regluon.graph.passes.folding import hoisted
from regluon.graph.passes.memory import planned


_FILE = "<regluon program>"
_ODD = re.compile(r"[^0-9A-Za-z_]")
_OWN = re.compile(r"f\d+|a\d+_\d+|flat|torch")  # names of the generated source


class Program:
    """A graph that can be called: one argument for every input, a tuple of outputs.

    Where the C++ replay is built, it runs the graph; until then, and without a compiler, the
    generated Python does, on the same operators. Neither is seen by autograd. `static` plans the
    memory of results in between once, for all calls; if `launched` as well, a program on a GPU is a
    CUDA graph. The `backend` "inductor" is torch's compiler.

    >>> import torch
    >>> from regluon.graph.trace import Trace
    >>> trace, x = Trace(), torch.ones(2)
    >>> inputs = trace.inputs([x], ["x"])
    >>> with trace:
    ...     y = torch.exp(x) + 1
    >>> program = Program(trace.graph(inputs, [y]))
    >>> program.run(torch.zeros(2))[0].tolist()
    [2.0, 2.0]
    """

    __slots__ = ("graph", "run", "source")

    def __init__(
        self,
        graph: Graph,
        static: bool = False,
        backend: str | None = None,
        launched: bool = False,
    ) -> None:
        launched = static and launched and launchable(graph)  # its memory is planned by torch
        self.graph = planned(graph) if static and backend is None and not launched else graph
        self.source = source_of(self.graph)
        if backend == "inductor":
            self.run: Run = inductor(graph)
        else:
            self.run = self._starting(python(self.graph, self.source))
        if self.graph is not graph:
            self.run = _in_turns(graph, self.run)
        if launched:
            self.run = Launch(graph, self.run)

    def _starting(self, slow: Run) -> Run:
        """Return the Python program, which gives way to the C++ one as soon as that is there."""
        best: Run | None = None

        def run(*tensors: Any) -> tuple[Any, ...]:
            nonlocal best
            if best is None and native.ready():
                fast: Run | None = native.replay(self.graph)
                best = slow if fast is None else fast
                if self.run is run:
                    self.run = best
            return (best or slow)(*tensors)

        return run


def _in_turns(graph: Graph, first: Run) -> Run:
    """Return a program with planned memory for any number of threads.

    It serves one at a time: `first`, and copies with memory of their own, as many as there come to
    be runs at once.
    """
    idle = [first]

    def run(*tensors: Any) -> tuple[Any, ...]:
        try:
            program = idle.pop()
        except IndexError:
            program = Program(planned(graph)).run
        try:
            return program(*tensors)
        finally:
            idle.append(program)

    return run


class Prepared:
    """A program in two parts: what depends on fixed inputs alone runs only when one has changed."""

    __slots__ = ("_fixed", "_kept", "_moving", "graph", "main", "prepare")

    def __init__(self, graph: Graph, make: Callable[[Graph], Program] = Program) -> None:
        self.graph = graph
        first, rest = hoisted(graph)
        self.prepare = Program(first)
        self.main = make(rest)
        places = {value: place for place, value in enumerate(graph.inputs)}
        self._fixed = [places[value] for value in first.inputs]
        self._moving = [places[value] for value in rest.inputs if value in places]
        self._kept: tuple[list[tuple[Tensor, int]], tuple[Any, ...]] | None = None

    @property
    def source(self) -> str:
        """The generated Python of both parts."""
        if not self.prepare.graph.nodes:
            return self.main.source
        return f"# once for these parameters\n{self.prepare.source}\n{self.main.source}"

    def run(self, *tensors: Any) -> tuple[Any, ...]:
        """Return the outputs; tensors are told apart by identity and by torch's version counter."""
        kept = self._kept
        if kept is not None:
            for place, (tensor, version) in zip(self._fixed, kept[0], strict=True):
                given = tensors[place]
                if given is not tensor or given._version != version:
                    kept = None
                    break
        if kept is None:
            fixed = [tensors[place] for place in self._fixed]
            stamp = [(tensor, tensor._version) for tensor in fixed]
            kept = self._kept = (stamp, self.prepare.run(*fixed))
        return self.main.run(*[tensors[place] for place in self._moving], *kept[1])


def python(graph: Graph, source: str) -> Run:
    """Return the generated function."""
    names = _names(graph)
    scope: dict[str, Any] = {names[value]: tensor for value, tensor in graph.constants.items()}
    for place, node in enumerate(graph.nodes):
        target: Any = node.target
        scope[f"f{place}"] = target if node.opaque else target._op
        scope |= {f"a{place}_{i}": arg for i, arg in enumerate(_leaves((node.args, node.kwargs)))}
    scope |= {"flat": _flat, "torch": torch}
    exec(compile(source, _FILE, "exec"), scope)
    function = scope["program"]

    def run(*tensors: Any) -> tuple[Any, ...]:
        before = torch.is_grad_enabled()
        torch._C._set_grad_enabled(False)
        try:
            result: tuple[Any, ...] = function(*tensors)
            return result
        except Exception as error:
            found = _located(error, graph)
            if found is error:
                raise
            raise found from error
        finally:
            torch._C._set_grad_enabled(before)

    return run


def _located(error: Exception, graph: Graph) -> BaseException:
    """Return the error with the operator and the user's line it came from."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != _FILE:
        trace = trace.tb_next
    if trace is None:
        return error
    place = trace.tb_lineno - 2  # one line each, below `def`
    if place >= len(graph.nodes):
        return error
    node = graph.nodes[place]
    return node.failure(error, python=node.opaque)


def source_of(graph: Graph) -> str:
    """Return Python source that computes the graph, each line with the user's line beside it."""
    names = _names(graph)
    dead: dict[int, list[str]] = {}
    for value, place in graph.last_uses().items():
        dead.setdefault(place, []).append(names[value])
    lines = [f"def program({', '.join(names[value] for value in graph.inputs)}):"]
    for place, node in enumerate(graph.nodes):
        lines.append(f"    {_statement(place, node, names, dead.get(place, []))}")
    ends = [("None" if value is None else names[value]) for value in graph.outputs]
    lines.append(f"    return ({''.join(f'{end}, ' for end in ends)})")
    return "\n".join(lines) + "\n"


def _statement(place: int, node: Node, names: dict[Value, str], dead: list[str]) -> str:
    """Return the one line of a node."""
    count = 0

    def text(arg: Any) -> str:
        nonlocal count
        if isinstance(arg, Value):
            return names[arg]
        if isinstance(arg, (list, tuple)):
            return f"[{', '.join(map(text, arg))}]"
        count += 1
        return repr(arg) if _literal(arg) else f"a{place}_{count - 1}"

    words = [text(arg) for arg in node.args]
    words += [f"{name}={text(arg)}" for name, arg in node.kwargs.items()]
    call = f"f{place}({', '.join(words)})"
    # What is written is there already, perhaps as a constant, which has no assignment.
    new = [value if value not in node.inputs else None for value in node.outputs]
    targets = ", ".join("_" if value is None else names[value] for value in new) * any(new)
    if targets and not _single(node):
        targets, call = f"[{targets}]", f"flat({call})"
    where = " · ".join(part for part in (node.title, *node.site[::-1]) if part)
    gone = f"; del {', '.join(dead)}" if dead else ""
    return f"{targets + ' = ' if targets else ''}{call}{gone}  # {where}"


def _single(node: Node) -> bool:
    """Say whether the target returns one tensor, not a tuple or list."""
    if node.opaque:
        return len(node.outputs) == 1
    returns = node.target._schema.returns  # type: ignore[attr-defined]
    return len(returns) == 1 and str(returns[0].type) == "Tensor"


def _flat(results: Any) -> list[Any]:
    """Return results as one list."""
    if not isinstance(results, (list, tuple)):
        return [results]
    return [part for item in results for part in _flat(item)]


def _leaves(arg: Any) -> list[Any]:
    """Return what stands in arguments beside values, in order."""
    if isinstance(arg, dict):
        arg = list(arg.values())
    if isinstance(arg, (list, tuple)):
        return [leaf for item in arg for leaf in _leaves(item)]
    return [] if isinstance(arg, Value) else [arg]


def _literal(arg: Any) -> bool:
    """Say whether the representation of an argument is the argument."""
    if isinstance(arg, float):
        return math.isfinite(arg)
    return arg is None or type(arg) in (int, bool, str, torch.dtype, torch.memory_format)


def _is_name(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


def _names(graph: Graph) -> dict[Value, str]:
    """Return a name of its own for every value, which is an identifier."""
    names: dict[Value, str] = {}
    taken: set[str] = set()
    outputs = (value for node in graph.nodes for value in node.outputs)
    for value in (*graph.inputs, *graph.constants, *outputs):
        if value is not None and value not in names:
            name = _ODD.sub("_", value.name) or "v"
            while name in taken or _OWN.fullmatch(name) or not _is_name(name):
                name = f"v{len(taken)}_{name}"
            taken.add(name)
            names[value] = name
    return names
