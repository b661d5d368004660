"""Value checks of index arrays: an index out of range is an error, never clipped in silence."""

import torch
from torch import Tensor

from regluon.base import OutOfRangeError


_FEW = 64  # so many are looked at one by one: a kernel and its two results cost more


def check_below(indices: Tensor, bound: int, what: str) -> None:
    """Raise unless all `indices` lie in 0 ... bound - 1; the error names one that does not."""
    if indices.numel() <= _FEW and all(0 <= i < bound for i in indices.flatten().tolist()):
        return
    low, high = (end.item() for end in torch.aminmax(indices))
    if not (low >= 0 and high < bound):
        wrong = high if low >= 0 else low
        raise OutOfRangeError(f"{what} {wrong:g} is out of range: there are {bound}, from 0")


def check_signed(indices: Tensor, length: int) -> None:
    """Raise unless all indices lie in -length ... length - 1; negative ones count from the end."""
    if indices.numel():
        low, high = (int(end) for end in torch.aminmax(indices.long()))
        if low < -length or high >= length:
            wrong = low if low < -length else high
            raise OutOfRangeError(f"index {wrong} is out of range for an axis of length {length}")
