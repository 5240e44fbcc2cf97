"""From rows of a pairs file to questions: normalised once, asked of every system.

All systems and all indexes of a run answer the same questions. What cannot be
asked is counted, by kind:

- *skipped*: the prefix is the whole next query (a trailing space aside); there
  is nothing left to complete;
- *bad*: ``empty_next_query`` (nothing left after normalising),
  ``prefix_too_long`` (more UTF-8 bytes than an index takes), ``text_invalid``
  (not Unicode text), beside the kinds the file reader counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from espalier.errors import InvalidTextError
from espalier.index import MAX_PREFIX_BYTES
from espalier.text import normalise, normalise_prefix


class PairRow(Protocol):
    """One row of a pairs file, texts as they stand in the file."""

    @property
    def previous_query(self) -> str:
        """The query before the one to be completed; may be empty."""
        ...

    @property
    def prefix(self) -> str:
        """What has been typed."""
        ...

    @property
    def next_query(self) -> str:
        """The query the user went on to submit."""
        ...

    @property
    def user(self) -> str | None:
        """Who typed, where the file says so."""
        ...

    @property
    def earlier(self) -> Sequence[str] | None:
        """Queries before ``previous_query``, most recent first."""
        ...

    @property
    def gap_seconds(self) -> int | None:
        """Seconds from ``previous_query`` to ``next_query``, where the file says so."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What every system is asked, and what the user wanted.

    Attributes:
        prefix: Normalised; may end in one space.
        previous: Normalised, most recent first, none empty.
        wanted: The normalised next query, never empty.
        unit: Number of the user, dense from 0. A row without a user is a unit
            of its own.
        age: Seconds since the newest of ``previous``; None if not known.
    """

    prefix: str
    previous: tuple[str, ...]
    wanted: str
    unit: int
    age: int | None = None

    @property
    def ages(self) -> tuple[int, ...] | None:
        """Seconds since each of ``previous``: of older ones no more is known than that they are."""
        return None if self.age is None else (self.age,) * len(self.previous)


@dataclass(frozen=True, slots=True)
class Questions:
    """All questions of a run.

    Attributes:
        asked: In the order of the file.
        skipped: Rows whose prefix is the whole next query.
        bad: Rows that cannot be asked, by kind.
        units: Distinct users, rows without one counting as one each.
        left_out: Rows that could be asked and are not, since a sample was wanted.
    """

    asked: tuple[Question, ...]
    skipped: int
    bad: Mapping[str, int] = field(default_factory=dict)
    units: int = 0
    left_out: int = 0

    def prefix_lengths(self) -> NDArray[np.int64]:
        """Return code points of each prefix, shape ``(rows,)``."""
        return np.array([len(q.prefix) for q in self.asked], dtype=np.int64)

    def wanted_lengths(self) -> NDArray[np.int64]:
        """Return code points of each wanted query, shape ``(rows,)``, all above 0."""
        return np.array([len(q.wanted) for q in self.asked], dtype=np.int64)

    def unit_numbers(self) -> NDArray[np.int64]:
        """Return the unit of each row, shape ``(rows,)``, values below ``units``."""
        return np.array([q.unit for q in self.asked], dtype=np.int64)


def prepare(rows: Iterable[PairRow], bad: Mapping[str, int] | None = None) -> Questions:
    """Normalise ``rows`` into questions; ``bad`` is what the reader already counted."""
    asked: list[Question] = []
    problems = Counter(bad or {})
    skipped = 0
    # One table for both kinds of key: a user's name, or None and the row's own number.
    units: dict[tuple[str | None, int], int] = {}
    for number, row in enumerate(rows):
        try:
            prefix = normalise_prefix(row.prefix)
            wanted = normalise(row.next_query)
            previous = tuple(
                text for text in map(normalise, (row.previous_query, *(row.earlier or ()))) if text
            )
        except InvalidTextError:
            problems["text_invalid"] += 1
            continue
        if not wanted:
            problems["empty_next_query"] += 1
        elif prefix.rstrip(" ") == wanted:
            skipped += 1
        elif len(prefix.encode()) > MAX_PREFIX_BYTES:
            problems["prefix_too_long"] += 1
        else:
            key = (row.user, -1) if row.user is not None else (None, number)
            unit = units.setdefault(key, len(units))
            asked.append(Question(prefix, previous, wanted, unit, row.gap_seconds))
    return Questions(tuple(asked), skipped, dict(problems), len(units))
