"""When operators run: variables, tasks and the engines that order them."""

from regluon.engine.engine import Engine as Engine, NaiveEngine as NaiveEngine, Var as Var
from regluon.engine.lazy import LazyEngine as LazyEngine
from regluon.engine.selection import (
    bulk as bulk,
    get as get,
    push as push,
    set_bulk_size as set_bulk_size,
    set_deterministic as set_deterministic,
    set_type as set_type,
    stop as stop,
)
from regluon.engine.threaded import ThreadedEngine as ThreadedEngine
