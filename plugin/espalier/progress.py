"""Progress of long work: a port with two adapters.

Functions that may run for seconds take ``progress: Progress = NO_PROGRESS`` and
open a stage for each part::

    with progress.stage("reading", total=rows) as advance:
        for batch in batches:
            ...
            advance(len(batch))

``advance`` may be called from any thread. A stage shows its name and numbers,
never the data it works on.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, TextIO

# Redrawing a bar more often than the eye follows only slows the work down.
_REDRAW_SECONDS = 0.1
_BAR_CELLS = 24


class Progress(Protocol):
    """What long functions report to."""

    def stage(
        self, name: str, total: int | None = None
    ) -> AbstractContextManager[Callable[[int], None]]:
        """Open a stage of ``total`` steps (``None``: unknown) and yield ``advance(steps)``."""
        ...


class NoProgress:
    """Says nothing; the default everywhere."""

    @contextlib.contextmanager
    def stage(
        self,
        name: str,  # noqa: ARG002 - the port's argument
        total: int | None = None,  # noqa: ARG002 - the port's argument
    ) -> Iterator[Callable[[int], None]]:
        """Yield a function that does nothing."""
        yield _ignore


def _ignore(steps: int) -> None:
    """Take no notice of ``steps``."""


NO_PROGRESS: Progress = NoProgress()


class TerminalProgress:
    """Bars on a terminal, one line per finished stage elsewhere.

    Both leave one line per stage behind: its name, the steps done where steps
    were counted, and the seconds it took. A stream that no longer takes output
    (a closed pipe, a full disk) never stops the work.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        interactive: bool | None = None,
    ) -> None:
        """Write to ``stream`` (default stderr), with a bar if it is a terminal."""
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._interactive = self._stream.isatty() if interactive is None else interactive

    @contextlib.contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Show one stage from start to end; an error inside is passed on and shown."""
        bar = _Bar(name, total, self._clock(), self._draw if self._interactive else None)
        bar.show(self._clock())
        done = False

        def advance(steps: int) -> None:
            bar.advance(steps, self._clock())

        try:
            yield advance
            done = True
        finally:
            self._finish(bar.summary(self._clock(), done=done))

    def _draw(self, line: str) -> None:
        columns = shutil.get_terminal_size().columns
        self._write("\r" + line[: columns - 1] + "\x1b[K")

    def _finish(self, line: str) -> None:
        self._write(f"\r{line}\x1b[K\n" if self._interactive else f"{line}\n")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


class _Bar:
    """Counts the steps of one stage and decides when to draw."""

    def __init__(
        self, name: str, total: int | None, start: float, draw: Callable[[str], None] | None
    ) -> None:
        self._name = name
        self._total = total
        self._start = start
        self._draw = draw
        self._done = 0
        self._drawn_at = -_REDRAW_SECONDS
        self._lock = threading.Lock()

    def advance(self, steps: int, now: float) -> None:
        with self._lock:
            self._done += steps
            due = now - self._drawn_at >= _REDRAW_SECONDS
        if due:
            self.show(now)

    def show(self, now: float) -> None:
        if self._draw is None:
            return
        with self._lock:
            self._drawn_at = now
            self._draw(self._line(now))

    def summary(self, now: float, *, done: bool) -> str:
        steps = f"{self._done:,}" if self._done else ""
        ending = "" if done else "  (stopped)"
        return f"{self._name:<28} {steps:>14} {now - self._start:>8.1f} s{ending}"

    def _line(self, now: float) -> str:
        elapsed = f"{now - self._start:.0f} s"
        if not self._total:
            return f"{self._name:<28} {self._done:,}  {elapsed}"
        share = min(1.0, self._done / self._total)
        cells = int(share * _BAR_CELLS)
        bar = "#" * cells + "-" * (_BAR_CELLS - cells)
        return f"{self._name:<28} [{bar}] {share:4.0%}  {elapsed}"
