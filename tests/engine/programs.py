"""Random programs of reads and writes whose result is known: run by the tests of all engines."""

import random

import numpy as onp

import regluon as mx
from regluon.context import cpu
from regluon.engine import Var
from regluon.engine.engine import Engine


class Cell(Var):
    """A variable with a number."""

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        super().__init__()
        self.value = value


def mix(cells: list[Cell], reads: list[int], writes: list[int], salt: int):
    def task() -> None:
        total = salt + sum((i + 1) * cells[r].value for i, r in enumerate(reads))
        for place, index in enumerate(writes):
            cells[index].value = (total * 31 + place + cells[index].value) % 1_000_003

    return task


def run_random_program(engine: Engine, seed: int, *, peek: bool, steps: int = 300) -> list[int]:
    rng = random.Random(seed)
    cells = [Cell(i) for i in range(12)]
    kinds = ("compute", "compute", "compute", "copy", "io")
    for step in range(steps):
        reads = rng.sample(range(12), rng.randrange(4))
        writes = rng.sample(range(12), 1 + rng.randrange(2))
        both = [cells[i] for i in {*reads, *writes}]
        engine.push(
            mix(cells, reads, writes, step),
            both,
            [cells[i] for i in writes],
            cpu(rng.randrange(2)),
            priority=rng.randrange(3),
            kind=rng.choice(kinds),
        )
        chosen = rng.randrange(120)
        if peek and chosen < 12:
            engine.wait_for_var(cells[chosen])
    engine.wait_all()
    return [cell.value for cell in cells]


def run_array_program(seed: int, steps: int) -> list[list[list[float]]]:
    """Run a random program on arrays of two sizes with the engine in use; return their values."""
    rng = random.Random(seed)
    arrays = [
        mx.nd.array(onp.full((size, size), place), ctx=cpu(place % 2))
        for place in range(6)
        for size in (2, 5)
    ]
    for step in range(steps):
        target = rng.randrange(12)
        a, b = (arrays[(target + 4 * rng.randrange(3)) % 12] for _ in range(2))
        kind = rng.randrange(7)
        if kind == 0:
            arrays[target][:] = (a * 3 + b) % 251
        elif kind == 1:
            arrays[target] += a % 7
        elif kind == 2:
            arrays[target][rng.randrange(2)] = step
        elif kind == 3:
            arrays[target] = a.T
        elif kind == 4:
            arrays[target] = a[0 : a.shape[0]]
        elif kind == 5:
            mx.nd.maximum(a, b, out=arrays[target])
        else:
            other = rng.randrange(6) * 2 + target % 2
            arrays[other] = a.as_in_context(cpu(other // 2 % 2)) * 1
    return [array.asnumpy().tolist() for array in arrays]
