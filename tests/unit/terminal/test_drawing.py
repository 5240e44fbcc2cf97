"""What is seen: golden screens, and what holds on a terminal of any size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.console import cells, printable
from espalier.terminal.answers import Answer, Row
from espalier.terminal.drawing import (
    ASCII_SYMBOLS,
    SYMBOLS,
    About,
    Frame,
    Piece,
    Role,
    Size,
    draw,
)
from espalier.terminal.keys import Press
from espalier.terminal.state import State, press
from tests.unit.terminal.fakes import LABELS, FakeAsker, suggestion
from tests.unit.terminal.scenes import (
    ABOUT,
    FOLDER,
    SCENES,
    frame_of,
    on_terminal,
    state_of,
    text_of,
)

SIZES = st.builds(Size, st.integers(1, 220), st.integers(1, 60))


@pytest.mark.parametrize("name", sorted(SCENES))
def test_the_screen_is_the_one_that_was_looked_at(name: str) -> None:
    """Every cell, at sizes from tiny to huge, in three scripts, as a terminal shows it."""
    scene = SCENES[name]
    expected = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")

    assert text_of(on_terminal(frame_of(scene), scene.size)) == expected


def test_no_golden_screen_is_left_over() -> None:
    """Each file belongs to a scene."""
    assert {path.stem for path in FOLDER.iterdir()} == set(SCENES)


def pieces_of(frame: Frame, role: Role) -> list[str]:
    """Return the text of the pieces that have ``role``, from the top."""
    return [piece.text for line in frame.lines for piece in line if piece.role is role]


def with_rows(*rows: Row, session: tuple[str, ...] = ("x",)) -> State:
    """Return a state whose answer has ``rows``, compared with a list without the session."""
    return State(session=session, answer=Answer(rows, 99, 12.0, compared=True))


def test_every_movement_has_a_sign_and_a_look() -> None:
    """Risen, fallen, new, and nothing for what stayed."""
    found = [suggestion(text) for text in ("a", "b", "c", "d")]
    state = with_rows(
        Row(found[0], before=3), Row(found[1]), Row(found[2], before=1), Row(found[3], before=4)
    )
    frame = draw(state, Size(80, 24), About("x.esp", 1))

    assert pieces_of(frame, Role.RISEN) == ["▲2"]
    assert pieces_of(frame, Role.FALLEN) == ["▼2"]
    assert pieces_of(frame, Role.NEW) == ["context on", "new"]
    assert any("session: 1 new, 2 moved" in text for text in pieces_of(frame, Role.QUIET))


def test_without_a_session_nothing_moves() -> None:
    """There is nothing to compare with, and nothing is said about it."""
    state = State(answer=FakeAsker().ask(State("t").question), line="t")

    shown = draw(state, Size(80, 24), ABOUT)

    assert not pieces_of(shown, Role.RISEN) + pieces_of(shown, Role.FALLEN)
    assert pieces_of(shown, Role.NEW) == ["context on"]


@pytest.mark.parametrize(
    ("text", "display", "typed", "matched", "rest"),
    [
        ("tent", "tent", "te", "te", "nt"),
        ("tent", "Tent", "te", "Te", "nt"),
        ("tent", "tent", "", "", "tent"),
        ("tent", "tent", "tent", "tent", ""),
        ("tent pegs", "tent pegs", "tent ", "tent ", "pegs"),
        ("strasse", "Straße", "stras", "", "Straße"),
        ("東京", "東京", "東", "東", "京"),
    ],
)
def test_what_was_typed_looks_different_from_what_it_would_become(
    text: str, display: str, typed: str, matched: str, rest: str
) -> None:
    """Also in the form people type; where that does not begin so, nothing is marked."""
    one = suggestion(text, typed)._replace(display_text=display)
    state = State(typed, answer=Answer((Row(one),)))

    frame = draw(state, Size(80, 24), ABOUT)

    assert pieces_of(frame, Role.MATCHED) == [matched]
    assert pieces_of(frame, Role.REST) == [rest]


@pytest.mark.parametrize(
    ("source", "role"),
    [
        ("MODEL", Role.QUIET),
        ("POPULAR", Role.QUIET),
        ("TAIL", Role.GENERATED),
        ("CORRECTED", Role.CORRECTED),
    ],
)
def test_what_nobody_typed_is_tagged_in_a_colour_of_its_own(source: str, role: Role) -> None:
    """Generated and corrected suggestions are told from the log's own at a glance."""
    state = with_rows(Row(suggestion("a", source=source), before=1))

    assert source in pieces_of(draw(state, Size(80, 24), ABOUT), role)


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (False, "model 0.25  log_users -1.50"),
        (True, "model +0.25  log_users -1.50"),
    ],
)
def test_figures_that_were_added_have_a_sign(added: bool, said: str) -> None:
    """Those of the blend have one only below zero."""
    row = Row(suggestion("a"), figures=(("model", 0.25), ("log_users", -1.5)), added=added)
    state = replace(with_rows(row), explain=True)

    assert said in pieces_of(draw(state, Size(120, 24), ABOUT), Role.PLAIN)


def test_figures_that_are_no_numbers_are_a_dash() -> None:
    """A source that has no score of the model says so."""
    row = Row(suggestion("a"), figures=(("model", float("-inf")), ("popularity", float("nan"))))
    state = replace(with_rows(row), explain=True)

    assert "model -  popularity -" in pieces_of(draw(state, Size(120, 24), ABOUT), Role.PLAIN)


def test_the_key_for_context_is_shown_by_the_title_at_once() -> None:
    """Off is hard to overlook, and the session is greyed."""
    state = press(state_of(SCENES["60x15-session"]), Press.CONTEXT)
    frame = draw(state, Size(60, 15), ABOUT)

    assert pieces_of(frame, Role.ERROR) == ["context OFF"]
    assert any("coffee" in text for text in pieces_of(frame, Role.QUIET))


def test_signs_for_plain_terminals_take_one_cell_each() -> None:
    """As the others do; all but the unit."""
    for symbols in (SYMBOLS, ASCII_SYMBOLS):
        signs = [symbols.up, symbols.down, symbols.chosen, symbols.bar, symbols.more, symbols.dot]
        assert [cells(sign) for sign in signs] == [1] * 6
    assert all(getattr(ASCII_SYMBOLS, name).isascii() for name in ASCII_SYMBOLS.__slots__)


_ANY_TEXT = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]), st.sampled_from("ab 東京\u0301فندق\u200c\u202e👩")
    ),
    max_size=30,
)


@st.composite
def states(draw_: st.DrawFn) -> State:
    """Return any state, of the kind keys lead to and with any text at all."""
    texts = draw_(st.lists(st.one_of(st.sampled_from(LABELS), _ANY_TEXT), max_size=25))
    line = draw_(_ANY_TEXT)
    rows = tuple(
        Row(
            suggestion(text, text[: draw_(st.integers(0, 5))], score=draw_(st.floats(-1e6, 0))),
            users=draw_(st.none() | st.integers(0, 10**9)),
            before=draw_(st.none() | st.integers(1, 100)),
            figures=(("model", draw_(st.floats())), ("popularity", 1.0)),
        )
        for text in texts
    )
    answer = Answer(
        rows,
        draw_(st.integers(0, 10_000)),
        draw_(st.floats(0, 1e7)),
        draw_(st.booleans()),
        "" if rows else draw_(_ANY_TEXT),
    )
    return State(
        line=line,
        session=tuple(draw_(st.lists(_ANY_TEXT.filter(str.strip), max_size=32))),
        context=draw_(st.booleans()),
        explain=draw_(st.booleans()),
        answer=draw_(st.sampled_from([answer, None])) if not rows else answer,
        chosen=draw_(st.none() | st.integers(0, len(rows) - 1)) if rows else None,
    )


def places(frame: Frame) -> Iterator[tuple[int, Piece]]:
    """Yield each piece with its row."""
    for row, line in enumerate(frame.lines):
        for piece in line:
            yield row, piece


@given(states(), SIZES, st.sampled_from([SYMBOLS, ASCII_SYMBOLS]))
def test_nothing_is_drawn_beside_the_terminal(state: State, size: Size, symbols: object) -> None:
    """Whatever the size: as many lines as it has, no piece too wide, the cursor inside."""
    frame = draw(state, size, ABOUT, SYMBOLS if symbols is SYMBOLS else ASCII_SYMBOLS)

    assert len(frame.lines) == size.rows
    assert 0 <= frame.cursor_row < size.rows
    assert 0 <= frame.cursor_column < size.columns
    for _, piece in places(frame):
        assert 0 <= piece.column
        assert not piece.text or piece.column + cells(piece.text) <= size.columns
        assert printable(piece.text) == piece.text


@given(states(), SIZES)
def test_no_piece_covers_another(state: State, size: Size) -> None:
    """Columns keep apart, but for the bar below the chosen line."""
    for line in draw(state, size, ABOUT).lines:
        shown = [piece for piece in line if piece.text.strip()]
        taken = sorted((piece.column, piece.column + cells(piece.text)) for piece in shown)
        assert all(end <= start for (_, end), (start, _) in pairwise(taken))


@given(states(), SIZES)
def test_the_chosen_suggestion_is_in_view(state: State, size: Size) -> None:
    """However many suggestions and however few lines: one line stands out, and it is the one."""
    frame = draw(state, size, ABOUT)
    chosen = [line for line in frame.lines if any(piece.chosen for piece in line)]

    assert len(chosen) == int(state.chosen is not None and size.rows > 1)
    if chosen and size.columns > 30:
        assert any(piece.text == str((state.chosen or 0) + 1) for piece in chosen[0])


@given(states(), SIZES)
def test_a_terminal_shows_each_piece_where_it_belongs(state: State, size: Size) -> None:
    """Checked by an emulator that knows nothing of our counting of cells."""
    frame = draw(state, size, ABOUT)
    screen = on_terminal(frame, size)

    assert screen.cursor.y == frame.cursor_row
    assert screen.cursor.x == frame.cursor_column
    for row, piece in places(frame):
        if piece.text.strip() and piece.text.isascii():
            shown = "".join(
                screen.buffer[row][piece.column + i].data for i in range(len(piece.text))
            )
            assert shown == piece.text
