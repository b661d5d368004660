"""Stand-ins: arrays that take the places of arguments while calls are captured."""

import weakref
from collections.abc import Collection, Iterable, Sequence

import torch

from regluon.array.dispatch import settle, state
from regluon.array.handle import Handle, Node, View
from regluon.engine.selection import selected


class StandIns:
    """Other arrays on the same memory as some arguments, to tell these from all other arrays.

    A block may have its argument from elsewhere, too: a parameter that is given to it, or an array
    of which the argument is a view. What it does with either is then known.

    arrays: the arguments.
    kept: the places of those that are given as they are, unless they are views.
    """

    def __init__(self, arrays: Sequence[Handle], kept: Collection[int]) -> None:
        self.arrays = arrays
        found = {
            id(array): _twin(array)
            for place, array in enumerate(arrays)
            if place not in kept or array._view is not None
        }
        self.given = [found.get(id(array), array) for array in arrays]
        self._owners = {id(given): a for given, a in zip(self.given, arrays, strict=True)}

    def leave(self, wrote: set[int]) -> None:
        """Write to the arguments what was `wrote` to those in their places, which are done with.

        Their readers are waited for, as nobody knows that they read the arguments' memory.
        """
        recording, state.recording = state.recording, False
        for array, given in zip(self.arrays, self.given, strict=True):
            if given is array:
                continue
            selected.engine.wait_to_write(given)
            if id(given) in wrote:
                array[:] = given  # type: ignore[index]
            elif given._shares is not None:
                given._shares[:] = [ref for ref in given._shares if ref() is not given]
        state.recording = recording

    def resolved(self, results: Iterable[Handle]) -> list[Handle]:
        """Return results with the arguments themselves, and views of them, in their places."""
        found = [self._resolved(result) for result in results]
        seen: set[Node] = set()
        waiting = [array._node for array in (*found, *self.arrays) if array._node is not None]
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                node.inputs = [self._input(ref, version) for ref, version in node.inputs]
                waiting += node.parents
        return found

    def _input(self, ref: weakref.ref[Handle], version: int) -> tuple[weakref.ref[Handle], int]:
        """Return what a recorded call read: the argument itself."""
        given = ref()
        owner = None if given is None else self._owners.get(id(given))
        if owner is None or owner is given:
            return ref, version
        return weakref.ref(owner.root), owner.root.version

    def _resolved(self, result: Handle) -> Handle:
        view = result._view
        array = None if view is None else self._owners.get(id(view.base))
        if view is not None and array is not None and array is not view.base:
            outer, inner = array._view, view.fn
            fn = inner if outer is None else lambda tensor: inner(outer.fn(tensor))
            result._view = View(array.root, fn)
        return self._owners.get(id(result), result)


def _twin(array: Handle) -> Handle:
    """Return an array with the same tensors that is no view."""
    settle(array)
    twin = type(array)(array.value(), array._ctx, array.spec)
    if array.recorded():
        graph = array.graph_value()
        with torch.enable_grad():  # another tensor, so that a copy leaves the leaf alone
            twin._node, twin._graph = array._node, graph.view_as(graph)
    twin.share_with(array)
    return twin
