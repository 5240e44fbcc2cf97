"""Somebody at a terminal: a real pty, a real process, and an emulator that reads the screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyte

from integration.processes import PATIENCE, environment

UP: Final = "\x1b[A"
DOWN: Final = "\x1b[B"
RIGHT: Final = "\x1b[C"
ESCAPE: Final = "\x1b"

# A new session has no terminal until one of its processes takes one: only then do the
# keys and the size of the pty become signals.
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


class Typist:
    """Types into a Python process on a terminal of its own, and sees what it shows.

    Attributes:
        process: The process.
        written: Every byte it wrote.
        found: The terminal's settings before the process began.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        *,
        columns: int = 80,
        rows: int = 24,
        folder: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        """Start Python with ``arguments`` on a terminal of ``columns`` by ``rows``."""
        self._master, self._slave = pty.openpty()
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.written = b""
        self.resize(columns, rows)
        self.found = self.settings()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *map(str, arguments)],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            cwd=folder,
            env=environment(**({"TERM": "xterm", "PYTHONUTF8": "1", "NO_COLOR": ""} | (env or {}))),
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        """Return the typist."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process for sure."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self.hang_up()
        if self._slave >= 0:
            os.close(self._slave)

    # ---- doing -------------------------------------------------------------------

    def type(self, keys: str | bytes) -> None:
        """Type ``keys``."""
        os.write(self._master, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size, as a window manager does."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)

    def hang_up(self) -> None:
        """Close the window."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    # ---- seeing ------------------------------------------------------------------

    @property
    def lines(self) -> list[str]:
        """What the screen shows."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column of the cursor."""
        return self._screen.cursor.y, self._screen.cursor.x

    def settings(self) -> list[Any]:
        """Return the settings of the terminal."""
        return termios.tcgetattr(self._slave)

    def see(self, condition: Callable[[list[str]], object]) -> list[str]:
        """Wait until the screen is as ``condition`` says, and return its lines.

        Raises:
            AssertionError: It was not within PATIENCE; the message shows the screen.
        """
        until = time.monotonic() + PATIENCE
        while not condition(self.lines):
            shown = "\n".join(self.lines)
            assert time.monotonic() < until, f"not seen, but:\n{shown}"
            self._read(0.1)
        return self.lines

    def writes_within(self, seconds: float) -> bool:
        """Return whether the process writes anything in this time."""
        return self._read(seconds)

    def end(self) -> int:
        """Wait for the process to end, read what it still wrote, and return its exit code."""
        until = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < until, "it does not end"
            self._read(0.1)
        while self._read(0):
            pass
        return self.process.returncode

    def _read(self, seconds: float) -> bool:
        if self._master < 0:
            time.sleep(seconds)
            return False
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        data = os.read(self._master, 65_536)
        self.written += data
        self._stream.feed(data)
        return True
