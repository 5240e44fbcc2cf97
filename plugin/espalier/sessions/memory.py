"""Sessions in the memory of one process, bounded in number.

An ordered dictionary from the keyed hash of the id to the session, least
recently used first. The time-to-live is the same for all and slides with use, so
that order is also the order of expiry: whoever expires next stands in front, and
every operation looks at the front two at most. All operations take constant time.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from espalier.sessions.base import NOTHING, Recent, SessionStats

# Two at a time empty the store faster than one new session at a time fills it.
_SWEEP = 2

_DIGEST_BYTES = 16


class _Session(NamedTuple):
    used_at: float
    queries: tuple[str, ...]  # newest first, never empty
    times: tuple[float, ...]  # when each was submitted


class MemorySessionStore:
    """A `SessionStore` that ends with its process.

    Args:
        ttl_seconds: Time without use after which a session is forgotten.
        max_queries: Queries remembered per session.
        max_sessions: Sessions remembered; the least recently used goes first.
        clock: Seconds from any origin. If it steps back, time stands still.
        key: Secret of the id hash; a random one, new in each process, by default.
    """

    def __init__(
        self,
        *,
        ttl_seconds: float = 1_800.0,
        max_queries: int = 5,
        max_sessions: int = 1_000_000,
        clock: Callable[[], float] = time.monotonic,
        key: bytes | None = None,
    ) -> None:
        self._ttl = ttl_seconds
        self._max_queries = max_queries
        self._max_sessions = max_sessions
        self._clock = clock
        self._key = os.urandom(32) if key is None else key
        self._lock = threading.Lock()
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()
        self._latest = clock()
        self._found = self._missed = self._expired = self._evicted = 0

    def append(self, session_id: str, query: str) -> bool:
        """Make ``query`` the newest of the session; return whether the session was known."""
        name = self._hash(session_id)
        with self._lock:
            now = self._sweep()
            known = self._live(name, now)
            queries, times = (known.queries, known.times) if known else ((), ())
            if queries[:1] == (query,):
                queries, times = queries[1:], times[1:]
            kept = self._max_queries - 1
            if name not in self._sessions and len(self._sessions) >= self._max_sessions:
                self._sessions.popitem(last=False)
                self._evicted += 1
            self._sessions[name] = _Session(now, (query, *queries[:kept]), (now, *times[:kept]))
            self._sessions.move_to_end(name)
            return known is not None

    def recent(self, session_id: str, limit: int) -> Recent:
        """Return at most ``limit`` queries, newest first, and their ages."""
        name = self._hash(session_id)
        with self._lock:
            now = self._sweep()
            session = self._live(name, now)
            if session is None:
                self._missed += 1
                return NOTHING
            self._found += 1
            self._sessions[name] = session._replace(used_at=now)
            self._sessions.move_to_end(name)
            ages = tuple(int(now - time) for time in session.times[:limit])
            return Recent(session.queries[:limit], ages)

    def delete(self, session_id: str) -> None:
        """Forget the session; an unknown one is no error."""
        name = self._hash(session_id)
        with self._lock:
            self._sessions.pop(name, None)

    def ping(self) -> None:
        """Return: memory always answers."""

    def stats(self) -> SessionStats:
        """Return counters."""
        with self._lock:
            return SessionStats(
                sessions=len(self._sessions),
                found=self._found,
                missed=self._missed,
                expired=self._expired,
                evicted=self._evicted,
            )

    def close(self) -> None:
        """Forget every session."""
        with self._lock:
            self._sessions.clear()

    def _hash(self, session_id: str) -> bytes:
        return blake2b(session_id.encode(), key=self._key, digest_size=_DIGEST_BYTES).digest()

    def _live(self, name: bytes, now: float) -> _Session | None:
        """Return the session unless its time is up, in which case it goes."""
        session = self._sessions.get(name)
        if session is not None and self._over(session, now):
            del self._sessions[name]
            self._expired += 1
            return None
        return session

    def _sweep(self) -> float:
        """Remove what expired from the front; return the time, which never steps back."""
        now = self._latest = max(self._latest, self._clock())
        for _ in range(_SWEEP):
            name = next(iter(self._sessions), None)
            if name is None or self._live(name, now) is not None:
                break
        return now

    def _over(self, session: _Session, now: float) -> bool:
        return now - session.used_at > self._ttl
