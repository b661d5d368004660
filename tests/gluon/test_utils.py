"""Batches over contexts, clipping, hooks."""

import numpy as onp
import pytest

import regluon as mx
from regluon.gluon.utils import HookHandle, clip_global_norm, split_and_load, split_data


@pytest.mark.parametrize(
    ("shape", "parts", "axis", "even", "lengths"),
    [
        ((4, 3), 2, 0, True, [2, 2]),
        ((5, 3), 2, 0, False, [3, 2]),
        ((7, 3), 3, 0, False, [3, 2, 2]),
        ((8, 2), 5, 0, False, [2, 2, 2, 1, 1]),
        ((3, 5), 2, 1, False, [3, 2]),
        ((3, 4), 2, 1, True, [2, 2]),
        ((3, 4), 2, -1, True, [2, 2]),
        ((3, 4), 1, 0, True, [3]),
    ],
)
def test_split_data_cuts_like_mxnet(shape, parts, axis, even, lengths):
    x = onp.arange(onp.prod(shape)).reshape(shape)
    found = split_data(mx.nd.array(x), parts, axis, even)
    assert [part.shape[axis] for part in found] == lengths
    assert (onp.concatenate([part.asnumpy() for part in found], axis) == x).all()


def test_uneven_parts_are_an_error_that_says_what_to_do():
    for size, parts, even in [(5, 2, True), (0, 2, False), (4, 0, True)]:
        with pytest.raises(mx.base.ShapeError, match="cannot be split into"):
            split_data(mx.nd.ones((size, 3)), parts, even_split=even)


def test_split_and_load_brings_each_part_to_its_context():
    contexts = [mx.cpu(0), mx.cpu(1)]
    parts = split_and_load(onp.ones((4, 2)), contexts)
    assert [(p.context, p.shape) for p in parts] == [(ctx, (2, 2)) for ctx in contexts]
    (whole,) = split_and_load(mx.nd.ones((3, 2)), [mx.cpu(2)])
    assert whole.context is mx.cpu(2)


def test_the_last_batch_may_be_uneven_or_smaller_than_the_number_of_contexts():
    contexts = [mx.cpu(place) for place in range(3)]
    for size, lengths in [(5, [2, 2, 1]), (2, [1, 1]), (1, [1])]:
        data = mx.nd.arange(size * 2).reshape((size, 2))
        parts = split_and_load(data, contexts, even_split=False)
        assert [part.context for part in parts] == contexts[: len(lengths)]
        assert [len(part) for part in parts] == lengths
        assert (mx.nd.concat(*[p.as_in_context(mx.cpu()) for p in parts], dim=0) == data).min()


@pytest.mark.parametrize("kind", ["nd", "np"])
@pytest.mark.parametrize(("limit", "largest"), [(2.5, 2.0), (50.0, 4.0)])
def test_clip_global_norm_scales_all_arrays_in_place(kind, limit, largest):
    space = getattr(mx, kind)
    arrays = [space.array([3.0, 0.0]), space.array([[4.0]], ctx=mx.cpu(1))]
    norm = clip_global_norm(arrays, limit)
    assert norm == pytest.approx(5.0)
    assert arrays[1].asnumpy().max() == pytest.approx(largest)


def test_clip_global_norm_without_waiting_returns_an_array():
    norm = clip_global_norm([mx.nd.array([3.0, 4.0])], 1.0, check_isfinite=False)
    assert norm.shape == (1,)
    assert norm.item() == pytest.approx(5.0)


def test_a_norm_that_is_not_finite_gives_a_warning():
    with pytest.warns(UserWarning, match="nan or inf"):
        clip_global_norm([mx.nd.array([float("nan")])], 1.0)
    with pytest.raises(mx.MXNetError, match="at least one array"):
        clip_global_norm([], 1.0)


def test_two_handles_of_one_hook_are_independent():
    hooks = {}
    first, second = HookHandle(hooks, print), HookHandle(hooks, print)
    first.detach()
    assert list(hooks.values()) == [print]
    with second:
        pass
    assert hooks == {}
