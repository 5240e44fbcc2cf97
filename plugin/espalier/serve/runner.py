"""Puts the supervisor together, runs it, and ends it.

SIGTERM and SIGINT (Ctrl-C) drain: health says NOT_SERVING, no new calls are
taken, those under way have the grace to finish, and the process ends with 0; what
the grace was too short for is cut off, and counted in the log. A second signal
ends it at once, with 128 and the number of the signal.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

from espalier.errors import ConfigError
from espalier.serve import processors, supervisor
from espalier.serve.listen import claim_unix, reserve_tcp
from espalier.serve.log import EventLog, JsonLog
from espalier.serve.orders import Orders
from espalier.serve.supervisor import Supervisor
from espalier.sessions.opening import FILE_NAME
from espalier.sessions.shared import SharedSessionStore
from espalier.settings import ServeSettings


def run(
    settings: ServeSettings,
    *,
    verify: bool = True,
    out: TextIO | None = None,
    log: EventLog | None = None,
) -> int:
    """Serve until told to end; return the exit code.

    Prints one line ``listening on ADDRESS`` per address once calls are answered.
    Only in the main thread of a process, since it handles signals.

    Args:
        settings: What to serve, where and how.
        verify: Whether to compare the checksums of the indexes first.
        out: Where addresses are printed, stdout by default.
        log: Where events go, JSON lines on stderr by default.

    Raises:
        ConfigError: There is nothing to serve.
        ListenError: An address cannot be had.
        WorkerError: A worker could not start, for instance because of an index.
    """
    out = sys.stdout if out is None else out
    log = JsonLog() if log is None else log
    if not settings.index:
        raise ConfigError("nothing to serve: name at least one index")
    table = _table_of(settings, log)
    try:
        return _supervise(settings, table, verify=verify, out=out, log=log)
    finally:
        if table is not None:
            table.close()


def _supervise(
    settings: ServeSettings,
    table: SharedSessionStore | None,
    *,
    verify: bool,
    out: TextIO,
    log: EventLog,
) -> int:
    count = settings.workers or processors.available()
    sockets = [_socket_of(settings.unix, number) for number in range(count)]
    for path in sockets:
        if path is not None:
            claim_unix(path)
    reserved = reserve_tcp(settings.listen)
    try:
        orders = [
            Orders(
                number,
                settings,
                reserved.address,
                unix=path,
                sessions=None if table is None else table.shared_path,
                verify=verify,
            )
            for number, path in enumerate(sockets)
        ]
        addresses = [reserved.address, *(f"unix:{path}" for path in sockets if path is not None)]

        def started() -> None:
            for address in addresses:
                print(f"listening on {address}", file=out, flush=True)
                log.info("listening", address=address, workers=count)

        return Supervisor(
            supervisor.command(),
            [one.as_message() for one in orders],
            grace=settings.grace_seconds,
            log=log,
        ).run(started)
    finally:
        reserved.close()


def _table_of(settings: ServeSettings, log: EventLog) -> SharedSessionStore | None:
    """Open the table of sessions that all workers share; ``None`` if Redis has them.

    Whatever its kind, it outlives workers here; in memory it ends with this process.
    """
    if "://" in settings.sessions:
        return None
    in_file = settings.sessions == "shared" or (
        settings.sessions == "auto" and settings.state_dir is not None
    )
    path = settings.state_dir / FILE_NAME if in_file and settings.state_dir is not None else None
    table = SharedSessionStore(
        path,
        ttl_seconds=settings.session_ttl_seconds,
        max_queries=settings.session_queries,
        max_sessions=settings.max_sessions,
    )
    for notice in table.notices:
        log.warning(notice.event, **{name: str(value) for name, value in notice.fields.items()})
    return table


def _socket_of(base: Path | None, number: int) -> Path | None:
    """Return the Unix socket of a worker: one each, since a path has one listener."""
    return None if base is None else Path(f"{base}.{number}")
