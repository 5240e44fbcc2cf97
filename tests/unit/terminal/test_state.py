"""What each key does, and what no sequence of keys can do."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.index import MAX_PREVIOUS
from espalier.terminal.answers import Question
from espalier.terminal.keys import Key, Press, Typed
from espalier.terminal.state import MAX_LINE, State, begin, joined, press, step
from tests.unit.terminal.fakes import FakeAsker


def after(
    *keys: Key | str, asker: FakeAsker | None = None, previous: tuple[str, ...] = ()
) -> State:
    """Return the state after ``keys``, strings being typed letter by letter."""
    asker = asker or FakeAsker()
    state = begin(asker, previous)
    for key in keys:
        for one in map(Typed, key) if isinstance(key, str) else [key]:
            state = step(state, one, asker)
    return state


def shown(state: State) -> list[str]:
    """Return the texts of the list."""
    return [one.text for one in state.suggestions]


def test_the_list_changes_with_every_letter() -> None:
    """Each letter is a question of its own."""
    asker = FakeAsker()
    after("tent", asker=asker)

    assert [question.prefix for question in asker.asked] == ["", "t", "te", "ten", "tent"]


def test_a_key_that_asks_nothing_new_asks_nothing() -> None:
    """Choosing and explaining work on the list that is there."""
    asker = FakeAsker()
    after("te", Press.DOWN, Press.EXPLAIN, Press.CONTEXT, Press.UP, asker=asker)

    assert len(asker.asked) == 3


def test_what_is_submitted_joins_the_session_and_counts() -> None:
    """The line is empty again, and the next question knows."""
    state = after("tent", Press.SUBMIT, "c")

    assert state.session == ("tent",)
    assert state.question == Question("c", ("tent",))
    assert state.answer is not None
    assert state.answer.compared


def test_the_session_is_newest_first_and_begins_with_what_was_given() -> None:
    """``previous`` has the order that --previous has."""
    state = after("sea", Press.SUBMIT, "air", Press.SUBMIT, previous=("new", "old"))

    assert state.session == ("air", "sea", "new", "old")


def test_the_newest_query_again_is_one_query() -> None:
    """As the service remembers it; blank lines are none at all."""
    assert joined(("tent",), " tent ") == ("tent",)
    assert joined(("tent",), "  ") == ("tent",)
    assert joined(("sea", "tent"), "tent") == ("tent", "sea", "tent")
    assert joined((), "") == ()


def test_context_can_be_left_out_and_comes_back() -> None:
    """The session itself stays."""
    off = after("tent", Press.SUBMIT, "c", Press.CONTEXT)
    on = step(off, Press.CONTEXT, FakeAsker())

    assert (off.session, off.question.previous) == (("tent",), ())
    assert on.question.previous == ("tent",)


def test_the_arrows_go_round_through_line_and_list() -> None:
    """Down from the line is the first suggestion, up from it the last."""
    assert after("te", Press.DOWN).chosen == 0
    assert after("te", Press.DOWN, Press.DOWN).chosen == 1
    assert after("te", Press.DOWN, Press.UP).chosen is None
    assert after("te", Press.UP).chosen == len(after("te").suggestions) - 1
    assert after("te", Press.UP, Press.DOWN).chosen is None
    assert after("xxx", Press.DOWN).chosen is None


def test_enter_submits_the_chosen_suggestion_or_else_the_line() -> None:
    """What the arrows point at wins over what was typed."""
    chosen = after("te", Press.DOWN, Press.DOWN)

    assert step(chosen, Press.SUBMIT, FakeAsker()).session == (shown(chosen)[1],)
    assert after("te", Press.SUBMIT).session == ("te",)
    assert after(Press.SUBMIT).session == ()


def test_tab_takes_the_chosen_suggestion_or_the_first() -> None:
    """It stands in the line, and is asked for as if typed."""
    first, second = shown(after("te"))[:2]

    assert after("te", Press.TAKE).line == first
    assert after("te", Press.DOWN, Press.DOWN, Press.TAKE).line == second
    assert after("te", Press.DOWN, Press.TAKE).question.prefix == first
    assert after("xxx", Press.TAKE).line == "xxx"


def test_a_new_session_knows_nothing_of_the_old_one() -> None:
    """Line, session and choice are gone; the switches stay."""
    asker = FakeAsker()
    state = after("tent", Press.SUBMIT, Press.EXPLAIN, "c", Press.NEW_SESSION, asker=asker)

    assert state == replace(begin(asker), explain=True)


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("two words", "two "),
        ("two words ", "two "),
        ("two", ""),
        ("  ", ""),
        ("", ""),
        ("東京 ホ", "東京 "),
    ],
)
def test_words_and_lines_can_be_deleted(line: str, left: str) -> None:
    """Ctrl-W takes a word and the space behind it, Ctrl-U everything."""
    assert press(State(line), Press.CLEAR_WORD).line == left
    assert press(State(line), Press.CLEAR).line == ""
    assert press(State("cafe\u0301"), Press.BACKSPACE).line == "caf"


def test_what_the_index_refuses_is_said_and_can_be_undone() -> None:
    """A prefix that is too long gives a refusal, not an end."""
    state = after(*[Typed("x" * 60)] * 2)
    assert state.answer is not None

    assert "too many bytes" in state.answer.refusal
    assert shown(after(*[Typed("x" * 60)] * 2, Press.CLEAR)) == shown(after())


def test_a_line_does_not_grow_for_ever() -> None:
    """A book that is pasted is cut."""
    assert len(after(Typed("x" * 5000), Typed("y")).line) == MAX_LINE


_TEXTS = st.text(st.sampled_from("tec abo東فé\u0301👩\u200d"), min_size=1, max_size=4)
_ONE_KEY = st.one_of(_TEXTS.map(Typed), st.sampled_from(Press))
_KEYS = st.lists(_ONE_KEY, max_size=60)


@given(_KEYS, st.integers(1, 12))
def test_no_keys_bring_the_state_out_of_order(keys: list[Key], k: int) -> None:
    """After every key: a choice on the list, an answer to the question, a session in bounds."""
    asker = FakeAsker(k=k)
    state = begin(asker)
    for key in keys:
        left = state.left
        state = step(state, key, asker)

        assert state.chosen is None or 0 <= state.chosen < len(state.suggestions)
        assert state.answer == FakeAsker(k=k).ask(state.question)
        assert len(state.suggestions) <= k
        assert len(state.line) <= MAX_LINE
        assert len(state.session) <= MAX_PREVIOUS
        assert all(query and query == query.strip() for query in state.session)
        assert all(a != b for a, b in pairwise(state.session))
        assert state.left == (left or key is Press.LEAVE)


@given(st.lists(_ONE_KEY.filter(lambda key: key is not Press.BACKSPACE), max_size=60))
def test_line_and_session_are_those_of_a_list_of_letters(keys: list[Key]) -> None:
    """Without an index, against a twin that keeps letters and queries in lists."""
    state, letters, queries = State(), list[str](), list[str]()
    for key in keys:
        state = press(state, key)
        match key:
            case Typed(text):
                letters += text
            case Press.CLEAR:
                letters.clear()
            case Press.CLEAR_WORD:
                while letters and letters[-1].isspace():
                    letters.pop()
                while letters and not letters[-1].isspace():
                    letters.pop()
            case Press.SUBMIT:
                query = "".join(letters).strip()
                letters.clear()
                if query and queries[-1:] != [query]:
                    queries.append(query)
            case Press.NEW_SESSION:
                letters.clear()
                queries.clear()
            case _:
                pass

        assert state.line == "".join(letters)
        assert list(state.session) == queries[::-1][:MAX_PREVIOUS]
