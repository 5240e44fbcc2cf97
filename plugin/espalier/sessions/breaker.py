"""A circuit breaker: stop asking what does not answer, and find out when it does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class CircuitBreaker:
    """Counts failures in a row. Safe to use from many threads.

    Closed, it lets everything through. After ``failures`` in a row it opens: nothing
    goes through for ``pause`` seconds. Then it is half open: one probe may go. If that
    fails the breaker opens for twice as long as before, up to ``longest``. If it goes
    well the breaker closes on probation: the first failure of a call opens it again,
    for twice as long; the first success of a call ends the probation.

    Args:
        failures: Failures in a row that open it.
        pause: Seconds it stays open the first time.
        longest: Seconds it stays open at most.
        clock: Seconds from any origin.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        pause: float = 0.25,
        longest: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = failures
        self._shortest = self._pause = pause
        self._longest = longest
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def closed(self) -> bool:
        """Whether calls may go through."""
        return self._opened_at is None

    def wait(self) -> float:
        """Return the seconds until a probe may go; 0 if it may now, or none is needed."""
        with self._lock:
            if self._opened_at is None:
                return 0.0
            return max(0.0, self._opened_at + self._pause - self._clock())

    def probe(self) -> bool:
        """Return whether the caller may try now; if so it must report how that went."""
        with self._lock:
            if self._opened_at is None:
                return True
            if self._probing or self._clock() < self._opened_at + self._pause:
                return False
            self._probing = True
            return True

    def probed(self) -> None:
        """Close on probation: a probe went well. Closed as it is, nothing changes."""
        with self._lock:
            self._probing = False
            if self._opened_at is not None:
                self._opened_at = None
                self._failures = self._limit - 1
                self._pause = min(self._longest, 2 * self._pause)

    def succeeded(self) -> None:
        """Close: a call went well."""
        with self._lock:
            self._failures = 0
            self._opened_at = None
            self._probing = False
            self._pause = self._shortest

    def failed(self) -> None:
        """Count a failure, which may open the breaker."""
        with self._lock:
            self._failures += 1
            if self._opened_at is not None and self._probing:
                self._pause = min(self._longest, 2 * self._pause)
                self._opened_at = self._clock()
            elif self._opened_at is None and self._failures >= self._limit:
                self._opened_at = self._clock()
            self._probing = False
