"""nd.image and npx.image: operators on pictures (H, W, C) and batches (N, H, W, C).

Layouts, flips and normalization are torch's and run on any device, with gradients. What needs
OpenCV, sizes and colours, is done on the host by `regluon.ops.pixels`, as in the transforms.
Random operators treat every picture of a batch by itself.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as onp
import torch
from torch import Tensor

from regluon.base import DTypeError, MXNetError, ShapeError
from regluon.ops import pixels
from regluon.ops.draws import draw_jitter
from regluon.ops.infer import same
from regluon.ops.pixels import Pixels, Size
from regluon.ops.registry import F, Infer, Spec, register


Numbers = float | Sequence[float]


def _ranked(infer: Infer) -> Infer:
    """Let a wrong number of axes be an error of the call."""

    def rule(data: Spec, **attrs: Any) -> tuple[Spec, ...]:
        _check_rank(data)
        return infer(data, **attrs)

    return rule


def _check_rank(data: Any, *rest: Any, **attrs: Any) -> None:
    if len(data.shape) not in (3, 4):
        raise ShapeError(
            "a picture has the axes (height, width, channels), a batch one more in front; "
            f"the shape {tuple(data.shape)} has neither"
        )


def _operator(infer: Infer, name: str, **record: Any) -> Callable[[F], F]:
    return register(
        _ranked(infer),
        also={"nd.image": name, "npx.image": name},
        symbol=f"_image_{name}",
        check=_check_rank,
        **record,
    )


def _planes(data: Spec) -> tuple[Spec, ...]:
    *batch, height, width, channels = data.shape
    return (Spec((*batch, channels, height, width), torch.float32),)


@_operator(_planes, "to_tensor")
def image_to_tensor(data: Tensor) -> Tensor:
    """Turn (..., H, W, C) in 0..255 into float32 (..., C, H, W) in 0..1.

    >>> nd.image.to_tensor(nd.ones((2, 4, 3), dtype="uint8") * 51).shape
    (3, 2, 4)
    """
    return data.movedim(-1, -3).to(torch.float32).div(255).contiguous()


def _normalized(data: Spec, mean: Numbers = 0.0, std: Numbers = 1.0) -> tuple[Spec, ...]:
    pixels.per_channel(mean, std, data.shape[-3])
    return (data,)


@_operator(_normalized, "normalize")
def image_normalize(data: Tensor, mean: Numbers = 0.0, std: Numbers = 1.0) -> Tensor:
    """Subtract `mean` and divide by `std`, numbers or one for each channel of (..., C, H, W).

    >>> nd.image.normalize(nd.ones((3, 2, 2)), mean=0.5, std=(1, 2, 4))[:, 0, 0].asnumpy().tolist()
    [0.5, 0.25, 0.125]
    """
    if not data.is_floating_point():
        raise DTypeError(f"normalize takes floating point, not {data.dtype}; call to_tensor first")
    offset, divisor = (
        torch.from_numpy(numbers).to(data)
        for numbers in pixels.per_channel(mean, std, data.shape[-3])
    )
    return (data - offset) / divisor


def _boxed(data: Spec, x: int, y: int, width: int, height: int) -> tuple[Spec, ...]:
    pixels.check_box(data.shape, x, y, width, height)
    return (Spec((*data.shape[:-3], height, width, data.shape[-1]), data.dtype),)


@_operator(_boxed, "crop", view="lazy copy")
def image_crop(data: Tensor, x: int, y: int, width: int, height: int) -> Tensor:
    """Return the box of `width` columns and `height` rows whose upper left corner is (x, y).

    >>> nd.image.crop(nd.ones((4, 6, 3)), x=1, y=2, width=5, height=2).shape
    (2, 5, 3)
    """
    pixels.check_box(data.shape, x, y, width, height)
    return data.narrow(-3, y, height).narrow(-2, x, width)


def _resized(data: Spec, size: Size, keep_ratio: bool = False, interp: int = 1) -> tuple[Spec, ...]:
    *batch, height, width, channels = data.shape
    new_width, new_height = pixels.resized_sides(height, width, size, keep_ratio)
    return (Spec((*batch, new_height, new_width, channels), data.dtype),)


@_operator(_resized, "resize", differentiable="")
def image_resize(data: Tensor, size: Size, keep_ratio: bool = False, interp: int = 1) -> Tensor:
    """Resize to `size`, (width, height) or one number for both, by OpenCV.

    keep_ratio: one number is the length of the shorter side.
    interp: 0 nearest, 1 bilinear, 2 cubic, 3 area, 4 Lanczos, 9 by the direction of the change.

    >>> nd.image.resize(nd.ones((20, 40, 3)), 10, keep_ratio=True).shape
    (10, 20, 3)
    """
    return _on_host(data, lambda img: pixels.resize(img, size, keep_ratio, interp))


def _on_host(data: Tensor, change: Callable[[Pixels], Pixels]) -> Tensor:
    """Apply a function of pictures to one or each of a batch: uint8 as it is, else in float32."""
    own = data.dtype in (torch.uint8, torch.float32)
    host = (data if own else data.float()).detach().cpu().contiguous().numpy()
    result = onp.stack([change(one) for one in host]) if host.ndim == 4 else change(host)
    return torch.from_numpy(onp.ascontiguousarray(result)).to(data.device, data.dtype)


@_operator(same, "flip_left_right")
def image_flip_left_right(data: Tensor) -> Tensor:
    """Mirror pictures.

    >>> nd.image.flip_left_right(nd.array([[[1], [2], [3]]])).asnumpy().ravel().tolist()
    [3.0, 2.0, 1.0]
    """
    return data.flip(-2)


@_operator(same, "flip_top_bottom")
def image_flip_top_bottom(data: Tensor) -> Tensor:
    """Turn pictures upside down.

    >>> nd.image.flip_top_bottom(nd.array([[[1]], [[2]], [[3]]])).asnumpy().ravel().tolist()
    [3.0, 2.0, 1.0]
    """
    return data.flip(-3)


def _flipped_at_random(data: Tensor, axis: int, generator: torch.Generator) -> Tensor:
    shape = (*data.shape[:-3], 1, 1, 1)
    heads = torch.rand(shape, generator=generator, device=data.device) < 0.5
    return torch.where(heads, data.flip(axis), data)


@_operator(same, "random_flip_left_right")
def image_random_flip_left_right(data: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror pictures, each with probability 1/2."""
    return _flipped_at_random(data, -2, generator)


@_operator(same, "random_flip_top_bottom")
def image_random_flip_top_bottom(data: Tensor, generator: torch.Generator) -> Tensor:
    """Turn pictures upside down, each with probability 1/2."""
    return _flipped_at_random(data, -3, generator)


@_operator(same, "adjust_lighting", differentiable="")
def image_adjust_lighting(data: Tensor, alpha: Sequence[float]) -> Tensor:
    """Add `alpha`, three factors, times ImageNet's principal colour components, in 0..255.

    uint8 results are cut off at 0 and 255. Krizhevsky et al. 2012.
    """
    return _on_host(data, lambda img: pixels.adjust_lighting(img, alpha))


@_operator(same, "random_lighting", differentiable="")
def image_random_lighting(
    data: Tensor, generator: torch.Generator, alpha_std: float = 0.05
) -> Tensor:
    """Do `adjust_lighting` with three normal factors of standard deviation `alpha_std`."""
    rng = _rng(generator)
    return _on_host(
        data, lambda img: pixels.adjust_lighting(img, rng.normal(0, alpha_std, 3).tolist())
    )


def _rng(generator: torch.Generator) -> onp.random.Generator:
    """Return a NumPy generator that depends on torch's next number and on nothing else."""
    seed = torch.randint(2**62, (), generator=generator, device=generator.device)
    return onp.random.default_rng(int(seed))


_FACTORS = {
    "brightness": (pixels.adjust_brightness, "Multiply pictures by a factor"),
    "contrast": (pixels.adjust_contrast, "Blend pictures with their mean grey by a factor"),
    "saturation": (pixels.adjust_saturation, "Blend pictures with their grey picture by a factor"),
    "hue": (pixels.adjust_hue, "Turn the hue of pictures by f - 1 full turns, where f is"),
}


def _enter_factor(name: str, adjust: Callable[[Pixels, float], Pixels], text: str) -> None:
    def fn(
        data: Tensor, min_factor: float, max_factor: float, generator: torch.Generator
    ) -> Tensor:
        low, high = sorted((min_factor, max_factor))
        if low < 0:
            raise MXNetError(f"{name}: min_factor is at least 0, not {low}")
        rng = _rng(generator)
        return _on_host(data, lambda img: adjust(img, rng.uniform(low, high)))

    fn.__name__ = f"image_{name}"
    fn.__doc__ = f"{text} drawn uniformly from `min_factor` to `max_factor`."
    _operator(same, name, differentiable="")(fn)


for _what, (_adjust, _text) in _FACTORS.items():
    _enter_factor(f"random_{_what}", _adjust, _text)


@_operator(same, "random_color_jitter", differentiable="")
def image_random_color_jitter(
    data: Tensor,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    generator: torch.Generator,
) -> Tensor:
    """Do `random_brightness` and its like in random order, with factors within `amount` of 1.

    An amount of 0 leaves that step out.
    """
    rng = _rng(generator)

    def jittered(img: Pixels) -> Pixels:
        for adjust, alpha in draw_jitter(rng, brightness, contrast, saturation, hue):
            img = adjust(img, alpha)
        return img

    return _on_host(data, jittered)
