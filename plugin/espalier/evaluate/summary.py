"""From ranks to figures: every measure in every bucket, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from espalier.evaluate import measures
from espalier.evaluate.buckets import BUCKETS, masks
from espalier.evaluate.contract import Violations
from espalier.evaluate.intervals import Interval, Resampled
from espalier.evaluate.measures import BoolArray, FloatArray
from espalier.evaluate.outcomes import Outcome, Outcomes
from espalier.evaluate.overlap import OVERLAPS, overlap_masks
from espalier.evaluate.questions import Questions
from espalier.evaluate.systems import BASELINE, SOURCES

MEASURES: tuple[str, ...] = ("mrr10", "success10", "keystrokes_saved", "candidate_recall")
"""Names of the measures, as in the JSON report."""

Figures = Mapping[str, float | None]
"""One figure per bucket; ``None`` for a bucket without rows."""

Intervals = Mapping[str, Interval | None]
"""One interval per bucket; ``None`` where nothing could be resampled."""


@dataclass(frozen=True, slots=True)
class SourceFigures:
    """What one source gave to one system.

    Attributes:
        hits: Rows whose wanted query this source found first, anywhere in the list.
        hit_share: These over all hits of the system; ``None`` without hits.
        mrr10: Its part of MRR@10: over all sources they add up to the system's.
    """

    hits: int
    hit_share: float | None
    mrr10: Figures


@dataclass(frozen=True, slots=True)
class OverlapFigures:
    """The measures by overlap with the previous queries; keys are :data:`OVERLAPS`.

    Attributes:
        measures: For each of :data:`MEASURES`, its figures.
        mrr10_interval: 95 % bootstrap interval of MRR@10, over users.
        ratio: MRR@10 divided by that of ``most_frequent``.
    """

    measures: Mapping[str, Figures]
    mrr10_interval: Intervals
    ratio: Figures


@dataclass(frozen=True, slots=True)
class SystemFigures:
    """All figures of one system.

    Attributes:
        measures: For each of :data:`MEASURES`, its figures.
        suggestions: Mean number of suggestions that came back.
        mrr10_interval: 95 % bootstrap interval of MRR@10, over users.
        recall_interval: The same of candidate recall.
        ratio: MRR@10 divided by that of ``most_frequent``; ``None`` where that
            is 0.
        ratio_interval: 95 % bootstrap interval of the ratio, over users.
        by_source: By name of the source; empty where the system names none.
        by_overlap: By what the wanted query shares with the previous queries.
        violations: Broken promises.
    """

    measures: Mapping[str, Figures]
    suggestions: Figures
    mrr10_interval: Intervals
    recall_interval: Intervals
    ratio: Figures
    ratio_interval: Intervals
    by_source: Mapping[str, SourceFigures]
    by_overlap: OverlapFigures
    violations: Violations


@dataclass(frozen=True, slots=True)
class Summary:
    """All systems on one index, and how many rows each bucket and overlap has."""

    systems: Mapping[str, SystemFigures]
    bucket_rows: Mapping[str, int]
    overlap_rows: Mapping[str, int]


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
    chosen = {
        **masks(questions.prefix_lengths(), outcomes.seen),
        **overlap_masks(questions.asked),
    }
    rows = {
        name: rows_of_measures(outcome, questions) for name, outcome in outcomes.by_system.items()
    }
    drawn = Resampled(
        {
            _key(name, measure): by_measure[measure]
            for name, by_measure in rows.items()
            for measure in ("mrr10", "candidate_recall")
        },
        chosen,
        questions.unit_numbers(),
        questions.units,
        seed=seed,
    )
    base = rows[BASELINE.name]["mrr10"]
    systems = {
        name: _figures(name, outcome, rows[name], base, chosen, drawn)
        for name, outcome in outcomes.by_system.items()
    }
    counts = {name: int(mask.sum()) for name, mask in chosen.items()}
    return Summary(
        systems,
        {bucket: counts[bucket] for bucket in BUCKETS},
        {overlap: counts[overlap] for overlap in OVERLAPS},
    )


def by_mask(values: FloatArray, chosen: Mapping[str, BoolArray]) -> Figures:
    """Return the mean of ``values`` over the rows of each mask."""
    return {name: measures.mean(values[mask]) for name, mask in chosen.items()}


def _figures(  # noqa: PLR0917 - called once, by position
    name: str,
    outcome: Outcome,
    rows: Mapping[str, FloatArray],
    base: FloatArray,
    chosen: Mapping[str, BoolArray],
    drawn: Resampled,
) -> SystemFigures:
    buckets = {bucket: chosen[bucket] for bucket in BUCKETS}
    overlaps = {overlap: chosen[overlap] for overlap in OVERLAPS}
    reciprocal = rows["mrr10"]
    own, recall = _key(name, "mrr10"), _key(name, "candidate_recall")
    return SystemFigures(
        measures={measure: by_mask(rows[measure], buckets) for measure in MEASURES},
        suggestions=by_mask(outcome.returned.astype(np.float64), buckets),
        mrr10_interval={bucket: drawn.of_mean(own, bucket) for bucket in buckets},
        recall_interval={bucket: drawn.of_mean(recall, bucket) for bucket in buckets},
        ratio=_ratios(reciprocal, base, buckets),
        ratio_interval={
            bucket: drawn.of_ratio(own, _key(BASELINE.name, "mrr10"), bucket) for bucket in buckets
        },
        by_source=_by_source(outcome, reciprocal, buckets) if outcome.names_sources else {},
        by_overlap=OverlapFigures(
            measures={measure: by_mask(rows[measure], overlaps) for measure in MEASURES},
            mrr10_interval={overlap: drawn.of_mean(own, overlap) for overlap in overlaps},
            ratio=_ratios(reciprocal, base, overlaps),
        ),
        violations=outcome.violations,
    )


def _by_source(
    outcome: Outcome, reciprocal: FloatArray, buckets: Mapping[str, BoolArray]
) -> dict[str, SourceFigures]:
    all_hits = int((outcome.hit_sources >= 0).sum())
    found = {}
    for place, source in enumerate(SOURCES):
        mine = outcome.hit_sources == place
        hits = int(mine.sum())
        share = hits / all_hits if all_hits else None
        found[source] = SourceFigures(hits, share, by_mask(reciprocal * mine, buckets))
    return found


def _ratios(
    values: FloatArray, base: FloatArray, chosen: Mapping[str, BoolArray]
) -> dict[str, float | None]:
    return {name: _ratio(values[mask], base[mask]) for name, mask in chosen.items()}


def _ratio(values: FloatArray, base: FloatArray) -> float | None:
    whole = float(base.sum())
    return float(values.sum()) / whole if whole > 0 else None


def _key(system: str, measure: str) -> str:
    return f"{system}.{measure}"
