"""DataLoader: batches of a dataset, made ahead by threads, the same ones however many they are.

    the caller                                  worker threads
    ----------                                  --------------
    [1] takes the numbers of a batch from the
        sampler, gives each sample its key ---> [2] take the oldest job from the queue
    [5] hands over the oldest job's batch, or   [3] make each sample: with keyed(key): dataset[n]
        raises its error, when next() is  <---  [4] batchify, and mark the job as done
        called for it

A key depends on the seed, the epoch and the sample (`work.Keys`), never on a thread. The threads
belong to one iteration over the loader. Its end, `break`, an error in the body of the loop, garbage
collection and the end of the interpreter stop them, each after the sample that it is at.
"""

import atexit
import sys
import threading
import time
import traceback
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from regluon import autograd
from regluon.array.dispatch import state
from regluon.base import MXNetError
from regluon.context import cpu_pinned
from regluon.gluon.data.batchify import default_batchify_fn
from regluon.gluon.data.sampler import BatchSampler, LastBatch, RandomSampler, SequentialSampler
from regluon.gluon.data.work import Job, Keys, Place, Work, opencv_threads
from regluon.random import current_seed


PATIENCE = 5.0
"""Seconds that closing waits for a thread; one that takes longer ends after its sample."""


class WorkerTimeoutError(MXNetError, TimeoutError):
    """A batch did not come in time; the message names the sample that a thread is still at."""


class _Worker(threading.Thread):
    """A thread that makes batches until it gets None for a job."""

    def __init__(self, index: int, work: Work, jobs: "SimpleQueue[Job | None]") -> None:
        super().__init__(name=f"worker {index} of the data loader", daemon=True)
        self.work = work
        self.jobs = jobs
        self.place = Place(self.name)
        self.start()

    def run(self) -> None:
        """Make batches in the state (context, NumPy semantics) of the thread that iterates."""
        state.numpy, state.np_shape = self.work.numpy
        with self.work.ctx:
            while (job := self.jobs.get()) is not None:
                opencv_threads.stop_for(self.work)
                self.work.make(job, self.place)
                del job  # so that its batch is not kept until the next job comes

    def doing(self) -> list[str]:
        """Say what this thread is at, for how long and at which lines; nothing if it is idle."""
        job, sample = self.place.job, self.place.sample
        if job is None:
            return []
        what = f"making batch {job.number}" if sample is None else self.work.name(sample)
        frame = sys._current_frames().get(self.ident or 0)
        stack = traceback.format_stack(frame)[-5:] if frame else []
        head = f"{self.name} has been at {what} for {time.monotonic() - self.place.since:.1f} s:"
        return [head, *(entry.rstrip() for entry in stack)]


class Batches(Iterator[Any]):
    """One iteration over a `DataLoader`: the batches of one epoch, or of the rest of it."""

    def __init__(self, loader: "DataLoader", epoch: int, skip: int) -> None:
        self.closed = False
        self.given = 0
        self.leftover = list(getattr(loader._batch_sampler, "leftover", ()))
        self.keys = Keys(current_seed(), loader._stream, epoch)
        self._loader = loader
        self._numbers = iter(loader._batch_sampler)
        self._asked = 0
        self._open: deque[Job] = deque()
        self._ahead = loader._prefetch if loader._num_workers else 0
        self._late = False
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._workers: list[_Worker] = []
        self._work = Work(loader._dataset, loader._batchify_fn, epoch, loader._pinned)
        self._skip(skip)
        _running.add(self)
        self._workers += (_Worker(i, self._work, self._jobs) for i in range(loader._num_workers))
        self._ask(self._ahead)

    def _skip(self, count: int) -> None:
        """Let pass the batches that a resumed run has had already."""
        for _ in range(count):
            job = self._next_job()
            if job is None:
                raise MXNetError(
                    f"the loader was to continue at batch {count}, but its epochs have only "
                    f"{self._asked} batches: is this another dataset or batch size?"
                )
            if job.error is not None:
                raise job.error
        self.given = count

    def _ask(self, count: int) -> None:
        """Have `count` batches in the making, as long as there are more."""
        while len(self._open) < count and (job := self._next_job()) is not None:
            self._open.append(job)
            if self._workers and not job.done.is_set():
                self._jobs.put(job)

    def _next_job(self) -> Job | None:
        try:
            samples = next(self._numbers, None)
            if samples is None:
                return None
            job = self.keys.job(self._asked, samples)
        except Exception as error:  # the sampler's; raised when it is this batch's turn
            job = Job(self._asked)
            job.fail(error)
            self._numbers = iter(())
        self._asked += 1
        return job

    def __next__(self) -> Any:
        if self.closed:
            raise StopIteration
        self._ask(self._ahead + 1)
        if not self._open:
            self._close(ended=True)
            raise StopIteration
        job = self._open[0]
        if not self._wait(job):
            error: BaseException | None = WorkerTimeoutError(self._message(job))
        else:
            self._open.popleft()
            self.given += 1
            error, job.error = job.error, None
        if error is None:
            return job.batch
        try:
            raise error
        finally:  # whoever keeps the error, keeps this frame: it must not keep the threads alive
            del error, job, self

    def _wait(self, job: Job) -> bool:
        """Return when the job is done, or False when it takes too long."""
        if not self._workers and not job.done.is_set():
            with autograd.pause():
                self._work.make(job, Place("the caller's thread"))
        try:
            done = job.done.wait(self._loader._timeout)
        except BaseException:  # an interrupt
            self.close()
            raise
        self._late = not done
        return done

    def _message(self, job: Job) -> str:
        doing = [line for worker in self._workers for line in worker.doing()]
        return "\n".join(
            [
                f"batch {job.number} of epoch {self.keys.epoch} has not come within "
                f"{self._loader._timeout} s; mend or leave out the sample that hangs, or give the "
                "loader a longer timeout:",
                *doing,
            ]
        )

    def close(self) -> None:
        """Stop the threads after the samples that they are at, and drop batches made ahead."""
        self._close(ended=False)

    def _close(self, ended: bool) -> None:
        if self.closed:
            return
        self.closed = self._work.stopped = True
        self._open.clear()
        for _ in self._workers:
            self._jobs.put(None)
        end = time.monotonic() + (0.0 if self._late else PATIENCE)
        for worker in self._workers:
            if worker is not threading.current_thread():
                worker.join(max(0.0, end - time.monotonic()))
        opencv_threads.go_on(self._work)
        self._loader._left(self, ended)
        doing = [line for worker in self._workers for line in worker.doing()]
        if doing and not self._late:
            message = "\n".join(["a data loader was closed, but still", *doing])
            warnings.warn(message, RuntimeWarning, stacklevel=3)

    def __del__(self) -> None:
        if "_work" in self.__dict__:
            self._close(ended=False)


_running: "weakref.WeakSet[Batches]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Stop all threads before the interpreter takes itself apart."""
    for batches in list(_running):
        batches.close()


class DataLoader:
    """Batches of a dataset, in order or shuffled, made by the caller or ahead of it by threads.

    dataset: anything with `len()` and `[]`, which several threads may call at once.
    batch_size, shuffle: size and order of the batches.
    last_batch: what becomes of a last one that is not full: "keep" it (the default), "discard" it,
        or let its samples "rollover" into the next epoch.
    sampler, batch_sampler: sample numbers, or lists of them, in an order of your own.
    batchify_fn: makes a batch of a list of samples; by default `default_batchify_fn`.
    num_workers: how many threads; 0 makes each batch when it is asked for. Decoding and resizing
        run in parallel in threads: there are no worker processes, whatever `thread_pool` says.
    pin_memory, pin_device_id: put batches into page-locked memory, on `cpu_pinned`, if torch finds
        a GPU.
    prefetch: how many batches are made ahead; by default twice `num_workers`.
    timeout: seconds to wait for a batch before a `WorkerTimeoutError` names the sample.
    auto_reload: accepted; threads start with an iteration, not at the end of the one before.
    stream: loaders that must not draw the same numbers under one seed, because they run side by
        side over the same data or on several hosts, get different ones.

    Order and augmentation follow from `mx.random.seed`, `stream`, the epoch's number and the
    sample's, and from nothing else. Random transforms draw from `sample_generator()`; do not use
    Python's or NumPy's global generators, which all threads share. Every `iter(loader)` is the next
    epoch, from 0, unless `set_epoch` says another. To resume a run bit for bit, with any number of
    workers, save `state_dict()` between two batches.

    An error is raised when its batch is asked for. It keeps its type; the sample's number and, if
    the dataset knows it, file are added. `next()` then gives the batch after it. When an iteration
    ends or is left its threads end; `close()`, or `with`, does the same to all that still run.

    >>> import regluon as mx
    >>> from regluon.gluon.data import ArrayDataset
    >>> data = ArrayDataset(mx.nd.ones((5, 2)), [0, 1, 2, 3, 4])
    >>> for x, y in DataLoader(data, batch_size=2, num_workers=2):
    ...     print(x.shape, y.asnumpy().tolist())
    (2, 2) [0, 1]
    (2, 2) [2, 3]
    (1, 2) [4]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = None,
        shuffle: bool = False,
        sampler: Iterable[Any] | None = None,
        last_batch: LastBatch | None = None,
        batch_sampler: Iterable[Sequence[Any]] | None = None,
        batchify_fn: Callable[[list[Any]], Any] | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,
        pin_device_id: int = 0,
        prefetch: int | None = None,
        thread_pool: bool = False,
        timeout: float = 120,
        auto_reload: bool = False,
        *,
        stream: int = 0,
    ) -> None:
        if timeout <= 0:
            raise MXNetError(f"timeout is a number of seconds above 0, not {timeout!r}")
        if batch_sampler is None:
            if batch_size is None:
                raise MXNetError("a DataLoader needs a batch_size, or a batch_sampler")
            if sampler is None:
                count = len(dataset)
                sampler = (
                    RandomSampler(count, stream=stream) if shuffle else SequentialSampler(count)
                )
            elif shuffle:
                raise MXNetError("give either shuffle=True or a sampler, which has its own order")
            batch_sampler = BatchSampler(sampler, batch_size, last_batch or "keep")
        elif batch_size is not None or shuffle or sampler is not None or last_batch is not None:
            raise MXNetError(
                "a batch_sampler makes the batches itself: give no batch_size, shuffle, sampler or "
                "last_batch beside it"
            )
        self._dataset = dataset
        self._batch_sampler = batch_sampler
        self._batchify_fn = batchify_fn or default_batchify_fn
        self._num_workers = max(0, num_workers)
        self._prefetch = 2 * self._num_workers if prefetch is None else max(0, prefetch)
        self._pinned = cpu_pinned(pin_device_id) if pin_memory else None
        self._timeout = timeout
        self._stream = stream
        self._epoch = 0
        self._batch = 0
        self._last: weakref.ref[Batches] | None = None

    def __iter__(self) -> Batches:
        epoch, batch = self._epoch, self._batch
        set_epoch = getattr(self._batch_sampler, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(epoch)
        batches = Batches(self, epoch, batch)
        self._epoch, self._batch = epoch + 1, 0
        self._last = weakref.ref(batches)
        return batches

    def __len__(self) -> int:
        if not isinstance(self._batch_sampler, Sized):
            raise TypeError(f"{type(self._batch_sampler).__name__} does not say how long it is")
        return len(self._batch_sampler)

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration that of this epoch, from its first batch on."""
        self._epoch, self._batch = epoch, 0

    def state_dict(self) -> dict[str, Any]:
        """Return where the loader is, as plain JSON values: what it would give next.

        While an iteration runs that is the batch after those that it gave; afterwards, also after
        `break`, the first one of the next epoch.
        """
        last = self._last() if self._last else None
        if last is not None and not last.closed:
            place = {"seed": last.keys.seed, "epoch": last.keys.epoch, "batch": last.given}
            return {**place, "leftover": last.leftover}
        place = {"seed": current_seed(), "epoch": self._epoch, "batch": self._batch}
        return {**place, "leftover": list(getattr(self._batch_sampler, "leftover", ()))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was called, with the next iteration.

        The seed (`mx.random.seed` or `mx.random.set_state`) must be the same as it was then.
        """
        missing = {"seed", "epoch", "batch", "leftover"} - set(state)
        if missing:
            raise MXNetError(f"not a state of a DataLoader: it has no {', '.join(sorted(missing))}")
        if state["seed"] != current_seed():
            raise MXNetError(
                f"the loader's state was saved under seed {state['seed']}, and the seed is "
                f"{current_seed()} now: call mx.random.seed({state['seed']}) first"
            )
        self.set_epoch(state["epoch"])
        self._batch = state["batch"]
        if isinstance(self._batch_sampler, BatchSampler):
            self._batch_sampler.leftover = list(state["leftover"])

    def close(self) -> None:
        """End all iterations that still run, with their threads; the loader can be used again."""
        for batches in list(_running):
            if batches._loader is self:
                batches.close()

    def _left(self, batches: Batches, ended: bool) -> None:
        """Forget what was to roll over from an epoch that was left before its end."""
        unfinished = not ended and batches.keys.epoch + 1 == self._epoch
        if unfinished and isinstance(self._batch_sampler, BatchSampler):
            self._batch_sampler.leftover = []

    def __enter__(self) -> "DataLoader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
