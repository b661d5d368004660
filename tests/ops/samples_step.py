"""Samples of the optimizer steps without fused kernels, and of those on several arrays.

Attributes are exact in float32, as MXNet's are; states written in place are compared as well.
"""

import numpy as onp

from tests.ops.samples import Sample, floats


COMMON = {"lr": 0.125, "wd": 0.25, "rescale_grad": 0.5}
MEANS = {"beta1": 0.75, "beta2": 0.875, "epsilon": 2.0**-8}
GAMMAS = {"gamma1": 0.75, "epsilon": 2.0**-8}
DIRECTION = {"wd": 0.25, "rescale_grad": 0.5, "t": 3, **MEANS}
CLIPS = [{}, {"clip_gradient": 0.5}, {"clip_gradient": 0.0}]
SPARSE_ONLY = "MXNet has this rule for row-sparse gradients only"
DECAYED = "MXNet decays the momentum by the weight that is already updated"
STALE = "MXNet leaves weight32 as it was, so that the next step forgets this one"
SCALED = "MXNet writes the rescaled gradient into `grad`"
INFERRED = "MXNet wants the number of arrays as well, although it sees them"


def drawn(count: int, dtype: str = "float32", shape: tuple[int, ...] = (2, 3)) -> list[onp.ndarray]:
    """Return weight, gradient and states; all from the third on are positive."""
    low = (-3, -3, 0.1, 0.5, 1)
    return [floats(*shape, seed=i, low=low[i], high=3, dtype=dtype) for i in range(count)]


# name: (number of states, attributes, the word for clipping, further attributes one by one)
RULES: dict[str, tuple[int, dict, list[dict]]] = {
    "nag_mom_update": (1, {**COMMON, "momentum": 0.75}, CLIPS),
    "signsgd_update": (0, COMMON, CLIPS),
    "signum_update": (1, {**COMMON, "momentum": 0.75}, [*CLIPS, {"wd_lh": 0.5}]),
    "rmsprop_update": (1, {**COMMON, **GAMMAS}, [*CLIPS, {"clip_weights": 0.5}]),
    "rmspropalex_update": (
        3,
        {**COMMON, **GAMMAS, "gamma2": 0.5, "epsilon": 16.0},
        [*CLIPS, {"clip_weights": 0.5}],
    ),
    "ftrl_update": (2, {**COMMON, "lamda1": 0.5, "beta": 0.75}, CLIPS),
    "ftml_update": (3, {**COMMON, **MEANS, "t": 2}, [{}, {"clip_grad": 0.5}]),
    "lamb_update_phase1": (2, DIRECTION, [*CLIPS, {"bias_correction": False}]),
}
MIXED = {
    "sgd_update": (0, COMMON),
    "sgd_mom_update": (1, {**COMMON, "momentum": 0.75}),
    "nag_mom_update": (1, {"lr": 0.125, "rescale_grad": 0.5, "momentum": 0.75}),
    "lamb_update_phase1": (2, DIRECTION),
}


def single() -> list[Sample]:
    found = []
    for name, (states, attrs, more) in RULES.items():
        given = tuple(drawn(2 + states))
        found += [Sample(f"nd.{name}", given, {**attrs, **extra}, grad=False) for extra in more]
        double = tuple(drawn(2 + states, "float64"))
        found.append(Sample(f"nd.{name}", double, attrs, grad=False, rtol=1e-6))
    found += [
        Sample("nd.ftml_update", tuple(drawn(5)), {"lr": 0.125}, error="MXNetError"),
        Sample(
            "nd.signum_update",
            (*drawn(2), floats(3)),
            {"lr": 0.125},
            error="ShapeError",
        ),
    ]
    return found


def mixed() -> list[Sample]:
    found = []
    for name, (states, attrs) in MIXED.items():
        weight, grad, *others = drawn(2 + states)
        low = (weight.astype("float16"), grad.astype("float16"))
        given = (*low, *others, low[0].astype("float32"))
        for extra in CLIPS[:2]:
            found.append(Sample(f"nd.mp_{name}", given, {**attrs, **extra}, grad=False))
    weight = onp.array([2.0], "float16")
    state = onp.array([0.5], "float32")
    decayed = Sample(
        "nd.mp_nag_mom_update",
        (weight, weight / 2, state, weight.astype("float32")),
        {**COMMON, "momentum": 0.75},
        grad=False,
        differs=DECAYED,
        want=onp.array([2.0625], "float16"),
    )
    return [*found, decayed]


def directions() -> list[Sample]:
    weight, g = drawn(2)
    r1, r2, zero = (onp.array([n], "float32") for n in (2.0, 0.75, 0.0))
    low = weight.astype("float16")
    master = low.astype("float32")
    phase2 = "nd.lamb_update_phase2"
    return [
        Sample(phase2, (weight, g, r1, r2), {"lr": 0.125}, grad=False),
        Sample(phase2, (weight, g, r1, zero), {"lr": 0.125}, grad=False),
        Sample(phase2, (weight, g, zero, r2), {"lr": 0.125}, grad=False),
        Sample(phase2, (weight, g, r1, r2), {"lr": 0.125, "lower_bound": 4.0}, grad=False),
        Sample(phase2, (weight, g, r1, r2), {"lr": 0.125, "upper_bound": 0.5}, grad=False),
        Sample(
            "nd.mp_lamb_update_phase2",
            (low, g, r1, r2, master),
            {"lr": 0.125},
            grad=False,
            differs=STALE,
            want=(master - 0.125 * g * r1 / r2).astype("float16"),
        ),
    ]


def adamw_reference(weight, grad, mean, var, attrs) -> onp.ndarray:
    mean = attrs["beta1"] * mean + (1 - attrs["beta1"]) * grad
    var = attrs["beta2"] * var + (1 - attrs["beta2"]) * grad**2
    move = attrs["lr"] * mean / (onp.sqrt(var) + attrs["epsilon"])
    return (weight - attrs["eta"] * (move + attrs["wd"] * weight)).astype("float32")


def contrib() -> list[Sample]:
    adamw = {"lr": 0.125, "eta": 0.5, "wd": 0.25, **MEANS}
    weight, grad, *states = drawn(4)
    low = weight.astype("float16"), grad.astype("float16")
    master = low[0].astype("float32")
    scale, nan = (onp.array([n], "float32") for n in (0.5, onp.nan))
    rows = onp.array([[0.5], [0.25]], "float32")
    update = weight - 0.125 * grad / onp.sqrt(
        rows + (grad * grad).mean(1, keepdims=True, dtype="float32") + onp.float32(2.0**-8)
    )
    name, mixed_name = "nd.contrib.adamw_update", "nd.contrib.mp_adamw_update"
    one = onp.ones(1, "float32")
    clipped = (grad / 2).clip(-0.5, 0.5)
    new = adamw_reference(weight, clipped, *states, adamw)
    return [
        Sample(name, (weight, grad, *states, 1.0), adamw, grad=False),
        Sample(name, (weight, grad, *states, one), adamw, grad=False),
        Sample(
            name,
            (weight, grad, *states, scale),
            {**adamw, "clip_gradient": 0.5},
            grad=False,
            differs=SCALED,
            want=new,
        ),
        Sample(name, (weight, grad, *states, nan), {**adamw, "out": weight}, grad=False),
        Sample(mixed_name, (*low, *states, master, scale), adamw, grad=False),
        Sample(
            "nd.contrib.group_adagrad_update",
            (weight, grad, rows),
            {"lr": 0.125, "epsilon": 2.0**-8},
            grad=False,
            differs=SPARSE_ONLY,
            want=update,
        ),
    ]


def listed() -> list[Sample]:
    """Several arrays: interleaved, with the outputs of MXNet, which wants them given."""
    rates = {"lrs": (0.125, 0.5), "wds": (0.25, 0.0)}
    arrays = onp.array([0.125, 0.5], "float32"), onp.array([0.25, 0.0], "float32")
    found = []
    for momentum in (False, True):
        attrs = {"momentum": 0.75} if momentum else {}
        attrs |= {"rescale_grad": 0.5, "clip_gradient": 1.0, "num_weights": 2}
        one = drawn(2 + momentum)
        other = drawn(2 + momentum, shape=(4,))
        name = "sgd_mom_update" if momentum else "sgd_update"
        out = [onp.zeros_like(one[0]), onp.zeros_like(other[0])]
        mixed_one, mixed_other = (
            [a.astype("float16") for a in x[:2]]
            + x[2:]
            + [x[0].astype("float16").astype("float32")]
            for x in (one, other)
        )
        low = [array.astype("float16") for array in out]
        for form, data, to in (
            ("", (*one, *other), out),
            ("mp_", (*mixed_one, *mixed_other), low),
        ):
            call = f"multi_{form}{name}"
            found += [
                Sample(f"nd.{call}", data, {**attrs, **rates, "out": to}, grad=False),
                Sample(f"nd.preloaded_{call}", (*data, *arrays), {**attrs, "out": to}, grad=False),
            ]
    weight, grad = drawn(2)
    found += [
        Sample(
            "nd.multi_sgd_update",
            (weight, grad),
            {"lrs": (0.5,), "wds": (0.0,)},
            grad=False,
            differs=INFERRED,
            want=weight - onp.float32(0.5) * grad,
        ),
        Sample("nd.multi_sgd_update", (weight,), {"lrs": (1,), "wds": (0,)}, error="ShapeError"),
    ]
    return found


def groups() -> list[Sample]:
    one, other = drawn(4), drawn(4, shape=(4,))
    kinds = [list(pair) for pair in zip(one, other, strict=True)]
    low = [[a.astype("float16") for a in kind] for kind in kinds[:2]]
    masters = [array.astype("float32") for array in low[0]]
    rates = {"lrs": (0.125, 0.5), "wds": (0.25, 0.0), **MEANS, "clip_gradient": 2.0}
    lamb = {**rates, "step_count": (1, 3), "rescale_grad": 0.5}
    adamw = {**rates, "rescale_grad": onp.array([0.5], "float32"), "etas": (1.0, 0.5)}
    space = "nd.contrib"
    return [
        Sample(f"{space}.multi_lamb_update", tuple(kinds), lamb | {"out": kinds[0]}, grad=False),
        Sample(
            f"{space}.multi_lamb_update",
            tuple(kinds),
            lamb
            | {"out": kinds[0], "bias_correction": False, "lower_bound": 8.0, "upper_bound": 9.0},
            grad=False,
        ),
        Sample(
            f"{space}.multi_mp_lamb_update",
            (*low, *kinds[2:], masters),
            lamb | {"out": low[0]},
            grad=False,
            rtol=1e-3,  # MXNet keeps the direction in float16
        ),
        Sample(f"{space}.multi_adamw_update", tuple(kinds), adamw | {"out": kinds[0]}, grad=False),
        Sample(
            f"{space}.multi_mp_adamw_update",
            (*low, *kinds[2:], masters),
            adamw | {"out": low[0]},
            grad=False,
        ),
    ]


def figures() -> list[Sample]:
    one, other = drawn(2), drawn(2, shape=(4,))
    wild = onp.array([1, onp.inf], "float32")
    bad = onp.array([onp.nan], "float32")
    numbers = [onp.array(n, "float32") for n in ([1, 2, 3], [4, 9, 0], [16, 4, 1], [0.5, 0.25, 1])]
    no = {"init_output": False, "out": onp.zeros(1, "float32")}
    yes = {"init_output": False, "out": onp.ones(1, "float32")}
    lars = {"eta": 0.5, "eps": 2.0**-8}
    return [
        Sample("nd.multi_sum_sq", (*one, *other), {"num_arrays": 4}, grad=False),
        Sample("nd.multi_lars", tuple(numbers), lars, grad=False),
        Sample("nd.multi_lars", tuple(numbers), {**lars, "rescale_grad": 0.5}, grad=False),
        Sample("nd.all_finite", (one[0],), grad=False),
        Sample("nd.all_finite", (wild,), grad=False),
        Sample("nd.all_finite", (bad.astype("float16"),), grad=False),
        Sample("nd.all_finite", (one[0],), no, grad=False),
        Sample("nd.all_finite", (one[0],), yes, grad=False),
        Sample("nd.multi_all_finite", tuple(one), {"num_arrays": 2}, grad=False),
        Sample("nd.multi_all_finite", (one[0], wild), {"num_arrays": 2}, grad=False),
        Sample("nd.multi_all_finite", tuple(one), {"num_arrays": 2, **no}, grad=False),
        Sample("nd.reset_arrays", (*one, *other), {"num_arrays": 4}, grad=False),
    ]


SAMPLES = single() + mixed() + directions() + contrib() + listed() + groups() + figures()
