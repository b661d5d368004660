"""Serial code that runs asynchronously and in parallel, and a trace that shows it.

    python examples/async_and_parallel.py [--smoke]

Nothing below says what runs at the same time: the engine finds out from what each operator reads
and writes. It prints, on two cores for instance:

    the caller had ten products in hand after 0.7 ms; they were computed after 268.1 ms
    B and C of the lecture overlapped for 96 % of their time
    two branches on cpu(0) and cpu(1): 0.52 of the time of one after the other
    the trace is in .../trace.json: open it at ui.perfetto.dev

With one core there is nothing to overlap, and the third number is about 1.
"""

import argparse
import json
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import regluon as mx
from regluon import nd


def dispatch_and_compute(size: int) -> tuple[float, float]:
    """Return the milliseconds until the caller goes on, and until the value is there."""
    x = nd.random.uniform(shape=(size, size))
    nd.waitall()
    begin = time.perf_counter()
    y = x
    for _ in range(10):
        y = nd.dot(y, x)
    in_hand = time.perf_counter() - begin
    y.wait_to_read()
    return in_hand * 1e3, (time.perf_counter() - begin) * 1e3


def lecture(size: int) -> None:
    """Compute D from B and C, which do not need each other."""
    a = nd.ones((size, size)) * 2
    c = a + 2
    b = a + 1
    d = b * c
    assert d[0, 0].asscalar() == 12  # this line waits, the ones above do not


def overlap(trace: Path, name: str) -> float:
    """Return the share of the time of operators called `name` in which two of them ran."""
    events = json.loads(trace.read_text())["traceEvents"]
    spans = sorted((e["ts"], e["ts"] + e["dur"]) for e in events if e["name"] == name)
    shared = sum(
        max(0.0, min(first[1], second[1]) - second[0]) for first, second in pairwise(spans)
    )
    return 2 * shared / sum(end - begin for begin, end in spans)


def branch(ctx: mx.Context, size: int, length: int) -> nd.NDArray:
    """Compute a chain of operators, each of which needs the one before."""
    x = nd.ones((size, size), ctx=ctx) / size
    for _ in range(length):
        x = nd.tanh(nd.dot(x, x))
    return x


def two_contexts(size: int, length: int) -> float:
    """Return the time of two branches at once, divided by that of one after the other."""
    seconds = []
    for parallel in (False, True, False, True):
        nd.waitall()
        begin = time.perf_counter()
        first = branch(mx.cpu(0), size, length)
        if not parallel:
            first.wait_to_read()
        second = branch(mx.cpu(1), size, length)
        first.wait_to_read()
        second.wait_to_read()
        seconds.append(time.perf_counter() - begin)
    return seconds[3] / seconds[2]


def main() -> None:
    """Run the three parts and write the trace."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--smoke", action="store_true", help="small sizes")
    parser.add_argument("--trace", type=Path, help="where to write the trace")
    options = parser.parse_args()
    mx.engine.set_type("ThreadedEngine")
    size = 300 if options.smoke else 2000
    dispatch_and_compute(100)  # the first call of everything is slower
    in_hand, computed = dispatch_and_compute(size)
    print(
        f"the caller had ten products in hand after {in_hand:.1f} ms; "
        f"they were computed after {computed:.1f} ms"
    )
    trace = options.trace or Path(tempfile.mkdtemp()) / "trace.json"
    lecture(size)
    mx.profiler.set_config(filename=str(trace))
    mx.profiler.start()
    lecture(size)
    mx.profiler.dump()
    print(f"B and C of the lecture overlapped for {overlap(trace, 'add'):.0%} of their time")
    mx.engine.set_deterministic(True, threads_per_task=1)  # one core for each context
    ratio = two_contexts(300 if options.smoke else 500, 10 if options.smoke else 40)
    mx.engine.set_deterministic(False)
    print(f"two branches on cpu(0) and cpu(1): {ratio:.2f} of the time of one after the other")
    print(f"the trace is in {trace}: open it at ui.perfetto.dev")


if __name__ == "__main__":
    main()
