"""A simulated person at a search box.

She knows what she wants, types it letter by letter, and looks at the first ``n``
suggestions after each. If her query is among them she takes it, unless her attention is
elsewhere this time; if it never is she types on to the end, or gives up on the way.
Chance is a hash of the seed and the name of the episode, so what happens does not depend
on what else is typed at the same time.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from espalier.text import normalise


@dataclass(frozen=True, slots=True)
class Shown:
    """A list of suggestions.

    Attributes:
        texts: Normalised, best first.
        set_id: Names the list in events.
        variants: In force, by experiment.
    """

    texts: Sequence[str]
    set_id: str
    variants: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Box:
    """A search box while one query is typed: who, where, and which episode.

    Attributes:
        unit: What experiments assign.
        session: Id of the session.
        intent: Names the episode.
    """

    unit: str
    session: str
    intent: str


class Sidecar(Protocol):
    """What a search box asks and tells."""

    def complete(self, prefix: str, box: Box, limit: int) -> Shown:
        """Return suggestions."""
        ...

    def submit(self, query: str, box: Box, shown: Shown | None = None, position: int = 0) -> None:
        """Tell that a query was submitted; with a position, accepted from ``shown``."""
        ...

    def abandon(self, typed: str, box: Box, shown: Shown | None) -> None:
        """Tell that nothing was submitted."""
        ...


class Outcome(enum.Enum):
    """How an episode ended."""

    ACCEPTED = "accepted"
    TYPED = "typed"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the simulated people are like.

    Attributes:
        looks_at: Suggestions they look at, the first so many.
        attention: Probability that they take what they want once they see it.
        gives_up: Probability that they leave where they would have typed on to the end.
        seed: Of chance.
    """

    looks_at: int = 10
    attention: float = 1.0
    gives_up: float = 0.0
    seed: int = 1

    def chance(self, name: str) -> random.Random:
        """Return the chance of what is called ``name``."""
        return random.Random(f"{self.seed}/{name}")  # noqa: S311 - nobody need not guess it


@dataclass(frozen=True, slots=True)
class Episode:
    """What became of one query.

    Attributes:
        keystrokes: Letters typed; as many calls were made.
        saved: Share of the query that was not typed, 0 unless accepted.
        variants: In force for the last list.
    """

    outcome: Outcome
    keystrokes: int
    saved: float
    variants: Mapping[str, str] = field(default_factory=dict)


def type_query(sidecar: Sidecar, query: str, box: Box, behaviour: Behaviour) -> Episode:
    """Type ``query`` as the person does, and tell the sidecar what came of it."""
    wanted = normalise(query)
    chance = behaviour.chance(box.intent)
    attentive = chance.random() < behaviour.attention
    # Whoever gives up does so after some letter, each as likely.
    patience = len(wanted)
    if chance.random() < behaviour.gives_up:
        patience = 1 + int(chance.random() * len(wanted))
    shown: Shown | None = None
    for typed in range(1, len(wanted) + 1):
        shown = sidecar.complete(wanted[:typed], box, behaviour.looks_at)
        place = _place(wanted, shown.texts[: behaviour.looks_at])
        if place and attentive and typed < len(wanted):
            sidecar.submit(wanted, box, shown, place)
            saved = (len(wanted) - typed) / len(wanted)
            return Episode(Outcome.ACCEPTED, typed, saved, shown.variants)
        if typed == patience and patience < len(wanted):
            sidecar.abandon(wanted[:typed], box, shown)
            return Episode(Outcome.ABANDONED, typed, 0.0, shown.variants)
    sidecar.submit(wanted, box, shown)
    variants = {} if shown is None else shown.variants
    return Episode(Outcome.TYPED, len(wanted), 0.0, variants)


def _place(wanted: str, texts: Sequence[str]) -> int:
    return next((place for place, text in enumerate(texts, 1) if text == wanted), 0)
