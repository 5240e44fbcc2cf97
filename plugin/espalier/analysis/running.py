"""From event files to a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from espalier.analysis import verdict
from espalier.analysis.episodes import find_episodes, find_units
from espalier.analysis.interleaving import analyse_interleaving
from espalier.analysis.metrics import METRICS, SEGMENTS, Metric
from espalier.analysis.mismatch import RatioTest, ratio_test
from espalier.analysis.moments import NOTHING, Estimate, Moments, difference, level
from espalier.analysis.reading import stage
from espalier.analysis.report import Difference, ExperimentReport, Question, VariantFigures
from espalier.analysis.sequences import FEWEST_UNITS
from espalier.analysis.shadow import analyse_shadows
from espalier.analysis.totals import (
    UnitTotals,
    count_episodes,
    course,
    latencies,
    moments,
    unit_totals,
)
from espalier.analysis.verdict import Verdict
from espalier.errors import ConfigError
from espalier.experiments import INTERLEAVED
from espalier.progress import NO_PROGRESS, Progress
from espalier.querylog.engine import workspace

Sums = Mapping[str, Mapping[str, Moments]]
"""By metric or segment, then by variant."""


def analyse(
    paths: Sequence[Path],
    question: Question,
    *,
    now: datetime | None = None,
    progress: Progress = NO_PROGRESS,
    threads: int = 0,
    memory: int = 0,
) -> ExperimentReport:
    """Return what the events of an experiment say.

    Args:
        paths: Event files, in any order.
        question: What is asked.
        now: What is later is in the future; None: the time of this machine.
        progress: Hears of the stages.
        threads: Of the database; 0: one per processor.
        memory: Its memory in MiB before it moves to disk; 0: half of the machine's.

    Raises:
        ConfigError: A metric, an alpha, a weight or the control that cannot be used.
        LogError: A file that cannot be read.
        ResourceError, StorageError: No memory, no disk.
    """
    _check(question)
    with workspace(threads, memory) as connection:
        with progress.stage("reading events"):
            events = stage(connection, paths, question.experiment, now or datetime.now(UTC))
        with progress.stage("finding episodes"):
            units = find_units(connection)
            exposures = units.pop("exposures")
            shadows = analyse_shadows(
                connection, question.experiment, question.alpha, question.tuned_for
            )
            interleaving = analyse_interleaving(
                connection, question.control, question.alpha, question.tuned_for
            )
            connection.execute("DELETE FROM units WHERE variant = $1", [INTERLEAVED])
            events |= find_episodes(connection, question.until) | units
        with progress.stage("adding up"):
            report = _report(connection, question, events)
    verdicts = list(report.verdicts)
    if interleaving is not None:
        said = verdict.of_interleaving(interleaving)
        verdicts = [said, *verdicts] if report.variants else [said]
    if shadows:
        seen = [verdict.of_shadow(name, one) for name, one in shadows.items()]
        verdicts = [*verdicts, *seen] if report.variants or interleaving is not None else seen
    return replace(
        report,
        exposures=exposures,
        interleaving=interleaving,
        verdicts=verdicts,
        shadows=shadows,
    )


def totals_of(
    paths: Sequence[Path],
    question: Question,
    *,
    now: datetime | None = None,
    threads: int = 0,
    memory: int = 0,
) -> UnitTotals:
    """Return what every unit adds to the metric that decides, for statistics of one's own.

    Arguments and errors are those of `analyse`.
    """
    _check(question)
    with workspace(threads, memory) as connection:
        stage(connection, paths, question.experiment, now or datetime.now(UTC))
        find_units(connection)
        find_episodes(connection, question.until)
        return unit_totals(connection, METRICS[question.metric])


def _report(
    connection: duckdb.DuckDBPyConnection, question: Question, events: Mapping[str, int]
) -> ExperimentReport:
    sums = moments(connection, [*METRICS.values(), *SEGMENTS.values()])
    units = {name: of.units for name, of in sums[question.metric].items()}
    if not units:
        nothing = [verdict.no_data(question.experiment)]
        return ExperimentReport(question, events, 0, None, {}, {}, [], None, nothing)
    # Whom nobody has met yet counts among the variants all the same.
    for by_variant in sums.values():
        for name in question.weights:
            by_variant.setdefault(name, NOTHING)
    units = {name: of.units for name, of in sums[question.metric].items()}
    control = question.control or min(units)
    if control not in units:
        raise ConfigError(
            f"no unit was exposed to the control {control!r}, only to {', '.join(sorted(units))}; "
            "name one of them with --control"
        )
    question = replace(question, control=control)
    names = [control, *sorted(units.keys() - {control})]
    test = ratio_test({name: units[name] for name in names}, _weights(question, names))
    # Several variants against one control are several chances to be wrong.
    alpha = question.alpha / max(1, len(names) - 1)

    def minus_control(name: str, kind: Iterable[str]) -> dict[str, Estimate]:
        return {
            each: difference(sums[each][name], sums[each][control], alpha, question.tuned_for)
            for each in kind
        }

    differences = {
        name: Difference(minus_control(name, METRICS), minus_control(name, SEGMENTS))
        for name in names[1:]
    }
    return ExperimentReport(
        question,
        events,
        0,
        test if len(names) > 1 else None,
        _figures(connection, question, sums, names),
        differences,
        _course(connection, question, names, alpha),
        None,
        _verdicts(question, sums, differences, test),
    )


def _figures(
    connection: duckdb.DuckDBPyConnection, question: Question, sums: Sums, names: Sequence[str]
) -> dict[str, VariantFigures]:
    episodes, times = count_episodes(connection), latencies(connection)

    def levels(name: str, kind: Mapping[str, Metric]) -> dict[str, Estimate]:
        return {
            each: level(sums[each][name], question.alpha, question.tuned_for, within=one.within)
            for each, one in kind.items()
        }

    return {
        name: VariantFigures(
            sums[question.metric][name].units,
            *episodes.get(name, (0, 0)),
            levels(name, METRICS),
            levels(name, SEGMENTS),
            times.get(name),
        )
        for name in names
    }


def _course(
    connection: duckdb.DuckDBPyConnection, question: Question, names: Sequence[str], alpha: float
) -> list[tuple[int, dict[str, Estimate]]]:
    return [
        (
            day,
            {
                name: difference(standing[name], standing[names[0]], alpha, question.tuned_for)
                for name in names[1:]
                if name in standing and names[0] in standing
            },
        )
        for day, standing in course(connection, METRICS[question.metric])
    ]


def _verdicts(
    question: Question, sums: Sums, differences: Mapping[str, Difference], test: RatioTest
) -> list[Verdict]:
    if test.mismatch:
        return [verdict.of_ratio(test)]
    if not differences:
        return [
            Verdict(
                verdict.Outcome.NOT_YET,
                "",
                f"not yet: everybody exposed was in variant {question.control}",
            )
        ]
    return [
        verdict.of_difference(
            name,
            METRICS[question.metric],
            sums[question.metric],
            question.control,
            found.metrics[question.metric],
        )
        for name, found in differences.items()
    ]


def _weights(question: Question, names: Sequence[str]) -> dict[str, float]:
    if not question.weights:
        return dict.fromkeys(names, 1.0)
    missing = [name for name in names if name not in question.weights]
    if missing:
        raise ConfigError(
            f"units were exposed to {', '.join(missing)}, which has no weight; "
            "name the weight of every variant with --weight NAME=N"
        )
    # A variant that nobody saw is a mismatch too, if anybody should have.
    return dict(question.weights)


def _check(question: Question) -> None:
    if question.metric not in METRICS:
        raise ConfigError(
            f"there is no metric {question.metric!r}; the metrics are {', '.join(METRICS)}"
        )
    if not 0.0 < question.alpha < 1.0:
        raise ConfigError("alpha must be above 0 and below 1; 0.05 is usual")
    if question.tuned_for < FEWEST_UNITS:
        raise ConfigError(f"intervals cannot be narrowest before {FEWEST_UNITS} units")
    if any(weight <= 0 for weight in question.weights.values()):
        raise ConfigError("weights must be above 0; leave out variants that nobody should see")
