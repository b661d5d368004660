"""When operators run: variables, tasks and the engines that order them."""

from regluon.engine.engine import Engine as Engine, NaiveEngine as NaiveEngine, Var as Var
from regluon.engine.lazy import LazyEngine as LazyEngine
from regluon.engine.selection import get as get, set_type as set_type
from regluon.engine.threaded import ThreadedEngine as ThreadedEngine
