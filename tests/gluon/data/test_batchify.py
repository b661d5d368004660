"""The default batchify function: MXNet's types, one contiguous array, errors that name a sample."""

from pathlib import Path

import numpy as np
import pytest
import torch

import regluon as mx
from regluon.gluon.data import ArrayDataset, BatchError, DataLoader, default_batchify_fn


GOLDEN = dict(np.load(Path(__file__).parents[2] / "golden" / "data.npz"))
CASES = sorted({key.split("|")[1] for key in GOLDEN if key.startswith("stacked|")})


def flat(batch):
    return [a for part in batch for a in flat(part)] if isinstance(batch, list) else [batch]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("text", CASES)
def test_batches_have_mxnets_types_shapes_and_values(text, workers):
    samples = eval(text, {"mx": mx, "onp": np, "ArrayDataset": ArrayDataset})
    (batch,) = DataLoader(samples, 2, num_workers=workers)
    arrays = flat(batch)
    for place, array in enumerate(arrays):
        theirs = GOLDEN[f"stacked|{text}|{place}"]
        assert type(array) is mx.nd.NDArray
        assert array.context is mx.cpu(0)
        assert array.dtype == theirs.dtype
        assert np.array_equal(array.asnumpy(), theirs)
    assert f"stacked|{text}|{len(arrays)}" not in GOLDEN


KINDS = {
    "numpy": np.asarray,
    "transposed": lambda a: np.asarray(np.asfortranarray(a)),
    "torch": torch.tensor,
    "nd": lambda a: mx.nd.array(a, dtype=a.dtype),
    "np": lambda a: mx.np.array(a, dtype=a.dtype),
    "other context": lambda a: mx.nd.array(a, dtype=a.dtype, ctx=mx.cpu(1)),
    "big endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int64"])
def test_arrays_of_every_kind_become_one_contiguous_array(kind, dtype):
    rows = [np.arange(6, dtype=dtype).reshape(2, 3) + i for i in range(4)]
    batch = default_batchify_fn([KINDS[kind](row) for row in rows])
    assert np.dtype(batch.dtype) == dtype
    assert batch.context is mx.cpu(0)
    assert np.array_equal(batch.asnumpy(), np.stack(rows))
    assert batch.to_torch().is_contiguous()


def test_the_batch_is_a_copy():
    row = np.zeros(3, np.float32)
    batch = default_batchify_fn([row])
    row[:] = 1
    assert batch.asnumpy().tolist() == [[0, 0, 0]]


def test_numpy_semantics_give_numpy_arrays_in_threads_too():
    mx.npx.set_np()
    assert type(default_batchify_fn([1, 2])) is mx.np.ndarray
    for batch in DataLoader([1, 2, 3, 4], 2, num_workers=2):
        assert type(batch) is mx.np.ndarray


def test_bfloat16_stays_bfloat16():
    batch = default_batchify_fn([torch.ones(2, dtype=torch.bfloat16)] * 3)
    assert batch.to_torch().dtype == torch.bfloat16
    assert batch.shape == (3, 2)


def test_dicts_and_texts_stay_what_they_are():
    batch = default_batchify_fn([{"x": np.ones(2, "float32"), "name": "a"}] * 2)
    assert batch["x"].shape == (2, 2)
    assert batch["name"] == ["a", "a"]


def test_types_that_differ_meet_in_one_that_holds_all():
    assert default_batchify_fn([np.float32(1), 2.5]).dtype == np.float64
    assert default_batchify_fn([np.ones(2, "uint8"), np.ones(2, "int16")]).dtype == np.int16


ODD = {
    "shape": ([np.ones((2, 3))] * 2 + [np.ones((3, 2))], 2, r"shape \(2, 3\).* shape \(3, 2\)"),
    "parts": ([(1, 2), (1, 2, 3)], 1, "2 parts.* 3 parts"),
    "tuple": ([(1, 2), 5], 1, "2 parts.* type int"),
    "array": ([5, (1, 2)], 1, r"shape \(\).* shape \(2,\)"),
    "keys": ([{"a": 1}, {"b": 1}], 1, r"keys \['a'\].* keys \['b'\]"),
    "none": ([1, 2, None], 2, "not NoneType"),
    "object": ([object()], 0, "not object"),
    "ragged": ([[1, 2], [[1], 2]], 1, "no array"),
    "text": ([1, "a"], 1, "not str"),
    "bfloat16": ([torch.ones(n, dtype=torch.bfloat16) for n in (2, 3)], 1, "shape"),
}


@pytest.mark.parametrize(("samples", "position", "words"), ODD.values(), ids=ODD)
def test_a_sample_that_does_not_fit_is_named(samples, position, words):
    with pytest.raises(BatchError, match=words) as caught:
        default_batchify_fn(samples)
    assert caught.value.position == position
