"""Answers that nobody gets: another variant, computed beside the live one and compared.

One thread with a short queue, begun with the first job. It works between calls: a job
waits a moment until no call does, and is dropped and counted if that does not come, as it
is when the queue is full. The HTTP front counts a call until its reply is sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from queue import Empty, Full, Queue
from typing import Final

from espalier.errors import EspalierError
from espalier.events import Event, EventSink
from espalier.serve.counters import Counting
from espalier.serve.domain import Completer, Question
from espalier.serve.indexes import Suggested
from espalier.serve.log import EventLog, place_of

QUEUE: Final = 64
"""Jobs that wait, at most."""
_IDLE_SECONDS: Final = 0.2
_PAUSE_SECONDS: Final = 0.002
_PAUSES: Final = 25


@dataclass(frozen=True, slots=True)
class Job:
    """An answer to compute and compare.

    Attributes:
        question: What the variant would be asked, its context included.
        live: The suggestions that were sent. No index is held on to here, or one that is
            replaced would have to wait for the queue.
        event: What the comparison is put into.
    """

    experiment: str
    variant: str
    question: Question
    live: Sequence[Suggested]
    event: Event


class Shadow:
    """Computes jobs. `submit` may be called from many threads.

    Args:
        completer: What answers.
        sink: Where comparisons are written.
        waiting: How many calls wait.
        clock: Nanoseconds from any origin.
    """

    def __init__(
        self,
        completer: Completer,
        sink: EventSink,
        *,
        counters: Counting,
        log: EventLog,
        waiting: Callable[[], int] = lambda: 0,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.waiting = waiting
        self._completer = completer
        self._sink = sink
        self._counters = counters
        self._log = log
        self._clock = clock
        self._jobs: Queue[Job] = Queue(QUEUE)
        self._begun = threading.Lock()
        self._thread: threading.Thread | None = None
        self._over = threading.Event()

    def submit(self, job: Job) -> None:
        """Compute a job some time, or drop it; never waits."""
        if self._thread is None:
            self._begin()
        try:
            self._jobs.put_nowait(job)
        except Full:
            self._counters.add("shadows", job.experiment, job.variant, "dropped")

    def close(self) -> None:
        """End; what waits is not computed."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _begin(self) -> None:
        with self._begun:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                job = self._jobs.get(timeout=_IDLE_SECONDS)
            except Empty:
                continue
            outcome = "dropped"
            if self._between_calls():
                outcome = self._compute(job)
            self._counters.add("shadows", job.experiment, job.variant, outcome)
            # What it held should not be held while nothing is to be done.
            del job

    def _between_calls(self) -> bool:
        """Return whether no call waits, now or in a moment."""
        pauses = 0
        while self.waiting():
            pauses += 1
            if pauses > _PAUSES or self._over.wait(_PAUSE_SECONDS):
                return False
        return True

    def _compute(self, job: Job) -> str:
        """Compare; return ``compared`` or ``failed``."""
        named: dict[str, object] = {"experiment": job.experiment, "variant": job.variant}
        began = self._clock()
        try:
            found = [one.text for one in self._completer.beside(job.question).suggestions]
            taken = (self._clock() - began) // 1_000
            places = {one.text: place for place, one in enumerate(job.live, 1)}
        except EspalierError:
            self._sink.write(replace(job.event, shadow={**named, "failed": True}))
            return "failed"
        except Exception as error:  # noqa: BLE001 - its message might quote a query
            self._log.error(
                "shadow_failed",
                experiment=job.experiment,
                exception=type(error).__name__,
                raised_at=place_of(error),
            )
            return "failed"
        self._sink.write(
            replace(
                job.event,
                shadow={
                    **named,
                    "places": [places.get(text, 0) for text in found],
                    "live": len(places),
                    "latency_us": taken,
                },
            )
        )
        return "compared"
