"""Samples of names that MXNet lacks in one namespace and has in another, under another record."""

from tests.ops.samples import Sample, floats, ints


ABSENT = "MXNet 1.9.1 has no such name"

X = floats(2, 3, low=0.1, high=0.9)
IMAGE = floats(2, 4, 3, 3)
FOUR = floats(4, seed=1)
TWO = floats(2, seed=2)


SAMPLES = [
    Sample("nd.less_equal", (X, floats(2, 3)), grad=False, differs=ABSENT),
    Sample("np.modulo", (ints(2, 3), ints(2, 3, low=1)), differs=ABSENT),
    Sample("np.flatten", (IMAGE,), differs=ABSENT),
    Sample("npx.softmin", (X,), {"axis": 0}, differs=ABSENT),
    Sample("npx.softmax_activation", (X,), differs=ABSENT),
    Sample("npx.instance_norm", (IMAGE, FOUR, FOUR), differs=ABSENT),
    Sample("npx.group_norm", (IMAGE, TWO, TWO), {"num_groups": 2}, differs=ABSENT),
    Sample("npx.l2_normalization", (X,), differs=ABSENT),
    Sample("npx.lrn", (IMAGE,), {"nsize": 3}, differs=ABSENT),
]
