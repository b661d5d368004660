"""Control flow over arrays as functions: foreach, while_loop and cond, run step by step."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from regluon.array import dispatch
from regluon.array.ndarray import NDArray
from regluon.base import MXNetError, ShapeError, user_line


def foreach(body: Callable[[Any, Any], Any], data: Any, init_states: Any) -> tuple[Any, Any]:
    """Call `outputs, states = body(part, states)` for each place along the first axis of `data`.

    `data` is an array, or a list of arrays of one length, whose parts `body` gets as a list too.
    Returns the outputs of all steps, stacked along a new first axis in the nesting that `body`
    gave them, and the states after the last step.

    >>> import regluon as mx
    >>> sums, total = foreach(lambda x, s: (x + s, x + s), mx.nd.arange(4), mx.nd.zeros(1))
    >>> sums.asnumpy().tolist(), total.item()
    ([[0.0], [1.0], [3.0], [6.0]], 6.0)
    """
    _leaves(init_states, "foreach: init_states")
    arrays = _leaves(data, "foreach: data")
    if not arrays or len({array.shape[:1] for array in arrays}) != 1 or not arrays[0].shape:
        shapes = [array.shape for array in arrays]
        raise ShapeError(
            f"foreach needs data with first axes of one length, not {shapes} (at {user_line()})"
        )
    states, steps, form = init_states, [], []
    for place in range(arrays[0].shape[0]):
        one = isinstance(data, NDArray)
        part = data[place] if one else [array[place] for array in data]
        form, states = body(part, states)
        steps.append(_leaves(form, "foreach: the outputs of body"))
    return _rebuilt(form, (dispatch.call("stack", *items) for items in _columns(steps))), states


def while_loop(
    cond: Callable[..., Any], func: Callable[..., Any], loop_vars: Any, max_iterations: Any = None
) -> tuple[Any, Any]:
    """Repeat `outputs, loop_vars = func(*loop_vars)` while `cond(*loop_vars)` is true.

    Returns the outputs of all steps, stacked along a first axis of length `max_iterations`, in
    which the places after the last step are 0 (MXNet leaves them undefined), and the last
    `loop_vars`. Without a step there are no outputs: an empty list.

    >>> import regluon as mx
    >>> step = lambda i, s: (s, [i + 1, s * 2])
    >>> start = [mx.nd.array([0]), mx.nd.array([1])]
    >>> powers, _ = while_loop(lambda i, s: i < 3, step, start, max_iterations=4)
    >>> powers.asnumpy().tolist()
    [[1.0], [2.0], [4.0], [0.0]]
    """
    if max_iterations is None:
        raise ValueError("while_loop needs max_iterations=")
    limit = int(_scalar(max_iterations))
    variables = _listed(loop_vars)
    if not variables:
        raise ValueError("while_loop needs at least one array in loop_vars")
    steps: list[list[Any]] = []
    form: Any = []
    while len(steps) < limit and bool(_scalar(cond(*variables))):
        form, changed = func(*variables)
        form = [] if form is None else form
        changed = _listed([] if changed is None else changed)
        if len(changed) != len(variables):
            raise ValueError(
                f"while_loop: func got {len(variables)} loop_vars and returned {len(changed)}"
            )
        variables = changed
        steps.append(_leaves(form, "while_loop: the outputs of func"))
    outputs = _rebuilt(form, (_filled(items, limit) for items in _columns(steps)))
    return outputs, variables[0] if isinstance(loop_vars, NDArray) else variables


def cond(pred: Any, then_func: Callable[[], Any], else_func: Callable[[], Any]) -> Any:
    """Return `then_func()` if the array `pred` of one element is true, else `else_func()`.

    >>> import regluon as mx
    >>> cond(mx.nd.array([2]) > 1, lambda: "large", lambda: "small")
    'large'
    """
    return then_func() if bool(_scalar(pred)) else else_func()


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "foreach": foreach,
    "while_loop": while_loop,
    "cond": cond,
}
"""What `nd.contrib` and `npx` have beside the operators of the table."""


def _scalar(value: Any) -> Any:
    return value.asscalar() if isinstance(value, NDArray) else value


def _listed(values: Any) -> list[Any]:
    return list(values) if isinstance(values, (list, tuple)) else [values]


def _leaves(nested: Any, what: str) -> list[Any]:
    """Return the arrays of a nested list, in order."""
    if isinstance(nested, NDArray):
        return [nested]
    if not isinstance(nested, (list, tuple)):
        raise MXNetError(
            f"{what} must be an array or a nested list of arrays, not {nested!r} (at {user_line()})"
        )
    return [leaf for item in nested for leaf in _leaves(item, what)]


def _columns(steps: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """Yield each output over all steps, which must have equally many."""
    counts = {len(step) for step in steps}
    if len(counts) > 1:
        raise ValueError(f"the steps of a loop gave different numbers of outputs: {counts}")
    return zip(*steps, strict=True)


def _filled(items: Sequence[Any], length: int) -> Any:
    """Stack the items, and zeros up to `length` of them."""
    missing = [dispatch.call("zeros_like_nd", items[0])] * (length - len(items))
    return dispatch.call("stack", *items, *missing)


def _rebuilt(form: Any, values: Iterator[Any]) -> Any:
    """Return the values in the nesting of `form`, whose tuples become lists."""
    if isinstance(form, NDArray):
        return next(values)
    return [_rebuilt(item, values) for item in form]
