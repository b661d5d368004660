"""Block: a part of a network, with its parameters, its child blocks, its hooks and its files."""

import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from regluon.array.dispatch import state
from regluon.base import MXNetError
from regluon.gluon import files, summary
from regluon.gluon.copies import Contexts
from regluon.gluon.failure import located
from regluon.gluon.guard import BOOKKEEPING, Changes
from regluon.gluon.naming import NameScope, new_scope
from regluon.gluon.parameter import Parameter
from regluon.gluon.parameter_dict import ParameterDict
from regluon.gluon.torch_module import BlockModule
from regluon.gluon.utils import HookHandle, indented


class Block:
    """A layer or network: subclass it, create child blocks in `__init__`, compute in `forward`.

    prefix: put before the names of parameters and of blocks inside; by default the class name in
        lower case with a number.
    params: parameters of another block (`block.collect_params()`) whose weights to share.

    >>> import regluon as mx
    >>> class Net(mx.gluon.Block):
    ...     def __init__(self, **kwargs):
    ...         super().__init__(**kwargs)
    ...         with self.name_scope():
    ...             self.dense = mx.gluon.nn.Dense(2)
    ...     def forward(self, x):
    ...         return mx.nd.relu(self.dense(x))
    >>> net = Net(prefix="net_")
    >>> net.initialize()
    >>> net(mx.nd.ones((4, 3))).shape
    (4, 2)
    >>> list(net.collect_params())
    ['net_dense0_weight', 'net_dense0_bias']
    """

    def __init__(self, prefix: str | None = None, params: ParameterDict | None = None) -> None:
        set_plain = super().__setattr__
        set_plain("_children", {})
        set_plain("_reg_params", {})
        set_plain("_forward_hooks", {})
        set_plain("_forward_pre_hooks", {})
        set_plain("_unfinished", False)
        self._scope = new_scope(prefix, params, self._alias())
        self._prefix = self._scope.prefix
        self._params = self._scope.params

    _children: "dict[str, Block]"
    _reg_params: dict[str, Parameter]
    _forward_hooks: dict[int, Callable[..., Any]]
    _forward_pre_hooks: dict[int, Callable[..., Any]]
    _eager: Any = None  # why this block is never compiled: a Reason
    _unfinished: bool  # some parameter of this block itself may still lack shape or values

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; parameters and blocks are registered under its name."""
        existing = self.__dict__.get(name)
        if existing is not value and name not in BOOKKEEPING:
            Changes.count += 1
            if state.capture is not None:
                state.capture.refuse(f"forward() sets {type(self).__name__}.{name}")
        for kind in (Parameter, Block):
            if isinstance(existing, kind) and not isinstance(value, kind):
                raise TypeError(
                    f"{type(self).__name__}.{name} is a {type(existing).__name__} and cannot "
                    f"become a {type(value).__name__}"
                )
        if isinstance(value, Block):
            self._registry("_children", value)
            self.register_child(value, name)
        elif isinstance(value, Parameter):
            registered = self._registry("_reg_params", value)
            if registered.get(name, value) is not value:
                raise MXNetError(
                    f"{type(self).__name__}.{name} is a parameter already; to share weights, give "
                    "params=other.collect_params() when creating the block"
                )
            registered[name] = value
            super().__setattr__("_unfinished", True)
        super().__setattr__(name, value)

    def _registry(self, table: str, value: Any) -> dict[str, Any]:
        if table not in self.__dict__:
            raise MXNetError(
                f"{type(self).__name__}.__init__ must call super().__init__() before it sets a "
                f"{type(value).__name__}"
            )
        found: dict[str, Any] = self.__dict__[table]
        return found

    def __repr__(self) -> str:
        blocks = {k: v for k, v in self.__dict__.items() if isinstance(v, Block)}
        return f"{type(self).__name__}(\n{listed(blocks)}\n)"

    def _alias(self) -> str:
        return type(self).__name__.lower()

    # Names, parameters, children

    @property
    def prefix(self) -> str:
        """What is put before the names of parameters and blocks inside."""
        return self._prefix

    @property
    def name(self) -> str:
        """The prefix without the `_` at its end."""
        return self._prefix.removesuffix("_")

    def name_scope(self) -> NameScope:
        """Return the scope to create child blocks in: `with self.name_scope():`."""
        return self._scope

    @property
    def params(self) -> ParameterDict:
        """This block's own parameters, those of its children not included."""
        return self._params

    def collect_params(self, select: str | None = None) -> ParameterDict:
        """Return the parameters of this block and all blocks inside by their full names.

        select: a regular expression that the beginning of a name must match.

        >>> import regluon as mx
        >>> list(mx.gluon.nn.Dense(2, prefix="out_").collect_params(".*bias"))
        ['out_bias']
        """
        self._warn_of_hidden_blocks()
        pattern = re.compile(select or "")
        found = ParameterDict(self._params.prefix)
        found.update({k: v for k, v in self._params.items() if pattern.match(k)})
        for child in self._children.values():
            found.update(child.collect_params(select))
        return found

    def structural_params(self, path: str = "") -> dict[str, Parameter]:
        """Return the parameters by their place in the network, such as `features.0.weight`."""
        start = f"{path}." if path else ""
        found = {start + key: param for key, param in self._reg_params.items()}
        for key, child in self._children.items():
            found.update(child.structural_params(start + key))
        return found

    def name_layouts(self) -> list[dict[str, Parameter]]:
        """Return the ways in which files name the parameters: by place, in full, in part.

        In part means the full name without this block's own prefix.
        """
        full = {param.name: param for param in self.collect_params().values()}
        short = {name.removeprefix(self._prefix): param for name, param in full.items()}
        return [self.structural_params(), full, short]

    def register_child(self, block: "Block", name: str | None = None) -> None:
        """Add a child block; attributes that are blocks are added by themselves."""
        self._children[str(len(self._children)) if name is None else name] = block
        Changes.count += 1

    def apply(self, fn: "Callable[[Block], Any]") -> "Block":
        """Call `fn` on every block inside and on this one, innermost first; returns this block."""
        for child in self._children.values():
            child.apply(fn)
        fn(self)
        return self

    def _warn_of_hidden_blocks(self) -> None:
        children = {id(child) for child in self._children.values()}
        for name, value in self.__dict__.items():
            if name != "_children" and isinstance(value, (list, tuple, dict)):
                hidden = [block for block in _blocks_in(value) if id(block) not in children]
                if hidden:
                    warnings.warn(
                        f"{type(self).__name__}.{name} holds blocks that are not registered, so "
                        "their parameters are not found; use nn.Sequential or register_child()",
                        stacklevel=3,
                    )

    # Calling

    def __call__(self, *args: Any) -> Any:
        """Compute `forward` with the hooks around it."""
        outer = state.place
        state.place = (self, outer)
        try:
            if self._unfinished:
                self._finish(args)
            if self._forward_pre_hooks:
                for hook in list(self._forward_pre_hooks.values()):
                    hook(self, args)
            out = self._compute(*args)
            if self._forward_hooks:
                for hook in list(self._forward_hooks.values()):
                    hook(self, args, out)
            return out
        except Exception as error:
            raise located(error, self, args)  # noqa: B904
        finally:
            state.place = outer

    def _compute(self, *args: Any) -> Any:
        """Compute the output; blocks that can be compiled have another way."""
        return self.forward(*args)

    def locate(self, error: Exception) -> Exception:
        """Return the error of an operator of this block with the path to it, one step longer."""
        return located(error, self, ())

    def forward(self, *args: Any) -> Any:
        """Compute the output of the block; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} must define forward()")

    def infer_shape(self, *args: Any) -> None:
        """Set the shapes of this block's own parameters from the inputs of the first call.

        A layer with parameters of unknown shape defines it, as `self.weight.shape = ...`.
        """
        unknown = [param.name for param in self._reg_params.values() if param.waiting]
        if not unknown:
            return
        raise MXNetError(
            f"the shapes of {', '.join(unknown)} are unknown: create them in full, or define "
            f"{type(self).__name__}.infer_shape(self, x) to set them from the first input"
        )

    def _finish(self, args: tuple[Any, ...]) -> None:
        """Complete this block's parameters that wait for the shape of the first input."""
        own = list(self._reg_params.values())
        waiting = [param for param in own if param.waiting]
        if waiting:
            self.infer_shape(*args)
            for param in waiting:
                param.finish_init()
        self._unfinished = not all(param.initialized for param in own)

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(block, inputs)` before every forward; the handle returned removes it."""
        Changes.count += 1
        return HookHandle(self._forward_pre_hooks, hook)

    def register_forward_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(block, inputs, output)` after every forward; returns its handle."""
        Changes.count += 1
        return HookHandle(self._forward_hooks, hook)

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Compile every `HybridBlock` inside, or stop doing so."""
        for child in self._children.values():
            child.hybridize(active, **kwargs)

    # Values

    def initialize(
        self,
        init: Any = None,
        ctx: Contexts = None,
        verbose: bool = False,
        force_reinit: bool = False,
    ) -> None:
        """Initialize all parameters, inside too: with their own initializer, else `init` (Uniform).

        ctx: a context, or a list to keep one copy on each; by default the current one.
        """
        self.collect_params().initialize(init, ctx, verbose, force_reinit)

    def cast(self, dtype: Any) -> None:
        """Convert all parameters, inside too, to another type."""
        for child in self._children.values():
            child.cast(dtype)
        for param in self._params.values():
            param.cast(dtype)

    def summary(self, *inputs: Any) -> None:
        """Print the output shape and the number of parameters of every layer for these inputs."""
        print(summary.table(self, inputs))

    def as_torch(self) -> torch.nn.Module:
        """Return a `torch.nn.Module` on the same weights: same storage, same leaves of the graph.

        torch's optimizers and autograd train it, this block sees every change, and the other way
        round. Its `train()` and `eval()` decide how layers behave when torch calls it. All
        parameters must be initialized; where there are several contexts, it uses the first.

        >>> import regluon as mx, torch
        >>> net = mx.gluon.nn.Dense(1, in_units=2)
        >>> net.initialize()
        >>> module = net.as_torch()
        >>> module(torch.ones(3, 2)).sum().backward()
        >>> module.weight.grad.tolist()
        [[3.0, 3.0]]
        """
        return BlockModule(self)

    # Files

    def save_parameters(self, filename: str | Path, deduplicate: bool = False) -> None:
        """Write all parameters to a file that `load_parameters`, and for `*.params` MXNet, reads.

        filename: a name ending in `.params` gives MXNet's format, any other safetensors.
        deduplicate: write shared parameters once instead of under each of their names.

        The new file replaces the old one only when it is complete.
        """
        params = self.structural_params()
        if deduplicate:
            params = {name: param for param, name in {v: k for k, v in params.items()}.items()}
        files.save(filename, params)

    def load_parameters(
        self,
        filename: str | Path,
        ctx: Contexts = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        cast_dtype: bool = False,
        dtype_source: str = "current",
    ) -> None:
        """Read parameters that regluon, MXNet or safetensors wrote; the content tells the format.

        ctx: where parameters go that are not initialized yet; by default the CPU.
        allow_missing: leave parameters alone that are not in the file.
        ignore_extra: leave out what the file has and the network has not.
        cast_dtype: convert to the network's types or, with `dtype_source="saved"`, change them.

        Names are structural (`features.0.weight`), or full as in exported and old files
        (`arg:net0_conv0_weight`). A missing, unknown or ill-shaped parameter, a wrong type or a
        damaged file is an error that names it; then nothing has changed.
        """
        files.load(
            filename,
            self.name_layouts(),
            ctx=ctx,
            allow_missing=allow_missing,
            ignore_extra=ignore_extra,
            cast_dtype=cast_dtype,
            dtype_source=dtype_source,
        )


def listed(blocks: dict[str, Block]) -> str:
    """Return the lines that show blocks inside another one."""
    return "\n".join(f"  ({key}): {indented(repr(block), 2)}" for key, block in blocks.items())


def _blocks_in(value: Any) -> Iterator[Block]:
    if isinstance(value, Block):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _blocks_in(item)
