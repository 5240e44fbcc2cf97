"""Threads that own a training kernel each.

The C kernels release the interpreter lock, so plain threads use every processor.
Work is started largest first, results come back in the order asked for: which
thread does what changes the time and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self, TypeVar

from espalier.native import Trainer

# Small enough that no thread waits long at the end, large enough that handing over
# work costs nothing beside it.
_BATCHES_PER_THREAD: Final = 100
_LARGEST_BATCH: Final = 256

Job = TypeVar("Job")
Result = TypeVar("Result")


class Workers:
    """A pool of threads, each with its own ``Trainer``; a context manager."""

    def __init__(self, threads: int, make_trainer: Callable[[int], Trainer] = Trainer) -> None:
        """Prepare ``threads`` threads."""
        self._threads = threads
        self._make_trainer = make_trainer
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(threads, "espalier-train") if threads > 1 else None

    def __enter__(self) -> Self:
        """Return the pool itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drop what has not started and wait for what has."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(
        self,
        work: Callable[[Trainer, Job], Result],
        jobs: Sequence[Job],
        *,
        n_features: int,
        cost: Callable[[Job], float],
        done: Callable[[int], None] | None = None,
    ) -> list[Result]:
        """Return ``work(trainer, job)`` for every job, in the order of the jobs.

        Args:
            work: Called on several threads at a time.
            jobs: What to do.
            n_features: Columns of the matrices the kernels will see.
            cost: How long a job takes, in any unit; the longest start first.
            done: Called with a number of finished jobs, from any thread.

        Raises:
            Whatever a call of ``work`` raises; jobs not yet started are dropped.
        """

        def run(batch: list[int]) -> list[tuple[int, Result]]:
            trainer = self._trainer(n_features)
            results = [(number, work(trainer, jobs[number])) for number in batch]
            if done is not None:
                done(len(batch))
            return results

        batches = _batches([cost(job) for job in jobs], self._threads)
        found: dict[int, Result] = {}
        if self._pool is None:
            for batch in batches:
                found.update(run(batch))
        else:
            futures = [self._pool.submit(run, batch) for batch in batches]
            try:
                for future in futures:
                    found.update(future.result())
            except BaseException:
                for future in futures:
                    future.cancel()
                raise
        return [found[number] for number in range(len(jobs))]

    def _trainer(self, n_features: int) -> Trainer:
        kept: tuple[int, Trainer] | None = getattr(self._local, "trainer", None)
        if kept is None or kept[0] < n_features:
            kept = (n_features, self._make_trainer(n_features))
            self._local.trainer = kept
        return kept[1]


def _batches(costs: list[float], threads: int) -> list[list[int]]:
    """Return the jobs, costly ones first; small ones together, to be handed over at once."""
    order = sorted(range(len(costs)), key=lambda number: -costs[number])
    enough = sum(costs) / (threads * _BATCHES_PER_THREAD)
    batches: list[list[int]] = []
    filled = enough
    for number in order:
        if filled >= enough or len(batches[-1]) >= _LARGEST_BATCH:
            batches.append([])
            filled = 0.0
        batches[-1].append(number)
        filled += costs[number]
    return batches
