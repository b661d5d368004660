"""Keyed random numbers: every draw is a function of seed, context, issue number and operator."""

import threading
import zlib

import torch

from regluon.context import Context


_MASK = (1 << 64) - 1


def mix(*words: int) -> int:
    """Hash integers to 64 bits (SplitMix64's finalizer, Steele et al. 2014, chained over the words).

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
    """Restart the random numbers of one context, or of all; without it a process starts from seed 0.

    >>> seed(7)
    """
    if not isinstance(seed_state, int):
        raise TypeError(f"a seed must be an integer, not {type(seed_state).__name__}")
    with _streams.lock:
        if isinstance(ctx, str) and ctx == "all":
            _streams.seed = seed_state
            _streams.seeds.clear()
            _streams.counts.clear()
        else:
            name = repr(Context(ctx))
            _streams.seeds[name] = seed_state
            _streams.counts[name] = 0


def next_key(ctx: Context, operator: str) -> int:
    """Draw the 64-bit key of the next random operator on `ctx`; called by the door, in issue order."""
    name = repr(ctx)
    with _streams.lock:
        count = _streams.counts.get(name, 0)
        _streams.counts[name] = count + 1
        base = _streams.seeds.get(name, _streams.seed)
    return mix(base, zlib.crc32(name.encode()), count, zlib.crc32(operator.encode()))


def get_state() -> dict[str, object]:
    """Return the whole state as plain JSON values, to be given to `set_state` for an exact resume."""
    with _streams.lock:
        return {
            "seed": _streams.seed,
            "seeds": dict(_streams.seeds),
            "counts": dict(_streams.counts),
        }


def set_state(state: dict[str, object]) -> None:
    """Continue the random numbers where `get_state` was called."""
    seeds, counts, base = state["seeds"], state["counts"], state["seed"]
    if not (isinstance(seeds, dict) and isinstance(counts, dict) and isinstance(base, int)):
        raise TypeError("not a state that get_state() returned")
    with _streams.lock:
        _streams.seed = base
        _streams.seeds = dict(seeds)
        _streams.counts = dict(counts)


class _Generators(threading.local):
    def __init__(self) -> None:
        self.by_device: dict[torch.device, torch.Generator] = {}


_generators = _Generators()


def generator(key: int, device: torch.device) -> torch.Generator:
    """Return this thread's generator of `device`, restarted at `key`; torch's global one is never used."""
    found = _generators.by_device.get(device)
    if found is None:
        found = _generators.by_device[device] = torch.Generator(device)
    return found.manual_seed(key)
