"""Cores: how the tasks that compute share the processor, and the threads that kernels keep."""

from collections.abc import Collection, Sequence

from regluon.engine.lane import Lane, Worker


_WASTE = 1.35  # so many times the shortest time may be lost to cores that lie idle


class Cores:
    """The cores of the processor, `count` of them, `free` of them not in use."""

    def __init__(self, count: int) -> None:
        self.count = self.free = count

    def follow(self, count: int) -> bool:
        """Change the number, which the user may do at any time; say whether it is another one."""
        before, self.count = self.count, count
        self.free += count - before
        return count != before

    def next(self, lanes: Collection[Lane], fixed: int) -> tuple[Lane, int] | None:
        """Return the lane whose next task is to start, and the cores for it; None if none may.

        A task that is ready alone gets all that are free. Several get equal parts, unless one of
        them takes so much longer that cores would lie idle beside it: then they run one by one. For
        the same reason a long task waits for the end of short ones, and has all cores then.

        fixed: the cores of every task in deterministic mode.
        """
        if self.free <= 0:
            return None
        ready = [lane for lane in lanes if lane.computes and lane.room() > 0]
        if not ready:
            return None
        lane = min(ready, key=lambda lane: (lane.running, lane.ready[0]))
        if fixed:
            share = min(fixed, self.count)
            return (lane, share) if share <= self.free else None
        if self._awaited(lane.ready[0].work, lanes):
            return None
        places = sum(lane.room() for lane in ready)
        return lane, (max(1, self.free // places) if self._even(ready) else self.free)

    def _even(self, lanes: Sequence[Lane]) -> bool:
        """Say whether ready tasks beside each other end about as early as one after another."""
        work = [task.work for lane in lanes for task in lane.ready[: lane.room()]]
        return max(work) * min(len(work), self.free) <= _WASTE * sum(work)

    def _awaited(self, work: float, lanes: Collection[Lane]) -> bool:
        """Say whether a task ends earlier if it waits for those that run, and gets all cores."""
        if self.free >= self.count:
            return False
        busy = [worker for lane in lanes if lane.computes for worker in lane.workers]
        rest = max((w.task.work / w.threads for w in busy if w.task and w.threads), default=0.0)
        return work / self.free > _WASTE * (rest + work / self.count)

    def gather(self, worker: Worker, share: int, lanes: Collection[Lane]) -> None:
        """Note the threads that a worker's kernels will keep; have idle workers let theirs go.

        They do so where all would be more threads than there are cores: see `threads.release`.
        """
        if share <= 1 or share == worker.team:
            return
        worker.team = share
        teams = [other for lane in lanes for other in lane.workers if other.team > 1]
        if 1 + sum(other.team - 1 for other in teams) > self.count:
            for other in teams:
                if other.task is None and other is not worker:
                    other.team = 1
                    other.inbox.put((None, 0))
