"""Keyed random numbers: every draw is a function of seed, context, issue number and operator.

Inside `keyed(key)`, in which a data loader makes each sample, that key stands for seed and issue
number: a sample is then the same whichever thread makes it, and whenever.
"""

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import current_process, parent_process

import numpy as onp
import torch
from torch.utils.data import get_worker_info

from regluon.base import ArgumentError
from regluon.context import Context


_MASK = (1 << 64) - 1


def mix(*words: int) -> int:
    """Hash integers to 64 bits (SplitMix64's finalizer, Steele et al. 2014, chained over words).

    >>> mix(1, 2) != mix(2, 1)
    True
    """
    state = 0
    for word in words:
        state = (state + (word & _MASK) + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state


class _Streams:
    """The seed and the number of draws so far of every context."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seed = 0
        self.seeds: dict[str, int] = {}
        self.counts: dict[str, int] = {}


_streams = _Streams()


def seed(seed_state: int, ctx: Context | str = "all") -> None:
    """Restart the random numbers of one context, or of all; a process starts from seed 0.

    Every integer is a seed of its own. What a context draws afterwards depends on the seed, the
    context, and the number and kind of its draws; not on the engine, nor on other contexts.

    >>> seed(7)
    """
    if isinstance(seed_state, bool) or not hasattr(seed_state, "__index__"):
        raise ArgumentError(f"a seed must be an integer, not {seed_state!r}")
    number = seed_state.__index__()  # NumPy's integers are welcome, and kept as plain ones
    with _streams.lock:
        if isinstance(ctx, str) and ctx == "all":
            _streams.seed = number
            _streams.seeds.clear()
            _streams.counts.clear()
        else:
            name = repr(Context(ctx))
            _streams.seeds[name] = number
            _streams.counts[name] = 0


def next_key(ctx: Context, operator: str) -> int:
    """Draw the 64-bit key of the next random operator on `ctx`; the door calls in issue order."""
    return _next_key(repr(ctx), operator)


def _next_key(name: str, operator: str) -> int:
    base = _sample.key
    if base is not None:
        count = _sample.count
        _sample.count = count + 1
    else:
        with _streams.lock:
            count = _streams.counts.get(name, 0)
            _streams.counts[name] = count + 1
            base = _streams.seeds.get(name, _streams.seed)
    return mix(base, zlib.crc32(name.encode()), count, zlib.crc32(operator.encode()))


def current_seed() -> int:
    """Return the seed that was last given for all contexts; 0 at first."""
    return _streams.seed


class _Sample(threading.local):
    """The sample that this thread is making: its key, how many keys it drew, its generator."""

    def __init__(self) -> None:
        self.key: int | None = None
        self.count = 0
        self.rng: onp.random.Generator | None = None


_sample = _Sample()


@contextmanager
def keyed(key: int) -> Iterator[None]:
    """Make every draw of this thread a function of `key` and of the draws before it in this block.

    >>> with keyed(5):
    ...     first = sample_generator().random()
    >>> with keyed(5):
    ...     sample_generator().random() == first
    True
    """
    outer = _sample.key, _sample.count, _sample.rng
    _sample.key, _sample.count, _sample.rng = key, 0, None
    try:
        yield
    finally:
        _sample.key, _sample.count, _sample.rng = outer


def sample_generator() -> onp.random.Generator:
    """Return the NumPy generator from which a transform draws; ask anew at every call of it.

    While a `DataLoader` makes a sample, this is the sample's own generator. Elsewhere each call
    returns another generator, as each call of a random operator has another key: from
    `mx.random.seed` and, in a worker process of torch's `DataLoader`, from that worker's seed
    (`torch.manual_seed`), so that neither workers nor epochs repeat each other. A child process
    of any other kind is told apart by its name in `multiprocessing`.
    """
    if _sample.key is None:
        key = _next_key("data", "sample_generator")
        return onp.random.default_rng(mix(key, _process_seed()))
    if _sample.rng is None:
        _sample.rng = onp.random.default_rng(_sample.key)
    return _sample.rng


def _process_seed() -> int:
    worker = get_worker_info()
    if worker is not None:
        return int(worker.seed)
    return zlib.crc32(current_process().name.encode()) if parent_process() else 0


def get_state() -> dict[str, object]:
    """Return the whole state as plain JSON values, for `set_state` and an exact resume."""
    with _streams.lock:
        return {
            "seed": _streams.seed,
            "seeds": dict(_streams.seeds),
            "counts": dict(_streams.counts),
        }


def set_state(state: dict[str, object]) -> None:
    """Continue the random numbers where `get_state` was called.

    >>> state = get_state()
    >>> set_state(state)
    """
    seeds, counts, base = (state.get(key) for key in ("seeds", "counts", "seed"))
    if not (isinstance(seeds, dict) and isinstance(counts, dict) and isinstance(base, int)):
        raise ArgumentError(f"not a state that get_state() returned: {state!r}"[:200])
    with _streams.lock:
        _streams.seed = base
        _streams.seeds = dict(seeds)
        _streams.counts = dict(counts)


class _Generators(threading.local):
    def __init__(self) -> None:
        self.by_device: dict[torch.device, torch.Generator] = {}


_generators = _Generators()


def generator(key: int, device: torch.device) -> torch.Generator:
    """Return this thread's generator of `device` restarted at `key`, never torch's global one."""
    found = _generators.by_device.get(device)
    if found is None:
        found = _generators.by_device[device] = torch.Generator(device)
    return found.manual_seed(key)
