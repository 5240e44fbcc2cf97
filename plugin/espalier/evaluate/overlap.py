"""What the wanted query has in common with the queries before it.

Each row is in exactly one kind, the first of this list that applies. "The previous
query" is the newest one; words are what stands between spaces of normalised texts.

===================  ============================================================
``repeat_earlier``   it equals a query of the session, the newest or an older one
``extends``          it begins with all words of the previous query and has more
``truncates``        it is the beginning of the previous query, whole words
``same_first_word``  it begins with the same word as the previous query
``shares_word``      it has a word of the previous query, elsewhere
``nothing_shared``   it has no word of the previous query
``no_previous``      there is no previous query
===================  ============================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from espalier.evaluate.measures import BoolArray
from espalier.evaluate.questions import Question

OVERLAPS: Final[tuple[str, ...]] = (
    "repeat_earlier",
    "extends",
    "truncates",
    "same_first_word",
    "shares_word",
    "nothing_shared",
    "no_previous",
)


def overlap_of(question: Question) -> str:
    """Return which of :data:`OVERLAPS` the question's wanted query is."""
    if not question.previous:
        return "no_previous"
    if question.wanted in question.previous:
        return "repeat_earlier"
    before = question.previous[0].split()
    wanted = question.wanted.split()
    common = min(len(before), len(wanted))
    if before[:common] == wanted[:common]:
        return "extends" if len(wanted) > len(before) else "truncates"
    if before[0] == wanted[0]:
        return "same_first_word"
    return "nothing_shared" if set(before).isdisjoint(wanted) else "shares_word"


def overlap_masks(asked: Sequence[Question]) -> dict[str, BoolArray]:
    """Return for each of :data:`OVERLAPS`, in that order, which rows it has, ``(rows,)``."""
    kinds = np.array([overlap_of(question) for question in asked], dtype=np.str_)
    return {kind: kinds == kind for kind in OVERLAPS}
