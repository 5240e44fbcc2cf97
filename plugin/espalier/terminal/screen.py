"""A real terminal: keys in, frames out, and everything put back at the end.

The terminal is read byte by byte as the keys come (raw mode: Ctrl-C is a key like
any other) and given back as it was found however the conversation ends, by a key,
an exception or a signal. Nothing that is typed is written anywhere but to the screen.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Final

from espalier.terminal.answers import Asks
from espalier.terminal.drawing import ASCII_SYMBOLS, SYMBOLS, About, Size, Symbols, draw
from espalier.terminal.keys import KeyDecoder
from espalier.terminal.painting import ENTER, LEAVE, paint
from espalier.terminal.state import State, step

_ESCAPE_SECONDS: Final = 0.05
"""What follows an escape within this time belongs to it; people are slower."""
_UNKNOWN_SIZE: Final = Size(80, 24)
_MOST_CELLS: Final = 1000
_READ_BYTES: Final = 4096


def is_screen(environment: Mapping[str, str]) -> bool:
    """Return whether this process has a terminal that can be drawn on."""
    kind = environment.get("TERM", "")
    return kind not in {"", "dumb"} and sys.stdin.isatty() and sys.stdout.isatty()


@dataclass(frozen=True, slots=True)
class _Device:
    """A terminal: where keys come from and frames go to, and how it shows them."""

    keys: int
    screen: int
    encoding: str
    colour: bool

    @property
    def symbols(self) -> Symbols:
        try:
            "▲▼▸│…µ".encode(self.encoding)
        except UnicodeEncodeError:
            return ASCII_SYMBOLS
        return SYMBOLS

    def size(self) -> Size:
        try:
            columns, rows = os.get_terminal_size(self.screen)
        except OSError:
            return _UNKNOWN_SIZE
        if columns <= 0 or rows <= 0:  # what a serial line reports
            return _UNKNOWN_SIZE
        return Size(min(columns, _MOST_CELLS), min(rows, _MOST_CELLS))

    def write(self, text: str) -> None:
        data = memoryview(text.encode(self.encoding, "replace"))
        while data:
            data = data[os.write(self.screen, data) :]

    def read(self) -> bytes:
        """Return what was typed; nothing once the terminal is gone."""
        try:
            return os.read(self.keys, _READ_BYTES)
        except OSError:
            return b""


def converse(
    state: State, asker: Asks, about: About, environment: Mapping[str, str] = os.environ
) -> None:
    """Show ``state`` on this process's terminal and follow its keys until one says leave."""
    device = _Device(
        keys=sys.stdin.fileno(),
        screen=sys.stdout.fileno(),
        encoding=sys.stdout.encoding,
        colour=not environment.get("NO_COLOR"),
    )
    with _resizes() as resized, _taken(device):
        _follow(state, asker, about, device, resized)


def _follow(state: State, asker: Asks, about: About, device: _Device, resized: int) -> None:
    decoder = KeyDecoder(device.encoding)
    while not state.left:
        frame = draw(state, device.size(), about, device.symbols)
        device.write(paint(frame, colour=device.colour))
        patience = _ESCAPE_SECONDS if decoder.waiting else None
        ready, _, _ = select.select([device.keys, resized], [], [], patience)
        if resized in ready:
            os.read(resized, _READ_BYTES)
        keys = [] if ready else decoder.flush()
        if device.keys in ready:
            data = device.read()
            if not data:
                return
            keys = decoder.feed(data)
        for key in keys:
            state = step(state, key, asker)
            if state.left:
                return


@contextmanager
def _taken(device: _Device) -> Iterator[None]:
    """Have the terminal to ourselves inside the block, and give it back as it was."""
    before = termios.tcgetattr(device.keys)
    try:
        # What was typed while the index was opened is kept.
        tty.setraw(device.keys, termios.TCSADRAIN)
        device.write(ENTER)
        yield
    finally:
        # A terminal that is gone needs nothing back.
        with suppress(OSError):
            device.write(LEAVE)
        with suppress(termios.error):
            termios.tcsetattr(device.keys, termios.TCSADRAIN, before)


def _nothing(_signum: int, _frame: FrameType | None) -> None:
    """Handle a signal by being there."""


@contextmanager
def _resizes() -> Iterator[int]:
    """Give a file descriptor that can be read once the terminal has another size."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    # The handler does nothing; that there is one makes Python write to the pipe.
    before = signal.signal(signal.SIGWINCH, _nothing)
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGWINCH, before)
        os.close(reading)
        os.close(writing)
