"""Value checks of indices: few are looked at one by one, many by a kernel, with one verdict."""

import pytest
import torch

from regluon.base import OutOfRangeError
from regluon.ops.bounds import check_below


@pytest.mark.parametrize("count", [1, 64, 65, 1000])
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float16, torch.float32])
def test_an_index_out_of_range_is_named_however_many_there_are(count, dtype):
    indices = (torch.arange(count) % 7).to(dtype)
    check_below(indices, 7, "label")
    check_below(indices.reshape(1, -1), 7, "label")
    for wrong in (7, -1) if dtype is not torch.uint8 else (7,):
        indices[-1] = wrong
        with pytest.raises(OutOfRangeError, match=f"label {wrong} is out of range: there are 7"):
            check_below(indices, 7, "label")


@pytest.mark.parametrize("count", [2, 64, 65])
def test_what_is_no_number_is_out_of_range(count):
    indices = torch.zeros(count)
    indices[1] = torch.nan
    with pytest.raises(OutOfRangeError, match="label nan is out of range"):
        check_below(indices, 7, "label")


def test_nothing_is_in_range():
    check_below(torch.zeros(0, 3), 0, "label")
