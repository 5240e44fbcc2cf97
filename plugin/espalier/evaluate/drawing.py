"""A drawing as a piece of SVG that fits into a page: the only module that knows matplotlib.

What matplotlib writes is a document of its own: black on white, with its fonts, its
width and names that other drawings of the page use too. Here it becomes part of the
page: colours are the page's variables, so that one drawing serves a light and a dark
scheme; text stays text, in the page's font; names are unlike those of any other
drawing; title and description tell what a reader who cannot see it would miss.
Equal input gives equal bytes: nothing depends on the time, on the user's settings of
matplotlib, or on what was drawn before.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK: Final = "#0e0e01"
"""Axes and text; the page's variable ``--ink`` in the end."""
FAINT: Final = "#0e0e02"
"""Grid lines; ``--faint``."""
SERIES: Final[tuple[str, ...]] = tuple(f"#0e0e1{i}" for i in range(6))
"""Colours of what is compared; ``--series-0`` and so on."""
MARKERS: Final = "osD^vP"
"""A form for each of :data:`SERIES`: colour alone tells nothing to many."""
HATCHES: Final = ("", "///", "---", "\\\\\\", "xxx", "++")
"""The same for areas."""

# matplotlib takes colours, not variables: these stand for them until the text is there.
_VARIABLES: Final = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    **{colour: f"var(--series-{i})" for i, colour in enumerate(SERIES)},
}
# Of any type: newer versions of matplotlib name every key in theirs.
_SETTINGS: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "espalier",
    "font.family": "sans-serif",
    "font.size": 10,
    "patch.edgecolor": INK,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    # What is drawn without a colour of its own, as the ends of whiskers are.
    "axes.prop_cycle": f"cycler('color', ['{INK}'])",
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "none",
    "grid.color": FAINT,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "savefig.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
}
_NO_METADATA: Final = dict.fromkeys(("Creator", "Date", "Format", "Type"))

_OPENING = re.compile(r"<svg [^>]*>")
_VIEW_BOX = re.compile(r'viewBox="[^"]*"')
_STYLE_SHEET = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FONT = re.compile(r"font-family: [^;\"]*(; )?")
_SHORT_FONT = re.compile(r"font: ([0-9.]+px) [^;\"]*")
_ID = re.compile(r' id="([^"]*)"')
_REFERENCE = re.compile(r'(url\(#|href="#)([^)"]+)')


def draw(
    name: str,
    title: str,
    description: str,
    paint: Callable[[Axes], None],
    *,
    size: tuple[float, float] = (6.4, 3.4),
) -> str:
    """Return what ``paint`` puts on a pair of axes, as an ``<svg>`` element.

    Args:
        name: Names the drawing; no other of the page has it. Letters, digits, hyphens.
        title: A few words.
        description: What is to be seen, in sentences.
        paint: Draws; only the colours of this module.
        size: Width and height in inches of 72 points; the page scales it.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        figure = Figure(figsize=size, layout="tight")
        FigureCanvasSVG(figure)
        paint(figure.subplots())
        written = io.BytesIO()
        figure.savefig(written, format="svg", metadata=_NO_METADATA)
    return _embed(written.getvalue().decode(), name, title, description)


def _embed(document: str, name: str, title: str, description: str) -> str:
    opening = _OPENING.search(document)
    if opening is None:
        raise ValueError("matplotlib wrote something that is no SVG")
    view = _VIEW_BOX.search(opening[0])
    inner = document[opening.end() :]
    inner = _COMMENT.sub("", _STYLE_SHEET.sub("", inner))
    inner = inner.replace("xlink:href", "href")
    inner = _SHORT_FONT.sub(r"font-size: \1", _FONT.sub("", inner))
    used = {target for _, target in _REFERENCE.findall(inner)}
    inner = _ID.sub(lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", inner)
    inner = _REFERENCE.sub(lambda m: f"{m[1]}{name}-{m[2]}", inner)
    for colour, variable in _VARIABLES.items():
        inner = inner.replace(colour, variable)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {view[0] if view else ""} role="img" '
        f'aria-labelledby="{name}-title {name}-description">\n'
        f'<title id="{name}-title">{html.escape(title)}</title>\n'
        f'<desc id="{name}-description">{html.escape(description)}</desc>'
        f"{inner.rstrip()}"
    )
