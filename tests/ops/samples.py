"""What a sample of an operator is, how samples are found, and how one is evaluated.

A sample is one public call. It is written once, in `samples_<family>.py`, as

    from tests.ops.samples import Sample, floats, ints

    SAMPLES = [
        Sample("nd.sum", (floats(2, 3),), {"axis": 1}),
        Sample("nd:+", (2, floats(2, 3))),
    ]

and run by `tools/make_golden.py` under MXNet 1.9.1, which writes what came out to
`tests/golden/ops_<family>.npz`, and by `tests/ops/test_ops.py` under regluon, which compares, in
every mode of `tests/ops/modes.py`: both engines, `out=`, views, dtypes, differences.
So this file and the families import NumPy only, and both libraries are handed in as `mx`.
"""

import hashlib
import importlib
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as onp


@dataclass(frozen=True, eq=False)
class Sample:
    """One call of a public name, and what is to be compared.

    `call` is one of
    - a function: `"nd.sum"`, `"np.linalg.norm"`, `"npx.relu"`;
    - an operator of Python, applied to `args`: `"nd:+"`, `"np:neg"`, `"np:@"` (see `OPERATORS`);
    - indexing: `"nd:[]"` with args (x, key), `"nd:[]="` with args (x, key, value), which gives x;
    - a method or property of the first argument: `"nd:.sum"`, `"np:.T"`.

    NumPy arrays anywhere in `args` and `attrs` (also inside lists and tuples) become arrays of the
    namespace; everything else is passed as it is. All floating-point ones get a gradient.
    """

    call: str
    args: tuple[Any, ...] = ()
    attrs: dict[str, Any] = field(default_factory=dict)
    grad: bool = True  # has gradients: compared with MXNet's, and with finite differences
    differs: str = ""  # why our result is another than MXNet's; nothing is compared with MXNet then
    grad_differs: str = ""  # why only our gradients are other than MXNet's
    want: Any = None  # our result if it differs: a NumPy array, or a list of them
    error: str = ""  # the class of the error that we raise
    rtol: float | None = None  # instead of 1e-5 (float32), 1e-10 (float64), 1e-2 (float16)
    random: bool = False  # only shapes and dtypes are compared
    train: bool = False  # recorded in training mode (dropout, batch norm)
    fixed: tuple[int, ...] = ()  # which arrays get no gradient, such as moving statistics
    id: str = ""  # a word for the test's name

    @property
    def space(self) -> str:
        """The kind of arrays: `"nd"`, `"np"` or `"npx"`."""
        return self.call.replace(":", ".").split(".")[0]

    def arrays(self) -> list[onp.ndarray]:
        """All arrays of the call, in the order in which gradients are listed."""
        found: list[onp.ndarray] = []
        _walk((self.args, tuple(self.attrs.values())), lambda array: found.append(array) or array)
        return found

    def mapped(self, change: Callable[[onp.ndarray], onp.ndarray]) -> "Sample":
        """Return the same call with every array replaced by `change(array)`."""
        args, attrs = _walk((self.args, self.attrs), change)
        return replace(self, args=args, attrs=attrs)

    def digest(self) -> str:
        """Change when the call, an array or an attribute does, so that an old golden file shows."""
        parts = (self.call, self.grad, self.random, self.train, sorted(self.attrs))
        text = repr((*parts, self.fixed) if self.fixed else parts)
        seen = hashlib.sha256(text.encode())
        _walk(
            (self.args, [self.attrs[k] for k in sorted(self.attrs)]), identity, leaf=seen_by(seen)
        )
        return seen.hexdigest()[:16]


@dataclass
class Outcome:
    """What came out of a sample: arrays of NumPy, or the message of an error."""

    outputs: list[onp.ndarray] = field(default_factory=list)
    grads: list[onp.ndarray] = field(default_factory=list)  # of the float arrays, in order
    changed: dict[int, onp.ndarray] = field(default_factory=dict)  # inputs written by the call
    error: str = ""


OPERATORS: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "@": operator.matmul,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "neg": operator.neg,
    "abs": operator.abs,
    "~": operator.invert,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "round": round,
    "[]": operator.getitem,
    "+=": operator.iadd,
    "-=": operator.isub,
    "*=": operator.imul,
    "/=": operator.itruediv,
    "&=": operator.iand,
    "|=": operator.ior,
    "^=": operator.ixor,
}


def floats(*shape: int, dtype: str = "float32", low: float = -1, high: float = 1, seed: int = 0):
    """Return uniform numbers that depend only on the arguments."""
    drawn = onp.random.RandomState(seed + 1000 * len(shape)).uniform(low, high, shape)
    return onp.asarray(drawn, dtype)


def ints(*shape: int, dtype: str = "int32", low: int = 0, high: int = 10, seed: int = 0):
    """Return whole numbers from `low` to `high - 1`; they depend only on the arguments."""
    return onp.asarray(onp.random.RandomState(seed + len(shape)).randint(low, high, shape), dtype)


def head(shape: tuple[int, ...], dtype: Any) -> onp.ndarray:
    """Return the fixed gradient that flows into an output of this shape."""
    return onp.asarray(onp.random.RandomState(7).uniform(0.5, 1.5, shape), dtype)


def families() -> dict[str, list[Sample]]:
    """Return the samples of every `samples_<family>.py` by family."""
    here = Path(__file__).parent
    names = sorted(path.stem for path in here.glob("samples_*.py"))
    return {
        name.removeprefix("samples_"): importlib.import_module(f"tests.ops.{name}").SAMPLES
        for name in names
    }


def keyed(samples: list[Sample]) -> Iterator[tuple[str, Sample]]:
    """Name the samples of one family: the call, then its number among those of the same call."""
    counts: dict[str, int] = {}
    for sample in samples:
        number = counts[sample.call] = counts.get(sample.call, 0) + 1
        yield f"{sample.call}#{number}", sample


def identity(value: Any) -> Any:
    """Return the value."""
    return value


@dataclass(frozen=True)
class Layout:
    """How an array lies in memory: `store` gives what is kept, `part` takes the array out of it."""

    store: Callable[[onp.ndarray], onp.ndarray] = identity
    part: Callable[[Any], Any] = identity


PLAIN = Layout()


@dataclass
class Call:
    """A sample bound to one library: its arrays exist, the call can be made."""

    sample: Sample
    mx: Any
    space: Any  # mx.nd or mx.np
    stored: list[Any]  # the arrays as they are kept
    leaves: list[Any]  # those of them that get gradients
    layout: Layout
    inputs: list[Any] = field(default_factory=list)  # the arrays that the last call was given

    def run(self, **more: Any) -> list[Any]:
        """Make the call, recorded where the sample has gradients, with `more` attributes."""
        sample, mx = self.sample, self.mx
        if self.leaves or sample.train:
            with mx.autograd.record(train_mode=sample.train):
                return self._made(more)
        return self._made(more)

    def _made(self, more: dict[str, Any]) -> list[Any]:
        self.inputs = [self.layout.part(array) for array in self.stored]
        given = iter(self.inputs)
        args, attrs = _walk((self.sample.args, self.sample.attrs), lambda array: next(given))
        return _flat(_function(self.sample.call, self.mx)(*args, **attrs, **more))

    def backward(self, outputs: list[Any]) -> None:
        """Let the fixed gradients `head` flow back from all outputs that have one."""
        ends = [out for out in outputs if onp.issubdtype(out.dtype, onp.floating)]
        heads = [self.space.array(head(out.shape, out.dtype), dtype=out.dtype) for out in ends]
        self.mx.autograd.backward(ends, heads)


def prepare(sample: Sample, mx: Any, layout: Layout = PLAIN) -> Call:
    """Make the arrays of a sample in a layout, with gradients attached."""
    numpy_like = sample.space != "nd"
    (mx.npx.set_np if numpy_like else mx.npx.reset_np)()
    space = mx.np if numpy_like else mx.nd
    kept = [layout.store(array) for array in sample.arrays()]
    stored = [space.array(array, dtype=array.dtype) for array in kept]
    smooth = sample.grad and not sample.error  # MXNet may crash after an error it did not notice
    wanted = [x for at, x in enumerate(stored) if smooth and at not in sample.fixed]
    leaves = [x for x in wanted if onp.issubdtype(x.dtype, onp.floating)]
    for leaf in leaves:
        leaf.attach_grad()
    return Call(sample, mx, space, stored, leaves, layout)


def evaluate(sample: Sample, mx: Any, layout: Layout = PLAIN) -> Outcome:
    """Make the call with the library `mx` (MXNet or regluon); errors are raised."""
    call = prepare(sample, mx, layout)
    return outcome(call, call.run())


def outcome(call: Call, outputs: list[Any]) -> Outcome:
    """Return the outputs of a call that was made, its gradients, and what it wrote."""
    if call.leaves:
        call.backward(outputs)
    part = call.layout.part
    return Outcome(
        outputs=[numpy_of(out) for out in outputs],
        grads=[numpy_of(part(leaf.grad)) for leaf in call.leaves],
        changed={
            at: numpy_of(now)
            for at, (now, was) in enumerate(zip(call.inputs, call.sample.arrays(), strict=True))
            if not onp.array_equal(numpy_of(now), was.astype(now.dtype), equal_nan=True)
        },
    )


def numpy_of(value: Any) -> onp.ndarray:
    """Return a result as a NumPy array."""
    return value.asnumpy() if hasattr(value, "asnumpy") else onp.asarray(value)


def _function(call: str, mx: Any) -> Callable[..., Any]:
    if ":" not in call:
        found = mx
        for part in call.split("."):
            found = getattr(found, part)
        return found
    form = call.split(":")[1]
    if form == "[]=":
        return _setitem
    return _member(form[1:]) if form.startswith(".") else OPERATORS[form]


def _setitem(array: Any, key: Any, value: Any) -> Any:
    array[key] = value
    return array


def _member(name: str) -> Callable[..., Any]:
    def call(array: Any, *args: Any, **attrs: Any) -> Any:
        found = getattr(array, name)
        return found(*args, **attrs) if callable(found) else found

    return call


def _flat(result: Any) -> list[Any]:
    if result is None:  # what only writes into its arguments returns nothing
        return []
    return list(result) if isinstance(result, (list, tuple)) else [result]


def seen_by(digest: Any) -> Callable[[Any], Any]:
    """Return a function that adds a value to a digest."""

    def add(value: Any) -> Any:
        if isinstance(value, (onp.ndarray, onp.generic)):
            digest.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
        else:
            digest.update(repr(value).encode())
        return value

    return add


def _walk(value: Any, array: Callable[[Any], Any], leaf: Callable[[Any], Any] = identity) -> Any:
    """Rebuild nested containers with `array` applied to arrays and then `leaf` to every leaf."""
    if isinstance(value, (list, tuple)):
        return type(value)(_walk(item, array, leaf) for item in value)
    if isinstance(value, dict):
        return {key: _walk(item, array, leaf) for key, item in value.items()}
    return leaf(array(value) if isinstance(value, onp.ndarray) else value)
