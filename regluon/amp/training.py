"""Training in mixed precision: the switch, and trainers whose loss is scaled."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from regluon.amp.casts import Casts
from regluon.amp.loss_scaler import LossScaler
from regluon.amp.operators import Conditions
from regluon.array.dispatch import call, state
from regluon.array.ndarray import NDArray
from regluon.base import MXNetError
from regluon.context import num_gpus
from regluon.gluon.trainer import Trainer
from regluon.ops.dtype import dtype_name


_log = logging.getLogger("regluon")


class _Process:
    """What `init` set up: the casts of the process, and the scaler of the first trainer."""

    casts: Casts | None = None
    scaler: LossScaler | None = None
    taken = False  # the scaler, by a trainer


def init(
    target_dtype: Any = "float16",
    target_precision_ops: Iterable[str] | None = None,
    conditional_fp32_ops: Conditions | None = None,
    fp32_ops: Iterable[str] | None = None,
) -> None:
    """Switch mixed precision on for the whole process, until `reset`.

    target_dtype: "bfloat16", which is fast on CPUs and needs no scaling of the loss, or "float16".
    target_precision_ops, fp32_ops: names of operators that run in 16 bits and in float32, in place
        of `list_lp16_ops` and `list_fp32_ops`.
    conditional_fp32_ops: `(operator, attribute, values)`, in place of `list_conditional_fp32_ops`.

    Parameters stay in float32, and so do their gradients: they are cast where they are used. A
    second call does nothing, unless it asks for another dtype, which is an error.

    >>> from regluon import amp
    >>> amp.init("bfloat16")
    >>> x = nd.ones((2, 3))
    >>> y = nd.dot(x, x.T)
    >>> y.dtype, y.exp().dtype.__name__
    ('bfloat16', 'float32')
    >>> amp.reset()
    """
    casts = Casts(
        target_dtype, target_precision_ops, conditional_fp32_ops, fp32_ops, scale=_first_scale
    )
    if dtype_name(casts.dtype) == "float16" and num_gpus() == 0:
        _log.warning(
            "float16 is slow on CPUs, its convolutions 100 times: use amp.init('bfloat16')"
        )
    if _Process.casts is not None:
        if _Process.casts.dtype is not casts.dtype:
            raise MXNetError(
                f"amp.init() was called with {dtype_name(_Process.casts.dtype)!r} before: call "
                "amp.reset() first"
            )
        return
    _Process.casts = casts
    _Process.scaler, _Process.taken = _new_scaler(casts), False
    type(state).casts = casts  # what threads that set nothing of their own see


def reset() -> None:
    """Switch mixed precision off again, which MXNet cannot. Trainers keep their loss scale."""
    _Process.casts = _Process.scaler = type(state).casts = None


def init_trainer(optimizer_or_trainer: Trainer) -> None:
    """Let a Trainer skip steps with gradients that overflowed, by a loss scale of its own.

    With bfloat16 the scale is 1 and no step is skipped. With several contexts the Trainer adds up
    gradients with its store and updates by itself (`update_on_kvstore=False`).
    """
    trainer = _checked(optimizer_or_trainer)
    if _Process.casts is None or _Process.scaler is None:
        raise MXNetError("amp.init() comes before amp.init_trainer()")
    scaler = _new_scaler(_Process.casts) if _Process.taken else _Process.scaler
    trainer.set_loss_scaler(scaler)
    _Process.taken = True


@contextmanager
def scale_loss(loss: Any, optimizer_or_trainer: Trainer) -> Iterator[Any]:
    """Give the loss, or a list of losses, times the Trainer's scale, for `backward`.

    It belongs inside `autograd.record()`. `trainer.step` divides by the scale.

    >>> from regluon import amp, autograd, gluon
    >>> amp.init("float16")
    >>> net = gluon.nn.Dense(1, in_units=2)
    >>> net.initialize()
    >>> trainer = gluon.Trainer(net.collect_params(), "sgd")
    >>> amp.init_trainer(trainer)
    >>> with autograd.record():
    ...     loss = net(nd.ones((4, 2))).mean()
    ...     with amp.scale_loss(loss, trainer) as scaled:
    ...         scaled.backward()
    >>> trainer.step(1)
    >>> amp.reset()
    """
    trainer = _checked(optimizer_or_trainer)
    scaler = trainer._amp_loss_scaler
    if scaler is None:
        raise MXNetError("amp.init_trainer(trainer) comes before amp.scale_loss()")
    scale = scaler.loss_scale
    trainer._scale = trainer._amp_original_scale / scale
    if isinstance(loss, (list, tuple)):
        yield [_scaled(item, scale) for item in loss]
    else:
        yield _scaled(loss, scale)


def unscale(optimizer_or_trainer: Trainer) -> None:
    """Divide the gradients by the loss scale now, to clip or look at them before the step."""
    trainer = _checked(optimizer_or_trainer)
    factor, trainer._scale = trainer._scale, 1.0
    if factor == 1:
        return
    for param in trainer._params:
        for grad in param.list_grad() if param.grad_req != "null" else ():
            grad *= factor


def _scaled(loss: NDArray, scale: float) -> NDArray:
    if scale == 1:
        return loss
    # In float16 a scale of 65536 would be infinite.
    result: NDArray = call("amp_cast", loss, dtype="float32") * scale
    return result


def _new_scaler(casts: Casts) -> LossScaler:
    return LossScaler(dynamic=dtype_name(casts.dtype) == "float16")


def _first_scale() -> float:
    """Return the scale of the process's first trainer, for operators that start a backward pass."""
    return 1.0 if _Process.scaler is None else _Process.scaler.loss_scale


def _checked(trainer: Any) -> Trainer:
    if not isinstance(trainer, Trainer):
        raise TypeError(f"amp works with a gluon.Trainer, not with {type(trainer).__name__}")
    return trainer
