"""Pooling over windows or whole images, all by one `_Pooling`; and padding by reflection."""

from typing import Any

from regluon.array.dispatch import invoke
from regluon.base import ShapeError
from regluon.gluon.hybrid import HybridBlock
from regluon.gluon.nn.conv import Sizes, checked_layout, each_axis
from regluon.ops.registry import TABLE


_POOLING = TABLE["pooling"]
_PAD = TABLE["pad"]
_LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}


class _Pooling(HybridBlock):
    """What all pooling layers share: the window, and how it is reduced."""

    def __init__(
        self,
        kind: str,
        rank: int,
        layout: str | None,
        pool_size: Sizes = 1,
        strides: Sizes | None = None,
        padding: Sizes = 0,
        *,
        ceil_mode: bool = True,
        whole: bool = True,
        count_include_pad: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._kwargs = {
            "kernel": each_axis(pool_size, rank, "pool_size"),
            "stride": each_axis(pool_size if strides is None else strides, rank, "strides"),
            "pad": each_axis(padding, rank, "padding"),
            "global_pool": whole,
            "pool_type": kind,
            "layout": checked_layout(layout, _LAYOUTS[rank], type(self).__name__),
            "pooling_convention": "full" if ceil_mode else "valid",
        }
        if count_include_pad is not None:
            self._kwargs["count_include_pad"] = count_include_pad

    def _alias(self) -> str:
        return "pool"

    def forward(self, x: Any) -> Any:
        """Reduce every window, or the whole image, to one value per channel."""
        return invoke(_POOLING, (x,), self._kwargs, type(x))

    def __repr__(self) -> str:
        text = (
            "{name}(size={kernel}, stride={stride}, padding={pad}, ceil_mode={ceil}, "
            "global_pool={global_pool}, pool_type={pool_type}, layout={layout})"
        )
        ceil = self._kwargs["pooling_convention"] == "full"
        return text.format(name=type(self).__name__, ceil=ceil, **self._kwargs)


def _windows(
    pool_size: Sizes, strides: Sizes | None, padding: Sizes, ceil_mode: bool
) -> dict[str, Any]:
    """Return the arguments of a pooling that has windows."""
    window = {"pool_size": pool_size, "strides": strides, "padding": padding}
    return {**window, "ceil_mode": ceil_mode, "whole": False}


class MaxPool1D(_Pooling):
    """The largest value of each window of one axis; arguments as for `MaxPool2D`."""

    def __init__(
        self,
        pool_size: Sizes = 2,
        strides: Sizes | None = None,
        padding: Sizes = 0,
        layout: str = "NCW",
        ceil_mode: bool = False,
        **kwargs: Any,
    ) -> None:
        windows = _windows(pool_size, strides, padding, ceil_mode)
        super().__init__("max", 1, layout, **windows, **kwargs)


class MaxPool2D(_Pooling):
    """The largest value of each window of an image.

    pool_size, strides, padding: one number, or one per axis; strides are the pool size by default.
    layout: "NCHW", or "NHWC" with the channels last.
    ceil_mode: let the last window reach over the edge: ceil instead of floor in the output's size
        floor((size + 2 padding - pool_size) / stride) + 1.

    >>> import regluon as mx
    >>> mx.gluon.nn.MaxPool2D(2)(mx.nd.ones((1, 3, 5, 5))).shape
    (1, 3, 2, 2)
    """

    def __init__(
        self,
        pool_size: Sizes = (2, 2),
        strides: Sizes | None = None,
        padding: Sizes = 0,
        layout: str = "NCHW",
        ceil_mode: bool = False,
        **kwargs: Any,
    ) -> None:
        windows = _windows(pool_size, strides, padding, ceil_mode)
        super().__init__("max", 2, layout, **windows, **kwargs)


class MaxPool3D(_Pooling):
    """The largest value of each window of a volume; arguments as for `MaxPool2D`."""

    def __init__(
        self,
        pool_size: Sizes = (2, 2, 2),
        strides: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        layout: str = "NCDHW",
        **kwargs: Any,
    ) -> None:
        windows = _windows(pool_size, strides, padding, ceil_mode)
        super().__init__("max", 3, layout, **windows, **kwargs)


class AvgPool1D(_Pooling):
    """The mean of each window of one axis; arguments as for `AvgPool2D`."""

    def __init__(
        self,
        pool_size: Sizes = 2,
        strides: Sizes | None = None,
        padding: Sizes = 0,
        layout: str = "NCW",
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        **kwargs: Any,
    ) -> None:
        windows = _windows(pool_size, strides, padding, ceil_mode)
        super().__init__("avg", 1, layout, **windows, count_include_pad=count_include_pad, **kwargs)


class AvgPool2D(_Pooling):
    """The mean of each window of an image; arguments as for `MaxPool2D`.

    count_include_pad: whether zeros of the padding count.

    >>> import regluon as mx
    >>> mx.gluon.nn.AvgPool2D(2)(mx.nd.ones((1, 1, 2, 2))).item()
    1.0
    """

    def __init__(
        self,
        pool_size: Sizes = (2, 2),
        strides: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        layout: str = "NCHW",
        count_include_pad: bool = True,
        **kwargs: Any,
    ) -> None:
        windows = _windows(pool_size, strides, padding, ceil_mode)
        super().__init__("avg", 2, layout, **windows, count_include_pad=count_include_pad, **kwargs)


class AvgPool3D(_Pooling):
    """The mean of each window of a volume; arguments as for `AvgPool2D`."""

    def __init__(
        self,
        pool_size: Sizes = (2, 2, 2),
        strides: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        layout: str = "NCDHW",
        count_include_pad: bool = True,
        **kwargs: Any,
    ) -> None:
        windows = _windows(pool_size, strides, padding, ceil_mode)
        super().__init__("avg", 3, layout, **windows, count_include_pad=count_include_pad, **kwargs)


class GlobalMaxPool1D(_Pooling):
    """The largest value of each channel: (batch, channels, width) to (batch, channels, 1)."""

    def __init__(self, layout: str = "NCW", **kwargs: Any) -> None:
        super().__init__("max", 1, layout, **kwargs)


class GlobalMaxPool2D(_Pooling):
    """The largest value of each channel of an image, whose axes stay with length 1."""

    def __init__(self, layout: str = "NCHW", **kwargs: Any) -> None:
        super().__init__("max", 2, layout, **kwargs)


class GlobalMaxPool3D(_Pooling):
    """The largest value of each channel of a volume, whose axes stay with length 1."""

    def __init__(self, layout: str = "NCDHW", **kwargs: Any) -> None:
        super().__init__("max", 3, layout, **kwargs)


class GlobalAvgPool1D(_Pooling):
    """The mean of each channel: (batch, channels, width) to (batch, channels, 1)."""

    def __init__(self, layout: str = "NCW", **kwargs: Any) -> None:
        super().__init__("avg", 1, layout, **kwargs)


class GlobalAvgPool2D(_Pooling):
    """The mean of each channel of an image, whose axes stay with length 1.

    >>> import regluon as mx
    >>> mx.gluon.nn.GlobalAvgPool2D()(mx.nd.ones((2, 3, 5, 5))).shape
    (2, 3, 1, 1)
    """

    def __init__(self, layout: str = "NCHW", **kwargs: Any) -> None:
        super().__init__("avg", 2, layout, **kwargs)


class GlobalAvgPool3D(_Pooling):
    """The mean of each channel of a volume, whose axes stay with length 1."""

    def __init__(self, layout: str = "NCDHW", **kwargs: Any) -> None:
        super().__init__("avg", 3, layout, **kwargs)


class ReflectionPad2D(HybridBlock):
    """Images made larger by their own mirror image at the edges.

    padding: places on each side, or MXNet's eight numbers (two each for batch, channels, height
    and width, of which the first four are 0).

    >>> import regluon as mx
    >>> mx.gluon.nn.ReflectionPad2D(1)(mx.nd.array([[[[1, 2, 3], [4, 5, 6]]]])).shape
    (1, 1, 4, 5)
    """

    def __init__(self, padding: int | tuple[int, ...] = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        width = (0, 0, 0, 0, *(padding,) * 4) if isinstance(padding, int) else tuple(padding)
        if len(width) != 8:
            raise ShapeError(f"padding={padding} must be one number or 8")
        self._attrs = {"mode": "reflect", "pad_width": width}

    def forward(self, x: Any) -> Any:
        """Pad height and width."""
        return invoke(_PAD, (x,), self._attrs, type(x))
