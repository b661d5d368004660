"""Memory: which tensors share it, and copies of those that must not."""

from collections.abc import Sequence

import torch
from torch import Tensor


def told_apart(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return different tensors, where one is given twice on the same memory."""
    if len({id(tensor) for tensor in tensors}) == len(tensors):
        return tensors
    return [tensor.detach() for tensor in tensors]


def apart(results: Sequence[Tensor], tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return results in memory of their own: copies of those that share it with another."""
    taken = {tensor.untyped_storage().data_ptr() for tensor in tensors}
    found = []
    for result in results:
        place = result.untyped_storage().data_ptr()
        found.append(result.clone() if place in taken else result)
        taken.add(place)
    return found


def owned(gradients: Sequence[Tensor | None], tensors: Sequence[Tensor]) -> list[Tensor | None]:
    """Return gradients that can be written: copies of those that share memory, or lack their own.

    So it is where the same gradient flows to both sides of a sum, and to what is summed up.
    """
    taken = {tensor.untyped_storage().data_ptr() for tensor in tensors}
    found: list[Tensor | None] = []
    for gradient in gradients:
        if gradient is not None:
            place = gradient.untyped_storage().data_ptr()
            if place in taken or 0 in gradient.stride():
                gradient = gradient.clone(memory_format=torch.contiguous_format)
            else:
                taken.add(place)
        found.append(gradient)
    return found
