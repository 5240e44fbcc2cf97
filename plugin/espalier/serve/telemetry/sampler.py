"""What is looked up once a second: cheaper than counting it call by call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Protocol

from espalier.serve.counters import Counters
from espalier.sessions.base import SessionStats

_SECONDS: Final = 1.0


class Busy(Protocol):
    """A server, as far as it is sampled."""

    @property
    def waiting(self) -> int:
        """Calls that nobody works on yet."""
        ...

    @property
    def unanswered(self) -> int:
        """Calls that were let in and not answered yet."""
        ...


class Sampler:
    """Writes what it finds into counters, from `start` to `stop`.

    Args:
        server: How busy it is.
        stats: What the session store has done.
        store_well: Whether it answers.
        seconds: Between two looks.
    """

    def __init__(
        self,
        counters: Counters,
        server: Busy,
        stats: Callable[[], SessionStats],
        store_well: Callable[[], bool],
        *,
        seconds: float = _SECONDS,
    ) -> None:
        self._counters = counters
        self._server = server
        self._stats = stats
        self._store_well = store_well
        self._seconds = seconds
        self._before = SessionStats(0, 0, 0, 0, 0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self.sample()
        self._thread.start()

    def stop(self) -> None:
        """Look a last time and end."""
        self._stop.set()
        self._thread.join()
        self.sample()

    def sample(self) -> None:
        """Look once."""
        counters = self._counters
        counters.set("open", self._server.unanswered)
        counters.set("waiting", self._server.waiting)
        counters.set("store_up", int(self._store_well()))
        stats, before = self._stats(), self._before
        counters.advance("store_failures", stats.failed - before.failed)
        counters.advance("evicted", stats.evicted - before.evicted)
        counters.advance("expired", stats.expired - before.expired)
        self._before = stats

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self.sample()
