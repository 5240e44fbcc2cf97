"""The plots of a report: each a drawing with the numbers it was made of."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from espalier.analysis.metrics import METRICS, SEGMENTS, Metric
from espalier.analysis.moments import Estimate
from espalier.analysis.report import ExperimentReport, day_of, segments_with_data
from espalier.analysis.table import difference, figure, segment_rows
from espalier.evaluate.drawing import HATCHES, INK, MARKERS, SERIES, draw
from espalier.evaluate.intervals import Interval
from espalier.evaluate.plot_parts import Plot, or_nan, whiskers

_MOST_TICKS: Final = 8


def plots_of(report: ExperimentReport) -> tuple[Plot, ...]:
    """Return the plots of a report with at least two variants."""
    return (_course(report), _relative(report), _segments(report))


def _course(report: ExperimentReport) -> Plot:
    metric, control = report.metric, report.question.control
    title = f"Difference in {metric.title} to {control}, day by day"
    days = [day_of(day).isoformat() for day, _ in report.course]
    lines = {
        name: [found.get(name, Estimate(None, None)) for _, found in report.course]
        for name in report.differences
    }

    def paint(axes: Axes) -> None:
        places = np.arange(len(days))
        for (name, found), colour, marker in zip(lines.items(), SERIES, MARKERS, strict=False):
            low, high = _ends(found)
            axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
            values = [or_nan(one.value) for one in found]
            axes.plot(places, values, color=colour, marker=marker, markersize=4, label=name)
        axes.axhline(0, color=INK, linewidth=0.8)
        step = max(1, math.ceil(len(days) / _MOST_TICKS))
        axes.set_xticks(places[::step], days[::step], rotation=30, ha="right")
        axes.set_ylabel(f"difference in {metric.title}")
        axes.legend()

    last = "; ".join(f"{name} {difference(found[-1], metric)}" for name, found in lines.items())
    return Plot(
        "course",
        title,
        "What the report said at the end of each day, of all events until then. The band covers "
        f"the truth on every day at once in {1 - report.question.alpha:.0%} of experiments, so it "
        "may be read daily, and the experiment stopped on the day it leaves zero.",
        draw("course", title, f"Lines with bands. On the last day: {last}.", paint),
        ("end of", *lines),
        tuple(
            (day, *(difference(found[place], metric) for found in lines.values()))
            for place, day in enumerate(days)
        ),
    )


def _relative(report: ExperimentReport) -> Plot:
    title = f"Every metric, relative to {report.question.control}"
    control = report.variants[report.question.control].metrics
    shown = [name for name in METRICS if control[name].value]
    rows = {
        variant: [_divided(found.metrics[name], control[name]) for name in shown]
        for variant, found in report.differences.items()
    }

    def paint(axes: Axes) -> None:
        places = np.arange(len(shown))
        height = 0.6 / max(1, len(rows))
        for number, ((variant, found), colour, marker) in enumerate(
            zip(rows.items(), SERIES, MARKERS, strict=False)
        ):
            values = np.array([one.value or 0.0 for one in found]) * 100.0
            spans = [_scaled(one.interval, 100.0) for one in found]
            axes.errorbar(
                values,
                places + (number - (len(rows) - 1) / 2) * height,
                xerr=whiskers(values, spans),
                linestyle="none",
                color=colour,
                ecolor=colour,
                capsize=3,
                marker=marker,
                label=variant,
            )
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(places, [METRICS[name].title for name in shown])
        axes.invert_yaxis()
        axes.set_xlabel("percent more or less")
        axes.legend()

    told = "; ".join(
        f"{variant} {METRICS[name].title} {_percent(one)}"
        for variant, found in rows.items()
        for name, one in zip(shown, found, strict=True)
    )
    return Plot(
        "relative",
        title,
        "Difference to the control, divided by the figure of the control. Of no suggestions, "
        "abandonment and latency, less is better.",
        draw("relative", title, f"Points with whiskers: {told}.", paint),
        ("metric", *rows),
        tuple(
            (METRICS[name].title, *(_percent(found[place]) for found in rows.values()))
            for place, name in enumerate(shown)
        ),
    )


def _segments(report: ExperimentReport) -> Plot:
    title = "Acceptance by what was typed and by context"
    shown = segments_with_data(report)
    head, rows = segment_rows(report)

    def paint(axes: Axes) -> None:
        places = np.arange(len(shown))
        width = 0.8 / max(1, len(report.variants))
        for number, ((variant, found), colour, hatch) in enumerate(
            zip(report.variants.items(), SERIES, HATCHES, strict=False)
        ):
            values = np.array([found.segments[name].value or 0.0 for name in shown])
            axes.bar(
                places + (number - (len(report.variants) - 1) / 2) * width,
                values,
                width,
                facecolor=colour,
                edgecolor=INK,
                linewidth=0.5,
                hatch=hatch,
                label=variant,
                yerr=whiskers(values, [found.segments[name].interval for name in shown]),
                ecolor=INK,
                capsize=2,
            )
        axes.set_xticks(places, [SEGMENTS[n].title for n in shown], rotation=30, ha="right")
        axes.grid(visible=False, axis="x")
        axes.set_ylabel("accepted")
        axes.legend()

    told = "; ".join(
        f"{variant} {SEGMENTS[name].title} {figure(found.segments[name], SEGMENTS[name])}"
        for variant, found in report.variants.items()
        for name in shown
    )
    return Plot(
        "segments",
        title,
        "By length: of the episodes in which a list was shown when so much was typed, how many "
        "accepted from one. By context: of the episodes that began with so many previous queries, "
        "how many accepted. Which length an episode comes to depends on what was shown before: a "
        "difference at one length alone is a hint, not a verdict.",
        draw("segments", title, f"Bars with whiskers: {told}.", paint, size=(7.6, 3.8)),
        ("segment", *head[1:]),
        tuple(tuple(row) for row in rows),
    )


def _ends(found: list[Estimate]) -> tuple[list[float], list[float]]:
    spans = [one.interval for one in found]
    return (
        [math.nan if span is None else span.low for span in spans],
        [math.nan if span is None else span.high for span in spans],
    )


def _divided(found: Estimate, base: Estimate) -> Estimate:
    if found.value is None or not base.value:
        return Estimate(None, None)
    return Estimate(found.value / base.value, _scaled(found.interval, 1.0 / base.value))


def _scaled(span: Interval | None, factor: float) -> Interval | None:
    return None if span is None else Interval(span.low * factor, span.high * factor)


_PERCENT: Final = Metric("", "", "", "", "", digits=1)


def _percent(found: Estimate) -> str:
    if found.value is None:
        return "-"
    scaled = Estimate(found.value * 100.0, _scaled(found.interval, 100.0))
    return difference(scaled, _PERCENT)
