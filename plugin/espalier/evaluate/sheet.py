"""A page of HTML that needs nothing but itself: what every report is put together from.

No script, no font, no image from elsewhere: the page says so to the browser too
(``Content-Security-Policy``). Light or dark is what the reader's system prefers.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Final

from espalier.evaluate.plot_parts import Plot

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
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def document(title: str, introduction: str, body: Iterable[str]) -> str:
    """Return a whole page: a heading, a quiet sentence below it, and what follows, as HTML."""
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
        f'<p class="quiet">{html.escape(introduction)}</p>',
        *body,
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def figure(plot: Plot, section: str) -> Iterable[str]:
    """Yield a plot with its table beside it; ``section`` is the id of both."""
    yield f'<section id="{section}">'
    yield f"<h3>{html.escape(plot.title)}</h3>"
    yield '<div class="plot">'
    yield f"<figure>{plot.svg}<figcaption>{html.escape(plot.caption)}</figcaption></figure>"
    yield table(plot.title, plot.head, plot.rows)
    yield "</div>"
    yield "</section>"


def table(label: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the first cell of each row is its head."""
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
