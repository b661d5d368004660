"""Transforms against the answers of MXNet 1.9.1 (tools/golden_data.py), for all kinds of arrays."""

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import regluon as mx
from regluon import random
from regluon.base import DTypeError, MXNetError, ShapeError
from regluon.gluon import nn
from regluon.gluon.data.vision import transforms
from regluon.gluon.data.vision.transforms import (
    CenterCrop,
    Compose,
    Normalize,
    RandomCrop,
    RandomFlipLeftRight,
    Resize,
    ToTensor,
    colour,
    shape,
)


GOLDEN = dict(np.load(Path(__file__).parents[3] / "golden" / "data.npz"))
PICTURE = GOLDEN["picture"]
NAMES = {
    **vars(transforms),
    "MEANS": (0.485, 0.456, 0.406),
    "STDS": (0.229, 0.224, 0.225),
}


def golden(what):
    cases = [key.split("|")[1:] for key in GOLDEN if key.startswith(what + "|")]
    assert cases
    return [
        pytest.param(*case, GOLDEN["|".join((what, *case))], id="|".join(case)) for case in cases
    ]


def built(text):
    return eval(text, dict(NAMES))


def assert_as_mxnet(ours, theirs, levels=0):
    """Equal up to `levels` in uint8; in float32 to 1e-5 of the largest value."""
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    error = np.abs(ours.astype(np.float64) - theirs).max()
    assert error <= (levels if ours.dtype == np.uint8 else 1e-5 * np.abs(theirs).max())


KINDS = {
    "numpy": (lambda img: img.copy(), lambda out: out),
    "nd": (lambda img: mx.nd.array(img, dtype=img.dtype), lambda out: out.asnumpy()),
    "np": (lambda img: mx.np.array(img, dtype=img.dtype), lambda out: out.asnumpy()),
    "torch": (lambda img: torch.from_numpy(img.copy()), lambda out: out.numpy()),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("form", "text", "theirs"), golden("fixed"))
def test_fixed_transforms_are_mxnets_for_every_kind_of_array(form, text, theirs, kind):
    img = PICTURE if form == "one" else np.stack([PICTURE, PICTURE[::-1]])
    make, read = KINDS[kind]
    given = make(img)
    ours = built(text)(given)
    assert type(ours) is type(given)
    # OpenCV rounds bicubic sums of bytes otherwise since MXNet's 3.4.
    assert_as_mxnet(read(ours), theirs, levels=1 if text.endswith(", 2)") else 0)
    assert np.array_equal(read(given), img)


class Given:
    """Stands for a generator: draws have the given shares of the way from low to high."""

    def __init__(self, shares):
        self.shares = iter(shares)

    def uniform(self, low, high):
        return low + (high - low) * next(self.shares)

    def integers(self, count):
        return int(next(self.shares) * count)


@pytest.mark.parametrize(("seed", "theirs"), golden("crop"))
def test_random_resized_crop_is_mxnets_when_the_same_is_drawn(seed, theirs, monkeypatch):
    monkeypatch.setattr(shape, "sample_generator", lambda: Given(GOLDEN[f"shares|{seed}"]))
    assert_as_mxnet(transforms.RandomResizedCrop((9, 7))(PICTURE), theirs)


@pytest.mark.parametrize(("seed", "theirs"), golden("unfit"))
def test_crops_that_never_fit_become_mxnets_center_crop(seed, theirs, monkeypatch):
    monkeypatch.setattr(shape, "sample_generator", lambda: Given(GOLDEN[f"shares|{seed}"]))
    assert_as_mxnet(transforms.RandomResizedCrop(6, (0.9, 1.0), (2.5, 3.0))(PICTURE), theirs)


@pytest.mark.parametrize(("name", "factor", "theirs"), golden("factor"))
def test_colours_are_mxnets_when_the_same_factor_is_drawn(name, factor, theirs, monkeypatch):
    monkeypatch.setattr(colour, "draw_factor", lambda rng, amount: float(factor))
    ours = getattr(transforms, name)(0.5)(PICTURE)
    assert_as_mxnet(ours, theirs, levels=1 if name == "RandomHue" else 0)


@pytest.mark.parametrize(("name", "theirs"), golden("flip"))
def test_flips_are_mxnets_or_nothing(name, theirs):
    transform = getattr(transforms, name)()
    outcomes = {transform(PICTURE).tobytes() for _ in range(60)}
    assert outcomes == {PICTURE.tobytes(), theirs.tobytes()}


def differs(ours, theirs):
    """Return the chi-squared distance of two histograms in units of its expected spread."""
    assert ours.sum() == theirs.sum()
    seen = ours + theirs > 0
    distance = ((ours - theirs)[seen] ** 2 / (ours + theirs)[seen]).sum()
    return (distance - (seen.sum() - 1)) / math.sqrt(2 * (seen.sum() - 1))


@pytest.mark.parametrize(("text", "low", "high", "theirs"), golden("drawn"))
def test_random_colours_are_distributed_as_mxnets(text, low, high, theirs):
    transform, pixel = built(text), np.array([[[100, 50, 20]]], np.float32)
    values = [transform(pixel)[0, 0, 0] for _ in range(4000)]
    assert differs(np.histogram(values, 20, (float(low), float(high)))[0], theirs) < 4


@pytest.mark.parametrize(("name", "theirs"), golden("moved"))
def test_flips_are_as_frequent_as_mxnets(name, theirs):
    transform, pair = getattr(transforms, name)(), np.array([[[0], [1]], [[2], [3]]], np.float32)
    moved = sum(transform(pair)[0, 0, 0] != 0 for _ in range(4000))
    assert abs(moved - 2000) < 130
    assert abs(int(theirs) - 2000) < 130


def random_transforms():
    return [
        transforms.RandomResizedCrop(6),
        transforms.RandomCrop((6, 5), pad=2, pad_value=9),
        transforms.RandomFlipLeftRight(),
        transforms.RandomFlipTopBottom(),
        transforms.RandomBrightness(0.4),
        transforms.RandomContrast(0.4),
        transforms.RandomSaturation(0.4),
        transforms.RandomHue(0.4),
        transforms.RandomColorJitter(0.4, 0.4, 0.4, 0.1),
        transforms.RandomLighting(0.5),
        transforms.RandomApply([transforms.RandomFlipLeftRight(), Resize(5)]),
        Resize(5, interpolation=10),
        CenterCrop(30, interpolation=10),
        transforms.CropResize(1, 1, 9, 9, 5, 10),
    ]


@pytest.mark.parametrize("transform", random_transforms(), ids=lambda t: type(t).__name__)
def test_what_is_drawn_follows_from_the_seed_alone_and_varies(transform):
    first = [transform(PICTURE).tobytes() for _ in range(12)]
    mx.random.seed(0)
    assert [transform(PICTURE).tobytes() for _ in range(12)] == first
    mx.random.seed(1)
    assert [transform(PICTURE).tobytes() for _ in range(12)] != first
    assert len(set(first)) > 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transform", random_transforms(), ids=lambda t: type(t).__name__)
def test_random_transforms_give_every_kind_the_same_pixels(transform, kind):
    make, read = KINDS[kind]
    with random.keyed(4):
        want = transform(PICTURE)
    given = make(PICTURE)
    with random.keyed(4):
        ours = transform(given)
    assert type(ours) is type(given)
    assert np.array_equal(read(ours), want)
    assert np.array_equal(read(given), PICTURE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "transform",
    [CenterCrop(18), transforms.CropResize(0, 0, 20, 18), RandomFlipLeftRight(), RandomCrop(9)],
    ids=lambda t: type(t).__name__,
)
@pytest.mark.parametrize("whole", [False, True])
def test_results_never_share_memory_with_the_picture(transform, kind, whole):
    make, read = KINDS[kind]
    for _ in range(4):
        given = make(PICTURE)
        result = (Compose([transform]) if whole else transform)(given)
        result[:] = 0
        assert np.array_equal(read(given), PICTURE)


def test_pillow_images_come_back_as_images_until_they_are_tensors():
    given = Image.fromarray(PICTURE)
    resized = Resize((7, 5))(given)
    assert isinstance(resized, Image.Image)
    assert np.array_equal(np.asarray(resized), Resize((7, 5))(PICTURE))
    grey = Resize((7, 5))(given.convert("L"))
    assert (grey.mode, grey.size) == ("L", (7, 5))
    assert Resize(4)(given.convert("CMYK")).mode == "RGB"
    tensor = Compose([Resize(5), ToTensor()])(given)
    assert isinstance(tensor, np.ndarray)
    assert tensor.shape == (3, 5, 5)


def test_random_crop_draws_every_place_alike_and_pads():
    img = np.arange(30, dtype=np.float32).reshape(5, 6, 1)
    crops = [RandomCrop((5, 4))(img) for _ in range(400)]
    corners = np.unique([crop[0, 0, 0] for crop in crops], return_counts=True)
    assert corners[0].tolist() == [0, 1, 6, 7]
    assert corners[1].min() > 60
    padded = [RandomCrop((6, 5), pad=1, pad_value=-1)(img) for _ in range(60)]
    assert {crop.shape for crop in padded} == {(5, 6, 1)}
    assert {crop[0, 0, 0] for crop in padded} >= {-1, 0, 7}
    assert RandomCrop((12, 10))(img).shape == (10, 12, 1)


def test_transforms_are_blocks():
    net = nn.Sequential()
    net.add(Resize(6), transforms.ToTensor(), transforms.Normalize(0.5, 0.5))
    hybrid = nn.HybridSequential()
    hybrid.add(Resize(6), transforms.ToTensor(), transforms.Normalize(0.5, 0.5))
    img = mx.nd.array(PICTURE, dtype="uint8")
    assert net(img).shape == (3, 6, 6)
    assert np.array_equal(net(img).asnumpy(), hybrid(img).asnumpy())
    assert not net.collect_params()


@pytest.mark.parametrize("transform", [Resize(6), Compose([Resize(6)])], ids=["one", "composed"])
def test_hooks_of_transforms_are_called(transform):
    seen = []
    last = transform[0] if isinstance(transform, Compose) else transform
    last.register_forward_hook(lambda block, inputs, output: seen.append(output.shape))
    transform(PICTURE)
    assert seen == [(6, 6, 3)]


@pytest.mark.parametrize(
    "transform", [*random_transforms(), Compose(random_transforms()[:9])], ids=repr
)
def test_transforms_are_pickled_with_their_arguments(transform):
    twin = pickle.loads(pickle.dumps(transform))
    assert repr(twin) == repr(transform)
    with random.keyed(1):
        want = transform(PICTURE)
    with random.keyed(1):
        assert np.array_equal(twin(PICTURE), want)


def test_transforms_show_their_arguments():
    assert repr(Resize(7)) == "Resize(size=7, keep_ratio=False, interpolation=1)"
    assert repr(ToTensor()) == "ToTensor()"
    assert repr(transforms.Cast("float16")) == "Cast(dtype='float16')"


def test_cast_knows_every_kind_and_torchs_types():
    cast = transforms.Cast("bfloat16")
    assert cast(torch.ones(2)).dtype == torch.bfloat16
    assert cast(mx.nd.ones((2,))).to_torch().dtype == torch.bfloat16
    assert transforms.Cast("float16")(np.ones(3)).dtype == np.float16


BAD = [
    (lambda: Resize(0), ShapeError, "at least 1, not 0"),
    (lambda: Resize((3, 4, 5)), ShapeError, r"not \(3, 4, 5\)"),
    (lambda: CenterCrop(2.5), ShapeError, r"not 2\.5"),
    (lambda: Resize(5, interpolation=7), MXNetError, "0 to 4, 9 or 10, not 7"),
    (lambda: transforms.RandomResizedCrop(5, scale=(0.5, 0.1)), MXNetError, "scale and ratio"),
    (lambda: transforms.RandomBrightness(-0.1), MXNetError, r"brightness .* not -0\.1"),
    (lambda: transforms.RandomColorJitter(hue=math.nan), MXNetError, "hue .* not nan"),
    (lambda: Normalize(0, (1, 0, 1)), MXNetError, r"std \(1, 0, 1\)"),
    (lambda: Compose([3]), MXNetError, "transforms and functions, not 3"),
    (lambda: Resize(5)([[1, 2]]), DTypeError, "not list; a file is read with mx.image.imread"),
    (lambda: Resize(5)("a.jpg"), DTypeError, "mx.image.imread"),
    (lambda: Resize(5)(np.zeros((4, 4, 3))), DTypeError, "uint8 or float32, not float64"),
    (lambda: Resize(5)(mx.nd.zeros((4, 4))), ShapeError, r"\(height, width, channels\)"),
    (lambda: RandomCrop(5)(np.zeros((2, 4, 4, 3), "uint8")), ShapeError, r"not \(2, 4, 4, 3\)"),
    (lambda: Resize(5)(torch.zeros(4, 4, 3, dtype=torch.bfloat16)), DTypeError, "not bfloat16"),
    (lambda: Normalize(0.5, 0.5)(PICTURE), DTypeError, "call to_tensor first"),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=[words for *_, words in BAD])
def test_bad_arguments_are_clear_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
