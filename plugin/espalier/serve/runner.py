"""Puts the sidecar together, runs it, and ends it.

SIGTERM and SIGINT (Ctrl-C) drain: health says NOT_SERVING, no new calls are
taken, those under way have the grace to finish, and the process ends with 0; what
the grace was too short for is cut off, and counted in the log. A second signal
ends it at once, with 128 and the number of the signal.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from espalier.errors import ConfigError
from espalier.serve.domain import Completer
from espalier.serve.health import Health
from espalier.serve.indexes import Indexes, load_indexes
from espalier.serve.log import EventLog, JsonLog, LibraryLogs
from espalier.serve.server import Server
from espalier.serve.service import SERVICE_NAME, CompletionService
from espalier.serve.signals import SignalQueue
from espalier.sessions.memory import MemorySessionStore
from espalier.settings import ServeSettings

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# What a shell says of a process that a signal ended, plus its number.
_SIGNALLED = 128


def run(
    settings: ServeSettings,
    *,
    verify: bool = True,
    out: TextIO | None = None,
    log: EventLog | None = None,
    leave: Callable[[int], object] = os._exit,
) -> int:
    """Serve until told to end; return the exit code.

    Prints one line ``listening on ADDRESS`` per address once calls are answered.
    Only in the main thread of a process, since it handles signals.

    Args:
        settings: What to serve, where and how.
        verify: Whether to compare the checksums of the indexes first.
        out: Where addresses are printed, stdout by default.
        log: Where events go, JSON lines on stderr by default.
        leave: Ends the process without waiting for its threads.

    Raises:
        ConfigError: The settings ask for what this version cannot do.
        IndexFileError: An index cannot be used.
        ListenError: An address cannot be had.
    """
    out = sys.stdout if out is None else out
    log = JsonLog() if log is None else log
    if settings.workers != 1:
        raise ConfigError(
            f"serve.workers is {settings.workers}; this version serves from one process, so set 1"
        )
    with _library_logs(log):
        indexes = load_indexes(settings.index, verify=verify, log=log)
        with SignalQueue(_SIGNALS) as signals:
            return _serve(settings, indexes, signals=signals, out=out, log=log, leave=leave)


def _serve(
    settings: ServeSettings,
    indexes: Indexes,
    *,
    signals: SignalQueue,
    out: TextIO,
    log: EventLog,
    leave: Callable[[int], object],
) -> int:
    sessions = MemorySessionStore(
        ttl_seconds=settings.session_ttl_seconds,
        max_queries=settings.session_queries,
        max_sessions=settings.max_sessions,
    )
    completer = Completer(indexes, sessions, context_queries=settings.session_queries, log=log)
    health = Health([SERVICE_NAME], ["indexes", "sessions", "drain"])
    server = Server(CompletionService(completer).handlers(log), health, threads=settings.threads)
    addresses = [server.listen(settings.listen)]
    if settings.unix is not None:
        # One socket per worker; this is the only one.
        addresses.append(server.listen_unix(Path(f"{settings.unix}.0")))
    server.start()
    sessions.ping()
    for component in ("indexes", "sessions", "drain"):
        health.set(component, well=True)
    for address in addresses:
        print(f"listening on {address}", file=out, flush=True)
        log.info("listening", address=address)

    received = signals.wait()
    health.set("drain", well=False)
    log.info("draining", signal=received.name if received else None, grace=settings.grace_seconds)
    second: list[signal.Signals] = []

    def hurry(seconds: float) -> bool:
        again = signals.wait(seconds)
        if again is not None:
            second.append(again)
        return again is not None

    cut_off = server.drain(settings.grace_seconds, hurry)
    log.info("stopped", calls_cut_off=cut_off)
    if cut_off:
        # Their threads may still be inside the index: closing it, or waiting for
        # them, would be worse than ending here.
        code = _SIGNALLED + second[0] if second else 0
        leave(code)
        return code
    sessions.close()
    indexes.close()
    return 0


@contextlib.contextmanager
def _library_logs(log: EventLog) -> Iterator[None]:
    """Send what libraries log through ``log``, and nowhere else."""
    root = logging.getLogger()
    handler = LibraryLogs(log)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
