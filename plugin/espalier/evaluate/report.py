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

from dataclasses import dataclass
from typing import Any

from espalier.evaluate.contract import Violations, total
from espalier.evaluate.index_report import IndexReport
from espalier.evaluate.table import render


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
        return render(dict(zip(self.names(), self.indexes, strict=True)))
