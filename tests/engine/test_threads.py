"""The number of threads that kernels use is a thread's own, in every library behind torch."""

import re
import threading

import pytest
import torch

from regluon.engine import threads


def told() -> set[int]:
    """Return what OpenMP and MKL say to a kernel that this thread calls."""
    found = re.findall(r"(?:omp|mkl)_get_max_threads\(\) : (\d+)", torch.__config__.parallel_info())
    return {int(number) for number in found}


@pytest.fixture
def _two():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_two")
def test_use_concerns_the_calling_thread_and_all_libraries() -> None:
    found = []

    def work() -> None:
        threads.given()
        for count in (1, 2, 1):
            threads.use(count)
            found.append(told())

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    assert found == [{1}, {2}, {1}]
    assert told() == {2}
