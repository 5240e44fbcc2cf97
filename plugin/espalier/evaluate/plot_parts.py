"""What the plots share: their shape, and how numbers are written and drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from espalier.evaluate.drawing import HATCHES, INK, SERIES
from espalier.evaluate.intervals import Interval
from espalier.evaluate.measures import FloatArray
from espalier.evaluate.summary import Figures, Intervals
from espalier.evaluate.table import TITLES

NOTHING: Final = "-"
"""Stands where nothing was measured."""

Bars = Mapping[str, tuple[Figures, Intervals]]
"""Of each system, a figure and its interval by name of a set of rows."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing and its table.

    Attributes:
        name: The same for the same kind of plot on every index.
        title: A few words.
        caption: What it shows and how it was measured, in sentences.
        svg: The drawing.
        head: Heads of the table's columns.
        rows: Its rows; the first cell of each is its head.
    """

    name: str
    title: str
    caption: str
    svg: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def grouped(axes: Axes, bars: Bars, keys: Sequence[str], labels: Sequence[str]) -> None:
    """Draw a bar for each system at each of ``keys``, with whiskers."""
    places = np.arange(len(keys))
    width = 0.8 / max(1, len(bars))
    for number, ((system, (figures, intervals)), colour, hatch) in enumerate(
        zip(bars.items(), SERIES, HATCHES, strict=False)
    ):
        values = np.array([figures[key] or 0.0 for key in keys])
        axes.bar(
            places + (number - (len(bars) - 1) / 2) * width,
            values,
            width,
            facecolor=colour,
            edgecolor=INK,
            linewidth=0.5,
            hatch=hatch,
            label=system,
            yerr=whiskers(values, [intervals[key] for key in keys]),
            ecolor=INK,
            capsize=2,
        )
    axes.set_xticks(places, labels)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel(TITLES["mrr10"])
    axes.legend()


def whiskers(values: FloatArray, intervals: Iterable[Interval | None]) -> FloatArray:
    """Return how far the ends of each interval are below and above its value, ``(2, n)``."""
    ends = [
        (0.0, 0.0) if one is None else (value - one.low, one.high - value)
        for value, one in zip(values, intervals, strict=True)
    ]
    # A value may lie outside of what resampling gave where few users share a bucket.
    return np.maximum(np.array(ends, dtype=np.float64).reshape(-1, 2).T, 0.0)


def ends(intervals: Intervals, keys: Sequence[str]) -> tuple[list[float], list[float]]:
    """Return the lower and the upper end at each key; not a number where there is none."""
    chosen = [intervals[key] for key in keys]
    return (
        [math.nan if one is None else one.low for one in chosen],
        [math.nan if one is None else one.high for one in chosen],
    )


def or_nan(value: float | None) -> float:
    """Return ``value`` as matplotlib leaves it out."""
    return math.nan if value is None else value


def number(value: float | None, digits: int = 4) -> str:
    """Write a figure."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def share(value: float | None) -> str:
    """Write a figure as percent."""
    return NOTHING if value is None else f"{value:.1%}"


def cell(value: float | None, interval: Interval | None, digits: int = 4, sign: str = "") -> str:
    """Write a figure with its interval in brackets; ``sign`` is "+" for differences."""
    if value is None:
        return NOTHING
    written = f"{value:{sign}.{digits}f}"
    if interval is None:
        return written
    return f"{written} ({interval.low:{sign}.{digits}f} to {interval.high:{sign}.{digits}f})"


def told(bars: Bars, keys: Sequence[str], heads: Mapping[str, str]) -> str:
    """Say figures in a sentence for those who cannot see them."""
    systems = (
        f"{system} " + ", ".join(f"{number(figures[key], 3)} ({heads[key]})" for key in keys)
        for system, (figures, _) in bars.items()
    )
    return "; ".join(systems) + "."
