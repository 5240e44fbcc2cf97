"""What was found of one index. The JSON shape is described in ``report``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from espalier.evaluate.ablation import AblatedFigures
from espalier.evaluate.calibration import NO_CALIBRATION, Calibration
from espalier.evaluate.contract import Violations, total
from espalier.evaluate.latency import PERCENTS, Latency
from espalier.evaluate.summary import Intervals, Summary, SystemFigures


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """Which index was evaluated. ``file`` is its path as given."""

    file: Path
    bytes: int
    labels: int
    nodes: int
    features: int
    depth: int
    fingerprint: str

    def to_json(self) -> dict[str, Any]:
        """Return the facts, the file by its name alone."""
        return {
            "file": self.file.name,
            "bytes": self.bytes,
            "labels": self.labels,
            "nodes": self.nodes,
            "features": self.features,
            "depth": self.depth,
            "fingerprint": self.fingerprint,
        }


@dataclass(frozen=True, slots=True)
class Timing:
    """Latency of ``all_sources``.

    Attributes:
        call: Around the Python call a host makes.
        processor: The same calls by the time the thread ran: without the waits that
            other processes of a busy machine cause.
        native: Around the call into the C library alone, if it can be timed.
        calibration_us: The fixed loop of the same run, in microseconds.
        call_distribution: Of ``call``, microseconds at each of ``latency.PERCENTS``.
        native_distribution: Of ``native``; both are empty where nobody asked for them.
    """

    call: Latency
    processor: Latency
    native: Latency | None
    calibration_us: float
    call_distribution: tuple[float, ...] = ()
    native_distribution: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the ``latency_us`` object."""
        document: dict[str, Any] = {
            **self.call.to_json(),
            "calibration_us": self.calibration_us,
            "processor": self.processor.to_json(),
        }
        if self.native is not None:
            document["native"] = self.native.to_json()
        return document

    def distribution_json(self) -> dict[str, Any]:
        """Return the ``latency_distribution_us`` object."""
        return {
            "percent": list(PERCENTS),
            "call": list(self.call_distribution),
            "native": list(self.native_distribution),
        }


@dataclass(frozen=True, slots=True)
class PairsFacts:
    """Which rows were asked; see the module for each."""

    file: Path
    rows: int
    rows_skipped: int
    rows_bad: Mapping[str, int]
    units: int
    rows_left_out: int = 0


@dataclass(frozen=True, slots=True)
class IndexReport:
    """One index, all systems. ``ablation`` is empty where none was asked for."""

    index: IndexFacts
    pairs: PairsFacts
    k: int
    summary: Summary
    timing: Timing
    calibration: Calibration = NO_CALIBRATION
    ablation: Mapping[str, AblatedFigures] = field(default_factory=dict)

    @property
    def violations(self) -> Violations:
        """Broken promises of all systems together, ablated ones too."""
        return total(
            [
                *(figures.violations for figures in self.summary.systems.values()),
                *(figures.violations for figures in self.ablation.values()),
            ]
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report of this index, in the shape `report` shows."""
        document: dict[str, Any] = {
            "systems": {
                name: _system_json(figures) for name, figures in self.summary.systems.items()
            },
            "latency_us": self.timing.to_json(),
            "rows": self.pairs.rows,
            "rows_skipped": self.pairs.rows_skipped,
            "rows_bad": dict(self.pairs.rows_bad),
            "rows_left_out": self.pairs.rows_left_out,
            "bucket_rows": dict(self.summary.bucket_rows),
            "overlap_rows": dict(self.summary.overlap_rows),
            "units": self.pairs.units,
            "k": self.k,
            "violations": self.violations.to_json(),
            "pairs": self.pairs.file.name,
            "index": self.index.to_json(),
            "calibration": self.calibration.to_json(),
            "latency_distribution_us": self.timing.distribution_json(),
        }
        if self.ablation:
            document["ablation"] = {name: one.to_json() for name, one in self.ablation.items()}
        return document


def _system_json(figures: SystemFigures) -> dict[str, Any]:
    return {
        **{measure: dict(by_bucket) for measure, by_bucket in figures.measures.items()},
        "suggestions": dict(figures.suggestions),
        "mrr10_interval": _intervals_json(figures.mrr10_interval),
        "ratio_to_most_frequent": dict(figures.ratio),
        "ratio_to_most_frequent_interval": _intervals_json(figures.ratio_interval),
        "violations": figures.violations.to_json(),
        "candidate_recall_interval": _intervals_json(figures.recall_interval),
        "by_source": {
            name: {"hits": one.hits, "hit_share": one.hit_share, "mrr10": dict(one.mrr10)}
            for name, one in figures.by_source.items()
        },
        "by_overlap": {
            **{name: dict(kinds) for name, kinds in figures.by_overlap.measures.items()},
            "mrr10_interval": _intervals_json(figures.by_overlap.mrr10_interval),
            "ratio_to_most_frequent": dict(figures.by_overlap.ratio),
        },
    }


def _intervals_json(intervals: Intervals) -> dict[str, list[float] | None]:
    return {
        bucket: None if interval is None else interval.to_json()
        for bucket, interval in intervals.items()
    }
