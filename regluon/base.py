"""Errors, the table of environment variables, the name registry and optional imports."""

import difflib
import importlib
import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType
from typing import Generic, TypeVar


class MXNetError(RuntimeError):
    """The base of all errors that regluon raises; MXNet's name, so old `except` lines work."""


class ContextError(MXNetError, ValueError):
    """Arrays on different contexts met, or a context does not exist on this machine."""


class ShapeError(MXNetError, ValueError):
    """Shapes do not fit the operator."""


class DTypeError(MXNetError, TypeError):
    """Data types do not fit the operator."""


class ArgumentError(MXNetError, ValueError):
    """A value given to a call makes no sense there, such as a negative standard deviation."""


class KeywordError(MXNetError, TypeError):
    """A call names an argument that the function has not."""


class OutOfRangeError(MXNetError, IndexError):
    """An index or label does not exist in what it is used on."""


class FormatError(MXNetError, ValueError):
    """A file is not what it claims to be, is damaged, or asks for more than it holds."""


class ImageError(FormatError):
    """A picture cannot be decoded safely; the message names the file."""


class MissingDependencyError(MXNetError, ImportError):
    """A library outside the core requirements is needed; the message says how to get it."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """Return a sentence part that offers the known names nearest to `name`, or an empty string.

    >>> nearest("resnet81_v1", ["resnet18_v1", "vgg16"])
    "; did you mean 'resnet18_v1'?"
    """
    found = difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)
    if not found:
        return ""
    return "; did you mean " + " or ".join(repr(item) for item in found) + "?"


def optional(module: str, extra: str) -> ModuleType:
    """Import a library that only `regluon[extra]` requires, or say how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{module!r} is needed here and could not be imported ({error}); "
            f'install it with: pip install "regluon[{extra}]"'
        ) from error


_OWN = (str(Path(__file__).resolve().parent) + os.sep, "<regluon")  # how our files' names begin


def user_frame() -> FrameType | None:
    """Return the innermost frame of the call stack that is not regluon's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back
    return frame


def is_user_frame(frame: FrameType) -> bool:
    """Say whether a frame of the call stack is not regluon's own."""
    return not frame.f_code.co_filename.startswith(_OWN)


def user_line() -> str:
    """Return `file:line` of the innermost frame of the call stack that is not regluon's own."""
    frame = user_frame()
    return "<unknown>" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


@dataclass(frozen=True)
class EnvVar:
    """One environment variable: its name, default and what it does."""

    name: str
    default: str
    doc: str


ENVIRONMENT = (
    EnvVar("CXX", "", "the C++ compiler; g++ or clang++, whichever is there, unless set"),
    EnvVar(
        "MXNET_ENGINE_TYPE",
        "ThreadedEngine",
        "which engine runs operators: ThreadedEngine (worker threads), NaiveEngine (at once) or "
        "LazyEngine (when a value is read)",
    ),
    EnvVar(
        "MXNET_UPDATE_ON_KVSTORE",
        "1",
        "0 makes a Trainer on several contexts update its Parameters on each of them, and not in "
        "its kvstore, unless update_on_kvstore= says which",
    ),
    EnvVar(
        "REGLUON_CACHE",
        "~/.cache/regluon",
        "the folder that keeps what was compiled for this machine",
    ),
    EnvVar(
        "REGLUON_ENGINE_MAX_BYTES",
        "",
        "how many bytes the results of waiting operators may have before the front end waits; "
        "an eighth of the memory unless set",
    ),
    EnvVar(
        "REGLUON_HOME",
        "~/.cache/regluon",
        "the folder in which pre-trained weights are looked for",
    ),
    EnvVar(
        "REGLUON_LOG",
        "",
        "topics, separated by commas, of which messages are printed to stderr: hybridize says what "
        "is traced, and why",
    ),
    EnvVar(
        "REGLUON_NATIVE",
        "1",
        "0 runs hybridized programs in Python and never calls a C++ compiler",
    ),
)

_DEFAULTS = {variable.name: variable.default for variable in ENVIRONMENT}


def env(name: str) -> str:
    """Return the value of a declared environment variable, or its default."""
    return os.environ.get(name, _DEFAULTS[name])


def print_logs(topics: str) -> None:
    """Print what the loggers `regluon.<topic>` say, of level info and above, to stderr."""
    for topic in filter(None, map(str.strip, topics.split(","))):
        logger = logging.getLogger(f"regluon.{topic}")
        logger.setLevel(logging.INFO)
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        logger.addHandler(handler)


T = TypeVar("T")


class Registry(Generic[T]):
    """A table from lower-case names to classes or functions of one kind.

    >>> kinds = Registry[type]("container")
    >>> kinds.register(dict) is dict and kinds.get("Dict") is dict
    True
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}

    def register(self, item: T, *names: str) -> T:
        """Add `item` under `names`, or under its own name; returns it, so that it decorates."""
        for name in names or (getattr(item, "__name__"),):  # noqa: B009
            self._items[name.lower()] = item
        return item

    def get(self, name: str) -> T:
        """Return the item called `name` (in any case), or raise with the nearest names."""
        try:
            return self._items[name.lower()]
        except KeyError:
            hint = (
                nearest(name.lower(), self._items) or f"; known: {', '.join(sorted(self._items))}"
            )
            raise MXNetError(f"unknown {self.kind} {name!r}{hint}") from None

    def names(self) -> list[str]:
        """Return all names in alphabetical order."""
        return sorted(self._items)
