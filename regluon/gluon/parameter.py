"""Parameter: a weight by name, its shape perhaps not known yet, with one copy per context."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as onp
import torch

from regluon import autograd, initializer
from regluon.array import dispatch, tape
from regluon.array.interchange import context_of
from regluon.array.ndarray import NDArray
from regluon.base import ContextError, MXNetError, ShapeError
from regluon.context import Context, cpu, current_context
from regluon.gluon import copies
from regluon.gluon.copies import Contexts, attach, by_context, list_contexts, plain_shape
from regluon.gluon.utils import new_array, shape_is_known
from regluon.ops.dtype import numpy_dtype, torch_dtype


Deferred = tuple[Any, list[Context], Any, NDArray | None]


class DeferredInitializationError(MXNetError):
    """The values of a parameter were asked for before the first batch told its shape."""


class Parameter:
    """A weight of a network: name, shape, type, initializer, and a copy with gradient per context.

    name: unique within a network, such as `dense0_weight`.
    grad_req: "write" (each backward pass replaces the gradient), "add" (it accumulates until
        `zero_grad`) or "null" (no gradient; the parameter is frozen).
    shape: lengths of the axes; 0 (or -1) where the first batch will tell.
    dtype: type of the values.
    lr_mult, wd_mult: factors on the optimizer's learning rate and weight decay.
    init: initializer, by name or object; by default the one that `initialize` is given.
    allow_deferred_init: whether `initialize` may wait for the shape.
    differentiable: False for what never has a gradient, such as running statistics.
    stype, grad_stype: arrays are always dense: sparse values are an error, sparse gradients dense.

    >>> import regluon as mx
    >>> weight = mx.gluon.Parameter("weight", shape=(2, 3))
    >>> weight.initialize(mx.init.One())
    >>> weight.data().asnumpy().tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """

    def __init__(
        self,
        name: str,
        grad_req: str = "write",
        shape: int | Sequence[int] | None = None,
        dtype: Any = onp.float32,
        lr_mult: float = 1.0,
        wd_mult: float = 1.0,
        init: Any = None,
        allow_deferred_init: bool = False,
        differentiable: bool = True,
        stype: str = "default",
        grad_stype: str = "default",
    ) -> None:
        if stype != "default" or grad_stype not in ("default", "row_sparse", "csr"):
            raise MXNetError(
                f"parameter {name!r}: stype={stype!r}, grad_stype={grad_stype!r}; "
                "only dense values (stype='default') are stored"
            )
        self.name = name
        self.lr_mult = lr_mult
        self.wd_mult = wd_mult
        self.init = init
        self._dtype = dtype
        self._shape = plain_shape(shape)
        self.differentiable = differentiable
        self._allow_deferred_init = allow_deferred_init
        self._copies: list[NDArray] = []
        self._grads: list[NDArray] = []
        # By context, and by None if there is only one copy: `data` is on the path of every layer.
        self._data: dict[Context | None, NDArray] = {}
        self._grad: dict[Context | None, NDArray] = {}
        self._deferred: Deferred | None = None
        self._twin: torch.Tensor | None = None
        self._brought = False  # the values came with a torch module: none are to be made
        self._grad_req = "null"
        self.grad_req = grad_req

    __deepcopy__ = copies.deep_copy

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.name} (shape={self.shape}, dtype={self.dtype})"

    # What is known before the values

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Lengths of the axes, 0 (-1 under `npx.set_np`) for unknown ones, or None."""
        if self._shape is None or not dispatch.state.numpy:
            return self._shape
        return tuple(length or -1 for length in self._shape)

    @shape.setter
    def shape(self, new_shape: Sequence[int]) -> None:
        new = plain_shape(new_shape)
        old = self._shape
        if old is not None and (
            new is None
            or len(new) != len(old)
            or any(known not in (0, length) for known, length in zip(old, new, strict=True))
        ):
            raise ShapeError(
                f"parameter {self.name!r} has shape {self.shape}, which {new} does not fit"
            )
        self._shape = new

    @property
    def dtype(self) -> Any:
        """Type of the values; setting it converts them."""
        return self._dtype

    @dtype.setter
    def dtype(self, dtype: Any) -> None:
        self.cast(dtype)

    @property
    def grad_req(self) -> str:
        """What backward does with the gradient: "write", "add" or "null"."""
        return self._grad_req

    @grad_req.setter
    def grad_req(self, req: str) -> None:
        tape.check_request(req)
        req = req if self.differentiable else "null"
        if req == self._grad_req:
            return
        self._grad_req = req
        if self._copies:
            self._attach()

    @property
    def known_shape(self) -> tuple[int, ...] | None:
        """The shape with 0 for unknown lengths, whatever `npx.set_np` says."""
        return self._shape

    @property
    def waiting(self) -> bool:
        """Say whether initialization was asked for and waits for the shape."""
        return self._deferred is not None

    @property
    def initialized(self) -> bool:
        """Say whether the parameter has values."""
        return bool(self._copies)

    # Values

    def data(self, ctx: Context | None = None) -> NDArray:
        """Return the copy on `ctx`; by default the only one, or that on the current context."""
        found = self._data.get(ctx)
        return self._find(self._data, ctx) if found is None else found

    def list_data(self) -> list[NDArray]:
        """Return the copies on all contexts."""
        return list(self._copies) if self._copies else [self._find(self._data, None)]

    def grad(self, ctx: Context | None = None) -> NDArray:
        """Return the gradient on `ctx`."""
        found = self._grad.get(ctx)
        return self._find(self._grad, ctx) if found is None else found

    def list_grad(self) -> list[NDArray]:
        """Return the gradients on all contexts."""
        return list(self._grads) if self._grads else [self._find(self._grad, None)]

    def list_ctx(self) -> list[Context]:
        """Return the contexts that hold, or will hold, a copy."""
        if self._deferred is not None:
            return list(self._deferred[1])
        return [copy.context for copy in self.list_data()]

    def zero_grad(self) -> None:
        """Set the gradients to zero; does nothing where there are none."""
        for grad in self._grads:
            grad[...] = 0

    def set_data(self, data: Any) -> None:
        """Write values, an array or what makes one, to the copies on all contexts.

        Before the first batch of a network of unknown shapes, this also tells the shape.
        """
        if not isinstance(data, NDArray):
            data = new_array(data, cpu(), self.dtype)
        if not self._copies and self._deferred is None:
            raise self._missing()
        self.shape = data.shape
        if self._deferred is not None:
            self._deferred = (*self._deferred[:3], data.copyto(data.context))
            self.finish_init()
            return
        for copy in self._copies:
            copy[...] = data

    # Making and changing the copies

    def initialize(
        self,
        init: Any = None,
        ctx: Contexts = None,
        default_init: Any = None,
        force_reinit: bool = False,
    ) -> None:
        """Give the parameter its first values and its gradients, on one context or several.

        init: goes before the parameter's own `init`, and that before `default_init` (Uniform).
        force_reinit: begin anew; without it a second call only warns. A torch module's values stay.
        """
        if self._copies and (self._brought or not force_reinit):
            if not self._brought:
                text = f"Parameter '{self.name}' is already initialized and stays as it is; "
                warnings.warn(text + "force_reinit=True begins anew", stacklevel=2)
            return
        default_init = initializer.Uniform() if default_init is None else default_init
        init = (self.init or default_init) if init is None else init
        known = self._known()
        if not known and not self._allow_deferred_init:
            raise ShapeError(
                f"parameter {self.name!r} has shape {self.shape}: give all of it, or create the "
                "parameter with allow_deferred_init=True"
            )
        before = vars(self).copy()
        self._copies, self._grads, self._data, self._grad = [], [], {}, {}
        self._deferred = (init, list_contexts(ctx), default_init, None)
        try:
            if known:
                self.finish_init()
        except BaseException:
            vars(self).update(before)  # an initializer that fails leaves the old values
            raise

    def finish_init(self) -> None:
        """Do the initialization that waited for the shape."""
        if self._deferred is None:
            return
        if not self._known():
            raise DeferredInitializationError(
                f"the shape {self.shape} of parameter {self.name!r} is still unknown; give the "
                "layer its in_units, in_channels or the like"
            )
        init, contexts, default_init, data = self._deferred
        with autograd.pause():
            if data is None:
                shape, dtype = self._shape or (), torch_dtype(self.dtype)
                kind: Any = dispatch.array_class()
                data = kind(torch.zeros(shape, dtype=dtype), cpu())
                desc = initializer.InitDesc(self.name, {"__init__": init})
                initializer.create(default_init)(desc, data)
            self.allocate(data, contexts)

    def allocate(self, data: NDArray, contexts: Sequence[Context]) -> None:
        """Replace all copies by copies of `data`, which the caller gives away, on `contexts`."""
        first = contexts[0]
        if data.dtype != self._scalar_type():
            data = data.astype(self.dtype)
        data = data if data.context is first else data.copyto(first)
        self._copies = [data, *(data.copyto(ctx) for ctx in contexts[1:])]
        self._data = by_context(self._copies)
        self._deferred = None
        self._attach()

    def reset_ctx(self, ctx: Contexts) -> None:
        """Move the parameter to other contexts; several copies are averaged first."""
        contexts = list_contexts(ctx)
        if self._copies:
            with autograd.pause():
                self.allocate(self.mean(), contexts)
        elif self._deferred is not None:
            init, _, default_init, data = self._deferred
            self._deferred = (init, contexts, default_init, data)
        else:
            raise self._missing()

    def mean(self) -> NDArray:
        """Return the mean of all copies as a new array on the CPU; what is saved to files."""
        copies = self.list_data()
        total: NDArray = copies[0].copyto(cpu())
        for copy in copies[1:]:
            total += copy.copyto(cpu())
        return total / len(copies) if len(copies) > 1 else total

    def cast(self, dtype: Any) -> None:
        """Convert the values to another type; the gradients begin at zero."""
        torch_dtype(dtype)
        self._dtype = dtype
        if not self._copies or self._copies[0].dtype == self._scalar_type():
            return
        with autograd.pause():
            self._copies = [copy.astype(dtype) for copy in self._copies]
            self._data = by_context(self._copies)
            self._attach()

    def torch_tensor(self) -> torch.Tensor:
        """Return the first copy as a tensor for a torch module, on the same storage from now on.

        It is a `torch.nn.Parameter`, the very leaf of the graph, unless this parameter never has
        gradients. Later changes of type, context or `grad_req` change that same object.
        """
        if self._twin is None:
            value = self.list_data()[0].to_torch()
            self.adopt(torch.nn.Parameter(value, False) if self.differentiable else value)
        assert self._twin is not None
        return self._twin

    def adopt(self, tensor: torch.Tensor) -> None:
        """Take a tensor of a torch module, its parameter or buffer, as the first copy."""
        self._twin = tensor
        tensor.regluon_parameter = copies.Owner(self)  # type: ignore[attr-defined]
        if self._copies:
            self._attach()
        else:
            kind: Any = dispatch.array_class()
            ctx = context_of(tensor)
            self._brought = True
            self.allocate(kind(tensor.detach(), ctx), [ctx])

    def check_adopted(self) -> None:
        """Raise if torch has moved the tensor that it shares with this parameter."""
        twin = self._twin
        if twin is not None and twin.data_ptr() != self._copies[0].value().data_ptr():
            raise MXNetError(
                f"parameter {self.name!r} and its torch module no longer share storage: convert "
                "or move it with cast and reset_ctx, not with module.to(...)"
            )

    # Inside

    def _known(self) -> bool:
        return shape_is_known(self._shape) and (self._shape != () or dispatch.state.numpy)

    def _scalar_type(self) -> Any:
        return numpy_dtype(torch_dtype(self.dtype))

    def _attach(self) -> None:
        """Make the copies leaves with gradients, or plain arrays, as `grad_req` says."""
        twins = [self._twin, *([None] * (len(self._copies) - 1))]
        grads = [
            attach(c, self._grad_req, twin) for c, twin in zip(self._copies, twins, strict=True)
        ]
        self._grads = [grad for grad in grads if grad is not None]
        self._grad = by_context(self._grads)

    def _find(self, table: dict[Context | None, NDArray], ctx: Context | None) -> NDArray:
        """Find the copy or gradient on `ctx` the long way, or say what is missing."""
        if not self._copies:
            raise self._missing()
        if not table:
            raise MXNetError(f"parameter {self.name!r} has no gradient: its grad_req is 'null'")
        found = table.get(current_context() if ctx is None else ctx)
        if found is None:
            raise ContextError(
                f"parameter {self.name!r} is not on {ctx or current_context()}, only on "
                f"{', '.join(str(copy.context) for copy in self._copies)}; bring the data there "
                "(x.as_in_context) or the network to the data (reset_ctx)"
            )
        return found

    def _missing(self) -> MXNetError:
        if self._deferred is not None:
            return DeferredInitializationError(
                f"parameter {self.name!r} has no values yet: its shape {self.shape} becomes known "
                "with the first batch. Pass one through the network first, or give the layer "
                "its in_units, in_channels or the like"
            )
        return MXNetError(
            f"parameter {self.name!r} is not initialized: call net.initialize(), or "
            "net.collect_params().initialize(), which includes the layers inside net "
            "(net.params does not)"
        )


class Constant(Parameter):
    """A parameter that training leaves alone: no gradient; `set_data` still changes it.

    >>> import regluon as mx
    >>> const = mx.gluon.Constant("const", [[1, 2], [3, 4]])
    >>> const.initialize()
    >>> const.data().asnumpy().tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """

    def __init__(self, name: str, value: Any) -> None:
        self.value = value if isinstance(value, NDArray) else new_array(value)
        super().__init__(
            name,
            grad_req="null",
            shape=self.value.shape,
            dtype=self.value.dtype,
            init=initializer.Constant(self.value),
            differentiable=False,
        )
