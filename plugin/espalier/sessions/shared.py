"""Sessions in a table that all workers of a machine share (native/SESSIONS.md).

The table is a file of fixed size. It survives workers that are killed and restarts
of the service; what is damaged is put aside, and the service goes on with a new one.
Where no file can be had the table is in memory, which is said in ``notices``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from espalier.errors import EspalierError, StorageError
from espalier.native import NativeSessions, SessionsBacking, SessionsFileError
from espalier.sessions.base import NOTHING, Recent, SessionStats, SessionStoreError

CAPACITY_KEPT: Final = "session_capacity_kept"

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about a store that an operator should know, for the log.

    Attributes:
        event: ``session_file_replaced``: it could not be used, and was put aside.
            ``session_file_resized``: it was made for another number of sessions.
            ``session_capacity_kept``: the same, but others have it open.
            ``session_file_unusable``: sessions are in memory instead.
        fields: Why, and which file.
    """

    event: str
    fields: Mapping[str, object] = field(default_factory=dict)


class SharedSessionStore:
    """A `SessionStore` for every process that opens the same path.

    Opening never fails: without a file there is memory, private to the process
    unless others open ``shared_path``.

    Args:
        path: The file, or the ``shared_path`` of another process; ``None`` for memory.
        ttl_seconds: Time without use after which a session is forgotten.
        max_queries: Queries remembered per session, at most 32.
        max_sessions: Sessions remembered; one of the least recently used goes first.
        clock: Milliseconds, the same for all processes; by default those since the
            machine started, which setting the wall clock does not change.
        sweep_seconds: How often a thread zeroes what expired, a part of the table at
            a time; ``None`` if the caller calls `sweep`.

    Attributes:
        notices: What happened while opening.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        ttl_seconds: float = 1_800.0,
        max_queries: int = 5,
        max_sessions: int = 1_000_000,
        clock: Callable[[], int] | None = None,
        sweep_seconds: float | None = 1.0,
    ) -> None:
        self.notices: list[Notice] = []
        self._path = path
        self._ttl_ms = max(1, round(ttl_seconds * 1_000))
        self._max_queries = max_queries
        self._max_sessions = max_sessions
        self._boot = 0 if clock is not None else _boot_number()
        self._table = self._open()
        info = self._table.info()
        self._records = info.records
        self._clock = clock or _clock_from(info.clock_base if self._boot else None)
        if info.os_error:
            self._note("session_file_unusable", reason=os.strerror(info.os_error), file=str(path))
        self._failed = 0
        self._stop = threading.Event()
        self._sweeper: threading.Thread | None = None
        if sweep_seconds is not None:
            self._sweeper = threading.Thread(
                target=self._sweep_for_ever, args=(sweep_seconds,), name="sweep", daemon=True
            )
            self._sweeper.start()

    # ---- the store -------------------------------------------------------------

    def append(self, session_id: str, query: str) -> bool:
        """Make ``query`` the newest of the session; return whether the session was known."""
        try:
            return self._table.record(session_id.encode(), query.encode(), self._clock())
        except EspalierError as error:
            self._failed += 1
            raise SessionStoreError(f"the session table refused a query: {error}") from error

    def recent(self, session_id: str, limit: int) -> Recent:
        """Return at most ``limit`` queries, newest first, and their ages."""
        try:
            queries, ages = self._table.read(session_id.encode(), self._clock(), limit)
        except EspalierError as error:
            self._failed += 1
            raise SessionStoreError(f"the session table refused a look-up: {error}") from error
        return Recent(queries, ages) if queries else NOTHING

    def delete(self, session_id: str) -> None:
        """Forget the session: its bytes are zero when this returns."""
        try:
            self._table.delete(session_id.encode(), self._clock())
        except EspalierError as error:
            self._failed += 1
            raise SessionStoreError(f"the session may still be remembered: {error}") from error

    def ping(self) -> None:
        """Return if the table is open."""
        try:
            self._table.info()
        except StorageError as error:
            raise SessionStoreError(str(error)) from error

    def stats(self) -> SessionStats:
        """Return counters: sessions of the table, the rest of this process."""
        info = self._table.info()
        return SessionStats(
            sessions=info.sessions,
            found=info.found,
            missed=info.missed,
            expired=info.expired,
            evicted=info.evicted,
            failed=self._failed,
        )

    def close(self) -> None:
        """Let go of the table; the file stays."""
        self._stop.set()
        if self._sweeper is not None:
            self._sweeper.join()
            self._sweeper = None
        self._table.close()

    # ---- what only this store has ------------------------------------------------

    @property
    def table(self) -> NativeSessions:
        """The table itself, for inspection."""
        return self._table

    @property
    def in_memory(self) -> bool:
        """Whether the table ends with the processes that have it open."""
        return self._table.info().backing is SessionsBacking.MEMORY

    @property
    def shared_path(self) -> Path:
        """A path under which other processes of this user can open the same table.

        As long as this process lives, whatever becomes of the file's own path.
        """
        return Path(f"/proc/{os.getpid()}/fd/{self._table.info().descriptor}")

    def sweep(self, seconds: float) -> None:
        """Clean the part of the table that is due after so many seconds."""
        share = min(1.0, seconds * 1_000 / self._ttl_ms)
        self._table.sweep(self._clock(), int(self._records * share) + 1)

    def _sweep_for_ever(self, pause: float) -> None:
        while not self._stop.wait(pause):
            self.sweep(pause)

    # ---- opening -------------------------------------------------------------------

    def _note(self, event: str, **fields: object) -> None:
        self.notices.append(Notice(event, fields))

    def _open(self) -> NativeSessions:
        if self._path is None:
            return self._table_at(None)
        try:
            with _alone(self._path):
                return self._table_or_new(self._path)
        except (EspalierError, OSError) as error:
            self._note("session_file_unusable", reason=_reason(error), file=str(self._path))
            return self._table_at(None)

    def _table_at(self, path: Path | None) -> NativeSessions:
        return NativeSessions(
            path,
            capacity=self._max_sessions,
            max_queries=self._max_queries,
            ttl_ms=self._ttl_ms,
            boot=self._boot,
            boot_ms=_boot_ms(),
            wall_ms=time.time_ns() // 1_000_000,
        )

    def _table_or_new(self, path: Path) -> NativeSessions:
        """Return the table at ``path``, a new one if that cannot be used."""
        try:
            table = self._table_at(path)
        except SessionsFileError as error:
            aside = path.with_name(f"{path.name}.damaged")
            path.replace(aside)
            self._note("session_file_replaced", check=error.check, file=str(path), aside=str(aside))
            return self._table_at(path)
        capacity = table.info().capacity
        if capacity == self._max_sessions or table.info().backing is SessionsBacking.MEMORY:
            return table
        found = {"file": str(path), "was": capacity, "wanted": self._max_sessions}
        if _is_of_process(path) or table.openings() > 1:
            self._note(CAPACITY_KEPT, **found)
            return table
        table.close()
        path.unlink()
        self._note("session_file_resized", **found)
        return self._table_at(path)


def _is_of_process(path: Path) -> bool:
    return path.parts[:2] == ("/", "proc")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time look at the file and replace it."""
    if _is_of_process(path):
        yield
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        # Nobody can make or replace a file on this disk, so nothing needs a lock.
        yield
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)


def _boot_number() -> int:
    """Return a number that names this boot of the machine, 0 if it has no name."""
    try:
        text = _BOOT_ID.read_text(encoding="ascii")
        return int(text.replace("-", "")[:16], 16)
    except (OSError, ValueError):
        return 0


def _boot_ms() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def _clock_from(base: int | None) -> Callable[[], int]:
    if base is None:
        return lambda: time.time_ns() // 1_000_000
    read, clock = time.clock_gettime_ns, time.CLOCK_BOOTTIME
    return lambda: base + read(clock) // 1_000_000
