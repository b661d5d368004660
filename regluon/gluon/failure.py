"""Errors that leave a block say where in the network it is; nothing is done until one does."""

from collections.abc import Sequence
from typing import Any

from regluon.array.handle import Handle
from regluon.base import MXNetError


_LAYERS = ("regluon.gluon.nn.", "regluon.gluon.loss")


def located(error: Exception, block: Any, args: tuple[Any, ...]) -> Exception:
    """Return the error with the path to the failing block, such as `net0.features.0 (Conv2D)`.

    Called by every block that the error passes, from the innermost outwards, so that each call
    makes the path one step longer. Errors of other libraries keep their text and get a note.
    """
    trail = getattr(error, "_blocks", None)
    if trail is None:
        if isinstance(error, (AttributeError, TypeError)) and _needs_arrays(block):
            error = no_array(block, args) if args and first_array(args) is None else error
        trail = []
        _remember(error, "_blocks", trail)
        _remember(error, "_text", str(error))
    trail.append(block)
    _show(error, f"in {_path(trail)} ({type(trail[0]).__name__})")
    return error


def _needs_arrays(block: Any) -> bool:
    """Say whether the block is a layer of ours that computes on arrays and nothing else."""
    module = type(block).__module__
    return module.startswith(_LAYERS) and not module.endswith(".container")


def no_array(block: Any, args: tuple[Any, ...]) -> MXNetError:
    """Return the error for a block that was called with something else than arrays."""
    given = ", ".join(type(arg).__name__ for arg in args)
    return MXNetError(f"{type(block).__name__} takes arrays, such as mx.nd.array(x), not {given}")


def first_array(args: Sequence[Any]) -> Handle | None:
    """Return the first array among arguments, in nested lists too."""
    for arg in args:
        if isinstance(arg, Handle):
            return arg
        if isinstance(arg, (list, tuple)) and (found := first_array(arg)) is not None:
            return found
    return None


def _remember(error: Exception, name: str, value: Any) -> None:
    """Set an attribute, which a few kinds of exceptions do not allow."""
    try:
        setattr(error, name, value)
    except AttributeError:
        return


def _path(trail: Sequence[Any]) -> str:
    """Return the names from the outermost block, the last of the trail, to the innermost."""
    names = [trail[-1].name]
    for inner, outer in zip(trail[-2::-1], trail[:0:-1], strict=True):
        known = (key for key, child in outer._children.items() if child is inner)
        names.append(next(known, inner.name))
    return ".".join(names)


def _show(error: Exception, place: str) -> None:
    text = getattr(error, "_text", None)
    if isinstance(error, MXNetError) and not isinstance(error, ImportError) and text is not None:
        error.args = (f"{text}\n  {place}",)
        return
    notes = [note for note in getattr(error, "__notes__", []) if not note.startswith("  in ")]
    error.__notes__ = [*notes, f"  {place}"]
