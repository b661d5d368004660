"""Stores of one process: values, sums, updates, homes, groups, waiting, failures."""

import math

import numpy as onp
import pytest

import regluon as mx
from regluon.array.dispatch import push
from regluon.base import DTypeError, FormatError, MXNetError, ShapeError


CONTEXTS = [mx.cpu(0), mx.cpu(1), mx.cpu(2)]


@pytest.fixture(params=["local", "device"])
def store(request):
    return mx.kv.create(request.param)


def on(*values, shape=(2,), dtype="float32"):
    """Arrays of one value each, on the first contexts."""
    return [
        mx.nd.full(shape, value, ctx=ctx, dtype=dtype)
        for value, ctx in zip(values, CONTEXTS, strict=False)
    ]


def values(arrays):
    return [array.asnumpy().ravel()[0].item() for array in arrays]


# Values


def test_a_value_is_what_was_given_and_then_the_sum_of_what_was_pushed(store):
    start = mx.nd.ones((2,)) * 2
    store.init("3", start)
    start[:] = 9
    out = mx.nd.zeros((2,))
    for pushed, wanted in [(None, 2), (on(8), 8), (on(1, 1), 2), (on(1, 2, 3)[::-1], 6)]:
        if pushed is not None:
            store.push("3", pushed)
        store.pull("3", out=out)
        assert out.asnumpy().tolist() == [wanted] * 2
    assert values(on(1, 2, 3)) == [1, 2, 3]


def test_lists_of_keys_and_nested_lists_of_arrays(store):
    store.init(["5", "7"], [mx.nd.ones((2,)), [mx.nd.ones((3,)) * 2]])
    outs = [on(0, 0), on(0, 0, shape=(3,))]
    store.pull(["5", "7"], out=outs)
    assert [values(out) for out in outs] == [[1, 1], [2, 2]]
    store.push(["5", "7", "5"], [on(1)[0], on(3, 4, shape=(3,)), on(2, 3)])
    store.pull(("7", "5"), out=(outs[1], outs[0][0]))
    assert [values(out) for out in outs] == [[6, 1], [7, 7]]


def test_pushpull_writes_to_out_or_to_what_was_pushed(store):
    store.init(1, mx.nd.zeros((2,)))
    pushed, out = on(1, 2), on(0)
    store.pushpull(1, pushed, out=out)
    assert (values(pushed), values(out)) == ([1, 2], [3])
    store.pushpull(1, pushed)
    assert values(pushed) == [3, 3]


def test_broadcast_enters_a_key_and_fills_all_copies(store):
    outs = [on(0, 0), on(0, 0, 0)]
    store.broadcast(["a", "b"], [on(4)[0], on(5)[0]], out=outs)
    assert [values(out) for out in outs] == [[4, 4], [5, 5, 5]]
    store.push("a", on(1, 1))
    store.pull("a", out=outs[0])
    assert values(outs[0]) == [2, 2]


def test_types_are_converted_on_the_way_out_only(store):
    store.init("w", mx.nd.ones((2,)))
    exact = mx.nd.array([1 / 3, 1e-300], dtype="float64")
    store.push("w", [exact, exact.as_in_context(mx.cpu(1))])
    for dtype in ("float64", "float32", "float16", "int32"):
        out = mx.nd.zeros((2,), dtype=dtype)
        store.pull("w", out=out)
        assert out.dtype == onp.dtype(dtype)
        onp.testing.assert_array_equal(out.asnumpy(), (exact.asnumpy() * 2).astype(dtype))


def test_a_part_of_an_array_can_be_filled(store):
    store.init("w", mx.nd.ones((2,)) * 3)
    whole = mx.nd.zeros((3, 2))
    store.pull("w", out=whole[1])
    assert whole.asnumpy().tolist() == [[0, 0], [3, 3], [0, 0]]


def test_copies_of_what_is_overwritten_keep_their_values(store):
    store.init("w", mx.nd.ones((2, 1)) * 3)
    out = mx.nd.zeros((2, 1))
    before = out.T
    store.pull("w", out=out)
    assert before.asnumpy().tolist() == [[0, 0]]


def test_sums_are_taken_in_the_order_of_the_arrays(store):
    store.init("w", mx.nd.zeros((2,)))
    pushed = on(1e8, -1e8, 1)
    out = mx.nd.zeros((2,))
    for order, wanted in [((0, 1, 2), 1), ((0, 2, 1), 0), ((2, 0, 1), 0)]:
        store.pushpull("w", [pushed[place] for place in order], out=out)
        assert values([out]) == [wanted]


# Updates


def test_a_function_of_the_users_updates_with_its_keys(store):
    seen = []

    def double(key, total, value):
        seen.append(key)
        value += total * 2

    store.set_updater(double)
    store.init([4, 5], [mx.nd.ones((2,))] * 2)
    store.push([5, 4], [on(1, 1), on(1)])
    outs = on(0)[0], on(0)[0]
    store.pull([4, 5], out=outs)
    assert (values(outs), seen) == ([3, 5], [5, 4])
    store._set_updater(lambda key, total, value: value.__isub__(total))
    store.pushpull(4, on(1), out=outs[0])
    assert values(outs[:1]) == [2]


def test_an_optimizer_updates_as_in_mxnet(store):
    store.init(3, mx.nd.zeros((2,)))
    store.set_optimizer(mx.optimizer.SGD(momentum=0.9))
    out = mx.nd.zeros((2,))
    store.push(3, on(1)[0])
    store.pull(3, out=out)
    assert values([out]) == pytest.approx([-0.01])
    store.pushpull(3, on(1, 1), out=out)
    assert values([out]) == pytest.approx([-0.039])


def test_half_precision_is_updated_through_a_copy(store):
    store.init(0, mx.nd.ones((2,), dtype="float16"))
    store.set_optimizer(mx.optimizer.SGD(learning_rate=1e-4, multi_precision=True))
    out = mx.nd.zeros((2,), dtype="float16")
    for _ in range(20):
        store.pushpull(0, on(1, 1, dtype="float16"), out=out)
    assert values([out]) == pytest.approx([0.996], abs=1e-3)


@pytest.mark.parametrize("dump", [True, False])
def test_states_are_saved_and_loaded(store, dump, tmp_path):
    def new(rate):
        kv = mx.kv.create(store.type)
        kv.init(["a", "b"], [mx.nd.ones((2,)), mx.nd.ones((3,))])
        kv.set_optimizer(mx.optimizer.Adam(learning_rate=rate))
        return kv

    def step(kv):
        outs = [on(0)[0], on(0, shape=(3,))[0]]
        kv.pushpull(["a", "b"], [on(1, 2), on(3, 4, shape=(3,))], out=outs)
        return values(outs)

    first = new(0.5)
    step(first)
    first.save_optimizer_states(tmp_path / "states", dump_optimizer=dump)
    second = new(0.25)
    second.load_optimizer_states(tmp_path / "states")
    assert second._updater.optimizer.lr == (0.5 if dump else 0.25)
    assert second._updater.optimizer.num_update == 1
    second._updater.optimizer.lr = 0.5
    moved = [b - a for a, b in zip(step(second), step(second), strict=True)]
    step(first)
    assert moved == pytest.approx([b - a for a, b in zip(step(first), step(first), strict=True)])


def test_states_of_other_keys_are_refused(store, tmp_path):
    path = tmp_path / "states"
    for call in (store.save_optimizer_states, store.load_optimizer_states):
        with pytest.raises(MXNetError, match="call set_optimizer"):
            call(path)
    for key, kind, text in [
        ("a", None, ""),
        ("b", FormatError, "states of key 'a', which this store has not"),
        ("c", ShapeError, "shape"),
    ]:
        kv = mx.kv.create(store.type)
        kv.init(key, mx.nd.ones((3,) if key == "c" else (2,)))
        kv.set_optimizer(mx.optimizer.SGD(momentum=0.5))
        if kind is None:
            kv.push(key, on(1))
            kv.save_optimizer_states(path)
        else:
            with pytest.raises(kind, match=text):
                kv.load_optimizer_states(path)


# Homes and groups


def tasks(kind, run):
    """Return the lanes of the tasks of one kind that `run` pushes, in order."""
    seen = []
    previous = mx.engine.set_type("ThreadedEngine")
    before = mx.engine.set_deterministic(True)
    mx.engine.get().observe(seen.append)
    try:
        run()
        mx.nd.waitall()
    finally:
        mx.engine.get().observe(None)
        mx.engine.set_deterministic(before)
        mx.engine.set_type(previous)
    return sorted(event.lane for event in seen if event.name == kind)


def test_devices_share_the_bytes_evenly_in_groups_of_four_megabytes(store):
    lengths = [300_000] * 12 + [2_000_000] + [10] * 5
    keys = list(range(len(lengths)))
    grads = [[mx.nd.ones((n,), ctx=ctx) for ctx in CONTEXTS[:2]] for n in lengths]
    outs = [[mx.nd.zeros((n,), ctx=ctx) for ctx in CONTEXTS[:2]] for n in lengths]
    store.broadcast(keys, [grad[0] for grad in grads], out=outs)
    homes = [store._values[key].context for key in keys]
    sizes = [
        sum(n for n, home in zip(lengths, homes, strict=True) if home is ctx)
        for ctx in CONTEXTS[:2]
    ]
    assert max(sizes) - min(sizes) <= 1_048_576
    sums = tasks("kvstore.push", lambda: store.pushpull(keys, grads, out=outs))
    assert sums == ["cpu(0)"] * 2 + ["cpu(1)"] * 4  # the large one and a group; the others
    for n, out in zip(lengths, outs, strict=True):
        assert all(array.asnumpy().tolist() == [2] * n for array in out)


def test_keys_that_come_one_by_one_are_spread_too(store):
    for key in range(6):
        store.init(key, mx.nd.zeros((100,)))
    lanes = tasks(
        "kvstore.push", lambda: [store.push(k, on(1, 1, 1, shape=(100,))) for k in range(6)]
    )
    assert lanes == [f"cpu({place})" for place in (0, 0, 1, 1, 2, 2)]


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["local", "device"])
def test_local_adds_up_on_the_cpu_and_device_on_the_gpu(name):
    gpu = mx.gpu(0)
    kv = mx.kv.create(name)
    kv.init("w", mx.nd.zeros((2,)))
    kv.set_optimizer(mx.optimizer.SGD(learning_rate=1.0, momentum=0.5))
    outs = [mx.nd.zeros((2,), ctx=gpu), mx.nd.zeros((2,))]
    for wanted in (-3, -7.5):
        kv.pushpull("w", [mx.nd.ones((2,), ctx=gpu), mx.nd.ones((2,), ctx=gpu) * 2], out=outs)
        assert values(outs) == [wanted, wanted]
    assert kv._values["w"].context is (gpu if name == "device" else mx.cpu(0))


def test_states_stay_with_their_keys_when_a_store_is_loaded_before_its_first_push(tmp_path):
    path = tmp_path / "states"
    for turn in range(2):
        kv = mx.kv.create("device")
        kv.init([0, 1], [mx.nd.ones((2,)), mx.nd.ones((2,))])
        kv.set_optimizer(mx.optimizer.SGD(momentum=0.5))
        if turn:
            kv.load_optimizer_states(path)
        kv.push([0, 1], [on(1, 1), on(1, 1)])
        kv.save_optimizer_states(path)
    assert [array.context for array in kv._updater.states.values()] == [mx.cpu(0)] * 2


# What never happens


def test_no_method_waits():
    previous = mx.engine.set_type("LazyEngine")
    try:
        pushed, outs = on(1, 2), on(0, 0)
        mx.nd.waitall()
        ran = []
        for array in pushed:
            push(lambda: ran.append(1), [array], [array], array.context, "probe")
        kv = mx.kv.create("device")
        kv.broadcast("w", mx.nd.ones((2,)), out=outs)
        kv.set_optimizer(mx.optimizer.SGD(learning_rate=1.0))
        kv.pushpull("w", pushed, out=outs)
        kv.push("w", pushed)
        kv.pull("w", out=outs)
        assert not ran
        assert values(outs) == [-5, -5]
        assert len(ran) == 2
    finally:
        mx.engine.set_type(previous)


def failing(array):
    """Make an array whose computing fails."""
    push(lambda: math.log(-1), [], [array], array.context, "bad")


@pytest.mark.parametrize("engine", ["LazyEngine", "ThreadedEngine"])
@pytest.mark.parametrize("updates", [True, False])
def test_a_failed_push_fails_what_it_would_replace_and_keeps_what_it_would_update(engine, updates):
    previous = mx.engine.set_type(engine)
    try:
        kv = mx.kv.create("device")
        kv.init("w", mx.nd.ones((2,)))
        if updates:
            kv.set_optimizer(mx.optimizer.SGD(learning_rate=1.0))
        pushed, out = on(1, 2), mx.nd.zeros((2,))
        kv.pushpull("w", pushed, out=out)
        mx.nd.waitall()
        failing(pushed[1])
        kv.pushpull("w", pushed, out=out)
        with pytest.raises(ValueError, match="math"):
            out.asnumpy()
        if updates:
            assert values([out]) == [-2]
        else:
            with pytest.raises(ValueError, match="math"):
                out.asnumpy()
        kv.pushpull("w", on(1, 2), out=out)
        assert values([out]) == [-5 if updates else 3]
    finally:
        mx.engine.set_type(previous)


def test_recorded_arrays_are_not_written(store):
    store.init("w", mx.nd.ones((2,)))
    x = mx.nd.zeros((2,))
    x.attach_grad()
    with mx.autograd.record():
        y = x * 2
        with pytest.raises(MXNetError, match=r"outside autograd\.record"):
            store.pull("w", out=x)
    y.backward()
    store.pull("w", out=x)
    assert values([x]) == [1]


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda kv: kv.push("z", on(1)), MXNetError, "no key 'z'"),
        (lambda kv: kv.pull("weigth", out=on(0)), MXNetError, "did you mean 'weight'"),
        (lambda kv: kv.push("3", on(1)), MXNetError, "no key '3'"),
        (lambda kv: kv.pull("weight"), MXNetError, "no arrays were given as out"),
        (lambda kv: kv.init("weight", on(1)), MXNetError, "has a key 'weight' already"),
        (lambda kv: kv.init("b", on(1, 2)), MXNetError, "one value, 2 were given for 'b'"),
        (lambda kv: kv.init(3, on(1)), MXNetError, "all numbers or all strings"),
        (lambda kv: kv.push("weight", on(1, shape=(3,))), ShapeError, r"\(2,\).*\(3,\)"),
        (lambda kv: kv.pull("weight", out=on(1, shape=(3,))), ShapeError, r"\(2,\).*\(3,\)"),
        (lambda kv: kv.broadcast("b", on(1), on(1, shape=(3,))), ShapeError, r"\(2,\).*\(3,\)"),
        (
            lambda kv: kv.push("weight", [*on(1), mx.nd.ones((2,), dtype="float64")]),
            DTypeError,
            "several dtypes",
        ),
        (lambda kv: kv.set_optimizer("sgd"), DTypeError, "not str"),
        (lambda kv: kv.set_updater(3), DTypeError, "not 3"),
        (lambda kv: kv.row_sparse_pull("weight", out=on(1)), MXNetError, "dense"),
    ],
)
def test_mistakes_are_explained_and_change_nothing(store, call, kind, text):
    store.init("weight", mx.nd.ones((2,)))
    with pytest.raises(kind, match=text):
        call(store)
    out = mx.nd.zeros((2,))
    store.pushpull("weight", on(1, 2), out=out)
    assert values([out]) == [3]


def test_a_number_and_its_name_are_told_apart():
    kv = mx.kv.create()
    kv.init(3, mx.nd.ones((2,)))
    with pytest.raises(MXNetError, match="no key '3'; did you mean 3"):
        kv.push("3", on(1))
