"""What the sidecar says to its operator: one JSON object a line, on stderr.

Every line has ``time`` (UTC), ``level``, ``event`` and ``pid``, lines of a worker its
number as ``worker``; the events and their fields are listed in
``integration/ops/TELEMETRY.md``. An event has a snake_case name and fields; never a
sentence, never query text, session ids or messages of foreign exceptions
(which may quote their input).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TextIO

if TYPE_CHECKING:
    from espalier.sessions.shared import Notice

Field = str | int | float | bool | None

LEVELS: Final = ("info", "warning", "error")
"""From what is ordinary to what is a fault."""


class EventLog(Protocol):
    """Where events go. Safe to use from many threads; never raises."""

    def info(self, event: str, **fields: Field) -> None:
        """Note something ordinary."""
        ...

    def warning(self, event: str, **fields: Field) -> None:
        """Note something that may need attention."""
        ...

    def error(self, event: str, **fields: Field) -> None:
        """Note a fault."""
        ...


class JsonLog:
    """An `EventLog` on a text stream."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        clock: Callable[[], float] = time.time,
        level: str = LEVELS[0],
        **always: Field,
    ) -> None:
        """Write to ``stream``, stderr by default, with the time of ``clock`` (Unix seconds).

        What is below ``level`` is left out. The fields ``always`` stand in every line.
        """
        self._levels = LEVELS[LEVELS.index(level) :]
        self._stream = sys.stderr if stream is None else stream
        self._always = always
        self._clock = clock
        self._lock = threading.Lock()

    def info(self, event: str, **fields: Field) -> None:
        """Note something ordinary."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Field) -> None:
        """Note something that may need attention."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Field) -> None:
        """Note a fault."""
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Field]) -> None:
        if level not in self._levels:
            return
        now = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
        stamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps(
            {"time": stamp, "level": level, "event": event, "pid": os.getpid()}
            | self._always
            | fields
        )
        try:
            with self._lock:
                self._stream.write(line + "\n")
                self._stream.flush()
        except (OSError, ValueError):
            # A closed pipe or a full disk behind stderr: nothing to tell, nobody to tell it.
            return


class LibraryLogs(logging.Handler):
    """Turns records of libraries into events, without their messages."""

    def __init__(self, log: EventLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log where the record came from and the type of its exception."""
        raised = record.exc_info[1] if record.exc_info else None
        self._log.warning(
            "library_warning",
            library=record.name,
            at=f"{record.module}:{record.lineno}",
            exception=type(raised).__name__ if raised else None,
            raised_at=place_of(raised) if raised else None,
        )


@contextlib.contextmanager
def library_logs(log: EventLog) -> Iterator[None]:
    """Send what libraries log through ``log``, and nowhere else."""
    root = logging.getLogger()
    handler = LibraryLogs(log)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


def tell(notices: Iterable[Notice], log: EventLog) -> None:
    """Log what happened while the sessions were opened."""
    for notice in notices:
        log.warning(notice.event, **{name: str(value) for name, value in notice.fields.items()})


def place_of(error: BaseException) -> str:
    """Return ``file:line`` of the innermost frame that raised ``error``, "" if unknown."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    last = frames[-1]
    return f"{Path(last.filename).name}:{last.lineno}"
