"""ModuleCall: one call of a torch module as a body that is traced and executed."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Generator, Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from regluon.base import MXNetError, is_user_frame, user_frame
from regluon.graph.execution import Execution, Plan
from regluon.graph.likeness import difference
from regluon.graph.module_state import ModuleState
from regluon.graph.node import Graph, Node, Site, Value
from regluon.graph.trace import Trace


_Found = TypeVar("_Found")
_TORCH = str(Path(torch.__file__).parent) + os.sep
_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size)
_LOOKS = frozenset(
    getattr(Tensor, name)
    for name in (
        *("numpy", "tolist", "__array__", "__dlpack__", "data_ptr", "untyped_storage"),
        *("register_hook", "register_post_accumulate_grad_hook", "backward"),
    )
)


class Restart(MXNetError):
    """The call that was traced must be made again, eagerly: its result would be wrong."""


class Arguments(NamedTuple):
    """The arguments of a call: all leaves, the places of tensors among them, and the structure."""

    leaves: list[Any]
    places: list[int]
    structure: Any

    def filled(self, tensors: Sequence[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with these tensors."""
        leaves = list(self.leaves)
        for place, tensor in zip(self.places, tensors, strict=False):
            leaves[place] = tensor
        found: tuple[tuple[Any, ...], dict[str, Any]] = pytree.tree_unflatten(
            leaves, self.structure
        )
        return found


class ModuleCall:
    """What a module computes from tensors: its arguments', then its own parameters and buffers.

    `autocast` is the dtype in which torch computes matrix products then, or None.
    """

    def __init__(
        self, module: torch.nn.Module, state: ModuleState, arguments: Arguments, autocast: Any
    ) -> None:
        self.module = module
        self.state = state
        self.arguments = Arguments(
            [None if isinstance(leaf, Tensor) else leaf for leaf in arguments.leaves],
            arguments.places,
            arguments.structure,
        )
        self.autocast = autocast
        count = len(arguments.places)
        names = [f"input{place}" for place in range(count)]
        names += [state.title(place) for place in range(len(state.tensors))]
        self.inputs = [Value(name) for name in names]
        self.keys: dict[Value, str] = {}
        self.count = count
        self.objection = ""
        self.found: list[Any] = []  # what was returned, tensors by their place
        self.structure: Any = None

    def run(
        self, given: Sequence[Any], trace: Trace | None = None, *, recording: bool = False
    ) -> list[Tensor]:
        """Call the module on these tensors, and note what it returns."""
        args, kwargs = self.arguments.filled(given[: self.count])
        state = self.state
        sizes = state.sizes()
        with (
            torch.set_grad_enabled(recording),
            state.training() if trace is None else nullcontext(),
            state.swapped(given[self.count :]) as replaced,
            self._autocast(given),
            _Looks(trace) if isinstance(trace, ModuleTrace) else nullcontext(),
        ):
            returned = self.module.forward(*args, **kwargs)
        if trace is not None:
            name = state.written(sizes)
            self.objection = f"forward writes the attribute {name}" if name else self.objection
        if replaced:
            self.objection = f"forward replaces the buffer {replaced[0]}; copy_() would write it"
        return self._noted(returned, given)

    def restored(self, given: Sequence[Tensor], results: Sequence[Tensor]) -> Any:
        """Return what the module returns, from the results of `run`."""
        if self.structure is None:
            return results[0]
        leaves = [
            (results[item.place] if item.place >= 0 else given[~item.place])
            if isinstance(item, _Place)
            else item
            for item in self.found
        ]
        return pytree.tree_unflatten(leaves, self.structure)

    def _noted(self, returned: Any, given: Sequence[Tensor]) -> list[Tensor]:
        """Take results apart, those that are no inputs and no others again."""
        if type(returned) is Tensor and not any(returned is tensor for tensor in given):
            return [returned]
        leaves, self.structure = pytree.tree_flatten(returned)
        places = {id(tensor): ~place for place, tensor in enumerate(given)}
        results: list[Tensor] = []
        self.found = []
        for leaf in leaves:
            if isinstance(leaf, Tensor):
                if id(leaf) not in places:
                    places[id(leaf)] = len(results)
                    results.append(leaf)
                self.found.append(_Place(places[id(leaf)]))
            else:
                self.found.append(leaf)
            if not isinstance(leaf, Tensor) and not is_plain(leaf):
                self.objection = f"a {type(leaf).__name__} is returned"
        return results

    def _autocast(self, given: Sequence[Any]) -> AbstractContextManager[Any]:
        if self.autocast is None:
            return nullcontext()
        torch.clear_autocast_cache()  # each call casts for itself, though many be in one scope
        return torch.autocast(given[0].device.type, self.autocast)


class _Place(NamedTuple):
    """Stands for a tensor among what a module returns."""

    place: int


class ModuleTrace(Trace):
    """A trace that goes on when a value is read, and remembers where that was."""

    def __init__(self, state: ModuleState) -> None:
        super().__init__()
        self._paths = state.paths
        self.objection = ""
        self.foreign = False  # whether a tensor with a gradient takes part that is nobody's

    def where(self) -> Site:
        """Return the user's line, or the one below torch, and the module inside."""
        frame, inner = user_frame(), ""
        while frame is not None and not inner:
            if frame.f_code.co_name == "forward":
                inner = self._paths.get(id(frame.f_locals.get("self")), "")
            frame = frame.f_back
        return Site(line_beyond_torch(), inner)

    def read(self, site: Site) -> None:
        """Note that the value of a tensor is asked for, on which Python may depend."""
        self.object("the value of a tensor is read", site)

    def object(self, text: str, site: Site) -> None:
        """Note why there cannot be a program; the first reason is kept."""
        if not self.objection:
            self.objection = f"{text} at {site}"

    def _value(self, tensor: Tensor) -> Value:
        if tensor.requires_grad and tensor.is_leaf and self.find(tensor) is None:
            self.foreign = True
        return super()._value(tensor)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run one operator and note it, and whether the shape of its result depends on values."""
        if torch.Tag.dynamic_output_shape in func.tags and _selects(func, args):
            self.read(self.where())
        return super().__torch_dispatch__(func, types, args, kwargs)


def _selects(func: Any, args: tuple[Any, ...]) -> bool:
    """Say whether indexing is by a mask, which only then has a shape that depends on values."""
    if func not in (torch.ops.aten.index.Tensor, torch.ops.aten._unsafe_index.Tensor):
        return True
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])


def line_beyond_torch() -> str:
    """Return `file:line` of the innermost frame that is neither regluon's own nor torch's."""
    frame = user_frame()
    while frame is not None:
        name = frame.f_code.co_filename
        if is_user_frame(frame) and not name.startswith(_TORCH):
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return "<unknown>"


class _Looks(TorchFunctionMode):
    """While it is entered, Python code that looks at tensors' memory is noted by a trace."""

    def __init__(self, trace: ModuleTrace) -> None:
        super().__init__()
        self.trace = trace

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run a function of torch's."""
        if func in _LOOKS:
            self.trace.object(f"{func.__name__}() of a tensor is called", self.trace.where())
        found = func(*args, **(kwargs or {}))
        # TransformerEncoder asks this, and then whether a mode like this one looks on.
        asked = func is torch._nested_tensor_from_mask_left_aligned
        if asked and found and not torch.is_grad_enabled():
            raise Restart("torch would leave out what is masked, in a nested tensor")
        return found


class ModuleExecution(Execution):
    """Executes a module's call; its random numbers are those of torch's own generators."""

    calls: ModuleCall
    bridged = False  # random numbers are drawn from generators that are not its own

    def __init__(self, call: ModuleCall, live: Sequence[bool], plan: Plan, freeze: bool) -> None:
        super().__init__(call, live, (), plan, call.count)
        self.freeze = freeze
        trained = call.state.trained
        self._buffers = [call.count + i for i, flag in enumerate(trained) if not flag]
        self.written = (*range(call.count), *self._buffers)  # all that might be, until it is known
        self._earlier: dict[tuple[bool, ...], Graph] = {}
        self.draws = True
        self._tensors: Sequence[Tensor] = ()
        self._before: dict[int, Tensor] = {}

    def run_afresh(self, tensors: Sequence[Tensor], recording: bool) -> Sequence[Tensor]:
        """Return the results for these tensors, through a program where there is one.

        Raises Restart where the module must be called instead, as if this call had not been.
        """
        if not recording and self.program is not None:
            return self.program.run(*tensors)
        return self.undone(self.run_recorded if recording else self.run, tensors)

    def undone(self, run: Callable[..., _Found], tensors: Sequence[Tensor]) -> _Found:
        """Run on these tensors; before a Restart, all is put back to what it was."""
        seen = self.refused or not self.draws
        keys = [] if seen else random_states([tensor.device for tensor in tensors])
        try:
            return run(tensors, keys)
        except Restart as error:
            self.refused = str(error)
            _set_random_states(keys)
            raise
        except RuntimeError as error:  # arguments that are traced are leaves of torch's graph
            if not self._tensors or "leaf Variable" not in str(error):
                raise
            self.refused = "forward writes an argument in place"
            self._undo([*self._before])
            _set_random_states(keys)
            raise Restart(self.refused) from error

    def tracer(self) -> Trace:
        """Return a trace that knows the modules."""
        return ModuleTrace(self.calls.state)

    def generators(self, tensors: Sequence[Tensor], keys: Sequence[Any]) -> list[Generator]:
        """Return nothing: operators draw from torch's generators."""
        return []

    @contextmanager
    def rewound(self, keys: Sequence[Any]) -> Iterator[None]:
        """Let torch's generators be in an earlier state for a while."""
        now = random_states([device for device, _ in keys])
        try:
            _set_random_states(keys)
            yield
        finally:
            _set_random_states(now)

    def examine(self, trace: Trace, graph: Graph) -> None:
        """Refuse what a program would not repeat; raise Restart where even this run is wrong."""
        assert isinstance(trace, ModuleTrace)
        count = self.calls.count
        written = {
            value.meta.storage for node in graph.nodes for value in node.written() if value.meta
        } - {0}
        changed = [i for i, value in enumerate(graph.inputs) if _storage(value) in written]
        if any(place < count for place in changed):
            self._undo(changed)
            raise Restart("forward writes an argument in place")
        if trace.foreign:
            self._undo(changed)
            raise Restart("a tensor with a gradient takes part that is no parameter of the module")
        names = [graph.inputs[place].name for place in changed if place not in self._buffers]
        if names:
            self.refused = f"forward writes the parameter {names[0]}"
        places = {_storage(value) for value in graph.constants}
        if not places.isdisjoint(written):
            self.refused = "forward writes a tensor that is no buffer of the module"
        if any(_generator(node) for node in graph.nodes):
            self.refused = "a random generator of the module's own is used"
        self.refused = trace.objection or self.calls.objection or self.refused
        self.draws = any(node.draws for node in graph.nodes)
        self.bridged = not self.draws and all(self.flags)
        for place in self._before.keys() - set(self.written):
            del self._before[place]  # of what is not written, no copy is needed
        self._tensors = ()
        if not self.refused and self.program is None and self.halves is None:
            self.written = tuple(changed)

    def copies(self, tensors: Sequence[Tensor]) -> dict[int, Tensor]:
        """Return the copies, and keep them: the first run finds out what the module writes."""
        self._tensors, self._before = tensors, super().copies(tensors)
        return self._before

    def _undo(self, places: Sequence[int]) -> None:
        for place in places:
            if place in self._before and not torch.equal(self._tensors[place], self._before[place]):
                self._tensors[place].detach().copy_(self._before[place])

    def settled(self, graph: Graph, seeded: tuple[bool, ...] = ()) -> bool:
        """Say whether a second trace was like the first one, if that matters."""
        seeds = {value for value in graph.inputs if value.name.startswith("gradient")}
        if seeds and _draws_late(graph, seeds):
            self.refused = "random numbers are drawn in the backward pass"
        if self.plan.verify is None or self.refused:
            return not self.refused
        earlier = self._earlier.pop(seeded, None)
        if earlier is None:
            self._earlier[seeded] = graph
            return False
        other = difference(earlier, graph)
        if other is not None:
            where = (
                f"{other.title} ({' · '.join(other.site)})" if isinstance(other, Node) else other
            )
            self.refused = f"two calls alike did different things: {where} differs"
        return other is None


def _storage(value: Value) -> int:
    return 0 if value.meta is None else value.meta.storage or -1


def _generator(node: Node) -> bool:
    return any(isinstance(arg, Generator) for arg in (*node.args, *node.kwargs.values()))


def _draws_late(graph: Graph, seeds: set[Value]) -> bool:
    """Say whether random numbers are drawn after the first operator on a gradient."""
    late = False
    for node in graph.nodes:
        late = late or not seeds.isdisjoint(node.inputs)
        if late and node.draws:
            return True
    return False


def random_states(devices: Sequence[torch.device]) -> list[tuple[torch.device, Tensor]]:
    """Return the states of torch's own random generators of these devices, and the CPU's."""
    found = [(torch.device("cpu"), torch.get_rng_state())]
    for device in dict.fromkeys(devices):
        if device.type == "cuda":
            found.append((device, torch.cuda.get_rng_state(device)))
    return found


def _set_random_states(states: Sequence[tuple[torch.device, Tensor]]) -> None:
    for device, state in states:
        if device.type == "cuda":
            torch.cuda.set_rng_state(state, device)
        else:
            torch.set_rng_state(state)


def is_plain(leaf: Any) -> bool:
    """Say whether an argument or result is no tensor, and told apart by its type and text."""
    return isinstance(leaf, _PLAIN)
