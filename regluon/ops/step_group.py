"""Optimizer steps of several arrays in one call: MXNet's `multi_*` functions and what they need.

Most of them take one list: the first weight, its gradient, its states, then the second weight, ...
and return the new weights; `out=weights` updates them. States change in place.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from regluon.base import ShapeError
from regluon.ops.infer import same
from regluon.ops.registry import Spec, register
from regluon.ops.step import adamw_update, check_alike, lamb_update_phase1, lamb_update_phase2
from regluon.ops.update import multi_sgd_mom_update, multi_sgd_update


Numbers = Sequence[float]


def _count(num_weights: int | None = None, **attrs: Any) -> int:
    return num_weights or 1


def _parted(data: Sequence[Any], size: int, count: int | None) -> list[list[Any]]:
    """Return weights, gradients and each kind of state out of their common list."""
    if not data or len(data) % size or count not in (None, len(data) // size):
        raise ShapeError(f"{len(data)} arrays are not {size} for each of {count or 'the'} weights")
    groups = [list(data[at::size]) for at in range(size)]
    for arrays in zip(*groups, strict=True):
        check_alike(*arrays)
    return groups


def _enter_sgd(kernel: Callable[..., None], name: str, size: int) -> None:
    """Register a form of SGD on lists of `size` arrays per weight.

    Forms `mp` have a float32 copy as the last state; forms `preloaded` have the arrays of all
    rates and of all decays at the end of the list.
    """
    mixed, preloaded = "mp_" in name, "preloaded_" in name

    def parted(data: Sequence[Any], num_weights: int | None) -> list[list[Any]]:
        return _parted(data[:-2] if preloaded else data, size, num_weights)

    def infer(*data: Spec, num_weights: int | None = None, **attrs: Any) -> tuple[Spec, ...]:
        return tuple(parted(data, num_weights)[0])

    def fn(*data: Tensor, num_weights: int | None = None, **attrs: Any) -> list[Tensor]:
        weights, grads, *states = parted(data, num_weights)
        if preloaded:
            attrs |= {"lrs": data[-2].tolist(), "wds": data[-1].tolist()}
        if mixed:
            masters, grads = states.pop(), [grad.float() for grad in grads]
        else:
            masters = [weight.clone() for weight in weights]
        kernel(masters, grads, *states, **attrs)
        return [m.to(w.dtype, copy=mixed) for m, w in zip(masters, weights, strict=True)]

    read = inspect.signature(fn).parameters
    own = [p.replace(kind=p.KEYWORD_ONLY) for p in inspect.signature(kernel).parameters.values()]
    given = ("weights", "grads", "moms", *(("lrs", "wds") if preloaded else ()))
    attrs = [parameter for parameter in own if parameter.name not in given]
    fn.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [read["data"], *attrs, read["num_weights"]]
    )
    fn.__name__ = f"{name}_list"
    states = " `mom`," * ("mom" in name) + " `weight32`," * mixed
    rates = "; the last two are all `lrs` and all `wds`" if preloaded else ""
    fn.__doc__ = f"Do an SGD step for each weight of a list of weight, grad,{states} ...{rates}."
    register(
        infer, nd=name, symbol=name, outputs=_count, mutates="data" if states else "",
        differentiable="",
    )(fn)  # fmt: skip


for _prefix in ("", "preloaded_"):
    for _mp, _more in (("", 0), ("mp_", 1)):
        _multi = f"{_prefix}multi_{_mp}sgd"
        _enter_sgd(multi_sgd_update, f"{_multi}_update", 2 + _more)
        _enter_sgd(multi_sgd_mom_update, f"{_multi}_mom_update", 3 + _more)


def _one_each(weights: Sequence[Spec], *others: Any, **attrs: Any) -> tuple[Spec, ...]:
    return tuple(weights)


def _enter_contrib(rule: Callable[..., list[Tensor]]) -> None:
    """Register a function on lists, and its `multi_mp_` form with float32 copies in `weights32`."""
    own = inspect.signature(rule)
    parameters = list(own.parameters.values())
    parameters.insert(4, parameters[0].replace(name="weights32"))

    def fn(
        weights: list[Tensor],
        grads: list[Tensor],
        mean: list[Tensor],
        var: list[Tensor],
        weights32: list[Tensor],
        *rest: Any,
        **attrs: Any,
    ) -> list[Tensor]:
        grads = [grad.float() for grad in grads]
        new = rule(weights32, grads, mean, var, *rest, **attrs)
        for master, result in zip(weights32, new, strict=True):
            master.copy_(result)
        return [result.to(weight.dtype) for weight, result in zip(weights, new, strict=True)]

    name = rule.__name__
    fn.__name__ = name.replace("multi_", "multi_mp_")
    fn.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    fn.__doc__ = f"Do {name} on float32 copies, `weights32`; return the weights in their dtypes."
    for form, states in ((rule, "mean var"), (fn, "mean var weights32")):
        register(
            _one_each,
            also={"nd.contrib": form.__name__},
            symbol=f"_{form.__name__}",
            outputs=_count,
            mutates=states,
            differentiable="",
        )(form)


def _zipped(*groups: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return what belongs to each weight: arrays of one shape each, and numbers."""
    lengths = [len(group) for group in groups]
    if len(set(lengths)) > 1:
        raise ShapeError(f"every weight needs one of each: the lists have {lengths} items")
    rows = list(zip(*groups, strict=True))
    for row in rows:
        check_alike(*(item for item in row if isinstance(item, Tensor)))
    return rows


def multi_adamw_update(
    weights: list[Tensor],
    grads: list[Tensor],
    mean: list[Tensor],
    var: list[Tensor],
    rescale_grad: Tensor | float,
    lrs: Numbers,
    wds: Numbers,
    etas: Numbers,
    size: int = 0,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    clip_gradient: float = -1.0,
) -> list[Tensor]:
    """Do `adamw_update` on every weight of a list."""
    common = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon, "clip_gradient": clip_gradient}
    return [
        adamw_update(*arrays, rescale_grad, lr=lr, wd=wd, eta=eta, **common)
        for *arrays, lr, wd, eta in _zipped(weights, grads, mean, var, lrs, wds, etas)
    ]


def multi_lamb_update(
    weights: list[Tensor],
    grads: list[Tensor],
    mean: list[Tensor],
    var: list[Tensor],
    step_count: Sequence[int],
    lrs: Numbers,
    wds: Numbers,
    num_tensors: int = 0,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-6,
    rescale_grad: float = 1.0,
    lower_bound: float = -1.0,
    upper_bound: float = -1.0,
    clip_gradient: float = -1.0,
    bias_correction: bool = True,
) -> list[Tensor]:
    """Do both phases of LAMB on every weight of a list, with the norms taken in between."""
    rule = {"beta1": beta1, "beta2": beta2, "epsilon": epsilon, "bias_correction": bias_correction}
    rule |= {"rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    new = []
    for weight, *arrays, t, lr, wd in _zipped(weights, grads, mean, var, step_count, lrs, wds):
        g = lamb_update_phase1(weight, *arrays, t=t, wd=wd, **rule)
        norms = weight.norm(), g.norm()
        new.append(lamb_update_phase2(weight, g, *norms, lr, lower_bound, upper_bound))
    return new


_enter_contrib(multi_adamw_update)
_enter_contrib(multi_lamb_update)


def _one_number_each(*data: Spec, num_arrays: int | None = None) -> tuple[Spec, ...]:
    return (Spec((len(data),), torch.float32),)


@register(_one_number_each, nd="multi_sum_sq", symbol="multi_sum_sq", differentiable="")
def multi_sum_sq(*data: Tensor, num_arrays: int | None = None) -> Tensor:
    """Return the sum of the squares of each array, as float32 (N,).

    >>> nd.multi_sum_sq(nd.array([3, 4]), nd.ones((5,))).asnumpy().tolist()
    [25.0, 5.0]
    """
    return torch.stack([array.float().square().sum() for array in data])


@register(same, nd="multi_lars", symbol="multi_lars", differentiable="", check=check_alike)
def multi_lars(
    lrs: Tensor,
    weights_sum_sq: Tensor,
    grads_sum_sq: Tensor,
    wds: Tensor,
    eta: float,
    eps: float,
    rescale_grad: float = 1.0,
) -> Tensor:
    """Return the rates of LARS: lr * eta * |w| / (|rescale_grad * g| + wd * |w| + eps) per layer.

    The norms come squared, as `multi_sum_sq` gives them; where one is 0 the rate stays as it is.
    You et al. 2017, arXiv 1708.03888.
    """
    weight, grad = weights_sum_sq.sqrt(), grads_sum_sq.sqrt() * rescale_grad
    ratio = eta * weight / (grad + wds * weight + eps)
    return lrs * torch.where((weights_sum_sq > 0) & (grads_sum_sq > 0), ratio, 1.0)


def _one_flag(*arrays: Any, **attrs: Any) -> tuple[Spec, ...]:
    return (Spec((1,), torch.float32),)


def _all_finite(array: Tensor) -> Tensor:
    if array.dtype.is_floating_point and array.numel():
        return torch.stack(torch.aminmax(array)).isfinite().all()  # 20 times as fast on a CPU
    return array.isfinite().all()


def _flag(arrays: Sequence[Tensor], init_output: bool, out: Tensor | None) -> Tensor:
    finite = torch.stack([_all_finite(array) for array in arrays]).all()
    flag = finite.to(torch.float32).reshape(1)
    return flag if init_output or out is None else flag * out


@register(_one_flag, nd="all_finite", symbol="all_finite", differentiable="")
def all_finite(out: Tensor | None, data: Tensor, init_output: bool = True) -> Tensor:
    """Return 1 in an array (1,) if all numbers are finite, else 0.

    With `init_output=False` the flag is also 0 where that in `out=` is.

    >>> nd.all_finite(nd.array([1, float("inf")])).asscalar().item()
    0.0
    """
    return _flag([data], init_output, out)


@register(_one_flag, nd="multi_all_finite", symbol="multi_all_finite", differentiable="")
def multi_all_finite(
    out: Tensor | None, *data: Tensor, num_arrays: int | None = None, init_output: bool = True
) -> Tensor:
    """Return 1 in an array (1,) if all numbers of all arrays are finite, else 0.

    With `init_output=False` the flag is also 0 where that in `out=` is.
    """
    return _flag(data, init_output, out)


def _nothing(*arrays: Any, **attrs: Any) -> tuple[Spec, ...]:
    return ()


@register(
    _nothing,
    nd="reset_arrays",
    symbol="reset_arrays",
    outputs=0,
    mutates="data",
    differentiable="",
)
def reset_arrays(*data: Tensor, num_arrays: int | None = None) -> None:
    """Set all elements of all arrays to 0, such as gradients that were summed up."""
    torch._foreach_zero_(list(data))
