"""What an experiment found: from event files to a verdict.

::

    event files ── reading ── events ── episodes ── totals of units ── report, page
                   (DuckDB, out of core)             (moments, sequences, mismatch)

Everything is measured by typing episode and added up by unit first; intervals hold at
every look (`sequences`), as does the test of the shares (`mismatch`).
"""

from espalier.analysis.report import ExperimentReport, Question
from espalier.analysis.running import analyse, totals_of
from espalier.analysis.totals import UnitTotals

__all__ = ["ExperimentReport", "Question", "UnitTotals", "analyse", "totals_of"]
