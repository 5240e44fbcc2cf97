"""What is measured of an experiment: each metric a ratio of two totals of a unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from espalier.analysis.episodes import CONTEXTS, PREFIXES, WHOLE
from espalier.analysis.moments import SHARE
from espalier.evaluate.intervals import Interval


@dataclass(frozen=True, slots=True)
class Metric:
    """A ratio of two totals.

    Attributes:
        name: As in JSON and for `--metric`.
        title: As people say it.
        meaning: What it is, in a sentence.
        numerator, denominator: What an episode adds to them: SQL over ``episodes``.
        scale: What the ratio is divided by.
        better: 1 where more is better, -1 where less is.
        digits: Decimal places that mean something.
        within: Where it is in any case.
    """

    name: str
    title: str
    meaning: str
    numerator: str
    denominator: str
    scale: float = 1.0
    better: int = 1
    digits: int = 4
    within: Interval = SHARE


METRICS: Final[Mapping[str, Metric]] = {
    one.name: one
    for one in (
        Metric(
            "acceptance_rate",
            "acceptance rate",
            "share of the episodes in which a suggestion was accepted",
            "accepted::INTEGER",
            "1",
        ),
        Metric(
            "mrr10",
            "MRR@10",
            "1/rank of the query submitted in the end, 0 if it is not among ten, in the lists "
            "shown before it was typed in full; mean of an episode, then over episodes",
            "rr",
            "(ranked > 0)::INTEGER",
            WHOLE,
        ),
        Metric(
            "keystrokes_saved",
            "keystrokes saved",
            "share of the submitted query that was not typed because a suggestion was accepted, 0 "
            "where none was; not known where events have no texts",
            "CASE WHEN known THEN saved ELSE 0 END",
            "known::INTEGER",
            WHOLE,
        ),
        Metric(
            "no_suggestion_rate",
            "no suggestions",
            "share of the episodes whose last list was empty",
            "coalesce(empty, false)::INTEGER",
            "1",
            better=-1,
        ),
        Metric(
            "abandonment_rate",
            "abandonment",
            "share of the episodes that were given up",
            "(abandoned AND NOT submitted)::INTEGER",
            "1",
            better=-1,
        ),
        Metric(
            "latency_ms",
            "latency, ms",
            "mean time the sidecar took for a list",
            "coalesce(latency_us, 0)",
            "timed",
            1_000.0,
            better=-1,
            digits=3,
            within=Interval(0.0, math.inf),
        ),
    )
}
PRIMARY: Final = "acceptance_rate"
"""What the verdict is about unless told otherwise."""


def _typed(name: str) -> Metric:
    low, high = PREFIXES[name]
    length = f"{low}" if low == high else f"{low}-{high}" if high < 1_000 else f"{low}+"
    return Metric(
        name,
        f"{length} typed",
        "",
        f"{name}_accepted::INTEGER",
        f"({name} OR {name}_accepted)::INTEGER",
    )


def _after(name: str, title: str) -> Metric:
    condition = CONTEXTS[name]
    return Metric(
        name,
        title,
        "",
        f"(accepted AND {condition})::INTEGER",
        f"coalesce({condition}, false)::INTEGER",
    )


SEGMENTS: Final[Mapping[str, Metric]] = {
    one.name: one
    for one in (
        *map(_typed, PREFIXES),
        _after("context_none", "no previous query"),
        _after("context_1", "one previous query"),
        _after("context_2_plus", "more previous queries"),
    )
}
"""Acceptance in parts of the episodes.

By length: of the episodes in which a list was shown when so much was typed, how many
accepted from one. By context: of the episodes that began with so many previous queries,
how many accepted. Which length an episode comes to depends on what was shown before, so
a difference at one length alone is a hint and not a verdict.
"""
