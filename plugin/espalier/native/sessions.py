"""The session table of the C library: bytes in, texts out, statuses as exceptions."""

from __future__ import annotations

import threading
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

from espalier.errors import EspalierError, StorageError
from espalier.native.border import check, ffi, lib, make_error

__all__ = [
    "MAX_SESSION_QUERIES",
    "NativeSessions",
    "SessionsBacking",
    "SessionsFileError",
    "SessionsInfo",
    "SessionsReport",
]

MAX_SESSION_QUERIES = 32


class SessionsFileError(EspalierError):
    """A file that is no session table, or a damaged one, or another user's.

    Attributes:
        check: Number of the rule that failed, as in SESSIONS.md.
    """

    exit_code = 2
    reason = "SESSION_FILE"

    def __init__(self, message: str, *, check: str) -> None:
        super().__init__(message)
        self.check = check


class SessionsBacking(IntEnum):
    """Where a table lies."""

    FILE = 1
    MEMORY = 2


class SessionsInfo(NamedTuple):
    """What a table is, and what this opening of it has done."""

    bytes: int
    capacity: int
    records: int
    sessions: int
    found: int
    missed: int
    expired: int
    evicted: int
    reclaimed: int
    damaged: int
    clock_base: int
    backing: SessionsBacking
    os_error: int
    descriptor: int


class SessionsReport(NamedTuple):
    """What reading every record and entry found."""

    sessions: int
    queries: int
    free_slots: int
    held: int
    lost: int
    damaged: int
    unlisted: int
    twice: int
    dirty: int


_FILE_STATUSES = {lib.ESP_E_FORMAT, lib.ESP_E_VERSION, lib.ESP_E_CORRUPT}


class _Buffers(threading.local):
    """What one thread's calls write to, made once."""

    def __init__(self) -> None:
        self.error = ffi.new("esp_error *")
        self.flag = ffi.new("uint32_t *")
        self.session = ffi.new("esp_session *")
        self.text = ffi.buffer(self.session.text)


class NativeSessions:
    """An open session table. Safe to use from many threads; calls never wait.

    Times are milliseconds of one clock; ids and texts are UTF-8.

    Args:
        path: The file, made where there is none; ``None`` for a table in memory.
        capacity: Sessions a new table is made for.
        max_queries: Queries remembered per session, at most 32.
        ttl_ms: Milliseconds without use after which a session is over.
        boot: Names this boot of the machine; 0 if no clock is wanted.
        boot_ms: Milliseconds since it.
        wall_ms: Milliseconds since 1970.

    Raises:
        SessionsFileError: The file is no table that can be used; it stays as it is.
        StorageError: The operating system refused.
        ResourceError: No memory.
        LimitError: More openings than the table has places for.
    """

    __slots__ = ("_buffers", "_table")

    def __init__(
        self,
        path: Path | None,
        *,
        capacity: int,
        max_queries: int,
        ttl_ms: int,
        boot: int = 0,
        boot_ms: int = 0,
        wall_ms: int = 0,
    ) -> None:
        self._buffers = _Buffers()
        options = ffi.new("esp_sessions_options *")
        options.struct_size = ffi.sizeof("esp_sessions_options")
        options.capacity = capacity
        options.max_queries = max_queries
        options.ttl_ms = ttl_ms
        options.boot = boot
        options.boot_ms = boot_ms
        options.wall_ms = wall_ms
        table = ffi.new("esp_sessions **")
        error = self._buffers.error
        name = ffi.NULL if path is None else str(path).encode()
        status = lib.esp_sessions_open(name, options, table, error)
        if status in _FILE_STATUSES:
            raise SessionsFileError(
                f"{path}: {ffi.string(error.message).decode('utf-8', 'replace')}",
                check=ffi.string(error.check).decode("ascii", "replace"),
            )
        check(status, error, str(path))
        # Closed by the last reference: a call under way holds one of its own.
        self._table: Any = ffi.gc(table[0], lib.esp_sessions_close)

    def _open(self) -> Any:
        table = self._table
        if table is None:
            raise StorageError("the session table is closed; open it again to use it")
        return table

    def record(self, session_id: bytes, text: bytes, now_ms: int) -> bool:
        """Make ``text`` the newest query; return whether the session was known."""
        table, buffers = self._open(), self._buffers
        status = lib.esp_sessions_record(
            table,
            session_id,
            len(session_id),
            text,
            len(text),
            now_ms,
            buffers.flag,
            buffers.error,
        )
        if status:
            raise make_error(status, buffers.error)
        return bool(buffers.flag[0])

    def read(
        self, session_id: bytes, now_ms: int, limit: int
    ) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return the newest queries, newest first, and their ages in seconds."""
        table, buffers = self._open(), self._buffers
        session = buffers.session
        status = lib.esp_sessions_read(
            table, session_id, len(session_id), now_ms, session, buffers.error
        )
        if status:
            raise make_error(status, buffers.error)
        n = min(session.n_queries, limit)
        if n == 0:
            return (), ()
        ends = ffi.unpack(session.offset, n + 1)
        text = buffers.text[: ends[n]]
        return (
            tuple(text[ends[i] : ends[i + 1]].decode() for i in range(n)),
            tuple(ffi.unpack(session.age, n)),
        )

    def delete(self, session_id: bytes, now_ms: int) -> bool:
        """Forget the session now; return whether there was one."""
        table, buffers = self._open(), self._buffers
        status = lib.esp_sessions_delete(
            table, session_id, len(session_id), now_ms, buffers.flag, buffers.error
        )
        if status:
            raise make_error(status, buffers.error)
        return bool(buffers.flag[0])

    def sweep(self, now_ms: int, records: int) -> None:
        """Clean the next ``records`` records."""
        lib.esp_sessions_sweep(self._open(), now_ms, records)

    def info(self) -> SessionsInfo:
        """Return what the table is and has done."""
        info = ffi.new("esp_sessions_info *")
        lib.esp_sessions_get_info(self._open(), info)
        numbers = {name: getattr(info, name) for name in SessionsInfo._fields}
        return SessionsInfo(**numbers | {"backing": SessionsBacking(info.backing)})

    def openings(self) -> int:
        """Return how often the table is open, in all processes."""
        return int(lib.esp_sessions_count_openings(self._open()))

    def report(self) -> SessionsReport:
        """Read every record and entry; return what was found."""
        report = ffi.new("esp_sessions_report *")
        lib.esp_sessions_check(self._open(), report)
        return SessionsReport(*(getattr(report, name) for name in SessionsReport._fields))

    def close(self) -> None:
        """Let go of the table; calls under way end first. Twice is no error."""
        self._table = None
