"""An index without a file and a log that remembers, for the service's tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from espalier.catalogue import Product
from espalier.events import Event
from espalier.events.event import Told
from espalier.events.writer import Receipt
from espalier.filters import Filter
from espalier.index import Contribution
from espalier.native import Source
from espalier.overlay import Overlay
from espalier.serve.indexes import Indexes, NoCompletions, ServedIndex
from espalier.serve.log import Field
from espalier.text import normalise_prefix, utf16_length

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class FakeSuggestion:
    """One suggestion."""

    text: str
    display_text: str
    score: float
    source: str
    matched_code_points: int
    matched_utf16: int


@dataclass(frozen=True, slots=True)
class FakeExplanation:
    """One suggestion and why."""

    suggestion: FakeSuggestion
    average: float
    features: dict[str, Contribution]


@dataclass(slots=True)
class FakeIndex:
    """Completes from a list; what shares a word with the newest previous query is first.

    Attributes:
        raises: Thrown by the next calls, if set.
        asked: Arguments of every call: prefix, previous, k, sources.
        filters: What suggestions had to have, of every call.
        kept_variants: Whether variants could stay, of every call.
        searches: Beam, pool and groups of features left out, of every call.
        ages: Of the previous queries, of every call.
    """

    labels: tuple[str, ...] = ("nike shoes", "nike socks", "nikon camera", "new york")
    raises: BaseException | None = None
    asked: list[tuple[str, tuple[str, ...], int, Source | None]] = field(default_factory=list)
    ages: list[tuple[float, ...] | None] = field(default_factory=list)
    filters: list[Filter | None] = field(default_factory=list)
    kept_variants: list[bool] = field(default_factory=list)
    searches: list[tuple[int, int, tuple[str, ...]]] = field(default_factory=list)
    closed: bool = False

    def complete(
        self,
        prefix: str,
        previous: Sequence[str] = (),
        *,
        k: int = 10,
        sources: Source | None = None,
        previous_age: Sequence[float] | None = None,
        where: Filter | None = None,
        overlay: Overlay | None = None,  # noqa: ARG002 - rules are for real indexes
        keep_variants: bool = False,
        beam: int = 0,
        pool: int = 0,
        groups_off: Sequence[str] = (),
    ) -> list[FakeSuggestion]:
        """Return what starts with the prefix."""
        self.filters.append(where)
        self.kept_variants.append(keep_variants)
        self.searches.append((beam, pool, tuple(groups_off)))
        self.ages.append(None if previous_age is None else tuple(previous_age))
        self.asked.append((prefix, tuple(previous), k, sources))
        if self.raises is not None:
            raise self.raises
        typed = normalise_prefix(prefix)
        context = set(previous[0].split()) if previous else set()
        found = [label for label in self.labels if label.startswith(typed)]
        found.sort(key=lambda label: -len(context & set(label.split())))
        return [
            FakeSuggestion(
                text=label,
                display_text=label.title(),
                score=1.0 / place,
                source="MODEL" if context & set(label.split()) else "POPULAR",
                matched_code_points=len(typed),
                matched_utf16=utf16_length(typed),
            )
            for place, label in enumerate(found[:k], 1)
        ]

    def complete_encoded(self, *_: object, **__: object) -> None:
        """Say that only `complete` can."""

    def explain(
        self,
        prefix: str,
        previous: Sequence[str] = (),
        *,
        k: int = 10,
        sources: Source | None = None,
        previous_age: Sequence[float] | None = None,
        where: Filter | None = None,
        overlay: Overlay | None = None,  # noqa: ARG002 - rules are for real indexes
        keep_variants: bool = False,
        beam: int = 0,
        pool: int = 0,
        groups_off: Sequence[str] = (),
    ) -> list[FakeExplanation]:
        """Return the same; its place in the list is all that the first feature knows."""
        found = self.complete(
            prefix,
            previous,
            k=k,
            sources=sources,
            previous_age=previous_age,
            where=where,
            keep_variants=keep_variants,
            beam=beam,
            pool=pool,
            groups_off=groups_off,
        )
        return [
            FakeExplanation(
                one,
                0.25,
                {
                    "small": Contribution("text", math.nan, -0.125),
                    "nothing": Contribution("text", 1.0, 0.0),
                    "place": Contribution("text", float(place), one.score - 0.125),
                },
            )
            for place, one in enumerate(found, 1)
        ]

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


@dataclass(slots=True)
class ListLog:
    """Keeps events as (level, event, fields)."""

    events: list[tuple[str, str, dict[str, Field]]] = field(default_factory=list)

    def info(self, event: str, **fields: Field) -> None:
        """Keep it."""
        self.events.append(("info", event, fields))

    def warning(self, event: str, **fields: Field) -> None:
        """Keep it."""
        self.events.append(("warning", event, fields))

    def error(self, event: str, **fields: Field) -> None:
        """Keep it."""
        self.events.append(("error", event, fields))

    def names(self) -> list[str]:
        """Return the names of the events."""
        return [event for _, event, _ in self.events]


@dataclass(slots=True)
class FakeCatalogue:
    """Finds the products whose titles have the query in them.

    Attributes:
        raises: Thrown by the next calls, if set.
        asked: Arguments of every call by name, the query among them.
    """

    titles: tuple[str, ...] = ("Red tent", "Blue tent", "Tent peg")
    raises: BaseException | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def retrieve(self, query: str, *, k: int = 10, **more: Any) -> list[Product]:
        """Return them in the order of their titles."""
        self.asked.append({"query": query, "k": k, **more})
        if self.raises is not None:
            raise self.raises
        wanted = normalise_prefix(query).strip()
        found = [title for title in self.titles if wanted in title.lower()]
        return [
            Product(f"id {title}", title, 1.0 / place, 0.5, 7, 1 if title in more["host"] else None)
            for place, title in enumerate(found[:k], 1)
        ]


def indexes_of(**indexes: FakeIndex | FakeCatalogue) -> Indexes:
    """Return ``indexes`` as they are served; the revision is the name twice."""
    return Indexes(
        ServedIndex(name, name * 2, NoCompletions(), catalogue=index)
        if isinstance(index, FakeCatalogue)
        else ServedIndex(name, name * 2, index)
        for name, index in indexes.items()
    )


@dataclass(slots=True)
class FakeRecorder:
    """Keeps events in lists.

    Attributes:
        told: What the service told of itself.
        reports: What clients reported, call by call.
        waiters: Futures it returned, if it lets callers wait.
        waits: Whether it does.
        full: Whether it has no room.
    """

    on: bool = True
    told: list[Event] = field(default_factory=list)
    reports: list[list[Event]] = field(default_factory=list)
    waiters: list[Future[Receipt]] = field(default_factory=list)
    waits: bool = False
    full: bool = False
    waiting: int = 0
    failures: int = 0

    def write(self, event: Told) -> bool:
        """Keep it, unless it is full."""
        if not self.full:
            self.told.append(event if isinstance(event, Event) else event())
        return not self.full

    def record(self, events: Sequence[Event]) -> Receipt | Future[Receipt] | None:
        """Keep them, unless it is full."""
        if self.full:
            return None
        self.reports.append(list(events))
        if not self.waits:
            return Receipt(len(events))
        self.waiters.append(Future())
        return self.waiters[-1]


def at_once(answer: _Answer | Future[_Answer]) -> _Answer:
    """Return an answer that nobody had to wait for."""
    assert not isinstance(answer, Future)
    return answer
