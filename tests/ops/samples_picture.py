"""Samples of operators on pictures: other sizes, patches, sampling, regions of interest."""

import numpy as onp

from tests.ops.samples import Sample, floats, ints


X = floats(1, 2, 3, 5)
SQUARE = floats(2, 4, 4, 4)
MAPS = onp.asarray(
    [[0.76, -0.04, -0.02, -0.04, 0.79, 0.01], [0.73, 0, 0.07, -0.01, 0.8, 0.34]], "float32"
)
ROIS = onp.asarray(
    [[0, 0, 0, 4, 4], [1, 1, 1, 9, 9], [0, 2, 2, 2, 2], [1, -3, -2, 1, 3]], "float32"
)
FEATURES = floats(2, 2, 6, 5)
NO_PICTURE = onp.asarray([[-1, 0, 0, 1, 1]], "float32")
FAR = onp.asarray([1, 9, 9, 9, 9], "float32")
SMALL = floats(1, 2, 4, 5), floats(1, 2, 4, 5, seed=1)

ANY_RANK = "MXNet fails for one axis of space"
MODES = ("to_even_down", "to_even_up", "to_odd_down", "to_odd_up")
UNSET = "MXNet leaves the result for no picture as the memory was"
NAN_ROW = "MXNet gives NaN for one row"
TARGET = {"target_shape": (3, 4)}


def sizes() -> list[Sample]:
    weight, larger = floats(2, 1, 4, 4), floats(1, 2, 6, 10)
    up = {"scale": 2, "sample_type": "nearest"}
    smooth = {"scale": 2, "sample_type": "bilinear"}
    resize, adapt = "nd.contrib.BilinearResize2D", "nd.contrib.AdaptiveAvgPooling2D"
    return [
        Sample("nd.UpSampling", (X,), up),
        Sample("nd.UpSampling", (X.astype("float64"),), {**up, "scale": 3, "num_args": 1}),
        Sample("nd.UpSampling", (X, larger), {**up, "num_args": 2}),
        Sample("nd.UpSampling", (X, larger), {**up, "scale": 4, "multi_input_mode": "sum"}),
        Sample("nd.UpSampling", (X, weight), {**smooth, "num_filter": 2}),
        Sample("nd.UpSampling", (X, floats(2, 1, 5, 5)), {**smooth, "scale": 3, "num_filter": 2}),
        Sample("nd.UpSampling", (X,), {**smooth, "num_filter": 2}, error="MXNetError"),
        Sample("nd.UpSampling", (X, weight[:1]), {**smooth, "num_filter": 2}, error="ShapeError"),
        Sample("nd.UpSampling", (X[0],), up, error="ShapeError"),
        Sample("nd.UpSampling", (X,), {**up, "sample_type": "cubic"}, error="MXNetError"),
        Sample(resize, (X,), {"height": 4, "width": 7}),
        Sample(resize, (X.astype("float64"),), {"height": 2, "width": 3}),
        Sample(resize, (X,), {"height": 4, "width": 7, "align_corners": False}),
        Sample(resize, (X,), {"height": 2, "width": 2, "align_corners": False}),
        Sample(resize, (X,), {"scale_height": 2, "scale_width": 1.5}),
        Sample(resize, (X, floats(1, 1, 4, 6)), {"mode": "like"}, fixed=(1,)),
        Sample(resize, (X,), {"mode": "odd_scale", "scale_height": 2, "scale_width": 1.5}),
        Sample(resize, (SQUARE,), {"mode": "odd_scale", "scale_height": 0.5, "scale_width": 2}),
        *[Sample(resize, (X,), {"mode": mode}, id=mode) for mode in MODES],
        *[Sample(resize, (SQUARE[:1],), {"mode": mode}, id=mode) for mode in MODES],
        Sample(resize, (X,), {"mode": "odd_scale"}, error="MXNetError"),
        Sample(resize, (X,), {"mode": "scale"}, error="MXNetError"),
        Sample(resize, (X[0],), {"height": 4, "width": 7}, error="ShapeError"),
        *[
            Sample(adapt, (X,), {"output_size": size})
            for size in [(), 1, (2,), (2, 3), (3, 5), (4, 7)]
        ],
        Sample(adapt, (X.astype("float64"),), {"output_size": 2}),
        Sample(adapt, (X[0],), {"output_size": 2}, error="ShapeError"),
        Sample(
            adapt,
            (X,),
            {"output_size": (1, 2, 3)},
            differs="MXNet takes three numbers for (1, 1)",
            error="ShapeError",
        ),
        Sample("nd.Crop", (X,), {"h_w": (2, 3)}),
        Sample("nd.Crop", (X,), {"h_w": (2, 3), "offset": (1, 2), "num_args": 1}),
        Sample("nd.Crop", (X,), {"h_w": (2, 2), "center_crop": True}),
        Sample("nd.Crop", (X, floats(1, 1, 2, 2)), {"center_crop": True, "num_args": 2}),
        Sample("nd.Crop", (X, floats(1, 1, 2, 2)), {"offset": (1, 1)}),
        Sample("nd.Crop", (X,), {"h_w": (4, 4)}, error="ShapeError"),
        Sample("nd.Crop", (X,), {"h_w": (2, 2), "offset": (2, 0)}, error="ShapeError"),
        Sample("nd.Crop", (X,), error="ShapeError"),
    ]


def patches() -> list[Sample]:
    columns = floats(1, 12, 6)
    row = floats(1, 2, 5)
    moved = onp.stack([row[:, :, at : at + 3] for at in range(3)], 2).reshape(1, 6, 3)
    return [
        Sample("nd.im2col", (SQUARE,), {"kernel": (2, 3)}),
        Sample(
            "nd.im2col",
            (SQUARE,),
            {"kernel": (2, 2), "stride": (2, 1), "dilate": (1, 2), "pad": (1, 1)},
        ),
        Sample("nd.im2col", (SQUARE.astype("float64"),), {"kernel": (3, 3), "pad": (1, 1)}),
        Sample("nd.im2col", (SQUARE,), {"kernel": (9, 3)}, error="MXNetError"),
        Sample("nd.im2col", (row,), {"kernel": (3,)}, differs=ANY_RANK, want=moved),
        Sample("nd.im2col", (floats(2, 3),), {"kernel": (3,)}, error="ShapeError"),
        Sample("nd.col2im", (columns,), {"output_size": (4, 4), "kernel": (2, 3)}),
        Sample(
            "nd.col2im",
            (floats(1, 8, 9),),
            {"output_size": (4, 4), "kernel": (2, 2), "stride": (2, 2), "pad": (1, 1)},
        ),
        Sample(
            "nd.col2im",
            (onp.ones((1, 6, 3), "float32"),),
            {"output_size": (5,), "kernel": (3,)},
            differs=ANY_RANK,
            want=onp.asarray([[[1, 2, 3, 2, 1]] * 2], "float32"),
        ),
        *[
            Sample(f"nd.{name}", (data,), {"block_size": 2})
            for name in ("depth_to_space", "space_to_depth")
            for data in (SQUARE, ints(1, 4, 2, 2))
        ],
        Sample("nd.depth_to_space", (SQUARE,), {"block_size": 1}),
        Sample("nd.space_to_depth", (SQUARE,), {"block_size": 1}),
        Sample("nd.depth_to_space", (X,), {"block_size": 2}, error="ShapeError"),
        Sample("nd.space_to_depth", (X,), {"block_size": 2}, error="ShapeError"),
    ]


def samplers() -> list[Sample]:
    affine = {"transform_type": "affine"}
    grid = floats(2, 2, 3, 4, low=-1.3, high=1.3)
    transformer = {**affine, "sampler_type": "bilinear"}
    wide = {"max_displacement": 2, "stride1": 2, "stride2": 2, "pad_size": 3}
    return [
        Sample("nd.GridGenerator", (MAPS,), {**affine, **TARGET}),
        Sample("nd.GridGenerator", (floats(1, 2, 3, 4),), {"transform_type": "warp"}),
        Sample(
            "nd.GridGenerator",
            (MAPS[:1],),
            {**affine, "target_shape": (1, 2)},
            differs=NAN_ROW,
            want=onp.asarray([[[[-0.78, 0.74]], [[0.05, -0.03]]]], "float32"),
        ),
        Sample("nd.GridGenerator", (MAPS,), affine, error="ShapeError"),
        Sample("nd.GridGenerator", (MAPS[:, :5].copy(),), {**affine, **TARGET}, error="ShapeError"),
        Sample("nd.GridGenerator", (MAPS,), {"transform_type": "none"}, error="MXNetError"),
        Sample("nd.BilinearSampler", (FEATURES, grid)),
        Sample("nd.BilinearSampler", (FEATURES.astype("float64"), grid.astype("float64"))),
        Sample("nd.BilinearSampler", (FEATURES, grid[:1]), error="ShapeError"),
        Sample("nd.SpatialTransformer", (FEATURES, MAPS), {**transformer, **TARGET}),
        Sample("nd.SpatialTransformer", (FEATURES, MAPS), transformer, error="ShapeError"),
        Sample("nd.Correlation", SMALL),
        Sample("nd.Correlation", SMALL, {"kernel_size": 3, **wide}),
        Sample("nd.Correlation", SMALL, {"max_displacement": 3, "stride2": 2, "pad_size": 4}),
        Sample("nd.Correlation", SMALL, {"is_multiply": False, "pad_size": 1}, grad=False),
        Sample("nd.Correlation", SMALL, {"kernel_size": 2, "pad_size": 3}, error="ShapeError"),
        Sample("nd.Correlation", SMALL, {"max_displacement": 5}, error="ShapeError"),
    ]


def regions() -> list[Sample]:
    window = {"pooled_size": (2, 3), "spatial_scale": 0.5}
    align, inside = "nd.contrib.ROIAlign", ROIS[:2]
    one = onp.asarray([[0, 0, 0, 4, 4]], "float32")
    by_bin = {"pooled_size": (2, 2), "spatial_scale": 1.0, "position_sensitive": True}
    fixed = {"fixed": (1,)}
    return [
        Sample("nd.ROIPooling", (FEATURES, ROIS), window, **fixed),
        Sample("npx.roi_pooling", (FEATURES, ROIS), window, **fixed),
        Sample("nd.ROIPooling", (FEATURES * 0, ROIS), window, train=True, **fixed),  # ties
        Sample("nd.ROIPooling", (FEATURES, ROIS * FAR), window, grad=False),
        Sample("nd.ROIPooling", (FEATURES, NO_PICTURE), window, grad=False),
        Sample("nd.ROIPooling", (FEATURES, ROIS[:, :4].copy()), window, error="ShapeError"),
        Sample(align, (FEATURES, ROIS), window, **fixed),
        Sample(align, (FEATURES, ROIS), {**window, "sample_ratio": 2}, **fixed),
        Sample(align, (FEATURES, inside), {**window, "aligned": True}, **fixed),
        Sample(
            align,
            (FEATURES, NO_PICTURE),
            window,
            differs=UNSET,
            want=onp.zeros((1, 2, 2, 3), "float32"),
            **fixed,
        ),
        Sample(align, (SQUARE[:1], one), by_bin, **fixed),
        Sample(align, (SQUARE[:1, :3].copy(), one), by_bin, error="ShapeError"),
    ]


SAMPLES = sizes() + patches() + samplers() + regions()
