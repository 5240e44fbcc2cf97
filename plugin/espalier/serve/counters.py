"""What a worker has done since it started, in numbers.

================  ==========================================================
``calls``         ended calls, by method and status code
``http``          replies of the HTTP front, by method, route and status
``unanswered``    calls no work was done for, by method and reason: `Unanswered`
``degraded``      answers that were less than they could be, by degradation
================  ==========================================================
"""

from __future__ import annotations

import enum
import threading
from typing import Protocol


class Unanswered(enum.Enum):
    """Why no work was done for a call."""

    EXPIRED = "expired"  # its deadline passed while it waited
    CANCELLED = "cancelled"  # its client left while it waited
    OVERLOADED = "overloaded"  # too many calls waited: the soft limit
    REFUSED = "refused"  # too many calls were open: the hard limit
    NO_REQUEST = "no_request"  # its request message did not come in time, or at all


class Counting(Protocol):
    """Where counts go. Safe to use from many threads."""

    def add(self, family: str, *labels: str) -> None:
        """Count one of ``family``, told apart by ``labels``."""
        ...


class Counters:
    """Counts in memory."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, ...], int] = {}
        self._lock = threading.Lock()

    def add(self, family: str, *labels: str) -> None:
        """Count one of ``family``, told apart by ``labels``."""
        key = (family, *labels)
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + 1

    def get(self, family: str, *labels: str) -> int:
        """Return one count, 0 if nothing was counted."""
        return self._counts.get((family, *labels), 0)

    def snapshot(self) -> dict[str, dict[str, int]]:
        """Return every count: family, then labels joined by a space."""
        with self._lock:
            counts = sorted(self._counts.items())
        found: dict[str, dict[str, int]] = {}
        for (family, *labels), count in counts:
            found.setdefault(family, {})[" ".join(labels)] = count
        return found

    def totals(self) -> dict[str, int]:
        """Return counts added up by family and last label, as in ``calls_ok``."""
        with self._lock:
            counts = sorted(self._counts.items())
        found: dict[str, int] = {}
        for (family, *labels), count in counts:
            name = f"{family}_{labels[-1].lower()}"
            found[name] = found.get(name, 0) + count
        return found
