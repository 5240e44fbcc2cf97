"""The plots of a report: each a drawing with the numbers it was made of.

Only figures of an :class:`IndexReport` are drawn, so no query text can get in.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes

from espalier.evaluate.ablation import WHOLE
from espalier.evaluate.drawing import FAINT, HATCHES, INK, MARKERS, SERIES, draw
from espalier.evaluate.index_report import IndexReport
from espalier.evaluate.latency import PERCENTS
from espalier.evaluate.overlap import OVERLAPS
from espalier.evaluate.plot_parts import (
    NOTHING,
    Plot,
    cell,
    ends,
    grouped,
    number,
    or_nan,
    share,
    told,
    whiskers,
)
from espalier.evaluate.summary import Figures, Intervals, SystemFigures
from espalier.evaluate.systems import BASELINE
from espalier.evaluate.table import HEADS, OVERLAP_HEADS, TITLES

_LENGTHS: Final = ("len_1", "len_2", "len_3", "len_4_6", "len_7_10", "len_11_plus")
_PARTS: Final = ("all", "len_1_3", "len_4_6", "len_7_10", "len_11_plus", "seen", "unseen")
_SEEN: Final = ("all", "seen", "unseen")
_CHARACTERS: Final = "characters typed"


def plots_of(report: IndexReport, place: int) -> tuple[Plot, ...]:
    """Return the plots of the index that is number ``place`` on the page."""
    prefix = f"index-{place}"
    found = [
        _by_length(report, prefix, "mrr10"),
        _by_length(report, prefix, "candidate_recall"),
        _by_source(report, prefix),
        _seen_unseen(report, prefix),
        _by_overlap(report, prefix),
        _calibration(report, prefix),
        _latency(report, prefix),
    ]
    if report.ablation:
        found.append(_ablation(report, prefix))
    return tuple(found)


# ---- quality ------------------------------------------------------------------


def _by_length(report: IndexReport, prefix: str, measure: str) -> Plot:
    name = {"mrr10": "mrr-by-length", "candidate_recall": "recall-by-length"}[measure]
    title = f"{TITLES[measure]} by length of the prefix"
    systems = report.summary.systems
    lines = {system: _of(figures, measure) for system, figures in systems.items()}
    heads = [HEADS[bucket] for bucket in _LENGTHS]

    def paint(axes: Axes) -> None:
        places = np.arange(len(_LENGTHS))
        for place, ((system, (figures, intervals)), colour, marker) in enumerate(
            zip(lines.items(), SERIES, MARKERS, strict=False)
        ):
            values = [or_nan(figures[bucket]) for bucket in _LENGTHS]
            low, high = ends(intervals, _LENGTHS)
            axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
            # Where systems agree, the first one is seen.
            axes.plot(
                places,
                values,
                color=colour,
                marker=marker,
                markersize=5,
                label=system,
                zorder=9 - place,
            )
        axes.set_xticks(places, heads)
        axes.set_xlabel(_CHARACTERS)
        axes.set_ylabel(TITLES[measure])
        axes.set_ylim(bottom=0)
        axes.legend()

    caption = {
        "mrr10": "Mean of 1/place of the wanted query among ten suggestions, 0 if it is missing.",
        "candidate_recall": "How often the wanted query was considered at all, however low it "
        "was ranked. The baseline considers only its ten suggestions.",
    }[measure] + " Bands and brackets: 95 % over users."
    return Plot(
        name,
        title,
        caption,
        draw(f"{prefix}-{name}", title, told(lines, _LENGTHS, HEADS), paint),
        (_CHARACTERS, "rows", *lines),
        tuple(
            (
                HEADS[bucket],
                f"{report.summary.bucket_rows[bucket]:,}",
                *(
                    cell(figures[bucket], intervals[bucket])
                    for figures, intervals in lines.values()
                ),
            )
            for bucket in _LENGTHS
        ),
    )


def _by_source(report: IndexReport, prefix: str) -> Plot:
    name, title = "mrr-by-source", f"{TITLES['mrr10']} of {WHOLE} by source"
    sources = report.summary.systems[WHOLE].by_source
    heads = [HEADS[bucket] for bucket in _PARTS]

    def paint(axes: Axes) -> None:
        places = np.arange(len(_PARTS))
        left = np.zeros(len(_PARTS))
        for (source, found), colour, hatch in zip(sources.items(), SERIES, HATCHES, strict=False):
            width = np.array([found.mrr10[bucket] or 0.0 for bucket in _PARTS])
            axes.barh(
                places,
                width,
                left=left,
                facecolor=colour,
                edgecolor=INK,
                linewidth=0.5,
                hatch=hatch,
                label=source.lower(),
            )
            left += width
        axes.set_yticks(places, heads)
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(TITLES["mrr10"])
        axes.set_ylabel("prefix length, or query")
        if sources:
            axes.legend()

    summary = "; ".join(
        f"{source.lower()} {share(found.hit_share)} of the hits"
        for source, found in sources.items()
    )
    return Plot(
        name,
        title,
        "Who found the wanted query first. The parts of a bar add up to the figure of the system; "
        "switching a source off costs less than its part wherever another source knows it too.",
        draw(f"{prefix}-{name}", title, f"Stacked bars. {summary or 'No source is named'}.", paint),
        ("source", "hits", "share of hits", *heads),
        tuple(
            (
                source.lower(),
                f"{found.hits:,}",
                share(found.hit_share),
                *(number(found.mrr10[bucket]) for bucket in _PARTS),
            )
            for source, found in sources.items()
        ),
    )


def _seen_unseen(report: IndexReport, prefix: str) -> Plot:
    name, title = "seen-unseen", f"{TITLES['mrr10']} where the wanted query is in the index or not"
    bars = {system: _of(figures, "mrr10") for system, figures in report.summary.systems.items()}
    rows = report.summary.bucket_rows

    def paint(axes: Axes) -> None:
        labels = [f"{HEADS[bucket]}\n{rows[bucket]:,} rows" for bucket in _SEEN]
        grouped(axes, bars, _SEEN, labels)

    return Plot(
        name,
        title,
        "Seen: somebody had typed the whole query in the training log, and it became a label. "
        "Unseen queries can only be generated. Whiskers and brackets: 95 % over users.",
        draw(f"{prefix}-{name}", title, told(bars, _SEEN, HEADS), paint),
        ("wanted query", "rows", *bars),
        tuple(
            (
                HEADS[bucket],
                f"{rows[bucket]:,}",
                *(cell(figures[bucket], intervals[bucket]) for figures, intervals in bars.values()),
            )
            for bucket in _SEEN
        ),
    )


def _by_overlap(report: IndexReport, prefix: str) -> Plot:
    name, title = "by-overlap", f"{TITLES['mrr10']} by what is shared with the previous query"
    systems = report.summary.systems
    bars = {
        system: (figures.by_overlap.measures["mrr10"], figures.by_overlap.mrr10_interval)
        for system, figures in systems.items()
    }
    rows = report.summary.overlap_rows

    def paint(axes: Axes) -> None:
        labels = [f"{OVERLAP_HEADS[kind]}\n{rows[kind]:,}" for kind in OVERLAPS]
        grouped(axes, bars, OVERLAPS, labels)

    recall = systems[WHOLE].by_overlap.measures["candidate_recall"]
    ratio = systems[WHOLE].by_overlap.ratio
    return Plot(
        name,
        title,
        "The wanted query repeats an earlier one of the session, extends the previous one, is its "
        "beginning, begins with the same word, shares another word, shares nothing, or nothing "
        "came before; the first that applies. Below each kind: its rows. Whiskers and brackets: "
        "95 % over users.",
        draw(
            f"{prefix}-{name}", title, told(bars, OVERLAPS, OVERLAP_HEADS), paint, size=(7.6, 3.6)
        ),
        ("shared", "rows", *bars, f"{WHOLE} / {BASELINE.name}", f"recall of {WHOLE}"),
        tuple(
            (
                OVERLAP_HEADS[kind],
                f"{rows[kind]:,}",
                *(cell(figures[kind], intervals[kind]) for figures, intervals in bars.values()),
                number(ratio[kind], 2),
                number(recall[kind]),
            )
            for kind in OVERLAPS
        ),
    )


def _ablation(report: IndexReport, prefix: str) -> Plot:
    name, title = "ablation", f"{TITLES['mrr10']} lost or won with one part switched off"
    shown = ("all", "len_1_3")
    labels = {"all": "all prefixes", "len_1_3": "1-3 characters"}
    systems = {name.removeprefix("without_"): one for name, one in report.ablation.items()}

    def paint(axes: Axes) -> None:
        places = np.arange(len(systems))
        height = 0.8 / len(shown)
        for place, (bucket, colour, hatch) in enumerate(zip(shown, SERIES, HATCHES, strict=False)):
            values = np.array([one.delta[bucket] or 0.0 for one in systems.values()])
            intervals = [one.delta_interval[bucket] for one in systems.values()]
            axes.barh(
                places + (place - 0.5) * height,
                values,
                height,
                facecolor=colour,
                edgecolor=INK,
                linewidth=0.5,
                hatch=hatch,
                label=labels[bucket],
                xerr=whiskers(values, intervals),
                ecolor=INK,
                capsize=2,
            )
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(places, [system.replace("_", " ") for system in systems])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"{TITLES['mrr10']} minus that of {WHOLE}")
        axes.legend()

    summary = "; ".join(
        f"without {system} {cell(one.delta['all'], None, sign='+')}"
        for system, one in systems.items()
    )
    return Plot(
        name,
        title,
        "Each source and each group of features off in turn, same rows, same index. Left of zero "
        "the part helps. Whiskers and brackets: 95 % over users, both systems resampled together.",
        draw(
            f"{prefix}-{name}",
            title,
            f"Bars of differences, over all prefixes: {summary}.",
            paint,
            size=(6.4, 1.2 + 0.36 * len(systems)),
        ),
        (
            "switched off",
            *(labels[bucket] for bucket in shown),
            TITLES["mrr10"],
            "candidate recall",
        ),
        tuple(
            (
                system.replace("_", " "),
                *(
                    cell(one.delta[bucket], one.delta_interval[bucket], sign="+")
                    for bucket in shown
                ),
                number(one.mrr10["all"]),
                number(one.candidate_recall["all"]),
            )
            for system, one in systems.items()
        ),
    )


# ---- scores and time ----------------------------------------------------------


def _calibration(report: IndexReport, prefix: str) -> Plot:
    name, title = "calibration", f"Is the first suggestion of {WHOLE} right as often as predicted?"
    bins = report.calibration.bins

    def paint(axes: Axes) -> None:
        axes.set_xlabel("predicted from the score")
        axes.set_ylabel("observed")
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle="--", label="as predicted")
        if not bins:
            axes.text(0.5, 0.5, "too few users", ha="center")
            return
        observed = np.array([one.observed for one in bins])
        axes.errorbar(
            [one.predicted for one in bins],
            observed,
            yerr=whiskers(observed, [one.interval for one in bins]),
            color=SERIES[0],
            ecolor=INK,
            elinewidth=0.8,
            capsize=2,
            marker=MARKERS[0],
            markersize=5,
            label="tenths of the rows, by score",
        )
        axes.legend()

    error = report.calibration.error
    summary = "; ".join(f"{one.predicted:.2f} to {one.observed:.2f}" for one in bins)
    return Plot(
        name,
        title,
        "Rows are cut into tenths by the score of the first suggestion. How often such a score is "
        "right is learned from every second user and compared with the others. Whiskers and "
        f"brackets: 95 % over users. Mean distance: {number(error, 3)}.",
        draw(
            f"{prefix}-{name}",
            title,
            f"Predicted to observed: {summary or 'too few users'}.",
            paint,
        ),
        ("score from", "to", "rows", "predicted", "observed"),
        tuple(
            (
                f"{one.low:.4g}",
                f"{one.high:.4g}",
                f"{one.rows:,}",
                number(one.predicted, 3),
                cell(one.observed, one.interval, digits=3),
            )
            for one in bins
        ),
    )


def _latency(report: IndexReport, prefix: str) -> Plot:
    name, title = "latency", f"Latency of {WHOLE}, one thread"
    timing = report.timing
    series = {
        label: times
        for label, times in (
            ("call from Python", timing.call_distribution),
            ("of it in the C library", timing.native_distribution),
        )
        if times
    }

    def paint(axes: Axes) -> None:
        for (label, times), colour, marker in zip(series.items(), SERIES, MARKERS, strict=False):
            axes.plot(times, PERCENTS, color=colour, marker=marker, markersize=3, label=label)
        if series:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _place: f"{value:g}")
            axes.legend()
        axes.grid(visible=True, which="minor", color=FAINT, linewidth=0.4)
        axes.set_xlabel("microseconds")
        axes.set_ylabel("percent of the calls that take no longer")

    call = timing.call
    summary = f"Half of the calls take at most {call.p50:.0f} us, 99 % at most {call.p99:.0f} us"
    columns = {"all": timing.call, "C library": timing.native, "processor": timing.processor}
    return Plot(
        name,
        title,
        f"{call.calls:,} calls, one at a time, in the process. A fixed loop of pure Python took "
        f"{timing.calibration_us:,.0f} µs in the same run: divide by it before comparing machines.",
        draw(f"{prefix}-{name}", title, f"Rising lines. {summary}.", paint),
        ("µs", *columns),
        tuple(
            (
                head,
                *(
                    NOTHING if times is None else f"{getattr(times, head):.0f}"
                    for times in columns.values()
                ),
            )
            for head in ("p50", "p95", "p99")
        ),
    )


def _of(figures: SystemFigures, measure: str) -> tuple[Figures, Intervals]:
    intervals = {"mrr10": figures.mrr10_interval, "candidate_recall": figures.recall_interval}
    return figures.measures[measure], intervals[measure]
