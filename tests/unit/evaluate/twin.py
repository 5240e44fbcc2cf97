"""An obviously correct index in pure Python, and the baseline written a second time.

No cleverness: every question is answered by looking at every label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espalier.errors import LimitError
from espalier.evaluate.systems import Matcher
from espalier.index import Source


def most_frequent(users: Mapping[str, int], prefix: str, k: int) -> list[str]:
    """Return the ``k`` labels of ``prefix`` with most users, ties in byte order.

    ``users`` maps each label to the number of distinct users who typed it.
    """
    matching = [label for label in users if label.startswith(prefix)]
    return sorted(matching, key=lambda label: (-users[label], label.encode()))[:k]


@dataclass(frozen=True, slots=True)
class TwinSuggestion:
    """A suggestion."""

    text: str
    source: str
    score: float


@dataclass(frozen=True, slots=True)
class TwinWork:
    """What a call did."""

    range_labels: int


@dataclass(frozen=True, slots=True)
class TwinCompletion:
    """A completion with its pool."""

    suggestions: Sequence[TwinSuggestion]
    work: TwinWork
    candidate_ids: NDArray[np.uint32]
    candidate_texts: Sequence[str] = ()
    hygiene: bool = False


class TwinIndex:
    """Ranks by words shared with the previous queries, then by users.

    ``MODEL`` finds labels that share a word, ``POPULAR`` the most frequent ones.
    The unconstrained matcher ranks all labels, keeps ``pool`` and filters. With
    ``hygiene`` a label is left out if it is another with an "s" behind, or what was
    submitted last. The only feature group is ``context``. Queries older than
    ``remembered_seconds`` do not count.
    """

    remembered_seconds = 1_000

    def __init__(self, users: Mapping[str, int], *, hygiene: bool = False) -> None:
        self.hygiene = hygiene
        self.users = dict(users)
        self.labels = sorted(users, key=str.encode)

    def find(self, text: str) -> int | None:
        """Return the label's number."""
        return self.labels.index(text) if text in self.users else None

    def popular(self, prefix: str, k: int = 10) -> list[str]:
        """Return the most frequent labels."""
        return most_frequent(self.users, prefix, k)

    def complete(
        self,
        prefix: str,
        previous: Sequence[str] = (),
        *,
        k: int = 10,
        previous_age: Sequence[float] | None = None,
    ) -> Sequence[TwinSuggestion]:
        """Complete with every source."""
        found = self.complete_with_work(prefix, previous, k=k, previous_age=previous_age)
        return found.suggestions

    def complete_with_work(
        self,
        prefix: str,
        previous: Sequence[str] = (),
        *,
        k: int = 10,
        beam: int = 0,  # noqa: ARG002 - a full scan has no beam
        pool: int = 0,
        sources: Source | None = None,
        matcher: Matcher | None = None,
        previous_age: Sequence[float] | None = None,
        keep_variants: bool = False,
        groups_off: Sequence[str] = (),
    ) -> TwinCompletion:
        """Complete and tell the pool."""
        if previous_age is not None:
            previous = [
                query
                for query, age in zip(previous, previous_age, strict=True)
                if age <= self.remembered_seconds
            ]
        if len(prefix.encode()) > 1024:
            raise LimitError("prefix too long")
        wanted = Source.MODEL | Source.POPULAR if sources is None else sources
        context = {word for query in previous for word in query.split()}
        if "context" in groups_off:
            context.clear()
        matching = [label for label in self.labels if label.startswith(prefix)]
        ranked = self.labels if matcher == "unconstrained" else matching

        def order(label: str) -> tuple[int, int, bytes]:
            shared = len(context & set(label.split()))
            return (-shared, -self.users[label], label.encode())

        model = [label for label in ranked if context & set(label.split())]
        if wanted == Source.MODEL:
            model = list(ranked)
        model = sorted(model, key=order)[: pool or len(self.labels)]
        found = {label: "MODEL" for label in model if label.startswith(prefix)}
        if Source.POPULAR in wanted:
            for label in most_frequent(self.users, prefix, 2 * k):
                found.setdefault(label, "POPULAR")
        eligible = set(found)
        if self.hygiene:
            eligible -= {label + "s" for label in found if not keep_variants}
            eligible -= set(previous[:1])
        best = sorted(eligible, key=order)[:k]
        return TwinCompletion(
            [TwinSuggestion(label, found[label], float(self.users[label])) for label in best],
            TwinWork(len(matching)),
            np.array([self.labels.index(label) for label in found], dtype=np.uint32),
            hygiene=self.hygiene,
        )
