"""The engine in use: chosen by `MXNET_ENGINE_TYPE` or `set_type`."""

from regluon.base import Registry, env
from regluon.engine.engine import Engine, NaiveEngine
from regluon.engine.lazy import LazyEngine


ENGINES = Registry[type[Engine]]("engine")
ENGINES.register(NaiveEngine)
ENGINES.register(LazyEngine)


class Selected:
    """Holds the engine in use."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine


selected = Selected(ENGINES.get(env("MXNET_ENGINE_TYPE"))())
"""The one holder: the door looks here at every call."""


def get() -> Engine:
    """Return the engine in use."""
    return selected.engine


def set_type(name: str) -> str:
    """Finish all pending work, use the engine called `name` from now on, and return the old name.

    >>> previous = set_type("LazyEngine")
    >>> set_type(previous)
    'LazyEngine'
    """
    old = selected.engine
    kind = ENGINES.get(name)
    old.wait_all()
    if type(old) is not kind:
        selected.engine = kind()
    return old.name
