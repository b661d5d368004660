"""ParameterDict: parameters by their full names, as blocks create and users collect them."""

from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from pathlib import Path
from typing import Any

import numpy as onp

from regluon import initializer
from regluon.array.ndarray import NDArray
from regluon.base import MXNetError
from regluon.context import Context
from regluon.gluon import files
from regluon.gluon.copies import Contexts
from regluon.gluon.parameter import Constant, Parameter
from regluon.gluon.utils import indented, unknown_name
from regluon.ops.dtype import torch_dtype


class ParameterDict:
    """Parameters by name, in the order of their creation.

    prefix: put before the name of every parameter that `get` creates.
    shared: where `get` looks before it creates one, for layers that share weights.

    >>> import regluon as mx
    >>> params = mx.gluon.ParameterDict("net_")
    >>> params.get("weight", shape=(2, 3)).name
    'net_weight'
    >>> list(params)
    ['net_weight']
    """

    def __init__(self, prefix: str = "", shared: "ParameterDict | None" = None) -> None:
        self._prefix = prefix
        self._params: dict[str, Parameter] = {}
        self._shared = shared

    def __repr__(self) -> str:
        name = f"{self._prefix} " if self._prefix else ""
        lines = "\n".join(indented(f"  {param}", 2) for param in self.values())
        return f"{name}(\n{lines}\n)"

    def __getitem__(self, key: str) -> Parameter:
        try:
            return self._params[key]
        except KeyError:
            raise KeyError(unknown_name("parameter", key, self._params)) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def __contains__(self, key: object) -> bool:
        return key in self._params

    def items(self) -> ItemsView[str, Parameter]:
        """Return names and parameters."""
        return self._params.items()

    def keys(self) -> KeysView[str]:
        """Return the names."""
        return self._params.keys()

    def values(self) -> ValuesView[Parameter]:
        """Return the parameters."""
        return self._params.values()

    @property
    def prefix(self) -> str:
        """What `get` puts before names."""
        return self._prefix

    @property
    def shared(self) -> "ParameterDict | None":
        """Where `get` looks before it creates a parameter."""
        return self._shared

    def get(self, name: str, **kwargs: Any) -> Parameter:
        """Return the parameter called prefix + `name`, from here, from `shared`, or a new one.

        Keyword arguments are `Parameter`'s; those of an existing parameter must agree, except that
        lengths of the shape that were unknown may become known.
        """
        param = self._existing(self._prefix + name)
        if param is None:
            param = Parameter(self._prefix + name, **kwargs)
            self._params[param.name] = param
            return param
        for key, value in kwargs.items():
            _agree(param, key, value)
        return param

    def get_constant(self, name: str, value: Any = None) -> Parameter:
        """Return the `Constant` called prefix + `name`, from here, from `shared`, or a new one."""
        full = self._prefix + name
        param = self._existing(full)
        if param is None:
            if value is None:
                raise KeyError(f"there is no constant {full!r}; give a value to create one")
            param = self._params[full] = Constant(full, value)
        elif not isinstance(param, Constant):
            raise MXNetError(f"parameter {full!r} exists and is not a constant")
        elif value is not None:
            given = value.asnumpy() if isinstance(value, NDArray) else onp.asarray(value)
            if not onp.array_equal(param.value.asnumpy(), given):
                raise MXNetError(f"constant {full!r} exists with another value")
        return param

    def _existing(self, full: str) -> Parameter | None:
        if full not in self._params and self._shared is not None and full in self._shared:
            self._params[full] = self._shared[full]
        return self._params.get(full)

    def update(self, other: "ParameterDict | Mapping[str, Parameter]") -> None:
        """Add all parameters of `other`; two different ones of one name are an error."""
        for name, param in other.items():
            if self._params.get(name, param) is not param:
                raise MXNetError(
                    f"two different parameters are called {name!r}; create the layers inside "
                    "`with net.name_scope():`, or give them different prefixes"
                )
        self._params.update(other.items())

    def initialize(
        self,
        init: Any = None,
        ctx: Contexts = None,
        verbose: bool = False,
        force_reinit: bool = False,
    ) -> None:
        """Initialize every parameter: with its own initializer, else with `init` (Uniform).

        verbose: print how each parameter was initialized.
        """
        default = initializer.create(initializer.Uniform() if init is None else init)
        for param in self.values():
            param.initialize(None, ctx, default, force_reinit)
            if verbose:
                print(f"{param.name}: {param.init or default!r}")

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        for param in self.values():
            param.zero_grad()

    def reset_ctx(self, ctx: Contexts) -> None:
        """Move every parameter to other contexts."""
        for param in self.values():
            param.reset_ctx(ctx)

    def list_ctx(self) -> list[Context]:
        """Return every context that holds a parameter."""
        return list(dict.fromkeys(ctx for param in self.values() for ctx in param.list_ctx()))

    def setattr(self, name: str, value: Any) -> None:
        """Set an attribute of every parameter, such as `grad_req` to "null" to freeze a network.

        >>> import regluon as mx
        >>> net = mx.gluon.nn.Dense(2, in_units=3)
        >>> net.collect_params(".*weight").setattr("grad_req", "null")
        >>> net.weight.grad_req, net.bias.grad_req
        ('null', 'write')
        """
        for param in self.values():
            if not hasattr(param, name):
                raise AttributeError(unknown_name("attribute of Parameter", name, vars(param)))
            setattr(param, name, value)

    def save(self, filename: str | Path, strip_prefix: str = "") -> None:
        """Write all parameters to a file under their names, which lose `strip_prefix`.

        Names ending in `.params` give MXNet's format, all others safetensors.
        """
        wrong = [name for name in self if not name.startswith(strip_prefix)]
        if wrong:
            raise MXNetError(
                f"names cannot lose the prefix {strip_prefix!r}, which {wrong[0]!r} does not have: "
                "is it shared with another block, or created outside `with name_scope():`?"
            )
        files.save(filename, {name[len(strip_prefix) :]: param for name, param in self.items()})

    def load(
        self,
        filename: str | Path,
        ctx: Contexts = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        restore_prefix: str = "",
        cast_dtype: bool = False,
        dtype_source: str = "current",
    ) -> None:
        """Read parameters from a file whose names lack `restore_prefix`; all or, on an error, none.

        The other arguments are those of `Block.load_parameters`.
        """
        wrong = [name for name in self if not name.startswith(restore_prefix)]
        if wrong:
            raise MXNetError(f"{wrong[0]!r} does not begin with restore_prefix={restore_prefix!r}")
        short = {name[len(restore_prefix) :]: param for name, param in self.items()}
        files.load(
            filename,
            [short],
            ctx=ctx,
            allow_missing=allow_missing,
            ignore_extra=ignore_extra,
            cast_dtype=cast_dtype,
            dtype_source=dtype_source,
        )


def _agree(param: Parameter, key: str, value: Any) -> None:
    """Check a wanted attribute against an existing parameter's, or complete its shape."""
    existing = getattr(param, key, None)
    if existing is None:
        setattr(param, key, value)
        return
    if key == "shape" and value is not None:
        merged = _merged(value, existing)
        if merged is not None:
            param.shape = merged
            return
    same = value is None or value == existing
    if not same and key == "dtype":
        same = torch_dtype(value) == torch_dtype(existing)
    if not same:
        raise MXNetError(
            f"parameter {param.name!r} exists with {key}={existing!r}; {value!r} was asked for"
        )


def _merged(wanted: int | Sequence[int], known: Sequence[int]) -> tuple[int, ...] | None:
    """Return one shape from two with unknown lengths, or None where they disagree."""
    new = (wanted,) if isinstance(wanted, int) else tuple(wanted)
    if len(new) != len(known):
        return None
    pairs = list(zip(new, known, strict=True))
    if any(a > 0 and b > 0 and a != b for a, b in pairs):
        return None
    return tuple(max(a, b, 0) for a, b in pairs)
