"""An evaluation as aligned text: one table per measure, systems down, buckets across."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from espalier.evaluate.ablation import WHOLE
from espalier.evaluate.buckets import BUCKETS
from espalier.evaluate.index_report import IndexReport
from espalier.evaluate.latency import Latency
from espalier.evaluate.overlap import OVERLAPS
from espalier.evaluate.summary import MEASURES, Figures, Intervals
from espalier.evaluate.systems import BASELINE

HEADS: Mapping[str, str] = {
    "all": "all",
    "len_1": "1",
    "len_2": "2",
    "len_3": "3",
    "len_1_3": "1-3",
    "len_4_6": "4-6",
    "len_7_10": "7-10",
    "len_11_plus": "11+",
    "seen": "seen",
    "unseen": "unseen",
}
"""What stands above the column of a bucket."""
OVERLAP_HEADS: Mapping[str, str] = {
    "repeat_earlier": "repeats",
    "extends": "extends",
    "truncates": "truncates",
    "same_first_word": "first word",
    "shares_word": "a word",
    "nothing_shared": "nothing",
    "no_previous": "no previous",
}
"""What stands above the column of an overlap."""
TITLES: Mapping[str, str] = {
    "mrr10": "MRR@10",
    "success10": "success@10",
    "keystrokes_saved": "keystrokes saved",
    "candidate_recall": "candidate recall",
}
_NOTHING = "-"


def render(reports: Mapping[str, IndexReport]) -> str:
    """Return all tables, one index after the other, each under its name."""
    return "\n\n".join(_index_block(name, report) for name, report in reports.items()) + "\n"


def aligned(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return ``rows`` under ``head``: first column left, the others right aligned."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _index_block(name: str, report: IndexReport) -> str:
    summary = report.summary
    parts = [_heading(name, report)]
    for measure in MEASURES:
        by_system = {
            system: figures.measures[measure] for system, figures in summary.systems.items()
        }
        # How many rows a bucket has is said once, under the first table.
        rows = summary.bucket_rows if measure == MEASURES[0] else None
        parts.append(_figures_table(TITLES[measure], by_system, rows))
    parts.append(
        _figures_table(
            "suggestions",
            {system: figures.suggestions for system, figures in summary.systems.items()},
            digits=1,
        )
    )
    parts.append(_ratio_table(report))
    parts.append(_overlap_table(report))
    parts.append(_source_table(report))
    if report.ablation:
        parts.append(_ablation_table(report))
    parts.append(_footing(report))
    return "\n\n".join(parts)


def _heading(name: str, report: IndexReport) -> str:
    index, pairs = report.index, report.pairs
    bad = ", ".join(f"{count:,} {kind}" for kind, count in sorted(pairs.rows_bad.items()))
    return (
        f"{name}: {index.labels:,} labels, {index.bytes:,} bytes, fingerprint {index.fingerprint}\n"
        f"{pairs.file.name}: {pairs.rows:,} rows of {pairs.units:,} users evaluated, "
        f"{pairs.rows_skipped:,} skipped (nothing left to type)"
        + (f", {pairs.rows_left_out:,} not in the sample" if pairs.rows_left_out else "")
        + (f", {sum(pairs.rows_bad.values()):,} bad ({bad})" if bad else "")
    )


def _figures_table(
    title: str,
    by_system: Mapping[str, Figures],
    bucket_rows: Mapping[str, int] | None = None,
    digits: int = 4,
) -> str:
    rows = [
        [system, *(_number(figures[bucket], digits) for bucket in BUCKETS)]
        for system, figures in by_system.items()
    ]
    if bucket_rows is not None:
        rows.append(["rows", *(f"{bucket_rows[bucket]:,}" for bucket in BUCKETS)])
    return aligned([title, *(HEADS[bucket] for bucket in BUCKETS)], rows)


def _ratio_table(report: IndexReport) -> str:
    rows = []
    for system, figures in report.summary.systems.items():
        if system == BASELINE.name:
            continue
        rows.append([system, *(_number(figures.ratio[bucket], 2) for bucket in BUCKETS)])
        rows.append(["  95 % over users", *_spans(figures.ratio_interval)])
    return aligned([f"MRR@10 / {BASELINE.name}", *(HEADS[bucket] for bucket in BUCKETS)], rows)


def _overlap_table(report: IndexReport) -> str:
    rows = [
        [system, *(_number(figures.by_overlap.measures["mrr10"][kind], 4) for kind in OVERLAPS)]
        for system, figures in report.summary.systems.items()
    ]
    rows.append(["rows", *(f"{report.summary.overlap_rows[kind]:,}" for kind in OVERLAPS)])
    head = ["MRR@10 by shared words", *(OVERLAP_HEADS[kind] for kind in OVERLAPS)]
    return aligned(head, rows)


def _source_table(report: IndexReport) -> str:
    rows = [
        [
            f"  {source.lower()}",
            f"{found.hits:,}",
            _NOTHING if found.hit_share is None else f"{found.hit_share:.1%}",
            *(_number(found.mrr10[bucket], 4) for bucket in BUCKETS),
        ]
        for source, found in report.summary.systems[WHOLE].by_source.items()
    ]
    head = ["all_sources: hits from", "hits", "share", *(HEADS[bucket] for bucket in BUCKETS)]
    return aligned(head, rows)


def _ablation_table(report: IndexReport) -> str:
    rows = []
    for name, figures in report.ablation.items():
        rows.append([name, *(_signed(figures.delta[bucket]) for bucket in BUCKETS)])
        rows.append(["  +/- (95 % over users)", *_half_widths(figures.delta_interval)])
    return aligned([f"MRR@10 - {WHOLE}", *(HEADS[bucket] for bucket in BUCKETS)], rows)


def _spans(intervals: Intervals) -> list[str]:
    spans = []
    for bucket in BUCKETS:
        interval = intervals[bucket]
        spans.append(_NOTHING if interval is None else f"{interval.low:.2f}-{interval.high:.2f}")
    return spans


def _half_widths(intervals: Intervals) -> list[str]:
    widths = []
    for bucket in BUCKETS:
        interval = intervals[bucket]
        half = _NOTHING if interval is None else f"{(interval.high - interval.low) / 2:.4f}"
        widths.append(half)
    return widths


def _footing(report: IndexReport) -> str:
    timing, broken = report.timing, report.violations
    call, native = timing.call, timing.native
    lines = [
        f"all_sources, one thread: {_times(call)} over {call.calls:,} calls",
        f"  of it processor time: {_times(timing.processor)}",
        f"calibration loop of the same run: {timing.calibration_us:.0f} us",
    ]
    if native is not None:
        lines.insert(1, f"  of it in the C library: {_times(native)}")
    if broken.total == 0:
        lines.append("contract: every suggestion starts with its prefix, none twice, k of k")
    else:
        lines.append(
            f"CONTRACT BROKEN: {broken.prefix:,} without the prefix, "
            f"{broken.k_of_k:,} short lists, {broken.duplicates:,} duplicates, "
            f"{broken.repeats:,} times the query just submitted"
        )
    return "\n".join(lines)


def _times(latency: Latency) -> str:
    return f"p50 {latency.p50:.0f} us, p95 {latency.p95:.0f} us, p99 {latency.p99:.0f} us"


def _signed(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:+.4f}"


def _number(value: float | None, digits: int) -> str:
    return _NOTHING if value is None else f"{value:.{digits}f}"
