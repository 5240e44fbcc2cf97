"""What a key does: a state and a key give a state. No terminal, no index, no clock."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, assert_never

from espalier.index import MAX_PREVIOUS, Suggestion
from espalier.terminal.answers import Answer, Asks, Question
from espalier.terminal.cells import without_last
from espalier.terminal.keys import Key, Press, Typed

MAX_LINE: Final = 1024
"""Code points of the typed line; what is typed beyond them is dropped."""

_LAST_WORD = re.compile(r"\S*\s*\Z")


@dataclass(frozen=True, slots=True)
class State:
    """Everything there is to see.

    Attributes:
        line: What is typed.
        session: Submitted queries, most recent first.
        context: Whether the session counts.
        explain: Whether the figures behind the scores are shown.
        answer: To ``question``; None until it was asked.
        chosen: Place of the suggestion the arrows point at, from 0; None for the line.
        left: Whether the person is done.
    """

    line: str = ""
    session: tuple[str, ...] = ()
    context: bool = True
    explain: bool = False
    answer: Answer | None = None
    chosen: int | None = None
    left: bool = False

    @property
    def question(self) -> Question:
        """What the index is to be asked."""
        return Question(self.line, self.session if self.context else ())

    @property
    def suggestions(self) -> tuple[Suggestion, ...]:
        """What the index answered."""
        return tuple(row.suggestion for row in self.answer.rows) if self.answer else ()


def begin(asker: Asks, previous: tuple[str, ...] = ()) -> State:
    """Return the state before the first key, with ``previous`` submitted already."""
    session: tuple[str, ...] = ()
    for query in reversed(previous):
        session = joined(session, query)
    return _answered(State(session=session), asker)


def step(state: State, key: Key, asker: Asks) -> State:
    """Press ``key``, and ask again if that changed the question."""
    return _answered(press(state, key), asker)


def _answered(state: State, asker: Asks) -> State:
    if state.answer is not None:
        return state
    return replace(state, answer=asker.ask(state.question))


def press(state: State, key: Key) -> State:
    """Return the state after ``key``. If the question is a new one, it has no answer."""
    after = _pressed(state, key)
    if after.question == state.question:
        return after
    return replace(after, answer=None, chosen=None)


def _pressed(state: State, key: Key) -> State:  # noqa: C901, PLR0911 - a case a key
    match key:
        case Typed(text):
            return replace(state, line=(state.line + text)[:MAX_LINE])
        case Press.BACKSPACE:
            return replace(state, line=without_last(state.line))
        case Press.CLEAR:
            return replace(state, line="")
        case Press.CLEAR_WORD:
            return replace(state, line=_LAST_WORD.sub("", state.line, count=1))
        case Press.UP:
            return _choose(state, -1)
        case Press.DOWN:
            return _choose(state, 1)
        case Press.TAKE:
            suggestions = state.suggestions
            taken = suggestions[state.chosen or 0].display_text if suggestions else state.line
            return replace(state, line=taken[:MAX_LINE], chosen=None)
        case Press.SUBMIT:
            chosen = state.chosen
            query = state.line if chosen is None else state.suggestions[chosen].display_text
            return _submitted(state, query)
        case Press.NEW_SESSION:
            return replace(state, line="", session=(), chosen=None)
        case Press.CONTEXT:
            return replace(state, context=not state.context)
        case Press.EXPLAIN:
            return replace(state, explain=not state.explain)
        case Press.LEAVE:
            return replace(state, left=True)
    assert_never(key)


def _choose(state: State, by: int) -> State:
    """Move through the typed line and the suggestions, round and round."""
    places = len(state.suggestions) + 1
    place = 0 if state.chosen is None else state.chosen + 1
    place = (place + by) % places
    return replace(state, chosen=place - 1 if place else None)


def _submitted(state: State, query: str) -> State:
    return replace(state, line="", session=joined(state.session, query), chosen=None)


def joined(session: tuple[str, ...], query: str) -> tuple[str, ...]:
    """Return ``session`` with ``query`` submitted, as the service remembers it.

    The newest query again is not added twice, an empty one not at all, and the oldest
    beyond what an index looks at are forgotten.
    """
    query = query.strip()
    if not query or (query,) == session[:1]:
        return session
    return (query, *session)[:MAX_PREVIOUS]
