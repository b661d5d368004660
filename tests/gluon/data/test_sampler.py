"""Samplers: MXNet's batches, and orders that follow from seed and epoch."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

import regluon as mx
from regluon.base import MXNetError
from regluon.gluon.data import (
    BatchSampler,
    FilterSampler,
    IntervalSampler,
    RandomSampler,
    SequentialSampler,
)


GOLDEN = dict(np.load(Path(__file__).parents[2] / "golden" / "data.npz"))
CASES = [key.split("|")[1:] for key in GOLDEN if key.startswith("batches|")]


@pytest.mark.parametrize(("last", "length", "size"), CASES, ids="-".join)
def test_batches_and_lengths_of_three_epochs_are_mxnets(last, length, size):
    sampler = BatchSampler(SequentialSampler(int(length), 10), int(size), last)
    numbers, lengths = [], []
    for _ in range(3):
        lengths.append(len(sampler))
        for batch in sampler:
            numbers += [*batch, -1]
        numbers.append(-2)
    key = f"{last}|{length}|{size}"
    assert numbers == GOLDEN[f"batches|{key}"].tolist()
    assert lengths == GOLDEN[f"lengths|{key}"].tolist()


def test_a_random_order_follows_from_seed_and_epoch():
    sampler = RandomSampler(50)
    epochs = [list(sampler) for _ in range(3)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    sampler.set_epoch(1)
    mx.nd.random.uniform(shape=(3,)).wait_to_read()
    assert list(sampler) == epochs[1]
    mx.random.seed(1)
    sampler.set_epoch(1)
    assert list(sampler) != epochs[1]


def test_random_orders_are_even():
    sampler = RandomSampler(4)
    counts = Counter(tuple(sampler) for _ in range(2400))
    assert len(counts) == 24
    assert 60 < min(counts.values()) <= max(counts.values()) < 145


def test_numbers_are_plain_integers():
    assert {type(number) for number in RandomSampler(5)} == {int}
    assert list(RandomSampler(0)) == []


def test_a_batch_sampler_tells_its_sampler_the_epoch():
    batches = BatchSampler(RandomSampler(9), 4)
    first, second = list(batches), list(batches)
    batches.set_epoch(0)
    assert [list(batches), list(batches)] == [first, second]
    BatchSampler([3, 1, 2], 2).set_epoch(5)


def test_two_iterations_at_once_do_not_mix_their_orders():
    batches = BatchSampler(RandomSampler(9), 2)
    want = [list(batches), list(batches)]
    batches.set_epoch(0)
    one, two = iter(batches), iter(batches)
    pairs = list(zip(one, two, strict=True))
    assert [list(side) for side in zip(*pairs, strict=True)] == want


def test_samplers_of_torch_can_be_batched():
    generator = torch.Generator().manual_seed(0)
    sampler = torch.utils.data.WeightedRandomSampler([1.0, 0.0, 1.0], 8, generator=generator)
    assert {number for batch in BatchSampler(sampler, 3) for number in batch} == {0, 2}


def test_filter_and_interval():
    assert list(FilterSampler(lambda x: x % 2, [1, 2, 3])) == [0, 2]
    assert len(FilterSampler(lambda x: x % 2, [1, 2, 3])) == 2
    assert sorted(IntervalSampler(10, 4)) == list(range(10))
    assert len(IntervalSampler(10, 4, rollover=False)) == 3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: BatchSampler([1], 0), "from 1, not 0"),
        (lambda: BatchSampler([1], 2.0), r"from 1, not 2\.0"),
        (lambda: BatchSampler([1], 2, "roll_over"), "not 'roll_over'; did you mean 'rollover'"),
        (lambda: IntervalSampler(3, 4), "1 to the length 3, not 4"),
    ],
)
def test_bad_arguments_are_clear_errors(call, words):
    with pytest.raises(MXNetError, match=words):
        call()


def test_a_length_that_nobody_knows_is_an_error_when_it_is_asked_for():
    batches = BatchSampler(iter([1, 2, 3]), 2)
    with pytest.raises(TypeError, match="does not say how long"):
        len(batches)
    assert list(batches) == [[1, 2], [3]]
