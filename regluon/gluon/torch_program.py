"""hybridize: a torch module's computation compiled to programs, in place, without Gluon."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils import _pytree as pytree

from regluon.base import MXNetError
from regluon.graph.execution import Plan
from regluon.graph.joint import Joint
from regluon.graph.module_call import (
    Arguments,
    ModuleCall,
    ModuleExecution,
    Restart,
    is_plain,
    line_beyond_torch,
)
from regluon.graph.module_state import ModuleState
from regluon.graph.program import Prepared


_log = logging.getLogger("regluon.hybridize")
_MANY = 64  # so many signatures of one state of a module are compiled; others run eagerly
_STATES = 16  # so many states of a module are remembered, such as training and evaluating
_Module = TypeVar("_Module", bound=torch.nn.Module)
_Found = TypeVar("_Found")


def hybridize(
    module: _Module,
    active: bool = True,
    *,
    verify: str | None = "first",
    passes: bool = True,
    freeze: bool = False,
    mixed_precision: Any = None,
) -> _Module:
    """Compile what a torch module computes, or stop doing so; return the module itself.

    The module is changed in place, as by `module.compile()`: it keeps its class, parameters,
    buffers, hooks and the names in its `state_dict()`, optimizers go on with the parameters they
    have, and copies and pickles of it are plain modules that are not compiled. Calls go through a
    program: one for each structure, shape, dtype, device and layout of the arguments, for training
    and evaluation, with and without gradients, and for autocast. Two calls of a kind run eagerly
    and are traced, from the third on the program runs. Parameters and buffers are inputs of it:
    every update is noticed. Random numbers come from torch's generators, as without.

    A module that a program cannot stand for stays eager, with a warning that says why under the
    logger `regluon.hybridize`: if Python looks at values of tensors, writes attributes, or has
    hooks inside. Derivatives of gradients are computed eagerly. Where two results share memory, a
    program's results do not. What Python code takes from elsewhere than arguments and attributes is
    as it was when the call was traced.

    verify: "first" compares two traces with each other, and the program's first results with the
        eager ones; None saves that time.
    passes: False leaves out everything that could change a bit.
    freeze: without gradients, compute what depends on parameters alone, such as a convolution with
        its normalization, only after an update that torch's version counters see; writes through
        `parameter.data` they do not.
    mixed_precision: "bfloat16" or "float16" lets programs compute products, convolutions and
        attention in it, and what follows them if that is harmless; parameters, arguments, results
        and gradients stay in float32. `verify` compares with the eager calls, which are in float32.
        It needs no `torch.autocast` around it.

    >>> import torch
    >>> net = hybridize(torch.nn.Linear(3, 2))
    >>> with torch.no_grad():
    ...     shapes = [net(torch.ones(4, 3)).shape for _ in range(4)]
    >>> shapes[-1]
    torch.Size([4, 2])
    >>> print(program(net).splitlines()[0])
    # Linear(float32(4, 3))
    """
    check_module("hybridize", module)
    plan = Plan(verify, exact=not passes, precision=mixed_precision)
    programs = Programs(module, plan, freeze) if active else None
    module._compiled_call_impl = programs  # torch's own place for this; pickles leave it out
    return module


def check_module(function: str, module: Any) -> None:
    """Raise MXNetError for what is no module."""
    if not isinstance(module, torch.nn.Module):
        raise MXNetError(f"{function} needs a torch.nn.Module, not {type(module).__name__}")


def program(module: torch.nn.Module) -> str:
    """Return the source of all programs of a hybridized module, with the user's lines beside it.

    It is "" where there is none yet, and for modules that are not hybridized. Blocks and training
    steps have a `program` of their own.
    """
    if not isinstance(module, torch.nn.Module):
        raise MXNetError(
            f"program() takes a torch.nn.Module, not {type(module).__name__}: blocks and steps "
            "have an attribute `program`"
        )
    programs = module._compiled_call_impl
    return str(programs) if isinstance(programs, Programs) else ""


class Programs:
    """Calls one module: eagerly at first, through compiled programs as soon as there are some."""

    def __init__(self, module: torch.nn.Module, plan: Plan, freeze: bool) -> None:
        self.module = module
        self.title = type(module).__name__
        self.freeze = freeze
        self.plan = plan
        self._states: list[_Signatures] = []
        self._warned: set[str] = set()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the module returns, hooks of its own included."""
        module = self.module
        if is_observed():
            return module._call_impl(*args, **kwargs)
        if has_hooks(module):
            return self._hooked(args, kwargs)
        return self._compute(args, kwargs)

    def __str__(self) -> str:
        return "\n".join(
            text
            for signatures in self._states
            for entry in signatures.entries.values()
            if (text := entry.text(self.title))
        )

    def _hooked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Let torch call the hooks around the program, which stands for `forward` meanwhile."""
        attributes = vars(self.module)
        own = attributes.get("forward", self)

        def forward(*args: Any, **kwargs: Any) -> Any:
            restore()
            return self._compute(args, kwargs)

        def restore() -> None:
            if own is self:
                attributes.pop("forward", None)
            else:
                attributes["forward"] = own

        attributes["forward"] = forward
        try:
            return self.module._call_impl(*args, **kwargs)
        finally:
            restore()

    def _compute(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        found = self.entry(args, kwargs)
        if found is None:
            return self.module.forward(*args, **kwargs)
        entry, tensors = found
        try:
            results = self.run(entry, tensors, entry.execution.run_afresh)
        except Restart:
            return self.module.forward(*args, **kwargs)
        return entry.call.restored(tensors, results)

    def entry(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple["Entry", list[Tensor]] | None:
        """Return what stands for a call, and its tensors; or None for one that stays eager."""
        signatures, own = self._current()
        if signatures.state.objection:
            self._warn(signatures.state.objection)
            return None
        given, key = _signature(args, kwargs)
        entry = signatures.entries.get(key)
        if entry is None:
            if type(key) is str:
                self._warn(key)
                return None
            entry = self._new(signatures, key, args, kwargs, own)
        return None if entry.execution.refused else (entry, [*given, *own])

    def run(self, entry: "Entry", tensors: list[Tensor], function: Callable[..., _Found]) -> _Found:
        """Run a function of an entry; Restart means that nothing happened, and is warned about."""
        try:
            if entry.call.autocast is None:
                found = function(tensors, entry.recording)
            else:
                with torch.autocast(tensors[0].device.type, enabled=False):
                    found = function(tensors, entry.recording)
        except Restart as error:
            self._warn(str(error))
            raise
        if entry.execution.refused:
            self._warn(entry.execution.refused)
        return found

    def _current(self) -> tuple["_Signatures", Sequence[Tensor]]:
        """Return the programs for the module as it is now, and its parameters and buffers."""
        states = self._states
        for place, signatures in enumerate(states):
            tensors = signatures.state.holds()
            if tensors is not None:
                if place:
                    states.insert(0, states.pop(place))
                return signatures, tensors
        signatures = _Signatures(ModuleState(self.module))
        if states:
            signatures.why = states[0].state.change()
        states.insert(0, signatures)
        del states[_STATES:]
        return signatures, signatures.state.tensors

    def _new(
        self,
        signatures: "_Signatures",
        key: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        own: Sequence[Tensor],
    ) -> "Entry":
        entries = signatures.entries
        leaves, structure = pytree.tree_flatten((args, kwargs))
        places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        arguments = Arguments(leaves, places, structure)
        given = [leaves[place] for place in places]
        call = ModuleCall(self.module, signatures.state, arguments, key[-1][1])
        live = [tensor.requires_grad for tensor in (*given, *own)]
        recording = torch.is_grad_enabled() and any(live)
        entry = Entry(call, ModuleExecution(call, live, self.plan, self.freeze), recording, given)
        entry.execution.title, entry.execution.warn = self.title, self._warn
        if len(entries) >= _MANY:
            entry.execution.refused = "there are too many signatures"
            self._warn(f"{_MANY} signatures are compiled; calls with others run eagerly")
            return entry
        entries[key] = entry
        why = signatures.why if len(entries) == 1 else _novelty(key, [*entries][:-1])
        where = line_beyond_torch()
        _log.info("%s(%s) is traced: %s (at %s)", self.title, entry.shown, why, where)
        return entry

    def _warn(self, reason: str) -> None:
        """Say once why the module stays eager."""
        if reason not in self._warned:
            self._warned.add(reason)
            _log.warning("%s stays eager: %s", self.title, reason)


class _Signatures:
    """The programs for one state of a module."""

    def __init__(self, state: ModuleState) -> None:
        self.state = state
        self.entries: dict[Any, Entry] = {}
        self.why = "the first call"


class Entry:
    """The program for one signature of calls."""

    def __init__(
        self, call: ModuleCall, execution: ModuleExecution, recording: bool, given: Sequence[Tensor]
    ) -> None:
        self.call = call
        self.execution = execution
        self.recording = recording
        self.joint = Joint(execution)  # results and gradients as one, for a training step
        self.shown = ", ".join(f"{str(t.dtype)[6:]}{tuple(t.shape)}" for t in given)

    def text(self, title: str) -> str:
        """Return the source, or nothing where there is no program yet."""
        execution = self.execution
        if execution.halves is not None:
            first, second = execution.halves.first.source, execution.halves.second.source
            return f"# {title}({self.shown})\n{first}\n# its gradients\n{second}"
        found = self.joint.program or execution.program
        if found is None:
            return ""
        source = found.main.source if isinstance(found, Prepared) else found.source
        return f"# {title}({self.shown})\n{source}"


_WORDS = ("structure or plain arguments", "arguments", "mode")


def _signature(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Sequence[Tensor], Any]:
    """Return the tensors among the arguments, and a key; or as the key why there is none."""
    around: Any = len(args)
    given: Sequence[Tensor] = args
    if kwargs or not all(type(arg) is Tensor for arg in args):
        leaves, structure = pytree.tree_flatten((args, kwargs))
        given = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        plain = [(type(leaf), None if isinstance(leaf, Tensor) else leaf) for leaf in leaves]
        for kind, leaf in plain:
            if leaf is not None and not is_plain(leaf):
                return given, f"an argument is a {kind.__name__}"
        around = (structure, *((kind, repr(leaf)) for kind, leaf in plain))
    for tensor in given:
        if type(tensor) not in (Tensor, torch.nn.Parameter) or tensor.layout is not torch.strided:
            return given, f"an argument is a {type(tensor).__name__} ({tensor.layout})"
    device = given[0].device.type if given else "cpu"
    autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    described = [(t.shape, t.dtype, t.device, t.stride(), t.requires_grad) for t in given]
    modes = (torch.is_inference_mode_enabled(), torch.get_default_dtype())
    return given, (around, tuple(described), (torch.is_grad_enabled(), autocast, *modes))


def _novelty(key: Any, others: Sequence[Any]) -> str:
    """Say in which respect a signature is new."""
    new: list[list[str]] = [
        [word for word, one, other in zip(_WORDS, key, old, strict=True) if one != other]
        for old in others
    ]
    return f"new {' and '.join(sorted(new, key=len)[0])}"


def has_hooks(module: torch.nn.Module) -> bool:
    """Say whether the module has hooks of its own, or all modules have."""
    every = torch.nn.modules.module
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or every._global_forward_hooks
        or every._global_forward_pre_hooks
        or every._global_backward_hooks
        or every._global_backward_pre_hooks
    )


def is_observed() -> bool:
    """Say whether torch, or a trace of ours, looks at every operator: then calls are eager."""
    return bool(
        torch._C._len_torch_dispatch_stack()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._is_tracing()
        or forward_ad._current_level >= 0
    )
