"""What was found of one index. The JSON shape is described in ``report``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier.evaluate.contract import Violations, total
from espalier.evaluate.latency import Latency
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
    """

    call: Latency
    processor: Latency
    native: Latency | None
    calibration_us: float

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


@dataclass(frozen=True, slots=True)
class PairsFacts:
    """Which rows were asked; see the module for each."""

    file: Path
    rows: int
    rows_skipped: int
    rows_bad: Mapping[str, int]
    units: int


@dataclass(frozen=True, slots=True)
class IndexReport:
    """One index, all systems."""

    index: IndexFacts
    pairs: PairsFacts
    k: int
    summary: Summary
    timing: Timing

    @property
    def violations(self) -> Violations:
        """Broken promises of all systems together."""
        return total(figures.violations for figures in self.summary.systems.values())

    def to_json(self) -> dict[str, Any]:
        """Return the report of this index, in the shape `report` shows."""
        return {
            "systems": {
                name: _system_json(figures) for name, figures in self.summary.systems.items()
            },
            "latency_us": self.timing.to_json(),
            "rows": self.pairs.rows,
            "rows_skipped": self.pairs.rows_skipped,
            "rows_bad": dict(self.pairs.rows_bad),
            "bucket_rows": dict(self.summary.bucket_rows),
            "units": self.pairs.units,
            "k": self.k,
            "violations": self.violations.to_json(),
            "pairs": self.pairs.file.name,
            "index": self.index.to_json(),
        }


def _system_json(figures: SystemFigures) -> dict[str, Any]:
    return {
        **{measure: dict(by_bucket) for measure, by_bucket in figures.measures.items()},
        "suggestions": dict(figures.suggestions),
        "mrr10_interval": _intervals_json(figures.mrr10_interval),
        "ratio_to_most_frequent": dict(figures.ratio),
        "ratio_to_most_frequent_interval": _intervals_json(figures.ratio_interval),
        "violations": figures.violations.to_json(),
    }


def _intervals_json(intervals: Intervals) -> dict[str, list[float] | None]:
    return {
        bucket: None if interval is None else interval.to_json()
        for bucket, interval in intervals.items()
    }
