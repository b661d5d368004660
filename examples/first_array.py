"""Arrays: making them, computing with them, looking into them, and sharing memory with PyTorch.

    python examples/first_array.py

Takes two seconds and ends with "all as expected".
"""

import argparse

import numpy as onp
import torch

import regluon as mx
from regluon import nd, np


def main() -> None:
    # `nd` has MXNet's classic functions. Numbers become float32 unless you say otherwise.
    x = nd.array([[1, 2, 3], [4, 5, 6]])
    print(x)
    print("shape", x.shape, "type", x.dtype.__name__, "context", x.context)

    # Arithmetic works element by element; `dot` is the matrix product.
    y = x * 2 + nd.ones((2, 3))
    print("x * 2 + 1 =", y.tolist())
    print("x times its transpose =", nd.dot(x, x.T).tolist())
    print("sums of the columns =", x.sum(axis=0).tolist())

    # A slice of rows is a view: writing into it writes into x.
    x[1][:] = 0
    print("after x[1][:] = 0:", x.tolist())

    # `np` has NumPy's functions and rules for the same arrays.
    grid = np.arange(6).reshape(2, 3)
    print("np:", (grid[:, 1:] > 1).tolist(), grid.mean().item())

    # NumPy gets copies; PyTorch gets the same memory.
    copied = x.asnumpy()
    shared = x.to_torch()
    shared.add_(10)
    print("torch added 10:", x.tolist())

    # Random numbers follow from the seed.
    mx.random.seed(7)
    first = nd.random.normal(shape=(3,))
    mx.random.seed(7)
    second = nd.random.normal(shape=(3,))

    assert isinstance(copied, onp.ndarray)
    assert isinstance(shared, torch.Tensor)
    assert x.sum().asscalar() == 66
    assert first.tolist() == second.tolist()
    print("all as expected")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="the same: it is quick already")
    parser.parse_args()
    main()
