"""Convolutions and their transposes over one, two and three axes, all by one `_Conv`."""

from collections.abc import Sequence
from typing import Any, ClassVar

from regluon.array.dispatch import invoke
from regluon.base import MXNetError, ShapeError
from regluon.gluon.hybrid import HybridBlock
from regluon.gluon.nn.activation import Activation
from regluon.ops.registry import TABLE, Op


Sizes = int | Sequence[int]


def each_axis(sizes: Sizes, rank: int, name: str) -> tuple[int, ...]:
    """Return one size per axis of the space; one number stands for all."""
    found = (sizes,) * rank if isinstance(sizes, int) else tuple(int(size) for size in sizes)
    if len(found) != rank:
        raise ShapeError(f"{name}={sizes} must be one number or {rank}")
    return found


def checked_layout(layout: str | None, known: Sequence[str], name: str) -> str:
    """Return a layout, the first known one by default."""
    if layout is None:
        return known[0]
    if layout not in known:
        raise MXNetError(f"{name} knows the layouts {', '.join(known)}, not {layout!r}")
    return layout


class _Conv(HybridBlock):
    """What all convolutions share: weight, bias, activation; see `Conv2D` for the arguments."""

    _layouts: ClassVar[tuple[str, ...]]
    _op: ClassVar[Op] = TABLE["convolution"]
    _transposed: ClassVar[bool] = False

    def __init__(
        self,
        channels: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        layout: str | None = None,
        activation: str | None = None,
        use_bias: bool = True,
        weight_initializer: Any = None,
        bias_initializer: Any = "zeros",
        in_channels: int = 0,
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        layout = checked_layout(layout, self._layouts, type(self).__name__)
        rank = len(layout) - 2
        self._channels = channels
        self._groups = groups
        self._layout = layout
        self._kernel = each_axis(kernel_size, rank, "kernel_size")
        self._kwargs = {
            "kernel": self._kernel,
            "stride": each_axis(strides, rank, "strides"),
            "dilate": each_axis(dilation, rank, "dilation"),
            "pad": each_axis(padding, rank, "padding"),
            "num_filter": channels,
            "num_group": groups,
            "no_bias": not use_bias,
            "layout": layout,
        }
        with self.name_scope():
            self.weight = self.params.get(
                "weight",
                shape=self._weight_shape(in_channels),
                init=weight_initializer,
                allow_deferred_init=True,
            )
            self.bias = (
                self.params.get(
                    "bias", shape=(channels,), init=bias_initializer, allow_deferred_init=True
                )
                if use_bias
                else None
            )
            self.act = Activation(activation, prefix=f"{activation}_") if activation else None

    def _alias(self) -> str:
        return "conv"

    def _weight_shape(self, in_channels: int) -> tuple[int, ...]:
        """Return (filters, channels / groups, kernel), first two swapped in a transpose."""
        first, second = (
            (in_channels, self._channels) if self._transposed else (self._channels, in_channels)
        )
        if in_channels % self._groups or self._channels % self._groups:
            raise ShapeError(
                f"groups={self._groups} must divide {in_channels} input and {self._channels} "
                "output channels"
            )
        shape = [first, second // self._groups, *self._kernel]
        if self._layout.endswith("C"):
            shape.append(shape.pop(1))
        return tuple(shape)

    def infer_shape(self, x: Any) -> None:
        """Take the number of input channels from the first batch."""
        if len(x.shape) != len(self._layout):
            raise ShapeError(
                f"the input has shape {x.shape}; layout {self._layout} has {len(self._layout)} axes"
            )
        self.weight.shape = self._weight_shape(x.shape[self._layout.index("C")])

    def forward(self, x: Any) -> Any:
        """Convolve, add the bias, apply the activation."""
        ctx = x._ctx
        bias = self.bias
        args = (x, self.weight.data(ctx), None if bias is None else bias.data(ctx))
        out = invoke(self._op, args, self._kwargs, type(x))
        return self.act(out) if self.act else out

    def __repr__(self) -> str:
        shape = self.weight.known_shape or (0, 0)
        sizes = self._kwargs
        zeros, ones = (0,) * (len(self._layout) - 2), (1,) * (len(self._layout) - 2)
        parts = [
            f"{shape[1] or None} -> {shape[0]}",
            f"kernel_size={sizes['kernel']}",
            f"stride={sizes['stride']}",
            f"padding={sizes['pad']}" if sizes["pad"] != zeros else "",
            f"dilation={sizes['dilate']}" if sizes["dilate"] != ones else "",
            f"groups={self._groups}" if self._groups != 1 else "",
            "bias=False" if self.bias is None else "",
            repr(self.act) if self.act else "",
        ]
        return f"{type(self).__name__}({', '.join(part for part in parts if part)})"


class Conv1D(_Conv):
    """A convolution over one axis; arguments as for `Conv2D`, layout "NCW" only.

    >>> import regluon as mx
    >>> layer = mx.gluon.nn.Conv1D(4, 3, padding=1)
    >>> layer.initialize()
    >>> layer(mx.nd.ones((2, 3, 8))).shape
    (2, 4, 8)
    """

    _layouts = ("NCW",)


class Conv2D(_Conv):
    """A convolution over images: (batch, channels, height, width) for layout "NCHW", or "NHWC".

    channels: how many filters, which is the number of output channels.
    kernel_size, strides, padding, dilation: one number, or one per axis of the space.
    groups: input and output channels are cut into so many parts that do not see each other.
    activation: name for an `Activation` after it, or None.
    use_bias: whether there is a bias per channel.
    in_channels: how many input channels; 0 lets the first batch tell.

    Each axis of the space has floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1
    places in the output.

    >>> import regluon as mx
    >>> layer = mx.gluon.nn.Conv2D(4, kernel_size=3, padding=1)
    >>> layer.initialize()
    >>> layer(mx.nd.ones((2, 3, 8, 8))).shape
    (2, 4, 8, 8)
    >>> layer
    Conv2D(3 -> 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    """

    _layouts = ("NCHW", "NHWC")


class Conv3D(_Conv):
    """A convolution over volumes; arguments as for `Conv2D`, layouts "NCDHW" and "NDHWC"."""

    _layouts = ("NCDHW", "NDHWC")


class _ConvTranspose(_Conv):
    """What the transposed convolutions share: `output_padding` more places at the end."""

    _op = TABLE["deconvolution"]
    _transposed = True

    def __init__(
        self,
        channels: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        layout: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            channels, kernel_size, strides, padding, dilation, groups, layout, **kwargs
        )
        self.outpad = each_axis(output_padding, len(self._layout) - 2, "output_padding")
        self._kwargs["adj"] = self.outpad


class Conv1DTranspose(_ConvTranspose):
    """A transposed convolution over one axis; arguments as for `Conv2DTranspose`, layout "NCW"."""

    _layouts = ("NCW",)


class Conv2DTranspose(_ConvTranspose):
    """A transposed convolution over images, which enlarges where `Conv2D` reduces.

    Arguments as for `Conv2D`, and after `padding`: `output_padding`, places more in the output,
    which has (size - 1) stride - 2 padding + dilation (kernel - 1) + 1 + output_padding.

    >>> import regluon as mx
    >>> layer = mx.gluon.nn.Conv2DTranspose(4, 2, strides=2)
    >>> layer.initialize()
    >>> layer(mx.nd.ones((2, 3, 8, 8))).shape
    (2, 4, 16, 16)
    """

    _layouts = ("NCHW", "NHWC")


class Conv3DTranspose(_ConvTranspose):
    """A transposed convolution over volumes; arguments as for `Conv2DTranspose`."""

    _layouts = ("NCDHW", "NDHWC")
