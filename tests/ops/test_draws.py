"""Random draws against histograms of what MXNet 1.9.1 draws (tools/golden_image.py)."""

import math
from pathlib import Path

import numpy as np
import pytest

from regluon.base import MXNetError
from regluon.ops import draws, pixels


GOLDEN = dict(np.load(Path(__file__).parent.parent / "golden" / "image.npz"))
COUNT = 20_000
RANGES = {"area": (0, 1), "shape": (math.log(0.7), math.log(1.43)), "left": (0, 1), "top": (0, 1)}


def histograms(what):
    return [key.split("|")[1:] for key in GOLDEN if key.startswith(what + "|")]


def differs(ours, theirs):
    """Return the chi-squared distance of two histograms in units of its expected spread.

    Both are samples of one distribution when this is a standard normal number, roughly.
    """
    assert ours.sum() == theirs.sum()
    seen = ours + theirs > 0
    distance = ((ours - theirs)[seen] ** 2 / (ours + theirs)[seen]).sum()
    freedom = seen.sum() - 1
    return (distance - freedom) / math.sqrt(2 * freedom)


@pytest.fixture(scope="module")
def boxes():
    """Return a function that draws many boxes, once for each kind of picture."""
    known = {}

    def draw(height, width, smallest):
        key = (height, width, smallest)
        if key not in known:
            rng = np.random.default_rng(1)
            drawn = [draws.draw_resized_crop(rng, *key[:2], 8, smallest) for _ in range(COUNT)]
            known[key] = np.array(drawn).T
        return known[key]

    return draw


@pytest.mark.parametrize(
    ("name", "measure", "height", "width", "smallest"), histograms("draws"), ids="-".join
)
def test_random_crops_are_distributed_as_mxnets(name, measure, height, width, smallest, boxes):
    x, y, w, h = boxes(int(height), int(width), float(smallest))
    values = {
        "area": w * h / (int(height) * int(width)),
        "shape": np.log(w / h),
        "left": x / int(width),
        "top": y / int(height),
    }[measure]
    counts = np.histogram(values, 25, RANGES[measure])[0]
    theirs = GOLDEN["|".join(("draws", name, measure, height, width, smallest))]
    assert differs(counts, theirs) < 4


def test_the_comparison_of_histograms_sees_a_uniform_ratio():
    rng = np.random.default_rng(1)
    area, shape = rng.uniform(0.08, 1, COUNT), rng.uniform(3 / 4, 4 / 3, COUNT)
    w, h = np.sqrt(area * 375 * 500 * shape), np.sqrt(area * 375 * 500 / shape)
    fits = (w <= 500) & (h <= 375)
    counts = np.histogram(np.log(w / h)[fits], 25, RANGES["shape"])[0]
    theirs = GOLDEN["draws|photo|shape|375|500|0.08"]
    assert differs(counts * (theirs.sum() / counts.sum()), theirs * 1.0) > 20


@pytest.mark.parametrize("amount", [0.4, 1.5])
def test_factors_are_distributed_as_mxnets(amount):
    rng = np.random.default_rng(2)
    factors = [draws.draw_factor(rng, amount) for _ in range(COUNT // 4)]
    assert max(0, 1 - amount) <= min(factors)
    assert max(factors) <= 1 + amount
    counts = np.histogram(factors, 25, (0, 2.5))[0]
    assert differs(counts, GOLDEN[f"factors|{amount}"]) < 4


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (2, 3), (700, 2), (30, 40)])
def test_every_box_lies_in_its_picture(height, width):
    rng = np.random.default_rng(3)
    for _ in range(300):
        x, y, w, h = draws.draw_resized_crop(rng, height, width, (24, 16))
        assert x >= 0
        assert y >= 0
        assert 0 < w <= width - x
        assert 0 < h <= height - y


def test_a_box_that_never_fits_becomes_the_center_crop_of_the_goal():
    rng = np.random.default_rng(4)
    box = draws.draw_resized_crop(rng, 100, 1000, (60, 40), scale=(0.9, 1.0))
    assert box == pixels.center_box(100, 1000, (60, 40)) == (470, 30, 60, 40)


def test_one_number_as_scale_is_the_lower_end():
    pair, single = np.random.default_rng(5), np.random.default_rng(5)
    for _ in range(20):
        box = draws.draw_resized_crop(pair, 300, 400, 8, (0.3, 1.0))
        assert box == draws.draw_resized_crop(single, 300, 400, 8, 0.3)


def test_jitter_draws_the_wanted_steps_in_every_order():
    rng = np.random.default_rng(6)
    orders = set()
    for _ in range(500):
        steps = draws.draw_jitter(rng, 0.4, 0.3, 0.2, 0.1)
        orders.add(tuple(adjust.__name__ for adjust, _ in steps))
        amounts = {adjust.__name__: abs(alpha - 1) for adjust, alpha in steps}
        assert amounts["adjust_brightness"] <= 0.4
        assert amounts["adjust_hue"] <= 0.1
    assert len(orders) == 24
    assert [adjust for adjust, _ in draws.draw_jitter(rng, hue=0.1)] == [pixels.adjust_hue]
    assert draws.draw_jitter(rng) == []


def test_draws_repeat_with_the_generators_seed():
    def everything(seed):
        rng = np.random.default_rng(seed)
        box = draws.draw_resized_crop(rng, 30, 40, 8)
        return box, draws.draw_factor(rng, 0.4), draws.draw_jitter(rng, 0.4, 0.4, 0.4, 0.1)

    assert everything(7) == everything(7) != everything(8)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda rng: draws.draw_resized_crop(rng, 9, 9, 8, (0.5, 0.1)), "scale and ratio"),
        (lambda rng: draws.draw_resized_crop(rng, 9, 9, 8, 0.0), "scale and ratio"),
        (lambda rng: draws.draw_resized_crop(rng, 9, 9, 8, 0.5, (2, 1)), "scale and ratio"),
        (lambda rng: draws.draw_factor(rng, -0.1), "at least 0, not -0.1"),
    ],
)
def test_bad_ranges_are_clear_errors(call, words):
    with pytest.raises(MXNetError, match=words):
        call(np.random.default_rng(0))
