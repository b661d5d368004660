"""Samples of nd.image and npx.image: pictures and batches, uint8 and float32."""

from dataclasses import replace

import numpy as onp

from tests.ops.samples import Sample, floats, ints


PICTURE = ints(4, 6, 3, dtype="uint8", high=256)
ODD = ints(3, 5, 3, dtype="uint8", high=256)
REAL = floats(4, 6, 3, low=0, high=255)
BATCH = onp.stack([REAL, REAL / 2])
PLANES = floats(3, 2, 4)
GREY = PICTURE[:, :, :1]

BOX = {"x": 1, "y": 2, "width": 3, "height": 1}
MIDDLE = "MXNet leaves an odd middle line uninitialized"
BATCHES = "MXNet takes single pictures here"
SHAPED = "MXNet cannot record it: its gradient has the shape of the result"
COPIED = "MXNet passes the gradient on as if nothing had been flipped"
BLUE = "MXNet's grey value is 0.114 * blue"
LOOSE = "MXNet reads outside the picture"
WHOLE = "MXNet gives whole numbers"
INFINITE = "MXNet divides by zero"
UNDONE = "MXNet leaves one channel uninitialized"


def plain() -> list[Sample]:
    return [
        Sample("nd.image.to_tensor", (PICTURE,)),
        Sample(
            "nd.image.to_tensor",
            (REAL,),
            differs=SHAPED,
            want=onp.moveaxis(REAL, -1, 0) / onp.float32(255),
        ),
        Sample("nd.image.to_tensor", (BATCH,), grad=False),
        Sample("npx.image.to_tensor", (PICTURE,)),
        Sample("nd.image.to_tensor", (REAL[0],), error="ShapeError"),
        Sample("nd.image.normalize", (PLANES,), {"mean": (1, 2, 3), "std": (1, 2, 4)}),
        Sample("nd.image.normalize", (PLANES, 0.5, 2)),
        Sample("nd.image.normalize", (onp.stack([PLANES, PLANES]),), {"mean": 1, "std": (4, 2, 1)}),
        Sample("npx.image.normalize", (PLANES[:1],), {"mean": 0.5, "std": 0.25}),
        Sample("nd.image.normalize", (PLANES,), {"mean": (1, 2), "std": 1}, error="ShapeError"),
        Sample("nd.image.normalize", (PLANES[0],), {"mean": 1, "std": 1}, error="ShapeError"),
        Sample(
            "nd.image.normalize",
            (PLANES,),
            {"mean": 1, "std": 0},
            error="MXNetError",
            differs=INFINITE,
        ),
        Sample(
            "nd.image.normalize",
            (PICTURE,),
            {"mean": 1, "std": 2},
            error="DTypeError",
            differs=WHOLE,
        ),
        Sample("nd.image.crop", (PICTURE,), BOX),
        Sample("nd.image.crop", (REAL, 0, 1, 6, 3)),
        Sample("npx.image.crop", (BATCH,), BOX),
        Sample("nd.image.crop", (REAL,), {**BOX, "x": 4}, error="ShapeError"),
        Sample("nd.image.crop", (REAL,), {**BOX, "x": -1}, error="ShapeError", differs=LOOSE),
        Sample("nd.image.resize", (PICTURE,), {"size": (3, 2)}),
        Sample("nd.image.resize", (REAL, 3, True), grad=False),
        Sample("nd.image.resize", (BATCH,), {"size": (5, 7)}, grad=False),
        Sample("nd.image.resize", (GREY,), {"size": 3}),
        Sample("npx.image.resize", (REAL,), {"size": 5, "interp": 0}, grad=False),
        Sample("nd.image.resize", (REAL,), {"size": 3, "interp": 2}, grad=False),
        Sample("nd.image.resize", (REAL,), {"size": (3, 2), "interp": 3}, grad=False),
        Sample("nd.image.resize", (REAL,), {"size": 0}, error="ShapeError"),
        Sample("nd.image.resize", (REAL[0],), {"size": 3}, error="ShapeError"),
    ]


def flips() -> list[Sample]:
    found = []
    for name, turned in (
        ("flip_left_right", lambda img: img[..., :, ::-1, :]),
        ("flip_top_bottom", lambda img: img[..., ::-1, :, :]),
    ):
        found += [
            Sample(f"nd.image.{name}", (PICTURE,)),
            Sample(f"npx.image.{name}", (REAL,), grad_differs=COPIED),
            Sample(f"nd.image.{name}", (ODD,), differs=MIDDLE, want=turned(ODD)),
            Sample(f"nd.image.{name}", (BATCH,), differs=BATCHES, want=turned(BATCH)),
            Sample(f"nd.image.random_{name}", (REAL,), grad=False, random=True),
            Sample(f"npx.image.random_{name}", (PICTURE,), random=True),
        ]
    return found


def colours() -> list[Sample]:
    alpha = {"alpha": (0.5, 0.25, -0.5)}
    amounts = {"brightness": 0.25, "contrast": 0.5, "saturation": 0.0, "hue": 0.25}
    grey = REAL @ onp.array([0.299, 0.587, 0.114], "float32")
    half = {"min_factor": 0.5, "max_factor": 0.5}
    found = [
        Sample("nd.image.adjust_lighting", (PICTURE,), alpha),
        Sample("nd.image.adjust_lighting", (REAL,), alpha, grad=False),
        Sample("npx.image.adjust_lighting", (REAL,), alpha, grad=False),
        Sample("nd.image.adjust_lighting", (GREY,), alpha, differs=UNDONE, want=GREY),
        Sample("nd.image.random_lighting", (REAL,), grad=False, random=True),
        Sample("npx.image.random_lighting", (PICTURE,), {"alpha_std": 0.5}, random=True),
        Sample("nd.image.random_color_jitter", (REAL,), amounts, grad=False, random=True),
        Sample("npx.image.random_color_jitter", (PICTURE, 0.5, 0, 0, 0), random=True),
        Sample(
            "nd.image.random_saturation",
            (REAL,),
            half,
            grad=False,
            differs=BLUE,
            want=(REAL + grey[..., None]) / 2,
        ),
        Sample("nd.image.random_hue", (REAL,), half, grad=False),
        Sample("nd.image.random_hue", (REAL, 0.25, 0.25), grad=False),
        Sample("nd.image.random_brightness", (REAL, -1.0, 1.0), error="MXNetError"),
        Sample("nd.image.random_brightness", (REAL[0], 0.5, 0.5), error="ShapeError"),
    ]
    for name in ("brightness", "contrast"):
        call = f"nd.image.random_{name}"
        found += [
            Sample(call, (PICTURE,), half),
            Sample(call, (REAL, 1.5, 1.5), grad=False),
            Sample(call, (GREY,), half),
            Sample(call, (REAL, 0.5, 1.5), grad=False, random=True),
        ]
    found += [
        Sample(f"npx.image.random_{name}", (PICTURE, 0.5, 1.5), random=True)
        for name in ("contrast", "saturation", "hue")
    ]
    both = Sample(
        "nd.image.random_brightness",
        (BATCH, 0.5, 0.5),
        grad=False,
        differs=BATCHES,
        want=BATCH / 2,
    )
    return [*found, both, replace(both, call="npx.image.random_brightness")]


SAMPLES = plain() + flips() + colours()
