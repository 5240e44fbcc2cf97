"""Asks every system every question and keeps what the measures need.

Only numbers are kept: ranks, pool hits, sources, scores, list lengths and broken
promises. No text survives a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from espalier.evaluate.contract import NONE, Violations, check
from espalier.evaluate.measures import BoolArray, FloatArray, IntArray, rank_of
from espalier.evaluate.questions import Question, Questions
from espalier.evaluate.systems import SOURCES, Answer, Completer, System

# Rows between two reports of progress.
_LABEL_SOURCES = frozenset({"MODEL", "POPULAR"})
_PROGRESS_ROWS = 256


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one system achieved. Arrays have shape ``(rows,)``.

    Attributes:
        ranks: 1-based place of the wanted query in the list, 0 if absent.
        in_pool: Whether the wanted query was ranked at all.
        returned: Suggestions that came back.
        hit_sources: Place in :data:`SOURCES` of who found the wanted query, -1 where the
            list does not hold it or nobody is named.
        top_scores: Score of the best suggestion, not a number where there is none.
        violations: Broken promises, all rows together.
        names_sources: Whether the system tells who found a suggestion.
    """

    ranks: IntArray
    in_pool: BoolArray
    returned: IntArray
    hit_sources: IntArray
    top_scores: FloatArray
    violations: Violations
    names_sources: bool


@dataclass(frozen=True, slots=True)
class Outcomes:
    """All systems on one index; ``seen`` tells which wanted queries are labels."""

    by_system: Mapping[str, Outcome]
    seen: BoolArray

    def of(self, systems: Iterable[System]) -> Outcomes:
        """Return the outcomes of some systems alone."""
        return Outcomes({one.name: self.by_system[one.name] for one in systems}, self.seen)


class _Ledger:
    """Collects one system's rows."""

    def __init__(self, rows: int) -> None:
        self.ranks = np.zeros(rows, dtype=np.int64)
        self.in_pool = np.zeros(rows, dtype=np.bool_)
        self.returned = np.zeros(rows, dtype=np.int64)
        self.hit_sources = np.full(rows, -1, dtype=np.int64)
        self.top_scores = np.full(rows, np.nan)
        self.violations = NONE
        self.names_sources = False

    def enter(self, row: int, answer: Answer, wanted: str, *, in_pool: bool) -> None:
        rank = rank_of(wanted, answer.texts)
        self.ranks[row] = rank
        self.in_pool[row] = in_pool
        self.returned[row] = len(answer.texts)
        self.top_scores[row] = answer.top_score
        if answer.sources:
            self.names_sources = True
            if rank:
                self.hit_sources[row] = SOURCES.index(answer.sources[rank - 1])

    def close(self) -> Outcome:
        return Outcome(
            self.ranks,
            self.in_pool,
            self.returned,
            self.hit_sources,
            self.top_scores,
            self.violations,
            self.names_sources,
        )


def ask_all(
    index: Completer,
    questions: Questions,
    systems: Sequence[System],
    *,
    k: int,
    advance: Callable[[int], None],
) -> Outcomes:
    """Ask ``systems`` all of ``questions``; same prefix and context for each."""
    rows = len(questions.asked)
    ledgers = {system.name: _Ledger(rows) for system in systems}
    seen = np.zeros(rows, dtype=np.bool_)
    for row, question in enumerate(questions.asked):
        label = index.find(question.wanted)
        seen[row] = label is not None
        answers = {system.name: system.answer(index, question, k) for system in systems}
        matching = _matching(answers.values())
        for system in systems:
            answer = answers[system.name]
            ledger = ledgers[system.name]
            ledger.enter(row, answer, question.wanted, in_pool=_in_pool(answer, label, question))
            ledger.violations += check(
                answer,
                prefix=question.prefix,
                k=k,
                matching=matching if system.promises_k else None,
                submitted=question.previous[0] if question.previous and not answer.blind else None,
            )
        if (row + 1) % _PROGRESS_ROWS == 0:
            advance(_PROGRESS_ROWS)
    advance(rows % _PROGRESS_ROWS)
    return Outcomes({name: ledger.close() for name, ledger in ledgers.items()}, seen)


def _matching(answers: Iterable[Answer]) -> int:
    """Return how many labels match, by the most any answer knows of.

    A system that miscounts its own range is caught by another that returned more.
    """
    return max(max(answer.range_labels or 0, _certain_labels(answer)) for answer in answers)


def _certain_labels(answer: Answer) -> int:
    """Return how many suggestions are labels that match; generated ones may be none."""
    if not answer.sources:
        return len(answer.texts)
    return sum(source in _LABEL_SOURCES for source in answer.sources)


def _in_pool(answer: Answer, label: int | None, question: Question) -> bool:
    if answer.pool is not None and label is not None and bool((answer.pool == label).any()):
        return True
    return question.wanted in answer.pool_texts or question.wanted in answer.texts
