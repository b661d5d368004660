"""Work: how a loader's batch is made out of samples and keys, and what an error says about it."""

import operator
import sys
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch

from regluon.array.dispatch import state
from regluon.array.handle import Handle
from regluon.base import MXNetError, optional
from regluon.context import Context, current_context
from regluon.gluon.data.batchify import BatchError, default_batchify_fn
from regluon.gluon.data.dataset import describe
from regluon.ops.pixels import single_thread
from regluon.random import keyed, mix


_BATCH = zlib.crc32(b"batchify")


class Job:
    """One batch, to be made out of samples given by number and key; then its result or error."""

    def __init__(self, number: int, samples: Sequence[tuple[int, int]] = (), key: int = 0) -> None:
        self.number = number
        self.samples = samples
        self.key = key
        self.done = threading.Event()
        self.batch: Any = None
        self.error: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        """End without a batch."""
        self.error = error
        self.done.set()


class Keys:
    """The keys of an epoch: functions of seed, stream, epoch, sample and its draws so far."""

    def __init__(self, seed: int, stream: int, epoch: int) -> None:
        self.seed = seed
        self.epoch = epoch
        self._base = mix(seed, stream, epoch)
        self._drawn: dict[int, int] = {}  # bits for 1024 samples each
        self._often: dict[int, int] = {}

    def job(self, number: int, samples: Sequence[Any]) -> Job:
        """Return the job of batch `number` of the epoch."""
        drawn = [(sample, self._key(sample)) for sample in map(operator.index, samples)]
        return Job(number, drawn, mix(self._base, number, 0, _BATCH))

    def _key(self, sample: int) -> int:
        return mix(self._base, sample, self._repeat(sample))

    def _repeat(self, sample: int) -> int:
        """Return how often the sample was drawn before; nearly always that is never."""
        place, bit = sample >> 10, 1 << (sample & 1023)
        bits = self._drawn.get(place, 0)
        if not bits & bit:
            self._drawn[place] = bits | bit
            return 0
        self._often[sample] = self._often.get(sample, 0) + 1
        return self._often[sample]


class Place:
    """A thread in which batches are made, and what it is at."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.job: Job | None = None
        self.sample: int | None = None
        self.since = 0.0


class Work:
    """How a batch is made, and whether it still should be: all that threads hold on to."""

    def __init__(
        self,
        dataset: Any,
        batchify: Callable[[list[Any]], Any],
        epoch: int,
        pinned: Context | None = None,
    ) -> None:
        self.dataset = dataset
        self.batchify = batchify
        self.epoch = epoch
        self.pinned = pinned
        self.ctx = current_context()
        self.numpy = state.numpy, state.np_shape
        self.stopped = False

    def make(self, job: Job, place: Place) -> None:
        """Make the batch of a job, or note its error, unless the work has been stopped."""
        items: list[Any] = []
        place.job = job
        try:
            for sample, key in job.samples:
                if self.stopped:
                    return
                place.sample, place.since = sample, time.monotonic()
                with keyed(key):
                    items.append(self.dataset[sample])
            place.sample, place.since = None, time.monotonic()
            with keyed(job.key):
                job.batch = self._placed(self.batchify(items))
        except BaseException as error:  # it is raised where the batch is asked for
            job.error = error
            with suppress(Exception):  # of the error's own methods
                job.error = self._explained(error, job, len(items), place)
        finally:
            place.job = place.sample = None
            job.done.set()

    def _placed(self, batch: Any) -> Any:
        """Bring a batch into page-locked memory, if that was asked for and there is a GPU."""
        if self.pinned is None or not torch.cuda.is_available():
            return batch
        if isinstance(batch, Handle):
            return type(batch)(batch.value().pin_memory(), self.pinned)
        if isinstance(batch, torch.Tensor):
            return batch.pin_memory()
        if isinstance(batch, list | tuple):
            return [self._placed(part) for part in batch]
        if isinstance(batch, Mapping):
            return {name: self._placed(part) for name, part in batch.items()}
        return batch

    def _explained(self, error: BaseException, job: Job, made: int, place: Place) -> BaseException:
        """Add to an error of any kind which sample it was, of which batch, and in which thread."""
        if made < len(job.samples):
            what = f"while loading {self.name(job.samples[made][0])}"
        elif isinstance(error, BatchError) and self.batchify is default_batchify_fn:
            what = f"at {self.name(job.samples[error.position][0])}"
        else:
            what = f"with samples {', '.join(str(sample) for sample, _ in job.samples)}"
        what += f", batch {job.number} of epoch {self.epoch}, in {place.name}"
        if isinstance(error, StopIteration):  # it would end the caller's loop without a word
            stop, error = error, MXNetError("StopIteration was raised")
            error.__cause__ = stop
        if len(error.args) == 1 and str(error) == error.args[0]:
            error.args = (f"{error.args[0]}\n  {what}",)
        else:
            error.add_note(f"  {what}")
        return error

    def name(self, sample: int) -> str:
        """Return what a message calls a sample."""
        try:
            known = describe(self.dataset, sample)
        except Exception:  # the dataset's own; a message must not fail
            known = ""
        return f"sample {sample} ({known})" if known else f"sample {sample}"


class OpenCVThreads:
    """OpenCV's own threads, which are off while a loader's threads use the cores."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users: set[int] = set()
        self._before = 1

    def stop_for(self, user: Work) -> None:
        """Switch them off, if OpenCV is loaded, until all users have let them go on."""
        if id(user) in self._users or "cv2" not in sys.modules:
            return
        cv2 = optional("cv2", extra="image")
        with self._lock:
            if user.stopped:
                return
            if not self._users:
                self._before = cv2.getNumThreads()
                single_thread()
            self._users.add(id(user))

    def go_on(self, user: Work) -> None:
        """Switch them on again after the last user, whose work has been stopped."""
        with self._lock:
            if id(user) in self._users:
                self._users.remove(id(user))
                if not self._users:
                    optional("cv2", extra="image").setNumThreads(self._before)


opencv_threads = OpenCVThreads()
