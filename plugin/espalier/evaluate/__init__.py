"""Evaluation: how well, and how fast, an index completes held-out queries.

Start reading at :func:`evaluate` (``runner``). The data flows down this list,
and a module imports only from above::

    measures   the definitions, row by row       buckets    which rows count where
    questions  pairs, normalised once            sampling   fewer of them
    overlap    words shared with earlier queries systems    ways to ask an index
    contract   promises checked on every row     outcomes   ask everything, keep ranks
    intervals  bootstrap over users              summary    figures per bucket
    ablation   parts switched off                calibration  what a score is worth
    rivals     is an index worse than another    latency    timed calls
    index_report  one index                      table      as text
    report     all indexes, the JSON shape       runner     assembles it all

A report as a page stands apart, since drawing needs matplotlib, which is an extra::

    drawing    SVG that fits into a page         plot_parts  what plots share
    plots      the plots of one index            page        all indexes as HTML
    folder     both files of a report

The package reads pairs through :mod:`espalier.querylog` and asks
:mod:`espalier.index`; it knows nothing of training and serving.
"""

from espalier.evaluate.index_report import IndexReport
from espalier.evaluate.report import EvaluationReport
from espalier.evaluate.runner import evaluate, evaluate_questions

__all__ = ["EvaluationReport", "IndexReport", "evaluate", "evaluate_questions"]
