"""A report of an experiment as one HTML page."""

from __future__ import annotations

import html
from collections.abc import Iterator

from espalier.analysis.metrics import METRICS
from espalier.analysis.plots import plots_of
from espalier.analysis.report import ExperimentReport
from espalier.analysis.table import counts, interleaved, metric_rows, remarks, shadow_rows
from espalier.analysis.verdict import Outcome
from espalier.evaluate.sheet import document, figure, table

_INTRODUCTION = (
    "Who saw which variant, and what came of it. report.json beside this page holds its numbers."
)


def render_page(report: ExperimentReport) -> str:
    """Return the whole page. Equal reports give equal pages."""
    title = f"Espalier experiment: {report.question.experiment}"
    return document(title, _INTRODUCTION, _body(report))


def _body(report: ExperimentReport) -> Iterator[str]:
    for one in report.verdicts:
        kind = ' class="bad"' if one.outcome is Outcome.RATIO_MISMATCH else ""
        yield f"<p{kind}><strong>{html.escape(one.text)}</strong></p>"
    yield f"<p>{html.escape(counts(report))}</p>"
    if report.interleaving is not None:
        yield f"<p>{html.escape(interleaved(report))}</p>"
    if report.shadows:
        yield table("Variants in shadow", *shadow_rows(report))
    if not report.variants:
        return
    head, rows = metric_rows(report)
    yield table("Metrics by variant", ("metric", *head[1:]), rows)
    yield "".join(f'<p class="quiet">{html.escape(line)}</p>' for line in _notes(report))
    if report.differences:
        for plot in plots_of(report):
            yield from figure(plot, f"{plot.name}-section")


def _notes(report: ExperimentReport) -> Iterator[str]:
    yield from remarks(report).splitlines()
    yield from (f"{one.title}: {one.meaning}." for one in METRICS.values())
