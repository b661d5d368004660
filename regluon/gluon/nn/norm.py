"""Normalization by the statistics of a batch, a layer, an instance or a group."""

from typing import Any

import torch

from regluon.array.dispatch import invoke, state
from regluon.gluon.hybrid import HybridBlock
from regluon.ops.dtype import torch_dtype
from regluon.ops.registry import TABLE


_BATCH_NORM = TABLE["batch_norm"]
_RELU = TABLE["relu"]
_LAYER_NORM = TABLE["layer_norm"]
_INSTANCE_NORM = TABLE["instance_norm"]
_GROUP_NORM = TABLE["group_norm"]


class _Affine(HybridBlock):
    """What all normalizations share: a factor `gamma` and a summand `beta` per channel."""

    _axis: int

    def __init__(
        self,
        shown: dict[str, Any],
        size: int,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        fixed: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._kwargs = shown
        self.gamma = self.params.get(
            "gamma",
            grad_req="write" if scale else "null",
            shape=(size,),
            init=gamma_initializer,
            allow_deferred_init=True,
            differentiable=scale or not fixed,
        )
        self.beta = self.params.get(
            "beta",
            grad_req="write" if center else "null",
            shape=(size,),
            init=beta_initializer,
            allow_deferred_init=True,
            differentiable=center or not fixed,
        )

    def infer_shape(self, x: Any) -> None:
        """Take the number of channels from the first batch."""
        for param in self._reg_params.values():
            param.shape = (x.shape[self._axis],)

    def __repr__(self) -> str:
        parts = [f"{key}={value!r}" for key, value in self._kwargs.items()]
        channels = (self.gamma.known_shape or (0,))[0]
        return f"{type(self).__name__}({', '.join([*parts, *self._shown_channels(channels)])})"

    def _shown_channels(self, channels: int) -> list[str]:
        return [f"in_channels={channels}"]


class BatchNorm(_Affine):
    """Every channel brought to mean 0 and variance 1 over the batch; Ioffe and Szegedy 2015.

    axis: the channels.
    momentum: of the running statistics: momentum * old + (1 - momentum) * batch.
    epsilon: added to the variance.
    center, scale: whether `beta` and `gamma` are learnt.
    use_global_stats: normalize by the running statistics in training too, and keep them.
    in_channels: how many channels; 0 lets the first batch tell.

    In training the batch's own mean and variance are used, otherwise the running ones. As in MXNet
    the running statistics follow the batches only where a gradient passes through the layer: where
    it, and everything before it, is frozen by `grad_req="null"`, they stay bit for bit. (MXNet
    changes them in the backward pass; here the recorded forward pass does.)

    >>> import regluon as mx
    >>> layer = mx.gluon.nn.BatchNorm()
    >>> layer.initialize()
    >>> layer(mx.nd.ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    def __init__(
        self,
        axis: int = 1,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        use_global_stats: bool = False,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        running_mean_initializer: Any = "zeros",
        running_variance_initializer: Any = "ones",
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        shown = {
            "axis": axis,
            "eps": epsilon,
            "momentum": momentum,
            "fix_gamma": not scale,
            "use_global_stats": use_global_stats,
        }
        super().__init__(
            shown, in_channels, center, scale, beta_initializer, gamma_initializer, True, **kwargs
        )
        self._axis = axis
        if in_channels:
            self.in_channels = in_channels
        self.running_mean = self._statistic("running_mean", in_channels, running_mean_initializer)
        self.running_var = self._statistic("running_var", in_channels, running_variance_initializer)

    def _statistic(self, name: str, size: int, init: Any) -> Any:
        return self.params.get(
            name,
            grad_req="null",
            shape=(size,),
            init=init,
            allow_deferred_init=True,
            differentiable=False,
        )

    def cast(self, dtype: Any) -> None:
        """Convert the parameters; float16 and bfloat16 leave them float32, which the sums need."""
        half = torch_dtype(dtype) in (torch.float16, torch.bfloat16)
        super().cast("float32" if half else dtype)

    def forward(self, x: Any) -> Any:
        """Normalize; the shape stays."""
        ctx = x._ctx
        gamma, beta = self.gamma.data(ctx), self.beta.data(ctx)
        attrs = dict(self._kwargs)
        if not (state.recording and (x.recorded() or gamma.recorded() or beta.recorded())):
            attrs["momentum"] = 1.0  # the running statistics stay
        args = (x, gamma, beta, self.running_mean.data(ctx), self.running_var.data(ctx))
        return invoke(_BATCH_NORM, args, attrs, type(x))

    def _shown_channels(self, channels: int) -> list[str]:
        return [f"in_channels={channels or None}"]


class BatchNormReLU(BatchNorm):
    """`BatchNorm`, and then x or zero, whichever is larger.

    >>> import regluon as mx
    >>> layer = mx.gluon.nn.BatchNormReLU()
    >>> layer.initialize()
    >>> layer(mx.nd.array([[-1, 1]])).asnumpy().round(2).tolist()
    [[0.0, 1.0]]
    """

    def forward(self, x: Any) -> Any:
        """Normalize and rectify; the shape stays."""
        return invoke(_RELU, (super().forward(x),), {}, type(x))


class LayerNorm(_Affine):
    """One axis of every sample brought to mean 0 and variance 1; Ba et al. 2016.

    axis: which one; epsilon: added to the variance; center, scale: whether `beta` and `gamma` are
    learnt; in_channels: length of the axis, 0 lets the first batch tell.

    >>> import regluon as mx
    >>> layer = mx.gluon.nn.LayerNorm()
    >>> layer.initialize()
    >>> layer(mx.nd.array([[1, 3]])).asnumpy().round(1).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(
        self,
        axis: int = -1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        shown = {"eps": epsilon, "axis": axis, "center": center, "scale": scale}
        super().__init__(
            shown, in_channels, center, scale, beta_initializer, gamma_initializer, **kwargs
        )
        self._axis = axis
        self._attrs = {"axis": axis, "eps": epsilon}

    def forward(self, x: Any) -> Any:
        """Normalize; the shape stays."""
        ctx = x._ctx
        args = (x, self.gamma.data(ctx), self.beta.data(ctx))
        return invoke(_LAYER_NORM, args, self._attrs, type(x))


class InstanceNorm(_Affine):
    """Every channel of every sample brought to mean 0 and variance 1; Ulyanov et al. 2016.

    axis: the channels; the other arguments are those of `LayerNorm`.

    >>> import regluon as mx
    >>> layer = mx.gluon.nn.InstanceNorm()
    >>> layer.initialize()
    >>> layer(mx.nd.array([[[1, 3]]])).asnumpy().round(1).tolist()
    [[[-1.0, 1.0]]]
    """

    def __init__(
        self,
        axis: int = 1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = False,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        in_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        shown = {"eps": epsilon, "axis": axis, "center": center, "scale": scale}
        super().__init__(
            shown, in_channels, center, scale, beta_initializer, gamma_initializer, **kwargs
        )
        self._axis = axis
        self._attrs = {"eps": epsilon}

    def forward(self, x: Any) -> Any:
        """Normalize; the shape stays."""
        ctx, axis = x._ctx, self._axis
        source = x if axis == 1 else x.swapaxes(1, axis)
        args = (source, self.gamma.data(ctx), self.beta.data(ctx))
        out = invoke(_INSTANCE_NORM, args, self._attrs, type(x))
        return out if axis == 1 else out.swapaxes(1, axis)


class GroupNorm(_Affine):
    """Groups of channels of every sample brought to mean 0 and variance 1; Wu and He 2018.

    num_groups: how many; `gamma` and `beta` have one value per group, as in MXNet 1.9.

    >>> import regluon as mx
    >>> layer = mx.gluon.nn.GroupNorm(2)
    >>> layer.initialize()
    >>> layer(mx.nd.array([[1, 3, 5, 9]])).asnumpy().round(1).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """

    def __init__(
        self,
        num_groups: int = 1,
        epsilon: float = 1e-5,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        **kwargs: Any,
    ) -> None:
        shown = {"eps": epsilon, "num_groups": num_groups, "center": center, "scale": scale}
        super().__init__(
            shown, num_groups, center, scale, beta_initializer, gamma_initializer, **kwargs
        )
        self._attrs = {"num_groups": num_groups, "eps": epsilon}

    def forward(self, x: Any) -> Any:
        """Normalize; the shape stays."""
        ctx = x._ctx
        args = (x, self.gamma.data(ctx), self.beta.data(ctx))
        return invoke(_GROUP_NORM, args, self._attrs, type(x))

    def _shown_channels(self, channels: int) -> list[str]:
        return []
