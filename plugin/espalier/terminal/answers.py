"""What is asked of an index, and an answer with what a person wants to see beside it.

Each question with a session is asked a second time without it, so that every
suggestion can say what the session did to its rank.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from espalier.errors import InputError
from espalier.index import Explanation, Index, Source, Suggestion

Figures = tuple[tuple[str, float], ...]
"""Named numbers behind a score, the most telling first."""
_PARTS: Final = 6


@dataclass(frozen=True, slots=True)
class Question:
    """What was typed, and the session's queries that count, most recent first."""

    prefix: str
    previous: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One suggestion of an answer.

    Attributes:
        suggestion: As the index gave it.
        users: Distinct users who typed it; None if it is no label.
        before: Its rank, from 1, in the list without the session; None if it is not
            on that list, or if there was no session.
        figures: What its score is made of.
        added: Whether the figures are what features added to the score, so that a sign
            tells something; else they are the parts of the fixed blend.
    """

    suggestion: Suggestion
    users: int | None = None
    before: int | None = None
    figures: Figures = ()
    added: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Suggestions, and what it took to find them.

    Attributes:
        rows: Best first.
        candidates: How many were ranked.
        microseconds: From the question to the answer, in this process.
        compared: Whether a list without the session was asked for, for ``Row.before``.
        refusal: Why the index did not answer; "" if it did.
    """

    rows: tuple[Row, ...] = ()
    candidates: int = 0
    microseconds: float = 0.0
    compared: bool = False
    refusal: str = ""


class Asks(Protocol):
    """Whoever answers questions."""

    def ask(self, question: Question) -> Answer:
        """Return the answer; a question that cannot be answered gives a refusal."""
        ...


def own_figures(suggestion: Suggestion) -> Figures:
    """Return the figures that a suggestion itself carries."""
    return ("model", suggestion.model), ("popularity", suggestion.popularity)


def largest_parts(explanation: Explanation) -> Figures:
    """Return what moved the score most, either way; nothing where no forest ordered."""
    parts = [(name, part.contribution) for name, part in explanation.features.items()]
    parts.sort(key=lambda part: -abs(part[1]))
    return tuple(part for part in parts[:_PARTS] if part[1] != 0)


class IndexAsker:
    """Asks an open index."""

    def __init__(
        self,
        index: Index,
        *,
        k: int = 10,
        sources: Source | None = None,
        clock: Callable[[], int] = time.perf_counter_ns,
        explain: bool = False,
    ) -> None:
        """Ask ``index`` for ``k`` suggestions from ``sources``, None for every source.

        ``clock`` counts nanoseconds. With ``explain`` the figures are what features added
        to the score, where a forest ordered; that is asked for aside.
        """
        self._index = index
        self._k = k
        self._sources = sources
        self._clock = clock
        self._explain = explain

    def ask(self, question: Question) -> Answer:
        """Return the answer of the index; what it refuses becomes a refusal."""
        ask = self._index.complete_with_work
        try:
            started = self._clock()
            found = ask(question.prefix, question.previous, k=self._k, sources=self._sources)
            spent = self._clock() - started
            before = self._ranks_without_session(question)
            parts = self._parts(question)
        except InputError as error:
            return Answer(refusal=str(error))
        rows = tuple(
            Row(
                one,
                self._users(one),
                before.get(one.text),
                parts.get(one.text) or own_figures(one),
                added=bool(parts.get(one.text)),
            )
            for one in found.suggestions
        )
        return Answer(rows, found.work.candidates, spent / 1000, bool(question.previous))

    def _ranks_without_session(self, question: Question) -> dict[str, int]:
        if not question.previous:
            return {}
        plain = self._index.complete(question.prefix, k=self._k, sources=self._sources)
        return {one.text: rank for rank, one in enumerate(plain, 1)}

    def _parts(self, question: Question) -> dict[str, Figures]:
        if not self._explain:
            return {}
        explained = self._index.explain(
            question.prefix, question.previous, k=self._k, sources=self._sources
        )
        return {one.suggestion.text: largest_parts(one) for one in explained}

    def _users(self, suggestion: Suggestion) -> int | None:
        label = self._index.find(suggestion.text)
        return None if label is None else self._index.users(label)
