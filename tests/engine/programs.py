"""Random programs of reads and writes whose result is known: run by every engine's test."""

import random

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
