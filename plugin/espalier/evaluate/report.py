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
          "violations": {"prefix": 0, "k_of_k": 0, "duplicates": 0, "repeats": 0},
          "candidate_recall_interval": {...},
          "by_source": {           who found the wanted query first; {} if not told
            "MODEL": {"hits": 120, "hit_share": 0.4,
                      "mrr10": {"<bucket>": 0.1, ...}},    parts, they add up to mrr10
            ...
          },
          "by_overlap": {          what the wanted query shares with the queries before
            "mrr10": {"<overlap>": 0.3, ...}, "success10": {...}, ...
            "mrr10_interval": {...}, "ratio_to_most_frequent": {...}
          }
        }, ...
      },
      "latency_us": {"p50": ..., "p95": ..., "p99": ..., "calls": ...,
                     "calibration_us": ..., "processor": {"p50": ...},
                     "native": {"p50": ...}},
      "rows": 1000,                evaluated; with the two below: rows of the file
      "rows_skipped": 3,           prefix is the whole next query
      "rows_bad": {"<kind>": 1},
      "rows_left_out": 0,          could be asked, but are not in the sample
      "bucket_rows": {"<bucket>": 1000, ...},
      "overlap_rows": {"<overlap>": 70, ...},
      "units": 120,                users; a row without one is a unit of its own
      "k": 10,
      "violations": {"prefix": 0, "k_of_k": 0, "duplicates": 0, "repeats": 0},   all systems
      "pairs": "pairs.tsv",
      "index": {"file": "site.esp", "bytes": ..., "labels": ..., ...},
      "calibration": {             of the first suggestion of all_sources
        "learned_rows": 480, "error": 0.02,        null where nothing could be compared
        "bins": [{"low": ..., "high": ..., "rows": 50, "predicted": 0.1,
                  "observed": 0.12, "observed_interval": [low, high]}, ...]
      },
      "latency_distribution_us": {"percent": [0, 1, ...], "call": [...], "native": [...]},
      "ablation": {                only if it was asked for
        "without_tail": {"mrr10": {"<bucket>": 0.2, ...}, "candidate_recall": {...},
                         "delta": {...}, "delta_interval": {...},   mrr10 minus all_sources'
                         "violations": {...}}, ...
      }
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
