"""A report of an evaluation as one HTML page."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Final

from espalier.evaluate.index_report import IndexReport
from espalier.evaluate.plot_parts import cell, number
from espalier.evaluate.plots import plots_of
from espalier.evaluate.report import EvaluationReport
from espalier.evaluate.sheet import document, figure, table
from espalier.evaluate.summary import MEASURES
from espalier.evaluate.table import TITLES

_INTRODUCTION: Final = (
    "How well each index completes the queries of held-out users. "
    "report.json beside this page holds its numbers, and more."
)


def render_page(report: EvaluationReport) -> str:
    """Return the whole page. Equal reports give equal pages."""
    names = report.names()
    title = f"Espalier evaluation: {', '.join(names)}"
    parts: list[str] = []
    if len(names) > 1:
        links = (
            f'<li><a href="#index-{place}">{html.escape(name)}</a></li>'
            for place, name in enumerate(names)
        )
        parts.append(f"<nav><ul>{''.join(links)}</ul></nav>")
    for place, (name, one) in enumerate(zip(names, report.indexes, strict=True)):
        parts += _index(name, one, place)
    return document(title, _INTRODUCTION, parts)


def _index(name: str, report: IndexReport, place: int) -> Iterable[str]:
    index, pairs = report.index, report.pairs
    yield f'<section id="index-{place}">'
    yield f"<h2>{html.escape(name)}</h2>"
    bad = sum(pairs.rows_bad.values())
    yield (
        f"<p>{index.labels:,} labels in {index.bytes:,} bytes, fingerprint {index.fingerprint}. "
        f"{pairs.rows:,} rows of {pairs.units:,} users from {html.escape(pairs.file.name)}; "
        f"{pairs.rows_skipped:,} more had nothing left to type, {bad:,} were bad, "
        f"{pairs.rows_left_out:,} are not in the sample.</p>"
    )
    yield _promises(report)
    yield table("All systems, all prefixes", *_overview(report))
    for plot in plots_of(report, place):
        yield from figure(plot, f"index-{place}-{plot.name}-section")
    yield "</section>"


def _promises(report: IndexReport) -> str:
    broken = report.violations
    if not broken.total:
        return (
            "<p>Every suggestion starts with its prefix, none comes twice, "
            "and <i>k</i> came back where <i>k</i> labels match.</p>"
        )
    return (
        f'<p class="bad">Promises were broken: {broken.prefix:,} suggestions without the prefix, '
        f"{broken.k_of_k:,} short lists, {broken.duplicates:,} duplicates, "
        f"{broken.repeats:,} times the query just submitted.</p>"
    )


def _overview(report: IndexReport) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    head = (
        "system",
        *(TITLES[measure] for measure in MEASURES),
        "times most frequent",
        "the same, 1-3 characters",
        "suggestions",
    )
    rows = [
        (
            name,
            *(number(figures.measures[measure]["all"]) for measure in MEASURES),
            *(
                cell(figures.ratio[bucket], figures.ratio_interval[bucket], 2)
                for bucket in ("all", "len_1_3")
            ),
            number(figures.suggestions["all"], 1),
        )
        for name, figures in report.summary.systems.items()
    ]
    return head, rows
