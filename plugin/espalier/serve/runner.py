"""Puts the sidecar together, runs it, and ends it.

SIGTERM and SIGINT (Ctrl-C) drain: health says NOT_SERVING, no new calls are
taken, those under way have the grace to finish, and the process ends with 0. A
second signal ends it at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TextIO

from espalier.errors import ConfigError
from espalier.serve.domain import Completer
from espalier.serve.health import Health
from espalier.serve.indexes import Indexes, load_indexes
from espalier.serve.log import EventLog, JsonLog, LibraryLogs
from espalier.serve.server import Server
from espalier.serve.service import SERVICE_NAME, CompletionService
from espalier.sessions.memory import MemorySessionStore
from espalier.settings import ServeSettings

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_CUT_OFF = 1


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
        with _signals() as signals:
            return _serve(settings, indexes, signals=signals, out=out, log=log, leave=leave)


def _serve(
    settings: ServeSettings,
    indexes: Indexes,
    *,
    signals: queue.SimpleQueue[int],
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

    received = signals.get()
    health.set("drain", well=False)
    log.info("draining", signal=signal.Signals(received).name, grace=settings.grace_seconds)
    finished = server.drain(settings.grace_seconds, lambda seconds: _arrived(signals, seconds))
    log.info("stopped", every_call_finished=finished)
    if not finished:
        # Threads may still be inside the index: closing it, or waiting for them,
        # would be worse than ending here.
        leave(_CUT_OFF)
        return _CUT_OFF
    sessions.close()
    indexes.close()
    return 0


def _arrived(signals: queue.SimpleQueue[int], seconds: float) -> bool:
    try:
        signals.get(timeout=seconds)
    except queue.Empty:
        return False
    return True


@contextlib.contextmanager
def _signals() -> Iterator[queue.SimpleQueue[int]]:
    """Collect signals in a queue; a SimpleQueue may be filled from a handler."""
    received: queue.SimpleQueue[int] = queue.SimpleQueue()

    def note(number: int, _frame: FrameType | None) -> None:
        received.put(number)

    before = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
