"""What is to be seen: a state and a size give a frame. No terminal, no escape codes.

A frame is a list of lines, a line a list of pieces, each at a column of its own.
Columns are absolute, so that a character which this program and a terminal count
differently shifts nothing that stands to the right of it.

Text from right to left needs no marks: what stands on its right within a line begins
with a Latin letter (the source) or is nothing, so a terminal that reorders for
reading keeps numbers and columns where they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final, NamedTuple

from espalier.console import cells
from espalier.terminal.answers import Answer, Row
from espalier.terminal.cells import fit, fit_end
from espalier.terminal.columns import MOVEMENT, RANK_END, TEXT, Column, Layout, arrange
from espalier.terminal.state import State
from espalier.text import normalise

WIDE: Final = 100
"""Cells from which on the session stands beside the list instead of below it."""
_CAPTION_ROWS: Final = 10
_PROMPT: Final = "> "
# In the order of their worth: a narrow terminal shows the first ones.
_KEYS: Final = (
    "Up/Down pick",
    "Tab take",
    "Enter submit",
    "^X context",
    "Esc leave",
    "^N new session",
    "^E explain",
    "^W ^U clear",
)


class Role(Enum):
    """What a piece is, and so how it looks."""

    NAME = auto()
    PLAIN = auto()
    QUIET = auto()
    MATCHED = auto()
    REST = auto()
    RISEN = auto()
    FALLEN = auto()
    NEW = auto()
    GENERATED = auto()
    CORRECTED = auto()
    ERROR = auto()


@dataclass(frozen=True, slots=True)
class Piece:
    """Text at a column, counted from 0; ``chosen`` pieces stand out."""

    column: int
    text: str
    role: Role = Role.PLAIN
    chosen: bool = False


Line = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """Lines from the top, at most as many as fit, and where the cursor stands."""

    lines: tuple[Line, ...]
    cursor_row: int
    cursor_column: int


class Size(NamedTuple):
    """Of a terminal, in cells."""

    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class Symbols:
    """Signs of one cell, for terminals that show Unicode and those that do not."""

    up: str = "▲"
    down: str = "▼"
    chosen: str = "▸"
    bar: str = "│"
    more: str = "…"
    dot: str = "·"
    micro: str = "µs"


SYMBOLS: Final = Symbols()
ASCII_SYMBOLS: Final = Symbols("+", "-", ">", "|", "~", "-", "us")


@dataclass(frozen=True, slots=True)
class About:
    """The index that is tried."""

    name: str
    labels: int


def draw(state: State, size: Size, about: About, symbols: Symbols = SYMBOLS) -> Frame:
    """Return the frame that shows ``state`` on a terminal of ``size``."""
    return _Drawing(state, size, about, symbols).frame()


class _Drawing:
    """One frame in the making: title, typed line, list, session, status, keys."""

    def __init__(self, state: State, size: Size, about: About, symbols: Symbols) -> None:
        self._state = state
        self._answer = state.answer or Answer()
        self._width, height = size
        self._about = about
        self._symbols = symbols
        self._panel = min(self._width // 3, 48) if self._width >= WIDE else 0
        self._list_width = self._width - self._panel
        # A low terminal keeps what matters most, the typed line before all.
        above = [self._title] if height >= 6 else []
        below = [self._session_line] if height >= 5 and not self._panel else []
        below += [self._status] if height >= 3 else []
        below += [self._help] if height >= 7 else []
        self._above, self._below = above, below
        self._room = max(height - len(above) - 1 - len(below), 0)

    def frame(self) -> Frame:
        """Return the whole of it."""
        lines = [line() for line in self._above]
        cursor_row = len(lines)
        lines.append(self._input())
        lines += self._list()
        lines += [()] * (cursor_row + 1 + self._room - len(lines))
        if self._panel:
            self._add_panel(lines, cursor_row)
        lines += [line() for line in self._below]
        typed = len(_PROMPT) + cells(self._typed())
        return Frame(tuple(lines), cursor_row, min(typed, self._width - 1))

    # ---- above -------------------------------------------------------------------

    def _title(self) -> Line:
        said, role = (
            ("context on", Role.NEW) if self._state.context else ("context OFF", Role.ERROR)
        )
        name = self._fit(f"espalier try {self._about.name}", self._width)
        counted = f"  {self._about.labels:,} labels"
        free = self._width - cells(name)
        pieces = [Piece(0, name, Role.NAME)]
        if free > len(said):
            pieces.append(Piece(self._width - len(said), said, role))
            free -= len(said) + 1
        if free >= len(counted):
            pieces.insert(1, Piece(cells(name), counted, Role.QUIET))
        return tuple(pieces)

    def _typed(self) -> str:
        room = max(self._width - len(_PROMPT) - 1, 0)
        return fit_end(self._state.line, room, self._symbols.more)

    def _input(self) -> Line:
        prompt = _PROMPT[: self._width]
        return Piece(0, prompt, Role.NAME), Piece(len(prompt), self._typed())

    # ---- the list ----------------------------------------------------------------

    def _list(self) -> list[Line]:
        rows = self._answer.rows
        if not rows:
            return self._nothing()[: self._room]
        layout = arrange(self._list_width - 1, explain=self._state.explain)
        caption = [self._captions(layout)] if self._has_captions() else []
        return caption + [self._row(i, rows[i], layout) for i in self._window()]

    def _has_captions(self) -> bool:
        return self._room > max(len(self._answer.rows), _CAPTION_ROWS - 1)

    def _window(self) -> range:
        """Return the places shown: as many as there is room for, the chosen one among them."""
        n = len(self._answer.rows)
        room = self._room - self._has_captions()
        first = min(max((self._state.chosen or 0) - room + 1, 0), max(n - room, 0))
        return range(first, min(first + room, n))

    def _nothing(self) -> list[Line]:
        refusal = self._answer.refusal
        layout = arrange(self._list_width - 1, explain=False)
        room = self._list_width - 1 - layout.text_start
        said = self._fit(refusal or "nothing in this index starts like this", room)
        return [(Piece(layout.text_start, said, Role.ERROR if refusal else Role.QUIET),)]

    def _captions(self, layout: Layout) -> Line:
        return tuple(
            Piece(column.place(column.name), column.name, Role.QUIET) for column in layout.columns
        )

    def _row(self, place: int, row: Row, layout: Layout) -> Line:
        rank = str(place + 1)
        pieces = list(self._text(row, layout))
        if layout.text_start == TEXT:
            pieces.append(Piece(RANK_END - len(rank), rank, Role.QUIET))
            pieces.extend(self._movement(place + 1, row))
        for column in layout.columns:
            said = self._fit(column.says(row), column.width)
            pieces.append(Piece(column.place(said), said, _role(column, row)))
        if place == self._state.chosen:
            bar = " " * (self._list_width - 1)
            mark = self._symbols.chosen[: self._list_width - 1]
            pieces = [replace(one, chosen=True) for one in (Piece(0, bar), Piece(0, mark), *pieces)]
        return tuple(pieces)

    def _movement(self, rank: int, row: Row) -> Iterator[Piece]:
        if not self._answer.compared:
            return
        if row.before is None:
            yield Piece(MOVEMENT, "new", Role.NEW)
        elif row.before > rank:
            yield Piece(MOVEMENT, f"{self._symbols.up}{row.before - rank}", Role.RISEN)
        elif row.before < rank:
            yield Piece(MOVEMENT, f"{self._symbols.down}{rank - row.before}", Role.FALLEN)

    def _text(self, row: Row, layout: Layout) -> Iterator[Piece]:
        """Yield what was typed already, and what it would become."""
        suggestion = row.suggestion
        shown = suggestion.display_text
        split = suggestion.matched_code_points
        # The form that people type may be longer or shorter than the one that is compared.
        if normalise(shown[:split]) != suggestion.text[:split].strip():
            split = 0
        head = self._fit(shown[:split], layout.text_width)
        rest = self._fit(shown[split:], layout.text_width - cells(head))
        yield Piece(layout.text_start, head, Role.MATCHED)
        yield Piece(layout.text_start + cells(head), rest, Role.REST)

    # ---- below and beside ----------------------------------------------------------

    def _status(self) -> Line:
        answer = self._answer
        if answer.refusal:
            return ()
        n, shown = len(answer.rows), self._window()
        spent = f"{answer.microseconds:,.0f} {self._symbols.micro}"
        parts = [f"{n} of {answer.candidates:,} candidates in {spent}"]
        if len(shown) < n:
            parts.append(f"shown {shown.start + 1} to {shown.stop}")
        parts.extend(self._effect())
        said = f" {self._symbols.dot} ".join(parts)
        return (Piece(0, self._fit(said, self._width), Role.QUIET),)

    def _effect(self) -> Iterator[str]:
        """Say what the session did to the list."""
        rows = self._answer.rows
        if self._answer.compared:
            new = sum(row.before is None for row in rows)
            moved = sum(row.before not in {None, rank} for rank, row in enumerate(rows, 1))
            yield f"session: {new} new, {moved} moved"
        elif self._state.session:
            yield "without the session"

    def _session_line(self) -> Line:
        label = "session  "[: self._width]
        session = self._state.session
        said = f" {self._symbols.dot} ".join(session) or "empty: Enter adds what is typed"
        return (
            Piece(0, label, Role.QUIET),
            Piece(
                len(label), self._fit(said, self._width - len(label)), self._session_role(session)
            ),
        )

    def _add_panel(self, lines: list[Line], first: int) -> None:
        """Put the session, a query a line, to the right of the lines from ``first`` on."""
        session = self._state.session
        role = self._session_role(session)
        said = ["session, newest first"] if session else ["session", "Enter adds what is typed"]
        for age, query in enumerate(session, 1):
            said.append(f"{age:>2}  {self._fit(query, self._panel - 6)}")
        said += [""] * (len(lines) - first)
        for i, text in zip(range(first, len(lines)), said, strict=False):
            bar = Piece(self._list_width, self._symbols.bar, Role.QUIET)
            here = Piece(self._list_width + 2, text, role if i > first else Role.QUIET)
            lines[i] = (*lines[i], bar, here)

    def _session_role(self, session: tuple[str, ...]) -> Role:
        return Role.PLAIN if session and self._state.context else Role.QUIET

    def _help(self) -> Line:
        said = _KEYS[0]
        for key in _KEYS[1:]:
            if len(said) + 2 + len(key) > self._width:
                break
            said += "  " + key
        return (Piece(0, said[: self._width], Role.QUIET),)

    def _fit(self, text: str, width: int) -> str:
        return fit(text, max(width, 0), self._symbols.more)


def _role(column: Column, row: Row) -> Role:
    if column.name != "source":
        return Role.PLAIN
    tagged = {"TAIL": Role.GENERATED, "CORRECTED": Role.CORRECTED}
    return tagged.get(row.suggestion.source, Role.QUIET)
