"""The columns of the list: which there is room for, and what they say."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from espalier.terminal.answers import Row

RANK_END: Final = 5
"""The column behind the rank, which has three digits at most."""
MOVEMENT: Final = 6
"""Where it says how the rank changed, in up to four cells."""
TEXT: Final = 11
"""Where the suggestions begin, if there is room for what stands before them."""
_NARROW_TEXT = 2
_MIN_TEXT, _MAX_TEXT = 16, 56
_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column to the right of the suggestions.

    Attributes:
        name: Its caption.
        width: In cells, the gap before it not counted.
        says: What stands in it.
        right: Whether that stands on its right side.
        start: Where it begins.
    """

    name: str
    width: int
    says: Callable[[Row], str]
    right: bool = False
    start: int = 0

    def place(self, said: str) -> int:
        """Return where ``said``, as wide as it has characters, begins."""
        return self.start + (self.width - len(said) if self.right else 0)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the suggestions stand, and the columns behind them."""

    text_start: int
    text_width: int
    columns: tuple[Column, ...]


def _source(row: Row) -> str:
    return row.suggestion.source


def _score(row: Row) -> str:
    return f"{row.suggestion.score:.3f}"


def _users(row: Row) -> str:
    return "-" if row.users is None else f"{row.users:,}"


def _figures(row: Row) -> str:
    sign = "+" if row.added else "-"  # "-" signs what is below 0 only
    said = [
        f"{name} {format(value, f'{sign}.2f') if math.isfinite(value) else '-'}"
        for name, value in row.figures
    ]
    return "  ".join(said)


# The source stands next to the text: its Latin letters keep the numbers behind it in
# place where text is written from right to left.
_SOURCE: Final = Column("source", 9, _source)
_SCORE: Final = Column("score", 8, _score, right=True)
_USERS: Final = Column("users", 7, _users, right=True)
_FIGURES: Final = Column("made of", 30, _figures)
_MOST: Final = {
    False: ((_SOURCE, _SCORE, _USERS), (_SOURCE, _SCORE), (_SOURCE,)),
    True: (
        (_SOURCE, _SCORE, _USERS, _FIGURES),
        (_SOURCE, _SCORE, _FIGURES),
        (_SOURCE, _FIGURES),
        (_FIGURES,),
    ),
}


def arrange(width: int, *, explain: bool) -> Layout:
    """Return as many columns as leave the suggestions room to be read."""
    for columns in _MOST[explain]:
        free = width - TEXT - sum(_GAP + column.width for column in columns)
        if free >= _MIN_TEXT:
            return _placed(free, columns)
    start = TEXT if width - TEXT >= _MIN_TEXT else _NARROW_TEXT
    return Layout(start, max(width - start, 0), ())


def _placed(free: int, columns: tuple[Column, ...]) -> Layout:
    text_width = min(free, _MAX_TEXT)
    start = TEXT + text_width
    placed = []
    for column in columns:
        start += _GAP
        # There can be more figures than the two that every suggestion has.
        spare = free - text_width if column is _FIGURES else 0
        placed.append(replace(column, start=start, width=column.width + spare))
        start += column.width
    return Layout(TEXT, text_width, tuple(placed))
