"""Initializers: the first values of parameters, by rule and by the parameter's name."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as onp

from regluon import nd
from regluon.array.dispatch import invoke
from regluon.array.ndarray import NDArray
from regluon.base import MXNetError, Registry, ShapeError, nearest
from regluon.ops.registry import TABLE


Init = Callable[[Any, NDArray], None]


class InitDesc(str):
    """The name of an array to initialize, with what is known about it.

    `attrs["__init__"]` names the array's own initializer (an `Initializer`, its name or its
    `dumps()`), which goes before the names' rules; `global_init` is the one to fall back to.
    """

    attrs: dict[str, Any]
    global_init: Init | None

    def __new__(  # noqa: D102
        cls, name: str, attrs: Mapping[str, Any] | None = None, global_init: Init | None = None
    ) -> "InitDesc":
        desc = super().__new__(cls, name)
        desc.attrs = dict(attrs or {})
        desc.global_init = global_init
        return desc


class Initializer:
    """A rule that fills arrays; a new rule overrides `_init_weight(desc, arr)`.

    Called with a name and an array, it uses the initializer in `desc.attrs["__init__"]` if there is
    one, and else goes by the end of the name: `weight` is this rule, `bias`, `beta`, `min` and
    running or moving means are 0, `gamma`, `max` and running or moving variances are 1; any other
    name is an error. MXNet 1.9.1 knows the running statistics only through `__init__`.

    >>> import regluon as mx
    >>> x = mx.nd.zeros((2, 2))
    >>> mx.init.Constant(3)(mx.init.InitDesc("dense0_weight"), x)
    >>> x.asnumpy().tolist()
    [[3.0, 3.0], [3.0, 3.0]]
    """

    _rules: ClassVar[dict[str, str]] = {
        "weight": "_init_weight",
        "bias": "_init_bias",
        "gamma": "_init_gamma",
        "beta": "_init_beta",
        "min": "_init_zero",
        "max": "_init_one",
        "running_mean": "_init_zero",
        "running_var": "_init_one",
        "moving_mean": "_init_zero",
        "moving_var": "_init_one",
        "moving_inv_var": "_init_zero",
        "moving_avg": "_init_zero",
    }

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = kwargs

    def dumps(self) -> str:
        """Return name and arguments as JSON, which `create` reads.

        >>> import regluon as mx
        >>> mx.init.Normal(0.5).dumps()
        '["normal", {"sigma": 0.5}]'
        """
        described = [type(self).__name__.lower(), self._kwargs]
        return json.dumps(described, default=lambda array: array.tolist())

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self._kwargs.items())
        return f"{type(self).__name__}({given})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Initializer):
            return NotImplemented
        return type(self) is type(other) and self.dumps() == other.dumps()

    def __hash__(self) -> int:
        return hash(self.dumps())

    def __call__(self, desc: str, arr: NDArray) -> None:
        """Fill `arr`, whose name is `desc`."""
        if not isinstance(desc, InitDesc):
            desc = InitDesc(desc)
        if desc.global_init is None:
            desc.global_init = self
        own = desc.attrs.get("__init__")
        if own:
            create(own)._init_weight(desc, arr)
            return
        for ending, method in self._rules.items():
            if desc.endswith(ending):
                getattr(self, method)(desc, arr)
                return
        self._init_default(desc, arr)

    def _init_weight(self, desc: InitDesc, arr: NDArray) -> None:
        """Fill a weight: what each rule is about."""
        raise NotImplementedError(f"{type(self).__name__} must define _init_weight(desc, arr)")

    def _init_zero(self, desc: InitDesc, arr: NDArray) -> None:
        arr[:] = 0.0

    def _init_one(self, desc: InitDesc, arr: NDArray) -> None:
        arr[:] = 1.0

    _init_bias = _init_beta = _init_zero
    _init_gamma = _init_one

    def _init_default(self, desc: InitDesc, arr: NDArray) -> None:
        raise MXNetError(
            f"no rule says how to initialize {desc!r}: known are names that end in "
            f"{', '.join(self._rules)}; give this parameter an initializer of its own (init=...)"
        )


C = TypeVar("C", bound=type[Initializer])
_registry = Registry[type[Initializer]]("initializer")


def register(klass: C) -> C:
    """Decorate an initializer class so that `create` finds it by its name in lower case."""
    _registry.register(klass)
    return klass


def alias(*names: str) -> Callable[[C], C]:
    """Decorate an initializer class with further names for `create`."""

    def name_too(klass: C) -> C:
        _registry.register(klass, *names)
        return klass

    return name_too


def create(initializer: "str | Initializer", *args: Any, **kwargs: Any) -> Initializer:
    """Return an initializer by name, from what `dumps` returned, or the one that is given.

    >>> import regluon as mx
    >>> mx.init.create("xavier", magnitude=2)
    Xavier(rnd_type='uniform', factor_type='avg', magnitude=2)
    """
    if isinstance(initializer, Initializer):
        if args or kwargs:
            raise MXNetError(f"{initializer!r} is made already; further arguments have no effect")
        return initializer
    if not isinstance(initializer, str):
        raise MXNetError(f"an initializer or its name is needed, not {initializer!r}")
    name = initializer
    if initializer.startswith("["):
        name, kwargs = json.loads(initializer)
    return _registry.get(name)(*args, **kwargs)


@register
@alias("zeros")
class Zero(Initializer):
    """All zero."""

    def _init_weight(self, desc: InitDesc, arr: NDArray) -> None:
        arr[:] = 0.0


@register
@alias("ones")
class One(Initializer):
    """All one."""

    def _init_weight(self, desc: InitDesc, arr: NDArray) -> None:
        arr[:] = 1.0


@register
class Constant(Initializer):
    """All equal to a number, or a copy of an array or nested list of the parameter's shape."""

    def __init__(self, value: Any) -> None:
        super().__init__(value=value)
        self.value = value

    def _init_weight(self, desc: InitDesc, arr: NDArray) -> None:
        arr[:] = onp.asarray(self.value) if isinstance(self.value, list | tuple) else self.value


@register
class Uniform(Initializer):
    """Even draws from [-scale, scale)."""

    def __init__(self, scale: float = 0.07) -> None:
        super().__init__(scale=scale)
        self.scale = scale

    def _init_weight(self, desc: InitDesc, arr: NDArray) -> None:
        _draw("uniform", self.scale, arr)


@register
class Normal(Initializer):
    """Normal draws with mean 0 and standard deviation `sigma`."""

    def __init__(self, sigma: float = 0.01) -> None:
        super().__init__(sigma=sigma)
        self.sigma = sigma

    def _init_weight(self, desc: InitDesc, arr: NDArray) -> None:
        _draw("gaussian", self.sigma, arr)


def _draw(kind: str, scale: float, arr: NDArray) -> None:
    """Fill `arr` with keyed draws: even ones up to `scale`, or normal ones of that deviation."""
    name, first = ("uniform_nd", -scale) if kind == "uniform" else ("normal_nd", 0.0)
    attrs = {"shape": arr.shape or (1,), "dtype": arr.dtype}
    target = arr if arr.shape else arr[None]  # without axes, the operators draw one element
    invoke(TABLE[name], (first, scale), attrs, type(arr), out=target)


def _choice(what: str, given: str, known: Sequence[str]) -> str:
    if given not in known:
        raise MXNetError(
            f"{what} must be one of {', '.join(known)}, not {given!r}{nearest(given, known)}"
        )
    return given


@register
class Xavier(Initializer):
    """Draws whose size keeps the scale of signals and gradients alike in all layers.

    With n_in = shape[1] and n_out = shape[0], each times the number of kernel positions, and n
    their mean (`factor_type` "avg") or one of them ("in", "out"): the scale s is
    sqrt(magnitude / n), and the draws are even in [-s, s) (`rnd_type` "uniform") or normal with
    deviation s ("gaussian").
    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward networks".

    >>> import regluon as mx
    >>> x = mx.nd.zeros((20, 10))
    >>> mx.init.Xavier()(mx.init.InitDesc("weight"), x)
    >>> float(x.abs().max().asscalar()) <= (3 / 15) ** 0.5
    True
    """

    def __init__(
        self, rnd_type: str = "uniform", factor_type: str = "avg", magnitude: float = 3
    ) -> None:
        super().__init__(rnd_type=rnd_type, factor_type=factor_type, magnitude=magnitude)
        self.rnd_type = _choice("rnd_type", rnd_type, ("uniform", "gaussian"))
        self.factor_type = _choice("factor_type", factor_type, ("avg", "in", "out"))
        self.magnitude = float(magnitude)

    def _init_weight(self, desc: InitDesc, arr: NDArray) -> None:
        shape = arr.shape
        if len(shape) < 2:
            raise ShapeError(
                f"{type(self).__name__} needs at least two axes to count inputs and outputs; "
                f"{desc!r} has shape {shape}"
            )
        positions = math.prod(shape[2:])
        fan_in, fan_out = shape[1] * positions, shape[0] * positions
        fan = {"avg": (fan_in + fan_out) / 2, "in": fan_in, "out": fan_out}[self.factor_type]
        _draw(self.rnd_type, math.sqrt(self.magnitude / fan) if fan else 0.0, arr)


@register
class MSRAPrelu(Xavier):
    """Normal draws sized for layers that a PReLU of this `slope` follows.

    Xavier's "gaussian" with magnitude 2 / (1 + slope^2). He et al. 2015, "Delving deep into
    rectifiers".
    """

    def __init__(self, factor_type: str = "avg", slope: float = 0.25) -> None:
        super().__init__("gaussian", factor_type, 2.0 / (1 + slope**2))
        self._kwargs = {"factor_type": factor_type, "slope": slope}


@register
class Orthogonal(Initializer):
    """`scale` times a matrix with orthonormal rows or columns; axes after the first are one.

    From the singular vectors of a drawn matrix (`rand_type` "uniform" or "normal"). Saxe et al.
    2013, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks".
    """

    def __init__(self, scale: float = 1.414, rand_type: str = "uniform") -> None:
        super().__init__(scale=scale, rand_type=rand_type)
        self.scale = scale
        self.rand_type = _choice("rand_type", rand_type, ("uniform", "normal"))

    def _init_weight(self, desc: InitDesc, arr: NDArray) -> None:
        rows = arr.shape[0]
        _draw(self.rand_type, 1.0, arr)
        drawn = arr.asnumpy().reshape(rows, -1)
        left, _, right = onp.linalg.svd(drawn, full_matrices=False)
        basis = left if left.shape == drawn.shape else right
        arr[:] = self.scale * basis.reshape(arr.shape)


@register
class Bilinear(Initializer):
    """Kernels of shape (.., .., height, width) that make a transposed convolution interpolate."""

    def _init_weight(self, desc: InitDesc, arr: NDArray) -> None:
        if len(arr.shape) != 4:
            raise ShapeError(f"Bilinear needs four axes; {desc!r} has shape {arr.shape}")
        half = math.ceil(arr.shape[3] / 2)
        center = (2 * half - 1 - half % 2) / (2 * half)
        row, column = (1 - abs(onp.arange(length) / half - center) for length in arr.shape[2:])
        arr[:] = onp.broadcast_to(row[:, None] * column, arr.shape).astype("float32")


@register
class LSTMBias(Initializer):
    """Zero, but `forget_bias` for the second quarter, which is the forget gate.

    Jozefowicz et al. 2015, "An empirical exploration of recurrent network architectures".
    """

    def __init__(self, forget_bias: float = 1.0) -> None:
        super().__init__(forget_bias=forget_bias)
        self.forget_bias = forget_bias

    def _init_weight(self, desc: InitDesc, arr: NDArray) -> None:
        quarter = arr.shape[0] // 4
        arr[:] = 0.0
        arr[quarter : 2 * quarter] = self.forget_bias


class Mixed(Initializer):
    """The first of several initializers whose regular expression matches the start of the name.

    >>> import regluon as mx
    >>> init = mx.init.Mixed(["conv", ".*"], [mx.init.Xavier(), mx.init.Zero()])
    """

    def __init__(self, patterns: Sequence[str], initializers: Sequence[Initializer]) -> None:
        super().__init__(patterns=list(patterns))
        if len(patterns) != len(initializers):
            raise MXNetError(f"{len(patterns)} patterns for {len(initializers)} initializers")
        self.map = [(re.compile(p), i) for p, i in zip(patterns, initializers, strict=True)]

    def __call__(self, desc: str, arr: NDArray) -> None:
        """Fill `arr`, whose name is `desc`."""
        self._init_weight(InitDesc(desc), arr)

    def _init_weight(self, desc: InitDesc, arr: NDArray) -> None:
        for pattern, initializer in self.map:
            if pattern.match(desc):
                initializer(InitDesc(desc), arr)
                return
        raise MXNetError(f"no pattern matches {desc!r}; add '.*' as the last one")


class Load(Initializer):
    """Values from a file or a mapping by name, prefixes `arg:` and `aux:` left out.

    What is missing there goes to `default_init`; without one it is an error.
    """

    def __init__(
        self, param: str | Path | Mapping[str, NDArray], default_init: Init | None = None
    ) -> None:
        super().__init__()
        loaded = nd.load(param) if isinstance(param, str | Path) else param
        if not isinstance(loaded, Mapping):
            raise MXNetError("Load needs named arrays; this file holds a list without names")
        self.param = {re.sub("^(arg|aux):", "", name): array for name, array in loaded.items()}
        self.default_init = default_init

    def __call__(self, desc: str, arr: NDArray) -> None:
        """Fill `arr`, whose name is `desc`."""
        self._init_weight(InitDesc(desc), arr)

    def _init_weight(self, desc: InitDesc, arr: NDArray) -> None:
        found = self.param.get(desc)
        if found is not None:
            if found.shape != arr.shape:
                raise ShapeError(f"{desc!r} has shape {arr.shape}, the loaded array {found.shape}")
            arr[:] = found
        elif self.default_init is not None:
            self.default_init(InitDesc(desc), arr)
        else:
            raise MXNetError(f"{desc!r} is not among the loaded arrays{nearest(desc, self.param)}")
