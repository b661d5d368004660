"""Datasets: selecting, transforming and combining samples."""

import numpy as np
import pytest
import torch

import regluon as mx
from regluon.base import MXNetError, ShapeError
from regluon.gluon.data import (
    ArrayDataset,
    Dataset,
    RandomSampler,
    SequentialSampler,
    SimpleDataset,
)


LETTERS = SimpleDataset(list("abcdefg"))


class Described(SimpleDataset):
    def describe(self, idx):
        return f"letter {self[idx]}"


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 9])
def test_shards_are_even_and_together_everything(shards):
    parts = [list(LETTERS.shard(shards, index)) for index in range(shards)]
    assert [letter for part in parts for letter in part] == list("abcdefg")
    sizes = [len(part) for part in parts]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) - min(sizes) <= 1


def test_take_filter_and_sample():
    assert list(LETTERS.take(3)) == ["a", "b", "c"]
    assert list(LETTERS.take(None)) == list(LETTERS.take(99)) == list("abcdefg")
    assert list(LETTERS.filter(lambda x: x > "d")) == ["e", "f", "g"]
    assert list(LETTERS.sample(SequentialSampler(2, 4))) == ["e", "f"]
    shuffled = LETTERS.sample(RandomSampler(7))
    assert sorted(shuffled) == list("abcdefg")
    assert list(shuffled) == list(shuffled)


def test_transform_unpacks_tuples_and_can_be_eager():
    calls = []

    def swap(a, b):
        calls.append(a)
        return b, a

    pairs = ArrayDataset([1, 2], ["x", "y"])
    lazy, eager = pairs.transform(swap), pairs.transform(swap, lazy=False)
    assert calls == [1, 2]
    assert list(eager) == list(eager) == [("x", 1), ("y", 2)]
    assert calls == [1, 2]
    assert list(lazy) == list(lazy)
    assert calls == [1, 2] * 3
    assert list(LETTERS.transform(str.upper)) == list("ABCDEFG")
    assert list(LETTERS.transform_first(str.upper).take(1)) == ["A"]
    assert list(pairs.transform_first(lambda x: -x, lazy=False)) == [(-1, "x"), (-2, "y")]


def test_an_index_error_of_a_transform_does_not_end_the_dataset():
    broken = LETTERS.transform(lambda x: [1, 2, 3][10])
    with pytest.raises(IndexError):
        list(broken)
    with pytest.raises(IndexError):
        LETTERS.transform(lambda x: [1, 2, 3][10], lazy=False)


def test_arrays_of_any_kind_are_combined():
    data = ArrayDataset(
        mx.nd.array([[1, 2], [3, 4]]), np.eye(2), torch.arange(2), mx.nd.array([5, 6]), "ab"
    )
    sample = data[1]
    assert [type(part).__name__ for part in sample] == [
        "NDArray", "ndarray", "Tensor", "float32", "str",
    ]  # fmt: skip
    assert sample[0].asnumpy().tolist() == [3, 4]
    assert sample[3:] == (6, "b")
    assert len(ArrayDataset(mx.np.ones((3, 2)))) == 3
    assert list(ArrayDataset([7, 8])) == [7, 8]


def test_descriptions_pass_through_every_dataset():
    data = Described(list("abcdefg"))
    chain = data.filter(lambda x: x > "b").take(4).shard(2, 1).transform(str.upper)
    assert list(chain) == ["E", "F"]
    assert [chain.describe(i) for i in range(2)] == ["letter e", "letter f"]
    assert ArrayDataset([1] * 7, data).describe(3) == "letter d"
    assert SimpleDataset(data).describe(0) == "letter a"
    assert LETTERS.transform(str.upper).describe(0) == ""


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ArrayDataset(), MXNetError, "at least one"),
        (lambda: ArrayDataset([1, 2], [1, 2, 3]), ShapeError, r"\[2, 3\]"),
        (lambda: LETTERS.shard(3, 3), MXNetError, "got 3 of 3"),
        (lambda: LETTERS.shard(0, 0), MXNetError, "got 0 of 0"),
        (lambda: LETTERS.take(-1), MXNetError, "from 0, not -1"),
        (lambda: LETTERS.sample([1, 2]), TypeError, r"gluon\.data\.Sampler, not list"),
        (lambda: Dataset()[0], NotImplementedError, "must define __getitem__"),
        (lambda: len(Dataset()), NotImplementedError, "must define __len__"),
    ],
)
def test_bad_arguments_are_clear_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
