"""DataLoader: the same batches however many threads, exact resume, and its arguments."""

import json
import threading

import cv2
import numpy as np
import pytest
import torch

import regluon as mx
from regluon import autograd
from regluon.base import MXNetError
from regluon.gluon.data import (
    ArrayDataset,
    BatchSampler,
    DataLoader,
    Dataset,
    SequentialSampler,
    sample_generator,
)
from regluon.gluon.data.vision import transforms


WORKERS = [0, 1, 2, 4]
PICTURES = np.random.default_rng(0).integers(0, 256, (11, 20, 24, 3), dtype=np.uint8)
AUGMENT = transforms.Compose(
    [
        transforms.RandomResizedCrop(8),
        transforms.RandomFlipLeftRight(),
        transforms.RandomColorJitter(0.4, 0.4, 0.4, 0.1),
        transforms.RandomLighting(0.1),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
)


def pictures():
    return ArrayDataset(PICTURES, list(range(11))).transform_first(AUGMENT)


def bits(batches):
    """Return everything in batches of (picture, label) as bytes."""
    return [(x.asnumpy().tobytes(), *y.asnumpy().tolist()) for x, y in batches]


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    assert not [thread for thread in threading.enumerate() if "data loader" in thread.name]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("last_batch", ["keep", "discard", "rollover"])
def test_batches_do_not_depend_on_the_number_of_workers(shuffle, last_batch):
    results = []
    for workers in WORKERS:
        loader = DataLoader(
            pictures(), 4, shuffle=shuffle, last_batch=last_batch, num_workers=workers
        )
        results.append([bits(loader) for _ in range(3)])
    assert all(result == results[0] for result in results)
    assert len({batch for epoch in results[0] for batch in epoch}) == sum(map(len, results[0]))


@pytest.mark.parametrize("prefetch", [0, 1, 50])
def test_batches_do_not_depend_on_prefetching(prefetch):
    want = bits(DataLoader(pictures(), 3, shuffle=True))
    assert bits(DataLoader(pictures(), 3, True, num_workers=2, prefetch=prefetch)) == want


def test_arrays_of_ours_and_random_operators_are_keyed_too():
    def noisy(x, y):
        return x + mx.nd.random.normal(shape=(2,)) * float(sample_generator().random()), y

    data = ArrayDataset(mx.nd.ones((9, 2)), list(range(9))).transform(noisy)
    results = [bits(DataLoader(data, 2, num_workers=workers)) for workers in WORKERS]
    assert all(result == results[0] for result in results)
    assert len({values for values, *_ in results[0]}) == 5


def test_a_sample_looks_the_same_whatever_the_order_and_the_size_of_batches():
    def by_label(loader):
        return {
            int(y): x.asnumpy().tobytes()
            for xs, ys in loader
            for x, y in zip(xs, ys.asnumpy(), strict=True)
        }

    want = by_label(DataLoader(pictures(), 4))
    assert by_label(DataLoader(pictures(), 3, shuffle=True, num_workers=2)) == want
    assert by_label(DataLoader(pictures(), 1, sampler=[3, 1])).items() <= want.items()


def test_a_sample_drawn_twice_in_an_epoch_looks_different_each_time():
    draw = [lambda _: sample_generator().random()]
    data = ArrayDataset(range(3)).transform(draw[0])
    values = [
        [
            float(x)
            for batch in DataLoader(data, 2, sampler=[2, 0, 2, 2], num_workers=n)
            for x in batch.asnumpy()
        ]
        for n in WORKERS
    ]
    assert all(result == values[0] for result in values)
    assert len(set(values[0])) == 4


def test_epochs_differ_and_a_seed_repeats_them():
    loader = DataLoader(pictures(), 4, shuffle=True, num_workers=2)
    first, second = bits(loader), bits(loader)
    assert first != second
    loader.set_epoch(0)
    assert [bits(loader), bits(loader)] == [first, second]
    mx.random.seed(8)
    loader.set_epoch(0)
    assert bits(loader) != first
    mx.random.seed(0)
    assert bits(DataLoader(pictures(), 4, shuffle=True)) == first


def test_loaders_side_by_side_are_alike_unless_their_streams_differ():
    one, same, other = (
        DataLoader(pictures(), 4, shuffle=True, num_workers=1, stream=stream)
        for stream in (0, 0, 1)
    )
    rows = bits(one)
    assert bits(same) == rows
    labels = [labels for _, *labels in bits(other)]
    assert labels != [labels for _, *labels in rows]
    assert sorted(sum(labels, [])) == list(range(11))  # noqa: RUF017


def test_draws_of_the_program_and_of_the_batchify_function_do_not_disturb():
    def noisy(samples):
        return mx.nd.array([sample_generator().random(), len(samples)])

    want = [batch.asnumpy().tolist() for batch in DataLoader([1, 2, 3], 2, batchify_fn=noisy)]
    loader = DataLoader([1, 2, 3], 2, batchify_fn=noisy, num_workers=2)
    batches = []
    for batch in loader:
        mx.nd.random.normal(shape=(1,)).wait_to_read()
        sample_generator().random()
        batches.append(batch.asnumpy().tolist())
    assert batches == want
    assert want[0][0] != want[1][0]


@pytest.mark.parametrize("last_batch", ["keep", "rollover"])
@pytest.mark.parametrize(("before", "after"), [(0, 0), (0, 3), (2, 0), (2, 3)])
def test_a_run_resumes_bit_for_bit_after_any_batch(before, after, last_batch):
    def new(workers):
        return DataLoader(pictures(), 3, True, last_batch=last_batch, num_workers=workers)

    loader, want, states = new(before), [], [new(before).state_dict()]
    for _ in range(3):
        for batch in loader:
            want += bits([batch])
            states.append(loader.state_dict())
    for count, state in enumerate(states):
        resumed = new(after)
        resumed.load_state_dict(json.loads(json.dumps(state)))
        rest = []
        while len(rest) < len(want) - count:
            rest += bits(resumed)
        assert rest[: len(want) - count] == want[count:]


def test_the_state_after_the_last_batch_leaves_an_empty_rest():
    loader = DataLoader([1, 2, 3, 4], 2)
    for _ in loader:
        state = loader.state_dict()
    resumed = DataLoader([1, 2, 3, 4], 2)
    resumed.load_state_dict(state)
    assert [len(list(resumed)) for _ in range(2)] == [0, 2]
    assert loader.state_dict() == {"seed": 0, "epoch": 1, "batch": 0, "leftover": []}


def test_an_epoch_that_was_left_is_over_for_the_state_and_for_what_rolls_over():
    for workers in (0, 2):
        loader = DataLoader(list(range(5)), 2, last_batch="rollover", num_workers=workers)
        for _ in loader:
            break
        assert loader.state_dict() == {"seed": 0, "epoch": 1, "batch": 0, "leftover": []}
        assert [batch.asnumpy().tolist() for batch in loader] == [[0, 1], [2, 3]]
        assert [batch.asnumpy().tolist() for batch in loader] == [[4, 0], [1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 3}, r"under seed 3, and the seed is 0 now: call mx\.random\.seed\(3\)"),
        ({"batch": 7}, "continue at batch 7, but its epochs have only 2 batches"),
        ({"epoch": None}, "it has no epoch"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(change, words):
    loader = DataLoader([1, 2, 3], 2)
    state = {**loader.state_dict(), **change}

    def resume():
        loader.load_state_dict({k: v for k, v in state.items() if v is not None})
        return iter(loader)

    with pytest.raises(MXNetError, match=words):
        resume()


def test_two_iterations_at_once_are_two_epochs():
    want = DataLoader(pictures(), 4, shuffle=True)
    epochs = [bits(want), bits(want)]
    loader = DataLoader(pictures(), 4, shuffle=True, num_workers=2)
    pairs = list(zip(iter(loader), iter(loader), strict=True))
    assert [bits(side) for side in zip(*pairs, strict=True)] == epochs


def test_lengths_and_own_samplers():
    data = list(range(7))
    assert [len(DataLoader(data, 3, last_batch=last)) for last in ("keep", "discard")] == [3, 2]
    own = BatchSampler(SequentialSampler(4, 3), 3)
    assert [b.asnumpy().tolist() for b in DataLoader(data, batch_sampler=own)] == [[3, 4, 5], [6]]
    assert [b.asnumpy().tolist() for b in DataLoader(data, batch_sampler=[[6], [0, 1]])] == [
        [6],
        [0, 1],
    ]
    assert [b.asnumpy().tolist() for b in DataLoader(data, 2, sampler=np.array([5, 1, 2]))] == [
        [5, 1],
        [2],
    ]
    assert [
        len(DataLoader(mx.nd.ones((5, 2)), 2)),
        len(list(DataLoader([], 2, num_workers=2))),
    ] == [3, 0]


def test_mxnets_arguments_are_accepted():
    loader = DataLoader(
        [1, 2], 1, False, None, "keep", None, None, 1, False, 0, 2, True, 120, auto_reload=True
    )
    assert [int(batch.asscalar()) for batch in loader] == [1, 2]
    assert len(list(DataLoader([1, 2], 1, num_workers=-1))) == 2


def test_pinned_memory_is_used_only_with_a_gpu():
    (batch,) = DataLoader(ArrayDataset([1.0, 2.0], [3, 4]), 2, pin_memory=True)
    want = mx.cpu_pinned(0) if torch.cuda.is_available() else mx.cpu(0)
    assert [part.context for part in batch] == [want, want]


def test_workers_have_the_callers_context_and_record_nothing():
    class Look(Dataset):
        def __len__(self):
            return 4

        def __getitem__(self, idx):
            seen.add((mx.current_context(), autograd.is_recording(), autograd.is_training()))
            return idx

    for workers in (0, 2):
        seen = set()
        with autograd.record(), mx.cpu(1):
            for _ in DataLoader(Look(), 2, num_workers=workers):
                pass
            assert autograd.is_recording()
        assert seen == {(mx.cpu(1), False, False)}


def test_opencv_starts_no_threads_of_its_own_in_workers_and_goes_on_afterwards():
    before, seen = cv2.getNumThreads(), []

    def look(x):
        seen.append(cv2.getNumThreads())
        return x

    cv2.setNumThreads(3)
    try:
        one = iter(DataLoader(ArrayDataset([1, 2]).transform(look), 1, num_workers=1))
        list(DataLoader(ArrayDataset([1, 2]).transform(look), 1, num_workers=2))
        list(one)
        assert seen == [1] * 4
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "needs a batch_size"),
        ({"batch_size": 0}, "from 1, not 0"),
        ({"batch_size": 2, "shuffle": True, "sampler": [0]}, "either shuffle=True or a sampler"),
        ({"batch_size": 2, "batch_sampler": [[0]]}, "batch_sampler makes the batches itself"),
        ({"batch_size": 2, "timeout": 0}, "above 0, not 0"),
        ({"batch_size": 2, "last_batch": "drop"}, "not 'drop'"),
    ],
)
def test_bad_arguments_are_clear_errors(arguments, words):
    with pytest.raises(MXNetError, match=words):
        DataLoader([1, 2, 3], **arguments)
