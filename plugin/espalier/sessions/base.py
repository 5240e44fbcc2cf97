"""The port through which the service remembers sessions.

A session is a short list of the queries somebody submitted, newest first, under
an id the host chose. It lives as long as it is used: recording into it and
reading it both start its time-to-live anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from espalier.errors import EspalierError

# A session id is any text of at most so many bytes of UTF-8.
MAX_SESSION_ID_BYTES = 128


@dataclass(frozen=True, slots=True)
class Recent:
    """What a session typed last, newest first.

    Attributes:
        queries: The queries; empty if the session is unknown.
        ages: Seconds since each of them was submitted last.
        degraded: The store did not answer in time, so this is less than it knows.
    """

    queries: tuple[str, ...] = ()
    ages: tuple[int, ...] = ()
    degraded: bool = False


NOTHING = Recent()
WITHOUT_STORE = Recent(degraded=True)


class SessionStoreError(EspalierError):
    """A session store that does not answer, or not in time."""

    reason = "SESSION_STORE_UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class SessionStats:
    """What a store holds and has done since it was opened.

    Attributes:
        sessions: Sessions held now, expired ones not yet removed included.
        found: Look-ups that found a session.
        missed: Look-ups that found none.
        expired: Sessions removed because their time was up.
        evicted: Live sessions removed to make room.
        failed: Calls the store did not answer, or not in time.
    """

    sessions: int
    found: int
    missed: int
    expired: int
    evicted: int
    failed: int = 0


class SessionStore(Protocol):
    """Remembers the last queries of each session. Safe to use from many threads.

    Every method but ``stats`` and ``close`` may raise `SessionStoreError`. Ids
    are not kept in the clear.
    """

    def append(self, session_id: str, query: str) -> bool:
        """Make ``query`` the newest of the session; return whether the session was known.

        The newest query again is not stored twice, only its time moves. The oldest
        query beyond the store's limit is forgotten; a store may keep fewer of long ones,
        and of a very long one the beginning.
        """
        ...

    def recent(self, session_id: str, limit: int) -> Recent:
        """Return at most ``limit`` (from 1 on) queries, newest first, and their ages.

        A store that others share may answer ``degraded`` instead of raising: a
        completion without context beats none.
        """
        ...

    def delete(self, session_id: str) -> None:
        """Forget the session; an unknown one is no error."""
        ...

    def ping(self) -> None:
        """Return if the store can be used now."""
        ...

    def stats(self) -> SessionStats:
        """Return counters; fast enough to be asked every second."""
        ...

    def close(self) -> None:
        """Release what the store holds; it is not used afterwards."""
        ...
