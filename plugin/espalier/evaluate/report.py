"""What an evaluation found, as JSON and as text.

The JSON of one index::

    {
      "systems": {
        "<system>": {
          "mrr10": {"<bucket>": 0.25, ...},        null where a bucket has no rows
          "success10": {...}, "keystrokes_saved": {...}, "candidate_recall": {...},
          "suggestions": {...},                    mean number that came back
          "mrr10_interval": {"<bucket>": [low, high], ...},      95 %, over users
          "ratio_to_most_frequent": {...},         of MRR@10
          "ratio_to_most_frequent_interval": {...},
          "violations": {"prefix": 0, "k_of_k": 0, "duplicates": 0}
        }, ...
      },
      "latency_us": {"p50": ..., "p95": ..., "p99": ..., "calls": ...,
                     "calibration_us": ..., "processor": {"p50": ...},
                     "native": {"p50": ...}},
      "rows": 1000,                evaluated; with the two below: rows of the file
      "rows_skipped": 3,           prefix is the whole next query
      "rows_bad": {"<kind>": 1},
      "bucket_rows": {"<bucket>": 1000, ...},
      "units": 120,                users; a row without one is a unit of its own
      "k": 10,
      "violations": {"prefix": 0, "k_of_k": 0, "duplicates": 0},   all systems
      "pairs": "pairs.tsv",
      "index": {"file": "site.esp", "bytes": ..., "labels": ..., ...}
    }

``latency_us`` is wall-clock time of the call a host makes; ``processor`` counts only
the time its thread ran, and ``native`` is the call into the C library alone, there
where it can be timed.

Of several indexes, the first stands at the top level in exactly this shape, and
every one, the first too, under ``indexes.<file name>``. Where two files have the
same name, the paths as given take its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier.evaluate.contract import Violations, total
from espalier.evaluate.latency import Latency
from espalier.evaluate.summary import Intervals, Summary, SystemFigures
from espalier.evaluate.table import render


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
        """Return the report of this index, in the shape the module shows."""
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


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """All indexes of a run, at least one, in the order given."""

    indexes: tuple[IndexReport, ...]

    @property
    def violations(self) -> Violations:
        """Broken promises of all systems on all indexes; a run with any has failed."""
        return total(report.violations for report in self.indexes)

    def names(self) -> list[str]:
        """Return the file name of each index, or all paths where names repeat."""
        names = [report.index.file.name for report in self.indexes]
        if len(set(names)) == len(names):
            return names
        return [str(report.index.file) for report in self.indexes]

    def to_json(self) -> dict[str, Any]:
        """Return the whole report, in the shape the module shows."""
        document = self.indexes[0].to_json()
        if len(self.indexes) > 1:
            document["indexes"] = {
                name: report.to_json()
                for name, report in zip(self.names(), self.indexes, strict=True)
            }
        return document

    def table(self) -> str:
        """Return aligned text tables for a terminal."""
        return render(self)


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
