"""Escape codes: the look of each piece, colours only where wanted, nothing left behind."""

from __future__ import annotations

import re

import pyte
import pytest

from espalier.terminal.drawing import Frame, Piece, Role, Size
from espalier.terminal.painting import ENTER, LEAVE, paint
from tests.unit.terminal.scenes import on_terminal

SIZE = Size(30, 4)
COLOURED = re.compile(r"\x1b\[[0-9;]*\b[349][0-7][;m]")


def cell(role: Role, *, colour: bool = True, chosen: bool = False) -> pyte.screens.Char:
    """Return the cell of a terminal on which a piece of ``role`` was painted."""
    frame = Frame(((Piece(3, "x", role, chosen),), (), (), ()), 0, 0)
    return on_terminal(frame, SIZE, colour=colour).buffer[0][3]


@pytest.mark.parametrize(
    ("role", "colour", "bold"),
    [
        (Role.PLAIN, "default", False),
        (Role.NAME, "default", True),
        (Role.QUIET, "default", False),
        (Role.MATCHED, "default", False),
        (Role.REST, "default", True),
        (Role.RISEN, "green", False),
        (Role.FALLEN, "red", False),
        (Role.NEW, "cyan", False),
        (Role.GENERATED, "magenta", False),
        (Role.CORRECTED, "brown", False),
        (Role.ERROR, "red", True),
    ],
)
def test_each_role_has_its_look(role: Role, colour: str, bold: bool) -> None:
    """Colour and weight; brown is what terminals call dark yellow."""
    shown = cell(role)

    assert (shown.data, shown.fg, shown.bold, shown.reverse) == ("x", colour, bold, False)


@pytest.mark.parametrize("role", list(Role))
def test_without_colours_weight_stays(role: Role) -> None:
    """``NO_COLOR`` is about colours."""
    shown = cell(role, colour=False)

    assert (shown.fg, shown.bg) == ("default", "default")
    assert shown.bold == cell(role).bold
    assert not COLOURED.search(paint(Frame(((Piece(0, "x", role),),), 0, 0), colour=False))


def test_the_test_for_colours_sees_them() -> None:
    """Else the one above could not fail."""
    assert COLOURED.search(paint(Frame(((Piece(0, "x", Role.RISEN),),), 0, 0), colour=True))


def test_the_chosen_line_is_reversed() -> None:
    """With or without colours."""
    assert cell(Role.REST, chosen=True).reverse
    assert cell(Role.QUIET, chosen=True, colour=False).reverse


def test_dim_is_taken_back_where_it_would_be_unreadable() -> None:
    """Dim on reversed."""
    dimmed = Frame(((Piece(0, "x", Role.QUIET),),), 0, 0)
    chosen = Frame(((Piece(0, "x", Role.QUIET, chosen=True),),), 0, 0)

    assert "\x1b[0;2mx" in paint(dimmed, colour=True)
    assert "\x1b[0;7mx" in paint(chosen, colour=True)


def test_the_frame_before_is_gone() -> None:
    """Every cell not drawn on is blank, and the cursor stands where it should."""
    frame = Frame(((), (Piece(2, "ab"), Piece(9, "c")), (), ()), 1, 4)

    screen = on_terminal(frame, SIZE)

    assert [line.rstrip() for line in screen.display] == ["", "  ab     c", "", ""]
    assert (screen.cursor.y, screen.cursor.x, screen.cursor.hidden) == (1, 4, False)


def test_neighbours_are_written_in_one_go() -> None:
    """A mark that begins the second piece lands on the last letter of the first."""
    frame = Frame(((Piece(0, "e", Role.MATCHED), Piece(1, "\u0301s", Role.REST)),), 0, 0)

    assert on_terminal(frame, SIZE).display[0].rstrip() == "és"


def test_leaving_takes_back_every_mode_that_entering_set() -> None:
    """What was switched on is switched off, and the other way round."""
    switched = {"h": "l", "l": "h"}
    set_, taken_back = (re.findall(r"\x1b\[\?(\d+)([hl])", codes) for codes in (ENTER, LEAVE))

    assert {(mode, switched[how]) for mode, how in set_} <= set(taken_back)
    assert ("25", "h") in taken_back
