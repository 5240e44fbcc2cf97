"""Many people typing at once, at a chosen pace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from espalier.client import CallError
from espalier.progress import NO_PROGRESS, Progress
from espalier.replay.report import ReplayReport, Tally
from espalier.replay.sessions import Person
from espalier.replay.typist import Behaviour, Box, Shown, Sidecar, type_query

_Clock = Callable[[], float]


class Pace:
    """Lets so many keystrokes through in a second, evenly. Safe to use from many threads.

    Args:
        rate: Keystrokes a second; 0 for as many as come.
        clock: Seconds that only grow.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        rate: float,
        *,
        clock: _Clock = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._gap = 1.0 / rate if rate > 0 else 0.0
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next keystroke may be made."""
        if not self._gap:
            return
        with self._lock:
            now = self._clock()
            # Time nobody typed in is not made up for.
            start = max(self._next, now)
            self._next = start + self._gap
        if start > now:
            self._sleep(start - now)


class _Paced:
    """A sidecar asked at a pace."""

    def __init__(self, inner: Sidecar, pace: Pace) -> None:
        self._inner = inner
        self._pace = pace

    def complete(self, prefix: str, box: Box, limit: int) -> Shown:
        self._pace.wait()
        return self._inner.complete(prefix, box, limit)

    def submit(self, query: str, box: Box, shown: Shown | None = None, position: int = 0) -> None:
        self._inner.submit(query, box, shown, position)

    def abandon(self, typed: str, box: Box, shown: Shown | None) -> None:
        self._inner.abandon(typed, box, shown)


def replay(
    sidecar: Sidecar,
    people: Sequence[Person],
    behaviour: Behaviour,
    *,
    most: int | None = None,
    concurrency: int = 8,
    rate: float = 0.0,
    progress: Progress = NO_PROGRESS,
    clock: _Clock = time.monotonic,
) -> ReplayReport:
    """Let ``people`` type all their sessions, and return what came of it.

    A person does one thing after the other; ``concurrency`` people type at a time. Their
    order, and with equal answers everything else, depends on the seed alone. An episode
    ends where a call fails, and is counted by the reason.

    Args:
        sidecar: Answers.
        people: Who types.
        behaviour: How.
        most: At most so many people, drawn by the seed.
        concurrency: People typing at a time.
        rate: Keystrokes a second of all together; 0 for as many as it takes.
        progress: Hears of every episode.
        clock: Seconds that only grow.

    Raises:
        CallError: The first call of all failed: there is nobody to type to.
    """
    order = list(people)
    behaviour.chance("order").shuffle(order)
    order = order[:most]
    paced = _Paced(sidecar, Pace(rate))
    tally, lock = Tally(), threading.Lock()
    episodes = sum(len(session.queries) for person in order for session in person.sessions)
    start = clock()
    with progress.stage("typing", total=episodes) as advance:

        def sit_down(person: Person) -> None:
            name = f"{behaviour.seed}/{person.name}"
            for number, session in enumerate(person.sessions):
                where = f"{name}/{number}"
                _recall(paced, session.known, Box(name, where, ""), tally, lock)
                for place, query in enumerate(session.queries):
                    box = Box(name, where, f"{where}/{place}")
                    try:
                        episode = type_query(paced, query, box, behaviour)
                    except CallError as error:
                        with lock:
                            tally.failed[error.reason or error.code.name] += 1
                            hopeless = not tally.outcomes and tally.failed.total() == 1
                        if hopeless:
                            raise
                    else:
                        with lock:
                            tally.add(name, episode)
                    advance(1)

        pool = ThreadPoolExecutor(concurrency)
        try:
            for done in [pool.submit(sit_down, person) for person in order]:
                done.result()
        finally:
            pool.shutdown(cancel_futures=True)
    return tally.report(len(order), clock() - start)


def _recall(
    sidecar: Sidecar, known: Sequence[str], box: Box, tally: Tally, lock: threading.Lock
) -> None:
    for query in known:
        try:
            sidecar.submit(query, box)
        except CallError as error:
            with lock:
                tally.failed[error.reason or error.code.name] += 1
            return
