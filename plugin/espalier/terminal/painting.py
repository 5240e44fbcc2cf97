"""A frame as the escape codes that put it on a terminal.

Only what every terminal since the VT100 understands: positions, erasing a line, and
attributes. Where colours are not wanted (``NO_COLOR``), bold, dim and reverse stay,
as no-color.org has it.
"""

from __future__ import annotations

from typing import Final

from espalier.console import cells
from espalier.terminal.drawing import Frame, Piece, Role

ENTER: Final = "\x1b[?1049h\x1b[?7l\x1b[?2004h"
"""Take a screen of our own, cut long lines, have pasted text marked as such."""
LEAVE: Final = "\x1b[0m\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l"
"""Give back what ENTER took, and the cursor."""

_BOLD, _DIM, _REVERSE = "1", "2", "7"
_RED, _GREEN, _YELLOW, _MAGENTA, _CYAN = "31", "32", "33", "35", "36"
# Attribute and colour of each role. Colours of the sixteen only: the person chose
# them to be readable on their background.
_LOOK: Final = {
    Role.NAME: (_BOLD, ""),
    Role.PLAIN: ("", ""),
    Role.QUIET: (_DIM, ""),
    Role.MATCHED: (_DIM, ""),
    Role.REST: (_BOLD, ""),
    Role.RISEN: ("", _GREEN),
    Role.FALLEN: ("", _RED),
    Role.NEW: ("", _CYAN),
    Role.GENERATED: ("", _MAGENTA),
    Role.CORRECTED: ("", _YELLOW),
    Role.ERROR: (_BOLD, _RED),
}


def paint(frame: Frame, *, colour: bool) -> str:
    """Return what, written to a terminal of the frame's size, shows the frame."""
    parts = ["\x1b[?25l"]
    for row, line in enumerate(frame.lines, 1):
        parts.append(f"\x1b[{row};1H\x1b[0m\x1b[2K")
        column = 0
        for piece in line:
            if not piece.text:
                continue
            if piece.column != column:
                parts.append(f"\x1b[{row};{piece.column + 1}H")
            parts.append(f"{_attributes(piece, colour=colour)}{piece.text}")
            column = piece.column + cells(piece.text)
    parts.append(f"\x1b[0m\x1b[{frame.cursor_row + 1};{frame.cursor_column + 1}H\x1b[?25h")
    return "".join(parts)


def _attributes(piece: Piece, *, colour: bool) -> str:
    attribute, hue = _LOOK[piece.role]
    # Dim on a reversed line is hard to read.
    attribute = "" if piece.chosen and attribute == _DIM else attribute
    codes = ["0", attribute, hue if colour else "", _REVERSE if piece.chosen else ""]
    return f"\x1b[{';'.join(filter(None, codes))}m"
