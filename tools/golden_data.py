"""Run MXNet 1.9.1's transforms, samplers and loaders and write `tests/golden/data.npz`.

    python tools/golden_data.py

Needs an interpreter that has MXNet 1.9.1 (and NumPy below 1.24, which that release wants). Keys
are `what|details`; see tests/gluon/data/.
"""

import random
from pathlib import Path

import mxnet as mx
import numpy as onp
from mxnet.gluon import data
from mxnet.gluon.data.vision import transforms


TARGET = Path(__file__).resolve().parent.parent / "tests" / "golden" / "data.npz"
MEANS, STDS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DRAWS = 4000


def picture():
    """Return a smooth picture with some noise."""
    draws = onp.random.RandomState(7)
    y, x = onp.mgrid[:18, :20]
    waves = [127 + 110 * onp.sin(x / (3 + c) + y / (5 - c) + c) for c in range(3)]
    smooth = onp.clip(onp.stack(waves, -1) + draws.randn(18, 20, 3) * 4, 0, 255)
    return smooth.astype(onp.uint8)


def fixed(results, img):
    """Record what the deterministic transforms make of a picture and of a batch."""
    table = {
        "Resize(10)": transforms.Resize(10),
        "Resize((8, 6), interpolation=3)": transforms.Resize((8, 6), interpolation=3),
        "Resize(7, keep_ratio=True)": transforms.Resize(7, keep_ratio=True),
        "CenterCrop((8, 5))": transforms.CenterCrop((8, 5)),
        "CenterCrop(30)": transforms.CenterCrop(30),
        "CenterCrop((24, 6), 2)": transforms.CenterCrop((24, 6), 2),
        "CropResize(2, 3, 9, 8)": transforms.CropResize(2, 3, 9, 8),
        "CropResize(2, 3, 9, 8, (5, 4), 1)": transforms.CropResize(2, 3, 9, 8, (5, 4), 1),
        "ToTensor()": transforms.ToTensor(),
        "Cast('float32')": transforms.Cast("float32"),
        "Compose([Resize(12), CenterCrop(8), ToTensor(), Normalize(MEANS, STDS)])": (
            transforms.Compose(
                [
                    transforms.Resize(12),
                    transforms.CenterCrop(8),
                    transforms.ToTensor(),
                    transforms.Normalize(MEANS, STDS),
                ]
            )
        ),
    }
    batch = mx.nd.stack(img, img[::-1].copy())
    for text, transform in table.items():
        results[f"fixed|one|{text}"] = transform(img)
        if "CenterCrop" not in text:
            results[f"fixed|batch|{text}"] = transform(batch)


def forced(results, img):
    """Record what the random transforms do when the numbers that they draw are given."""
    for name in ("RandomBrightness", "RandomContrast", "RandomHue"):
        for factor in (0.3, 1.4):
            transform = getattr(transforms, name)(0.5)
            transform._args = factor, factor
            results[f"factor|{name}|{factor}"] = transform(img)
    for seed in range(6):
        shares = onp.random.RandomState(seed).rand(200)
        results[f"shares|{seed}"] = shares
        results[f"crop|{seed}"] = with_draws(shares, transforms.RandomResizedCrop((9, 7)), img)
        wide = transforms.RandomResizedCrop(6, (0.9, 1.0), (2.5, 3.0))  # never fits
        results[f"unfit|{seed}"] = with_draws(shares, wide, img)
    for name in ("RandomFlipLeftRight", "RandomFlipTopBottom"):
        transform = getattr(transforms, name)()
        outcomes = {transform(img).asnumpy().tobytes() for _ in range(60)}
        (flipped,) = outcomes - {img.asnumpy().tobytes()}
        results[f"flip|{name}"] = onp.frombuffer(flipped, onp.uint8).reshape(img.shape)


def with_draws(shares, transform, img):
    """Transform with Python's `random` giving these shares of the way from low to high."""
    given = iter(shares)
    kept = random.uniform, random.randint
    random.uniform = lambda low, high: low + (high - low) * next(given)
    random.randint = lambda low, high: low + int(next(given) * (high - low + 1))
    try:
        return transform(img)
    finally:
        random.uniform, random.randint = kept


def statistics(results):
    """Record histograms of one value after random transforms of a one-pixel picture."""
    mx.random.seed(5)
    pixel = mx.nd.array([[[100, 50, 20]]])
    table = {
        "RandomLighting(0.1)": (transforms.RandomLighting(0.1), 85, 115),
        "RandomColorJitter(0.4)": (transforms.RandomColorJitter(0.4), 50, 150),
        "RandomColorJitter(0.4, 0.3)": (transforms.RandomColorJitter(0.4, 0.3), 40, 180),
        "RandomContrast(1.5)": (transforms.RandomContrast(1.5), 40, 180),
        "RandomHue(0.3)": (transforms.RandomHue(0.3), 0, 120),
    }
    for text, (transform, low, high) in table.items():
        values = [transform(pixel)[0, 0, 0].asscalar() for _ in range(DRAWS)]
        results[f"drawn|{text}|{low}|{high}"] = onp.histogram(values, 20, (low, high))[0]
    for name in ("RandomFlipLeftRight", "RandomFlipTopBottom"):
        pair = mx.nd.array([[[0], [1]], [[2], [3]]])
        moved = [transform_moves(getattr(transforms, name)(), pair) for _ in range(DRAWS)]
        results[f"moved|{name}"] = onp.array(sum(moved))


def transform_moves(transform, pair):
    """Return whether the first value of a small picture changes."""
    return int(transform(pair)[0, 0, 0].asscalar() != 0)


def batches(results):
    """Record three epochs of batch samplers, -1 marking the end of a batch and -2 of an epoch."""
    for last in ("keep", "discard", "rollover"):
        for length, size in ((7, 3), (6, 3), (2, 5), (0, 2)):
            sampler = data.BatchSampler(data.SequentialSampler(length, 10), size, last)
            numbers, lengths = [], []
            for _ in range(3):
                lengths.append(len(sampler))
                for batch in sampler:
                    numbers += [*batch, -1]
                numbers.append(-2)
            results[f"batches|{last}|{length}|{size}"] = onp.array(numbers)
            results[f"lengths|{last}|{length}|{size}"] = onp.array(lengths)


def stacked(results):
    """Record what the default batchify function makes of samples of many types."""
    table = {
        "[1, 2]": [1, 2],
        "[1.0, 2.0]": [1.0, 2.0],
        "[True, False]": [True, False],
        "[[1, 2], [3, 4]]": [[1, 2], [3, 4]],
        "[(1, 2.5), (3, 4.5)]": [(1, 2.5), (3, 4.5)],
        "[((1, 2.5), 7), ((3, 4.5), 8)]": [((1, 2.5), 7), ((3, 4.5), 8)],
        "onp.arange(6, dtype='int8').reshape(2, 3)": onp.arange(6, dtype="int8").reshape(2, 3),
        "[onp.float32(1), onp.float32(2)]": [onp.float32(1), onp.float32(2)],
        "mx.nd.arange(6).reshape((2, 3))": mx.nd.arange(6).reshape((2, 3)),
        "ArrayDataset(mx.nd.arange(2), mx.nd.ones((2, 2)))": (
            data.ArrayDataset(mx.nd.arange(2), mx.nd.ones((2, 2)))
        ),
    }
    for text, samples in table.items():
        (batch,) = data.DataLoader(samples, 2)
        for place, array in enumerate(flat(batch)):
            results[f"stacked|{text}|{place}"] = array


def flat(batch):
    """Return the arrays of nested lists in order."""
    if isinstance(batch, list):
        return [array for part in batch for array in flat(part)]
    return [batch]


def main():
    """Write every input and every answer of MXNet to one compressed file."""
    img = mx.nd.array(picture(), dtype="uint8")
    results = {"picture": img}
    fixed(results, img)
    forced(results, img)
    statistics(results)
    batches(results)
    stacked(results)
    arrays = {
        key: value.asnumpy() if isinstance(value, mx.nd.NDArray) else value
        for key, value in results.items()
    }
    onp.savez_compressed(TARGET, **arrays)
    print(f"{TARGET.name}: {len(arrays)} arrays, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
