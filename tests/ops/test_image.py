"""Random operators on pictures: drawn anew for each picture, within their limits, by the seed."""

import pytest

import regluon as mx
from regluon import nd


BATCH = nd.arange(2 * 3 * 3).reshape((1, 2, 3, 3)).repeat(200, axis=0)


def test_half_of_a_batch_is_mirrored_and_the_rest_left_as_it_is():
    mx.random.seed(1)
    flipped = nd.image.random_flip_left_right(BATCH).asnumpy()
    was = (flipped == BATCH.asnumpy()).all((1, 2, 3))
    turned = (flipped == BATCH.asnumpy()[:, :, ::-1]).all((1, 2, 3))
    assert (was | turned).all()
    assert 70 < turned.sum() < 130


def test_factors_are_drawn_uniformly_for_each_picture():
    mx.random.seed(2)
    bright = nd.image.random_brightness(BATCH, 0.5, 1.5).asnumpy()
    factors = bright[:, 1, 2, 2] / BATCH.asnumpy()[:, 1, 2, 2]
    assert 0.5 <= factors.min() < 0.55
    assert 1.45 < factors.max() <= 1.5
    assert abs(factors.mean() - 1) < 0.06


CALLS = {
    "random_flip_top_bottom": (),
    "random_lighting": (0.5,),
    "random_hue": (0.5, 1.5),
    "random_color_jitter": (0.5, 0.5, 0.5, 0.5),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_same_seed_gives_the_same_pictures(name):
    results = []
    for seed in (3, 3, 4):
        mx.random.seed(seed)
        results.append(getattr(nd.image, name)(BATCH, *CALLS[name]).asnumpy())
    assert (results[0] == results[1]).all()
    assert (results[0] != results[2]).any()


def test_an_amount_of_zero_changes_nothing():
    same = nd.image.random_color_jitter(BATCH, 0, 0, 0, 0)
    assert (same.asnumpy() == BATCH.asnumpy()).all()
