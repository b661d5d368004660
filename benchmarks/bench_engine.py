"""What the asynchronous engine costs and gives, against MXNet 1.9.1, torch eager and NaiveEngine.

    python benchmarks/bench_engine.py --mxnet-python PATH [--rounds 7] [--only dispatch]

Cases, interleaved in one run, medians:
    dispatch   ten chained 2000x2000 products: until the front end has the result in hand
    tiny       one small operator from end to end
    contexts   two independent branches on cpu(0) and cpu(1), one core each, against one after the
               other, and against one context that uses both cores
    branches   two independent single-core branches on one cpu(): with the engine's two workers
               against serial; and whether the trace shows them overlapping
    lecture    A, B, C, D of the lecture with large arrays: do B and C overlap in the trace
    files      a host part that releases the interpreter lock beside an equal compute part
    python     a pure Python host part beside an equal compute part, by switch interval
    resnet18, mlp   training steps: ThreadedEngine against NaiveEngine, each in a process of its
                    own, as a program has one engine: in one they leave each other their threads

Measured on 2026-11-23 on a two-core Xeon with nothing else on it, medians of 5 to 15 rounds in
several runs; the goal behind each:

    dispatch 0.64-0.80 ms (1 ms; MXNet 0.46-0.57)     tiny 3-5 us (5; MXNet 19-23, torch 2-3)
    contexts 0.52, 0.52, 0.60, 0.61, 0.63 of one after the other (0.6); 0.98-1.27 of one context on
             both cores
    branches 0.59, 0.60, 0.70 of serial (0.65), overlapping for 80-87 % of their time
    lecture  B and C overlap for 87-93 %              files 1.00, 1.01 of the longer part (1.15)
    python   0.98-1.41, 0.93-1.02, 0.86-1.16, 0.78-1.11 of the longer part at 5, 1, 0.2, 0.05 ms
    resnet18 0.94, 1.00, 1.00, 1.01, 1.03, 1.03, 1.04, 1.05 (1.02); of 40 rounds 1.03, beside which
             NaiveEngine in another process took 0.99 and 1.06 of itself
    mlp      0.98, 0.99, 1.00, 1.02 (1.1)

The machine's own speed changed by up to 40 % within minutes, which these medians show. A shorter
switch interval lets the first kernel of a step begin 5 ms earlier, beside the program that still
goes on: it takes as much longer, and the step's time is the same.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from bench_overhead import steps
from timing import Peer, interleave, machine, seconds, serve, write_results

import regluon as mx


Step = Callable[[], object]
Case = Callable[[argparse.Namespace, "Peer | None"], dict[str, float]]


def on(engine: str, step: Step, repeat: int = 1, threads: int = 0) -> Callable[[], float]:
    """Return a variant that times `step` under an engine, with a fixed number of threads if any."""

    def variant() -> float:
        mx.engine.set_type(engine)
        mx.engine.set_deterministic(threads > 0, threads)
        try:
            step()
            mx.nd.waitall()
            return seconds(step, repeat)
        finally:
            mx.nd.waitall()
            mx.engine.set_deterministic(False)

    return variant


def product_chain(wait: bool) -> Step:
    x = mx.nd.random.uniform(shape=(2000, 2000))
    x.wait_to_read()

    def step() -> None:
        y = x
        for _ in range(10):
            y = mx.nd.dot(y, x)
        if wait:
            y.wait_to_read()

    return step


def dispatch(args: argparse.Namespace, peer: Peer | None) -> dict[str, float]:
    """Seconds until the caller has the result of ten products in hand, and until it is computed."""
    issue, run = product_chain(wait=False), product_chain(wait=True)

    def issued() -> float:
        mx.engine.set_type("ThreadedEngine")
        mx.nd.waitall()
        taken = seconds(issue, 1)
        mx.nd.waitall()
        return taken

    variants = {"dispatch": issued, "to the end": on("ThreadedEngine", run)}
    x = torch.rand(2000, 2000)

    def eager() -> None:
        y = x
        for _ in range(10):
            y = y @ x

    variants["torch to the end"] = lambda: seconds(eager, 1)
    if peer:
        variants["MXNet dispatch"] = lambda: peer("dispatch", 1)
    return interleave(variants, args.rounds)


def tiny(args: argparse.Namespace, peer: Peer | None) -> dict[str, float]:
    """Seconds for one addition of 2x2 arrays from end to end."""
    x = mx.nd.ones((2, 2))
    t = torch.ones(2, 2)

    def ours() -> None:
        y = x
        for _ in range(500):
            y = y + x
        y.wait_to_read()

    def eager() -> None:
        y = t
        for _ in range(500):
            y = y + t

    variants = {
        "ThreadedEngine": on("ThreadedEngine", ours, 4),
        "NaiveEngine": on("NaiveEngine", ours, 4),
        "torch": lambda: seconds(eager, 4),
    }
    if peer:
        variants["MXNet"] = lambda: peer("tiny add", 4)
    found = interleave(variants, args.rounds)
    return {name: value / 500 for name, value in found.items()}


def branch(ctx: mx.Context, size: int, length: int) -> Callable[[], Any]:
    x = mx.nd.random.uniform(-1, 1, shape=(size, size), ctx=ctx)
    x.wait_to_read()

    def run() -> Any:
        y = x
        for _ in range(length):
            y = mx.nd.tanh(mx.nd.dot(y, x))
        return y

    return run


def both(first: Callable[[], Any], second: Callable[[], Any], serial: bool) -> Step:
    def step() -> None:
        y = first()
        if serial:
            y.wait_to_read()
        z = second()
        y.wait_to_read()
        z.wait_to_read()

    return step


def contexts(args: argparse.Namespace, peer: Peer | None) -> dict[str, float]:
    """Seconds for two branches of matrix products."""
    one, two = branch(mx.cpu(0), 500, 12), branch(mx.cpu(1), 500, 12)
    same = branch(mx.cpu(0), 500, 12)
    return interleave(
        {
            "two contexts, one core each": on("ThreadedEngine", both(one, two, False), threads=1),
            "one after the other, one core": on("ThreadedEngine", both(one, two, True), threads=1),
            "one context, all cores": on("NaiveEngine", both(one, same, False)),
        },
        args.rounds,
    )


def branches(args: argparse.Namespace, peer: Peer | None) -> dict[str, float]:
    """Seconds for two independent branches on one context, beside both in a row on one core."""
    torch.set_num_threads(1)
    serial = both(branch(mx.cpu(), 500, 12), branch(mx.cpu(), 500, 12), True)
    free = both(branch(mx.cpu(), 500, 12), branch(mx.cpu(), 500, 12), False)
    one = on("ThreadedEngine", serial, threads=1)
    torch.set_num_threads(args.cores)
    return interleave(
        {"branches at once": on("ThreadedEngine", free), "serial, one core": one}, args.rounds
    )


def overlap(step: Step, names: tuple[str, ...] = ()) -> float:
    """Return the share of the shorter lane's time in which two operators ran at once."""
    mx.engine.set_type("ThreadedEngine")
    step()
    mx.nd.waitall()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        mx.profiler.set_config(filename=str(path))
        mx.profiler.start()
        step()
        mx.profiler.dump()
        events = json.loads(path.read_text())["traceEvents"]
    spans = [
        (e["ts"], e["ts"] + e["dur"])
        for e in events
        if e.get("cat") == "operator" and (not names or e["name"] in names)
    ]
    points = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    shared, running, last = 0.0, 0, 0.0
    for moment, change in points:
        if running > 1:
            shared += moment - last
        running, last = running + change, moment
    return 2 * shared / sum(end - begin for begin, end in spans)


def lecture(args: argparse.Namespace, peer: Peer | None) -> dict[str, float]:
    """The share of the time in which two operators of the lecture's program run at once."""

    def step() -> None:
        a = mx.nd.ones((3000, 3000)) * 2
        c = a + 2
        b = a + 1
        (b * c).wait_to_read()

    free = both(branch(mx.cpu(), 500, 12), branch(mx.cpu(), 500, 12), False)
    return {"B and C overlap": overlap(step, ("add",)), "branches overlap": overlap(free)}


def host_beside_compute(host: Step, args: argparse.Namespace, products: int) -> dict[str, float]:
    x = mx.nd.random.uniform(shape=(1000, 1000))
    x.wait_to_read()

    def compute() -> Any:
        y = x
        for _ in range(products):
            y = mx.nd.dot(y, x)
        return y

    def together() -> None:
        y = compute()
        host()
        y.wait_to_read()

    return interleave(
        {
            "together": on("ThreadedEngine", together, threads=1),
            "compute": on("ThreadedEngine", lambda: compute().wait_to_read(), threads=1),
            "host": lambda: seconds(host, 1),
        },
        args.rounds,
    )


def files(args: argparse.Namespace, peer: Peer | None) -> dict[str, float]:
    """Seconds of a host part that releases the interpreter lock, compute, and both at once."""
    picture = mx.image.imresize(
        mx.nd.random.uniform(0, 255, shape=(64, 64, 3)).astype("uint8"), 900, 900
    )
    import simplejpeg

    data = simplejpeg.encode_jpeg(picture.asnumpy(), quality=95)

    def host() -> None:
        for _ in range(60):
            simplejpeg.decode_jpeg(data)

    return host_beside_compute(host, args, 8)


def python(args: argparse.Namespace, peer: Peer | None) -> dict[str, float]:
    """The same with a host part in pure Python, at several switch intervals."""

    def host() -> None:
        total = 0
        for i in range(6_000_000):
            total += i & 3

    before = sys.getswitchinterval()
    found: dict[str, float] = {}
    for interval in (0.005, 0.001, 0.0002, 0.00005):
        sys.setswitchinterval(interval)
        times = host_beside_compute(host, args, 10)
        found.update({f"{name} at {interval * 1e3:g} ms": value for name, value in times.items()})
    sys.setswitchinterval(before)
    return found


def training(name: str, repeat: int) -> Case:
    def case(args: argparse.Namespace, peer: Peer | None) -> dict[str, float]:
        """Seconds of a training step and the wait after it, each engine in a process of its own."""
        engines = {
            engine: Peer(
                sys.executable, Path(__file__), "--serve", settings=[f"MXNET_ENGINE_TYPE={engine}"]
            )
            for engine in ("ThreadedEngine", "NaiveEngine")
        }
        try:
            variants = {engine: partial(one, name, repeat) for engine, one in engines.items()}
            return interleave(variants, max(args.rounds, 15))
        finally:
            for one in engines.values():
                one.close()

    return case


CASES: dict[str, Case] = {
    "dispatch": dispatch,
    "tiny": tiny,
    "contexts": contexts,
    "branches": branches,
    "lecture": lecture,
    "files": files,
    "python": python,
    "mlp 32": training("mlp 32", 40),
    "resnet18": training("resnet18", 2),
}
STEPS = {name: lambda name=name: steps(name)["regluon"] for name in ("mlp 32", "resnet18")}


def main() -> None:
    """Run the chosen cases, print them and write the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mxnet-python", default="")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--serve", action="store_true", help="be the process of one engine")
    args = parser.parse_args()
    if args.serve:
        serve(STEPS, mx.nd.waitall)
        return
    args.cores = torch.get_num_threads()
    peer = (
        Peer(args.mxnet_python, Path(__file__).with_name("peer_mxnet.py"))
        if args.mxnet_python
        else None
    )
    record: dict[str, Any] = {"machine": machine(torch=torch.__version__), "rounds": args.rounds}
    for name, case in CASES.items():
        if args.only and not name.startswith(args.only):
            continue
        found = case(args, peer)
        record[name] = found
        print(name)
        for what, value in found.items():
            print(f"    {what:<34}{value:12.6f}")
    if peer:
        peer.close()
    if not args.only:
        write_results("engine", record)


if __name__ == "__main__":
    main()
