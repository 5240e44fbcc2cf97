"""What an experiment found, as JSON and as text.

The JSON::

    {
      "experiment": "ranking", "control": "A", "metric": "acceptance_rate",
      "alpha": 0.05,               chance at most that an interval ever misses the truth
      "tuned_for": 5000,           units at which intervals are narrowest
      "verdicts": [{"outcome": "not_yet", "variant": "B", "text": "not yet: ..."}],
                 outcome: no_data, not_yet, better, worse, ratio_mismatch, shadow
      "events": {"lines": 1000, "unreadable": 0, ...},     see reading, episodes
      "exposures": 200, "first": "2026-01-31", "last": "2026-02-02",   null without data
      "ratio_test": {"expected": {...}, "observed": {...}, "p_value": 1.0,
                     "threshold": 0.001, "mismatch": false},          null without data
      "variants": {
        "<variant>": {
          "units": 100, "episodes": 300, "lists": 2000,
          "metrics": {"<metric>": {"value": 0.4, "interval": [low, high]}, ...},
          "latency_ms": {"p50": 0.3, "p95": ..., "p99": ...},         null without events
          "segments": {"<segment>": {"value": ..., "interval": ...}, ...}
        }, ...
      },
      "differences": {             of each variant but the control, to it
        "<variant>": {"metrics": {...}, "segments": {...}}
      },
      "course": [{"day": "2026-01-31",
                  "differences": {"<variant>": {"value": ..., "interval": ...}}}, ...],
      "interleaving": {            null where no list was interleaved
        "variants": ["A", "B"], "units": 10, "lists": 100, "acceptances": 20,
        "points": {"A": 4, "B": 9}, "nobody": 7, "unplaced": 0,
        "preference": {"value": 0.38, "interval": null}               for the second, -1 to 1
      },
      "shadows": {                 of variants computed beside what was shown
        "<variant>": {"units": 90, "compared": 2000, "failed": 0,
                      "metrics": {"same_first": ..., "overlap": ..., "no_suggestions": ...,
                                  "kept": ..., "kept_first": ...},
                      "latency_ms": {"p50": ...}}
      }
    }

``value`` is null where nothing was measured, ``interval`` where it is too early.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from espalier.analysis.interleaving import Interleaving
from espalier.analysis.metrics import METRICS, PRIMARY, SEGMENTS, Metric
from espalier.analysis.mismatch import RatioTest
from espalier.analysis.moments import Estimate
from espalier.analysis.sequences import TUNED_FOR
from espalier.analysis.shadow import ShadowFigures
from espalier.analysis.totals import QUANTILES
from espalier.analysis.verdict import Verdict

ALPHA = 0.05

Estimates = Mapping[str, Estimate]
"""By name of a metric or of a segment."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of event files.

    Attributes:
        experiment: Name of the experiment.
        control: What the others are compared with; "" for the first in the alphabet.
        weights: Shares the variants were meant to have, in any unit; equal ones if empty.
        metric: Name of the metric that decides.
        alpha: Chance at most that an interval ever misses the truth; divided among the
            variants where several are compared with the control.
        tuned_for: Units at which intervals are narrowest; choose it before looking.
        until: When the experiment is over: episodes that begin then do not count. ``None`` for
            never.
    """

    experiment: str
    control: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    metric: str = PRIMARY
    alpha: float = ALPHA
    tuned_for: float = TUNED_FOR
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class VariantFigures:
    """What was measured of one variant.

    Attributes:
        units, episodes, lists: How many.
        metrics, segments: Figures with intervals.
        latency: Milliseconds at QUANTILES; None without a timed list.
    """

    units: int
    episodes: int
    lists: int
    metrics: Estimates
    segments: Estimates
    latency: tuple[float, ...] | None

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "units": self.units,
            "episodes": self.episodes,
            "lists": self.lists,
            "metrics": _json(self.metrics),
            "latency_ms": None
            if self.latency is None
            else {f"p{q * 100:.0f}": v for q, v in zip(QUANTILES, self.latency, strict=True)},
            "segments": _json(self.segments),
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much a variant is above the control."""

    metrics: Estimates
    segments: Estimates

    def to_json(self) -> dict[str, Any]:
        """Return both."""
        return {"metrics": _json(self.metrics), "segments": _json(self.segments)}


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """All that was found.

    Attributes:
        question: What was asked, with the control that was compared with.
        events: Lines read, and how many of them, or of episodes and units, were left out.
        exposures: Exposures in the files, repeated ones too.
        ratio_test: None where nobody was exposed to two variants or more.
        variants: The control first.
        differences: Of each variant but the control.
        course: What the difference in the metric that decides was at the end of each day.
        interleaving: None where no list was interleaved.
        verdicts: At least one.
        shadows: By variant; empty where none was in shadow.
    """

    question: Question
    events: Mapping[str, int]
    exposures: int
    ratio_test: RatioTest | None
    variants: Mapping[str, VariantFigures]
    differences: Mapping[str, Difference]
    course: Sequence[tuple[int, Mapping[str, Estimate]]]
    interleaving: Interleaving | None
    verdicts: Sequence[Verdict]
    shadows: Mapping[str, ShadowFigures] = field(default_factory=dict)

    @property
    def metric(self) -> Metric:
        """The metric that decides."""
        return METRICS[self.question.metric]

    def to_json(self) -> dict[str, Any]:
        """Return the whole report, in the shape the module shows."""
        days = [day_of(day).isoformat() for day, _ in self.course]
        return {
            "experiment": self.question.experiment,
            "control": self.question.control,
            "metric": self.question.metric,
            "alpha": self.question.alpha,
            "tuned_for": self.question.tuned_for,
            "verdicts": [one.to_json() for one in self.verdicts],
            "events": dict(self.events),
            "exposures": self.exposures,
            "first": days[0] if days else None,
            "last": days[-1] if days else None,
            "ratio_test": None if self.ratio_test is None else self.ratio_test.to_json(),
            "variants": {name: one.to_json() for name, one in self.variants.items()},
            "differences": {name: one.to_json() for name, one in self.differences.items()},
            "course": [
                {"day": day, "differences": _json(found)}
                for day, (_, found) in zip(days, self.course, strict=True)
            ],
            "interleaving": None if self.interleaving is None else self.interleaving.to_json(),
            "shadows": {name: one.to_json() for name, one in self.shadows.items()},
        }


def day_of(number: int) -> date:
    """Return the day that is ``number`` days after 1970-01-01."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=number)).date()


def segments_with_data(report: ExperimentReport) -> list[str]:
    """Return the segments in which anything was measured, in order."""
    return [
        name
        for name in SEGMENTS
        if any(one.segments[name].value is not None for one in report.variants.values())
    ]


def _json(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: one.to_json() for name, one in estimates.items()}


def left_out(report: ExperimentReport) -> Iterable[tuple[str, int]]:
    """Yield what was counted besides lines, where there was any."""
    return ((kind, count) for kind, count in report.events.items() if kind != "lines" and count)
