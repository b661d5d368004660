"""Compose: its list of transforms, foreign steps, and what an error says."""

import numpy as np
import pytest
import torch

import regluon as mx
from regluon.gluon import nn
from regluon.gluon.data.vision.transforms import (
    CenterCrop,
    Compose,
    Normalize,
    RandomFlipLeftRight,
    Resize,
    ToTensor,
)


PICTURE = np.random.default_rng(0).integers(0, 256, (12, 15, 3), dtype=np.uint8)


def test_the_transforms_are_a_plain_list_as_given():
    given = [Resize(8), RandomFlipLeftRight(), ToTensor()]
    steps = Compose(given)
    assert steps.transforms == given
    assert steps.transforms is not given
    assert len(given) == 3
    assert isinstance(steps, nn.Sequential)
    assert (len(steps), steps[1], steps[1:].transforms) == (3, given[1], given[1:])
    steps.add(Normalize(0.5, 0.5))
    assert len(steps.transforms) == 4
    assert steps(PICTURE).shape == (3, 8, 8)


@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy, mx.nd.array])
def test_foreign_steps_get_the_kind_that_the_whole_was_given(wrap):
    seen = []

    def look(x):
        seen.append(type(x))
        return x

    given = wrap(PICTURE.astype(np.float32))
    result = Compose([Resize(9), look, CenterCrop(6), nn.Lambda(look), ToTensor()])(given)
    assert seen == [type(given)] * 2
    assert type(result) is type(given)
    assert tuple(result.shape) == (3, 6, 6)


def test_a_compose_in_a_compose_gives_the_same_as_one_list():
    inner = Compose([CenterCrop(6), ToTensor()])
    nested = Compose([Resize(9), inner, Normalize(0.5, 0.5)])(PICTURE)
    assert np.array_equal(
        nested, Compose([Resize(9), *inner.transforms, Normalize(0.5, 0.5)])(PICTURE)
    )


def test_no_transforms_give_the_argument():
    assert Compose([])(PICTURE) is PICTURE


def test_parameters_of_blocks_inside_are_found():
    dense = nn.Dense(2, in_units=3, prefix="end_")
    assert list(Compose([ToTensor(), dense]).collect_params()) == ["end_weight", "end_bias"]


@pytest.mark.parametrize("wrap", [np.asarray, mx.nd.array])
def test_an_error_names_the_step_and_keeps_its_type(wrap):
    steps = Compose([ToTensor(), lambda x: x.nothing])
    with pytest.raises(AttributeError, match="nothing") as caught:
        steps(wrap(PICTURE))
    assert "lambda" in caught.value.__notes__[0]
    with pytest.raises(ValueError, match="to_tensor takes") as caught:
        Compose([ToTensor(), Resize(4), RandomFlipLeftRight()])(wrap(PICTURE)[0])
    assert "ToTensor()" in caught.value.__notes__[0]
