"""Query logs: read, cleaned, cut into sessions, paired.

Where to start: ``read_log`` turns files into a ``QueryLog``, ``write_pairs`` into the
questions of an evaluation, ``write_demo_log`` makes a synthetic log to try both on.

::

    files ──► lines ──► delimited, documents, ubi ──► formats ─┐   rows of one shape
    Parquet ─► parquet ────────────────────────────────────────┴► ingest   table log
                                                                   │
                    privacy ──► texts   every typed form normalised and judged once
                                                                   │
                                 sessions   people, order, cuts, repeats: table events
                                                                   │
                                 reading ──┬─► attributes ──► dataset   QueryLog: arrays, texts
                                           └──► pairs ──► pairs_file
                        split   who is held out ──► holdout   a QueryLog without them

What grows with the log stays in DuckDB (``engine``), which spills to disk; only distinct
texts pass through Python, and only they and integer arrays come to memory. ``kinds`` has
every way a row can be bad, ``privacy`` every rule that keeps one out. A module may import
those left of it or above it. Nothing here knows training, serving or the index.
"""

from espalier.querylog.dataset import QueryLog, pairs_of, read_log
from espalier.querylog.demo import write_demo_log
from espalier.querylog.holdout import Split, hold_out, only_people, pairs_of_held_out
from espalier.querylog.kinds import Bad
from espalier.querylog.pairs import PairsReport, prefix_lengths, write_pairs
from espalier.querylog.pairs_file import PairRow, PairsFile, read_pairs
from espalier.querylog.privacy import KeptOut
from espalier.querylog.report import ReadReport
from espalier.querylog.split import is_training_user

__all__ = [
    "Bad",
    "KeptOut",
    "PairRow",
    "PairsFile",
    "PairsReport",
    "QueryLog",
    "ReadReport",
    "Split",
    "hold_out",
    "is_training_user",
    "only_people",
    "pairs_of",
    "pairs_of_held_out",
    "prefix_lengths",
    "read_log",
    "read_pairs",
    "write_demo_log",
    "write_pairs",
]
