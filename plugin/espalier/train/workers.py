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
from typing import Self, TypeVar

from espalier.native import Trainer

Job = TypeVar("Job")
Result = TypeVar("Result")


class Workers:
    """A pool of threads, each with its own ``Trainer``; a context manager."""

    def __init__(
        self,
        threads: int,
        n_features: int,
        make_trainer: Callable[[int], Trainer] = Trainer,
    ) -> None:
        """Prepare ``threads`` threads for matrices of ``n_features`` columns."""
        self._n_features = n_features
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
        cost: Callable[[Job], float],
        done: Callable[[int], None] | None = None,
    ) -> list[Result]:
        """Return ``work(trainer, job)`` for every job, in the order of the jobs.

        Args:
            work: Called on several threads at a time.
            jobs: What to do.
            cost: How long a job takes, in any unit; the longest start first.
            done: Called with 1 after every job, from any thread.

        Raises:
            Whatever a call of ``work`` raises; jobs not yet started are dropped.
        """

        def run(job: Job) -> Result:
            result = work(self._trainer(), job)
            if done is not None:
                done(1)
            return result

        if self._pool is None:
            return [run(job) for job in jobs]
        order = sorted(range(len(jobs)), key=lambda number: -cost(jobs[number]))
        futures = {number: self._pool.submit(run, jobs[number]) for number in order}
        try:
            return [futures[number].result() for number in range(len(jobs))]
        except BaseException:
            for future in futures.values():
                future.cancel()
            raise

    def _trainer(self) -> Trainer:
        trainer: Trainer | None = getattr(self._local, "trainer", None)
        if trainer is None:
            trainer = self._make_trainer(self._n_features)
            self._local.trainer = trainer
        return trainer
