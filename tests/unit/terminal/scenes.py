"""The states that the golden screens show, and the making of those screens.

A screen is kept as text in ``screens/``: what a terminal shows, and below it the row
and column of the cursor. After a change of the drawing that was meant,

    python -m tests.unit.terminal.scenes

writes them anew, and the difference is looked at before it is committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pyte

from espalier.terminal.drawing import ASCII_SYMBOLS, SYMBOLS, About, Frame, Size, Symbols, draw
from espalier.terminal.keys import Key, Press, Typed
from espalier.terminal.painting import paint
from espalier.terminal.state import State, begin, step
from tests.unit.terminal.fakes import FakeAsker

FOLDER: Final = Path(__file__).with_name("screens")
ABOUT: Final = About("site.esp", 12_345)


class Scene(NamedTuple):
    """Keys pressed, and the terminal they were pressed on."""

    size: Size
    keys: tuple[Key | str, ...]
    k: int = 10
    symbols: Symbols = SYMBOLS


_SESSION: Final = ("東京 ホテル", Press.SUBMIT, "فندق", Press.SUBMIT, "coffee", Press.SUBMIT)
SCENES: Final[Mapping[str, Scene]] = {
    "60x15-first-letter": Scene(Size(60, 15), ("t",)),
    "60x15-session": Scene(Size(60, 15), _SESSION),
    "60x15-chosen-explained": Scene(Size(60, 15), ("t", Press.DOWN, Press.DOWN, Press.EXPLAIN)),
    "60x15-scrolled": Scene(Size(60, 15), (*_SESSION, *[Press.DOWN] * 12), k=16),
    "60x15-nothing": Scene(Size(60, 15), ("xyz",)),
    "60x15-refused": Scene(Size(60, 15), (Typed("long line " * 12),)),
    "80x24-japanese": Scene(Size(80, 24), (*_SESSION, "東京")),
    "80x24-arabic": Scene(Size(80, 24), (*_SESSION, "ف")),
    "80x24-ascii": Scene(Size(80, 24), ("tent", Press.SUBMIT, "c"), symbols=ASCII_SYMBOLS),
    "120x20-without-context": Scene(Size(120, 20), (*_SESSION, "c", Press.CONTEXT)),
    "200x50-everything": Scene(Size(200, 50), (*_SESSION, Press.EXPLAIN, Press.DOWN), k=16),
    "24x6-small": Scene(Size(24, 6), (*_SESSION, "c")),
    "9x2-tiny": Scene(Size(9, 2), ("c",)),
}


def state_of(scene: Scene) -> State:
    """Return the state after the keys of ``scene``."""
    asker = FakeAsker(k=scene.k)
    state = begin(asker)
    for key in scene.keys:
        state = step(state, Typed(key) if isinstance(key, str) else key, asker)
    return state


def frame_of(scene: Scene) -> Frame:
    """Return what is drawn of ``scene``."""
    return draw(state_of(scene), scene.size, ABOUT, scene.symbols)


def on_terminal(frame: Frame, size: Size, *, colour: bool = True) -> pyte.Screen:
    """Return a terminal of ``size``, full of rubbish, after ``frame`` was painted on it."""
    screen = pyte.Screen(*size)
    stream = pyte.Stream(screen)
    stream.feed("\x1b[?7l" + "#" * size.columns + "\x1b[H" + ("#" * size.columns + "\r\n") * 3)
    # pyte drops what follows a joiner; a real terminal joins, or shows nothing for it.
    stream.feed(paint(frame, colour=colour).translate(dict.fromkeys(map(ord, "\u200c\u200d"))))
    return screen


def text_of(screen: pyte.Screen) -> str:
    """Return what a terminal shows, as it is kept in a file."""
    lines = [line.rstrip() for line in screen.display]
    return "\n".join([*lines, f"cursor {screen.cursor.y} {screen.cursor.x}"]) + "\n"


def main() -> None:
    """Write every screen."""
    for name, scene in SCENES.items():
        text = text_of(on_terminal(frame_of(scene), scene.size))
        (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
