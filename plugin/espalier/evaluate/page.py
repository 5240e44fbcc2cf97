"""A report as one HTML page that needs nothing but itself.

No script, no font, no image from elsewhere: the page says so to the browser too
(``Content-Security-Policy``). Light or dark is what the reader's system prefers.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Final

from espalier.evaluate.index_report import IndexReport
from espalier.evaluate.plot_parts import Plot, cell, number
from espalier.evaluate.plots import plots_of
from espalier.evaluate.report import EvaluationReport
from espalier.evaluate.summary import MEASURES
from espalier.evaluate.table import TITLES

_STYLE: Final = """
:root {
  color-scheme: light dark;
  --ink: #1c2321; --faint: #d5dad7; --page: #fbfcfb; --quiet: #56615c; --bad: #a3221b;
  --series-0: #1f6f4a; --series-1: #c96a2b; --series-2: #4b63b5;
  --series-3: #b0902a; --series-4: #8a4a94; --series-5: #4d8f9c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e4eae7; --faint: #3a433f; --page: #151a18; --quiet: #a3afa9; --bad: #ff8d83;
    --series-0: #5fc794; --series-1: #f0a06a; --series-2: #93a8f2;
    --series-3: #e0c46a; --series-4: #cf9ad8; --series-5: #8fd0dc;
  }
}
body {
  margin: 0 auto; max-width: 84rem; padding: 1.5rem;
  background: var(--page); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif;
}
h1, h2, h3 { line-height: 1.2; }
h2 { margin-top: 3rem; border-top: 2px solid var(--faint); padding-top: 1rem; }
p, figcaption { max-width: 46rem; }
.quiet, figcaption { color: var(--quiet); }
.bad { color: var(--bad); font-weight: bold; }
.plot { display: flex; flex-wrap: wrap; gap: 1rem 2rem; align-items: flex-start; }
figure { flex: 1 1 30rem; min-width: 0; max-width: 46rem; margin: 0; }
svg { width: 100%; height: auto; font-family: system-ui, sans-serif; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
.table { flex: 1 1 24rem; min-width: 0; overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.6rem; border-bottom: 1px solid var(--faint); white-space: nowrap; }
td { text-align: right; }
thead th { vertical-align: bottom; text-align: right; }
th:first-child { text-align: left; }
"""
_INTRODUCTION: Final = (
    "How well each index completes the queries of held-out users. "
    "report.json beside this page holds its numbers, and more."
)
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def render_page(report: EvaluationReport) -> str:
    """Return the whole page. Equal reports give equal pages."""
    names = report.names()
    title = f"Espalier evaluation: {', '.join(names)}"
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(_POLICY)}">',
        f"<title>{html.escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="quiet">{_INTRODUCTION}</p>',
    ]
    if len(names) > 1:
        links = (
            f'<li><a href="#index-{place}">{html.escape(name)}</a></li>'
            for place, name in enumerate(names)
        )
        parts.append(f"<nav><ul>{''.join(links)}</ul></nav>")
    for place, (name, one) in enumerate(zip(names, report.indexes, strict=True)):
        parts += _index(name, one, place)
    parts += ["</body>", "</html>"]
    return "\n".join(parts) + "\n"


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
    yield _table("All systems, all prefixes", *_overview(report))
    for plot in plots_of(report, place):
        yield from _plot(plot, place)
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


def _plot(plot: Plot, place: int) -> Iterable[str]:
    title = html.escape(plot.title)
    yield f'<section id="index-{place}-{plot.name}-section">'
    yield f"<h3>{title}</h3>"
    yield '<div class="plot">'
    yield f"<figure>{plot.svg}<figcaption>{html.escape(plot.caption)}</figcaption></figure>"
    yield _table(plot.title, plot.head, plot.rows)
    yield "</div>"
    yield "</section>"


def _table(label: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    columns = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in head)
    lines = "\n".join(
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join(f"<td>{html.escape(text)}</td>" for text in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="Table: {html.escape(label)}">'
        f"<table><thead><tr>{columns}</tr></thead><tbody>\n{lines}\n</tbody></table></div>"
    )
