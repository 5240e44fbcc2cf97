"""A clock to set by hand and a store that fails on command, for tests."""

from __future__ import annotations

from espalier.sessions.base import Recent, SessionStats, SessionStore, SessionStoreError


class FakeClock:
    """Tells the time it was given."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass; a negative number sets the clock back."""
        self.now += seconds


class BreakableStore:
    """Hands everything on to another store, or fails while ``broken`` is true."""

    def __init__(self, store: SessionStore) -> None:
        self.broken = False
        self._store = store

    def append(self, session_id: str, query: str) -> bool:
        """Append, or fail."""
        self.ping()
        return self._store.append(session_id, query)

    def recent(self, session_id: str, limit: int) -> Recent:
        """Look up, or fail."""
        self.ping()
        return self._store.recent(session_id, limit)

    def delete(self, session_id: str) -> None:
        """Delete, or fail."""
        self.ping()
        self._store.delete(session_id)

    def ping(self) -> None:
        """Fail while broken."""
        if self.broken:
            raise SessionStoreError("the session store does not answer; it was told not to")

    def stats(self) -> SessionStats:
        """Return the counters of the other store."""
        return self._store.stats()

    def close(self) -> None:
        """Close the other store."""
        self._store.close()
