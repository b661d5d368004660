"""Run MXNet 1.9.1's image functions on small pictures and write `tests/golden/image.npz`.

    python tools/golden_image.py

Needs an interpreter that has MXNet 1.9.1 (and NumPy below 1.24, which that release wants) and
Pillow, which encodes the pictures. Keys are `what|picture|arguments`; see tests/ops/test_pixels.py.
"""

import io
import math
import random
from pathlib import Path

import mxnet as mx
import numpy as onp
from PIL import Image


TARGET = Path(__file__).resolve().parent.parent / "tests" / "golden" / "image.npz"
DRAWS = 20_000
ALPHAS = (0.0, 0.3, 1.0, 1.37, 2.0)
TURNS = (0.0, 0.1, 0.5, 0.77, 1.0, 1.25, 2.0)
BOXES = {"photo": (375, 500, 0.08), "tall": (300, 90, 0.08), "large": (120, 160, 0.5)}


def pictures():
    """Return the inputs: a smooth picture, noise, and a grey one."""
    draws = onp.random.RandomState(7)
    y, x = onp.mgrid[:18, :21]
    waves = [127 + 110 * onp.sin(x / (3 + c) + y / (5 - c) + c) for c in range(3)]
    smooth = onp.clip(onp.stack(waves, -1) + draws.randn(18, 21, 3) * 4, 0, 255)
    noise = draws.randint(0, 256, (12, 15, 3))
    return {
        "smooth": smooth.astype(onp.uint8),
        "noise": noise.astype(onp.uint8),
        "grey": smooth[..., :1].astype(onp.uint8),
    }


def both(array):
    """Return the picture as the two dtypes that MXNet's transforms meet."""
    return {"uint8": mx.nd.array(array, dtype="uint8"), "float32": mx.nd.array(array)}


def sizes(results, name, array):
    """Record resizing and cropping."""
    for dtype, img in both(array).items():
        goals = [(12, 8), (11, 9), (7, 30), (21, 18), (33, 30)]
        for width, height in goals if dtype == "uint8" else goals[1:3]:
            for interp in range(5):
                out = mx.nd.image.resize(img, (width, height), False, interp)
                results[f"resize|{name}|{dtype}|{width}|{height}|{interp}"] = out
        for goal in (10, 20):
            results[f"keep|{name}|{dtype}|{goal}"] = mx.nd.image.resize(img, goal, True, 1)
        for width, height in ((10, 8), (11, 7), (25, 10), (9, 36)):
            key = f"center|{name}|{dtype}|{width}|{height}"
            results[key] = mx.image.center_crop(img, (width, height), 1)[0]
        for goal in ((9, 9), (17, 13), (20, 15)):
            key = f"fixed|{name}|{dtype}|{goal[0]}|{goal[1]}"
            results[key] = mx.image.fixed_crop(img, 3, 5, 17, 13, goal, 9)
        results[f"crop|{name}|{dtype}"] = mx.nd.image.crop(img, 3, 5, 17, 13)


def colours(results, name, array):
    """Record the colour adjustments at fixed factors."""
    ops = mx.nd.image
    for dtype, img in both(array).items():
        for alpha in ALPHAS if dtype == "uint8" else ALPHAS[1::2]:
            results[f"brightness|{name}|{dtype}|{alpha}"] = ops.random_brightness(img, alpha, alpha)
            results[f"contrast|{name}|{dtype}|{alpha}"] = ops.random_contrast(img, alpha, alpha)
        if name == "grey":
            continue
        for alpha in TURNS if dtype == "uint8" else TURNS[1::2]:
            results[f"hue|{name}|{dtype}|{alpha}"] = ops.random_hue(img, alpha, alpha)
        results[f"wrong_saturation|{name}|{dtype}|0.3"] = ops.random_saturation(img, 0.3, 0.3)
        for alpha in ((0.1, 0.2, -0.3), (1.5, -1.0, 2.0)):
            key = f"lighting|{name}|{dtype}|{alpha[0]}|{alpha[1]}|{alpha[2]}"
            results[key] = ops.adjust_lighting(img, alpha)
    if name != "grey":
        for alpha in (0.0, 0.3, 1.37):
            results[f"saturation|{name}|float32|{alpha}"] = saturated(mx.nd.array(array), alpha)


def saturated(img, alpha):
    """Return what the right one of MXNet's two saturations makes of a float picture."""
    draw = random.uniform
    random.uniform = lambda low, high: alpha - 1
    try:
        return mx.image.SaturationJitterAug(0.5)(img.copy())
    finally:
        random.uniform = draw


def tensors(results, name, array):
    """Record flips, to_tensor and normalize."""
    img = mx.nd.array(array, dtype="uint8")
    for width in (1, 2, 7, 8):
        results[f"left_right|{name}|{width}"] = mx.nd.image.flip_left_right(img[:, :width].copy())
        results[f"top_bottom|{name}|{width}"] = mx.nd.image.flip_top_bottom(img[:width].copy())
    tensor = mx.nd.image.to_tensor(img)
    results[f"to_tensor|{name}"] = tensor
    results[f"to_tensor_batch|{name}"] = mx.nd.image.to_tensor(mx.nd.stack(img[:6], img[6:12]))
    results[f"normalize|{name}|one"] = mx.nd.image.normalize(tensor, 0.4, 0.3)
    if name != "grey":
        means, stds = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        results[f"normalize|{name}|each"] = mx.nd.image.normalize(tensor, means, stds)


def draws(results):
    """Record histograms of the random crops and factors."""
    random.seed(11)
    mx.random.seed(11)
    for name, (height, width, smallest) in BOXES.items():
        blank = mx.nd.zeros((height, width, 1), dtype="uint8")
        args = blank, (8, 8), (smallest, 1.0), (3 / 4, 4 / 3), 0
        boxes = onp.array([mx.image.random_size_crop(*args)[1] for _ in range(DRAWS)])
        x, y, w, h = boxes.T
        measures = {
            "area": (w * h / (height * width), 0, 1),
            "shape": (onp.log(w / h), math.log(0.7), math.log(1.43)),
            "left": (x / width, 0, 1),
            "top": (y / height, 0, 1),
        }
        for measure, (values, low, high) in measures.items():
            counts = onp.histogram(values, 25, (low, high))[0]
            results[f"draws|{name}|{measure}|{height}|{width}|{smallest}"] = counts
    one = mx.nd.ones((1, 1, 1))
    for amount in (0.4, 1.5):
        low, high = max(0, 1 - amount), 1 + amount
        factors = [mx.nd.image.random_brightness(one, low, high) for _ in range(DRAWS // 4)]
        factors = onp.array([factor.asscalar() for factor in factors])
        results[f"factors|{amount}"] = onp.histogram(factors, 25, (0, 2.5))[0]


def encoded(img, kind, **options):
    """Return the bytes of a picture file."""
    stream = io.BytesIO()
    img.save(stream, kind, **options)
    return stream.getvalue()


def files(results):
    """Record picture files and what `mx.image.imdecode` makes of them."""
    draws = onp.random.RandomState(3)
    rough = Image.fromarray(draws.randint(0, 256, (6, 9, 3)).astype(onp.uint8))
    img = rough.resize((29, 20), Image.BICUBIC)
    deep = onp.asarray(img.convert("L")).astype(onp.uint16) * 257 + draws.randint(-99, 99, (20, 29))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = {
        "jpeg": encoded(img, "JPEG", quality=90),
        "jpeg_progressive": encoded(img, "JPEG", quality=90, progressive=True),
        "jpeg_grey": encoded(img.convert("L"), "JPEG", quality=90),
        "jpeg_cmyk": encoded(img.convert("CMYK"), "JPEG", quality=90),
        "jpeg_sideways": encoded(img, "JPEG", quality=90, exif=exif),
        "png": encoded(img, "PNG"),
        "png_palette": encoded(img.convert("P"), "PNG"),
        "png_alpha": encoded(Image.merge("RGBA", (*img.split(), img.split()[0])), "PNG"),
        "png_grey": encoded(img.convert("L"), "PNG"),
        "png_16_bit": encoded(Image.fromarray(onp.clip(deep, 0, 65535).astype(onp.uint16)), "PNG"),
        "bmp": encoded(img, "BMP"),
    }
    for name, content in data.items():
        results[f"file|{name}"] = onp.frombuffer(content, onp.uint8)
        results[f"decoded|{name}|3"] = mx.image.imdecode(content)
        results[f"decoded|{name}|1"] = mx.image.imdecode(content, flag=0)


def main():
    """Write every input and every answer of MXNet to one compressed file."""
    results = {}
    for name, array in pictures().items():
        results[f"picture|{name}"] = array
        if name != "noise":
            sizes(results, name, array)
        colours(results, name, array)
        tensors(results, name, array)
    draws(results)
    files(results)
    arrays = {
        key: value.asnumpy() if isinstance(value, mx.nd.NDArray) else value
        for key, value in results.items()
    }
    onp.savez_compressed(TARGET, **arrays)
    print(f"{TARGET.name}: {len(arrays)} arrays, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
