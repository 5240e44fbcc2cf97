"""A report as aligned text."""

from __future__ import annotations

from collections.abc import Sequence

from espalier.analysis.metrics import METRICS, SEGMENTS, Metric
from espalier.analysis.moments import Estimate
from espalier.analysis.report import ExperimentReport, left_out, segments_with_data
from espalier.analysis.shadow import SHADOW_METRICS
from espalier.analysis.totals import QUANTILES
from espalier.evaluate.table import aligned

NOTHING = "-"

Rows = tuple[list[str], list[list[str]]]
"""The head of a table and its rows."""


def render(report: ExperimentReport) -> str:
    """Return the verdict, and the tables that it stands on."""
    parts = ["\n".join(one.text for one in report.verdicts), counts(report)]
    if report.variants:
        parts.append(aligned(*metric_rows(report)))
        parts.append(aligned(*segment_rows(report)))
        parts.append(remarks(report))
    if report.interleaving is not None:
        parts.append(interleaved(report))
    if report.shadows:
        parts.append(aligned(*shadow_rows(report)))
    return "\n\n".join(parts)


def counts(report: ExperimentReport) -> str:
    """Return what was read and what was left out, in a sentence."""
    told = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in left_out(report))
    return (
        f"experiment {report.question.experiment}: {report.events['lines']:,} lines, "
        f"{report.exposures:,} exposures{f'; {told}' if told else ''}"
    )


def metric_rows(report: ExperimentReport) -> Rows:
    """Return the table of the metrics: one column a variant, one a difference."""
    variants, differences = report.variants, report.differences
    head = ["", *variants, *(f"{name} - {report.question.control}" for name in differences)]
    rows = [
        ["units", *(f"{one.units:,}" for one in variants.values())],
        ["episodes", *(f"{one.episodes:,}" for one in variants.values())],
        ["lists shown", *(f"{one.lists:,}" for one in variants.values())],
    ]
    rows += [
        [
            metric.title,
            *(figure(one.metrics[metric.name], metric) for one in variants.values()),
            *(difference(one.metrics[metric.name], metric) for one in differences.values()),
        ]
        for metric in METRICS.values()
    ]
    for place, quantile in enumerate(QUANTILES):
        rows.append(
            [
                f"latency p{quantile * 100:.0f}, ms",
                *(_at(one.latency, place) for one in variants.values()),
            ]
        )
    return head, [row + [""] * (len(head) - len(row)) for row in rows]


def segment_rows(report: ExperimentReport) -> Rows:
    """Return the table of acceptance by segment."""
    variants, differences = report.variants, report.differences
    head = [
        "acceptance",
        *variants,
        *(f"{name} - {report.question.control}" for name in differences),
    ]
    rows = [
        [
            SEGMENTS[name].title,
            *(figure(one.segments[name], SEGMENTS[name]) for one in variants.values()),
            *(difference(one.segments[name], SEGMENTS[name]) for one in differences.values()),
        ]
        for name in segments_with_data(report)
    ]
    return head, rows


def shadow_rows(report: ExperimentReport) -> Rows:
    """Return the table of variants in shadow."""
    shadows = report.shadows
    rows = [
        ["units", *(f"{one.units:,}" for one in shadows.values())],
        ["lists compared", *(f"{one.compared:,}" for one in shadows.values())],
        ["failed", *(f"{one.failed:,}" for one in shadows.values())],
    ]
    rows += [
        [metric.title, *(figure(one.metrics[metric.name], metric) for one in shadows.values())]
        for metric in SHADOW_METRICS.values()
    ]
    rows += [
        [
            f"latency p{quantile * 100:.0f}, ms",
            *(_at(one.latency, place) for one in shadows.values()),
        ]
        for place, quantile in enumerate(QUANTILES)
    ]
    return ["in shadow", *shadows], rows


def _at(times: Sequence[float] | None, place: int) -> str:
    return NOTHING if times is None else f"{times[place]:.3f}"


def remarks(report: ExperimentReport) -> str:
    """Return what the figures mean."""
    level = f"{1 - report.question.alpha:.0%}"
    decides = f"{report.metric.title} decides, the others are read beside it"
    lines = [f"brackets: {level} at every look, over units; {decides}"]
    test = report.ratio_test
    if test is not None:
        found = ", ".join(
            f"{name} {share:.2%} ({test.expected[name]:.2%} meant)"
            for name, share in test.observed.items()
        )
        lines.append(f"shares of the units: {found}; p = {test.p_value:.2g} at every look")
    return "\n".join(lines)


def interleaved(report: ExperimentReport) -> str:
    """Return what the interleaved lists say; there are some."""
    found = report.interleaving
    assert found is not None  # noqa: S101 - said above
    points = ", ".join(
        f"{name} {count:,}" for name, count in zip(found.variants, found.points, strict=True)
    )
    return (
        f"interleaved: {found.lists:,} lists, {found.acceptances:,} acceptances; points: {points}, "
        f"{found.nobody:,} for nobody, {found.unplaced:,} without a place"
    )


def figure(found: Estimate, metric: Metric) -> str:
    """Write a figure of a variant."""
    return NOTHING if found.value is None else f"{found.value:.{metric.digits}f}"


def difference(found: Estimate, metric: Metric) -> str:
    """Write a difference, with its interval in brackets."""
    if found.value is None:
        return NOTHING
    written = f"{found.value:+.{metric.digits}f}"
    if found.interval is None:
        return written
    low, high = found.interval.low, found.interval.high
    return f"{written} ({low:+.{metric.digits}f} to {high:+.{metric.digits}f})"
