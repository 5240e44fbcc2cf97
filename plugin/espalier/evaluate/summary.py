"""From ranks to figures: every measure in every bucket, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from espalier.evaluate import measures
from espalier.evaluate.buckets import masks
from espalier.evaluate.contract import Violations
from espalier.evaluate.intervals import Interval, ratio_interval, resample, sums_by_unit
from espalier.evaluate.measures import BoolArray, FloatArray
from espalier.evaluate.outcomes import Outcome, Outcomes
from espalier.evaluate.questions import Questions
from espalier.evaluate.systems import BASELINE

MEASURES: tuple[str, ...] = ("mrr10", "success10", "keystrokes_saved", "candidate_recall")
"""Names of the measures, as in the JSON report."""

Figures = Mapping[str, float | None]
"""One figure per bucket; ``None`` for a bucket without rows."""

Intervals = Mapping[str, Interval | None]
"""One interval per bucket; ``None`` where nothing could be resampled."""


@dataclass(frozen=True, slots=True)
class SystemFigures:
    """All figures of one system.

    Attributes:
        measures: For each of :data:`MEASURES`, its figures.
        suggestions: Mean number of suggestions that came back.
        mrr10_interval: 95 % bootstrap interval of MRR@10, over users.
        ratio: MRR@10 divided by that of ``most_frequent``; ``None`` where that
            is 0.
        ratio_interval: 95 % bootstrap interval of the ratio, over users.
        violations: Broken promises.
    """

    measures: Mapping[str, Figures]
    suggestions: Figures
    mrr10_interval: Intervals
    ratio: Figures
    ratio_interval: Intervals
    violations: Violations


@dataclass(frozen=True, slots=True)
class Summary:
    """All systems on one index, and how many rows each bucket has."""

    systems: Mapping[str, SystemFigures]
    bucket_rows: Mapping[str, int]


def rows_of_measures(outcome: Outcome, questions: Questions) -> dict[str, FloatArray]:
    """Return each measure row by row, arrays of shape ``(rows,)``."""
    return {
        "mrr10": measures.reciprocal_rank(outcome.ranks),
        "success10": measures.success(outcome.ranks),
        "keystrokes_saved": measures.keystrokes_saved(
            outcome.ranks, questions.prefix_lengths(), questions.wanted_lengths()
        ),
        "candidate_recall": measures.candidate_recall(outcome.ranks, outcome.in_pool),
    }


def summarise(outcomes: Outcomes, questions: Questions, *, seed: int) -> Summary:
    """Return the figures of all systems; ``seed`` draws the bootstrap samples."""
    chosen = masks(questions.prefix_lengths(), outcomes.seen)
    rows = {
        name: rows_of_measures(outcome, questions) for name, outcome in outcomes.by_system.items()
    }
    reciprocal = {name: by_measure["mrr10"] for name, by_measure in rows.items()}
    drawn = _Resampled(reciprocal, chosen, questions, seed)
    base = reciprocal[BASELINE.name]
    systems = {}
    for name, outcome in outcomes.by_system.items():
        systems[name] = SystemFigures(
            measures={measure: _by_bucket(rows[name][measure], chosen) for measure in MEASURES},
            suggestions=_by_bucket(outcome.returned.astype(np.float64), chosen),
            mrr10_interval={bucket: drawn.of_mean(name, bucket) for bucket in chosen},
            ratio={
                bucket: _ratio(reciprocal[name][mask], base[mask])
                for bucket, mask in chosen.items()
            },
            ratio_interval={bucket: drawn.of_ratio(name, bucket) for bucket in chosen},
            violations=outcome.violations,
        )
    return Summary(systems, {bucket: int(mask.sum()) for bucket, mask in chosen.items()})


def _by_bucket(values: FloatArray, chosen: Mapping[str, BoolArray]) -> Figures:
    return {bucket: measures.mean(values[mask]) for bucket, mask in chosen.items()}


def _ratio(values: FloatArray, base: FloatArray) -> float | None:
    whole = float(base.sum())
    return float(values.sum()) / whole if whole > 0 else None


class _Resampled:
    """The bootstrap draws of every (system, bucket), made together."""

    def __init__(
        self,
        reciprocal: Mapping[str, FloatArray],
        chosen: Mapping[str, BoolArray],
        questions: Questions,
        seed: int,
    ) -> None:
        units = questions.unit_numbers()
        self._column: dict[tuple[str, str], int] = {}
        columns: list[FloatArray] = []
        for bucket, mask in chosen.items():
            # "" is no system: the column that counts the rows.
            for name, values in {"": np.ones(len(units)), **reciprocal}.items():
                self._column[name, bucket] = len(columns)
                columns.append(sums_by_unit(values * mask, units, questions.units))
        self._drawn = resample(np.stack(columns, axis=1), seed=seed)

    def of_mean(self, name: str, bucket: str) -> Interval | None:
        return ratio_interval(self._of(name, bucket), self._of("", bucket))

    def of_ratio(self, name: str, bucket: str) -> Interval | None:
        return ratio_interval(self._of(name, bucket), self._of(BASELINE.name, bucket))

    def _of(self, name: str, bucket: str) -> FloatArray:
        drawn: FloatArray = self._drawn[:, self._column[name, bucket]]
        return drawn
