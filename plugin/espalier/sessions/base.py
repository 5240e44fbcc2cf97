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
    """

    sessions: int
    found: int
    missed: int
    expired: int
    evicted: int


class SessionStore(Protocol):
    """Remembers the last queries of each session. Safe to use from many threads.

    Every method but ``stats`` and ``close`` may raise `SessionStoreError`. Ids
    are not kept in the clear.
    """

    def append(self, session_id: str, query: str) -> bool:
        """Make ``query`` the newest of the session; return whether the session was known.

        The newest query again is not stored twice. The oldest query beyond the
        store's limit is forgotten.
        """
        ...

    def recent(self, session_id: str, limit: int) -> tuple[str, ...]:
        """Return at most ``limit`` (from 1 on) queries, newest first; empty if unknown."""
        ...

    def delete(self, session_id: str) -> None:
        """Forget the session; an unknown one is no error."""
        ...

    def ping(self) -> None:
        """Return if the store can be used now."""
        ...

    def stats(self) -> SessionStats:
        """Return counters; constant time."""
        ...

    def close(self) -> None:
        """Release what the store holds; it is not used afterwards."""
        ...
