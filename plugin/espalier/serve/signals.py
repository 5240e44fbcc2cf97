"""Waiting for signals, and for words of other threads, without losing one.

A Python handler runs when the main thread next executes bytecode. A main thread
that waits for a lock is not woken if the signal came just before it went to
sleep, and under load (while the interpreter lock changes hands) that window is
wide enough to be hit. The interpreter also writes the number of each signal to a
file descriptor, at once and from whichever thread got it; so we sleep on that.
"""

from __future__ import annotations

import select
import signal
import socket
import time
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Self

FIRST_WORD = 128
"""Words that other threads put among the signals begin above all of them."""


class SignalQueue:
    """While open, collects signals instead of letting them end the process.

    Other threads may `put` words among them. Only in the main thread.
    """

    def __init__(self, numbers: Sequence[signal.Signals]) -> None:
        """Collect ``numbers``, once opened with ``with``."""
        self._numbers = frozenset(numbers)

    def __enter__(self) -> Self:
        """Begin to collect."""
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._fd_before = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        self._handlers_before = {
            number: signal.signal(number, _do_nothing) for number in self._numbers
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let signals do what they did before; forget those not waited for."""
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        self._read.close()
        self._write.close()

    def put(self, word: int) -> None:
        """Let `wait` return ``word``, from `FIRST_WORD` to 255, in its turn; from any thread."""
        try:
            self._write.send(bytes((word,)))
        except OSError:
            # Full, so that waiting will end anyway; or closed, so that nobody waits.
            return

    def wait(self, seconds: float | None = None) -> int | None:
        """Return the next signal or word, ``None`` if none came in time.

        Without ``seconds`` waits for ever. A signal is a `signal.Signals`.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self._read], [], [], left)
            if not ready:
                return None
            # Handlers of others write their numbers here, too.
            number = self._read.recv(1)[0]
            if number in self._numbers:
                return signal.Signals(number)
            if number >= FIRST_WORD:
                return number


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Handle a signal: its number is in the queue already."""
