"""Runs an evaluation: opens, asks, times, sums up.

Everything a report depends on comes in as an argument, the clock included; the
functions that only need *an* index take one, so that any object with the right
methods can be evaluated.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from espalier.errors import ConfigError, PairsError
from espalier.evaluate.ablation import WHOLE, ablation_of
from espalier.evaluate.calibration import calibration_of
from espalier.evaluate.index_report import IndexFacts, IndexReport, PairsFacts, Timing
from espalier.evaluate.latency import Clock, calibrate, distribution, percentiles, time_calls
from espalier.evaluate.measures import CUT
from espalier.evaluate.outcomes import ask_all
from espalier.evaluate.questions import Questions, prepare
from espalier.evaluate.report import EvaluationReport
from espalier.evaluate.sampling import sample as choose
from espalier.evaluate.summary import summarise
from espalier.evaluate.systems import ABLATED, Completer, System, select
from espalier.index import Index, encode_previous
from espalier.index import open as open_index
from espalier.native import NativeIndex
from espalier.progress import NO_PROGRESS, Progress
from espalier.querylog import read_pairs

LATENCY_ROWS: Final = 5000
"""Calls that are timed, spread evenly over the file."""
WARM_UP_ROWS: Final = 500
"""Calls made before, untimed."""


class NativeCompleter(Protocol):
    """Completes without making Python objects of the answer."""

    def time_complete(self, prefix: bytes, previous: Sequence[bytes], k: int) -> None:
        """Complete and drop the answer."""
        ...


def evaluate(
    indexes: Sequence[Path],
    pairs: Path,
    *,
    systems: Sequence[str] = (),
    ablate: bool = False,
    sample: int | None = None,
    k: int = CUT,
    verify: bool = True,
    seed: int = 1,
    latency_rows: int = LATENCY_ROWS,
    clock: Clock = time.perf_counter_ns,
    processor_clock: Clock = time.thread_time_ns,
    progress: Progress = NO_PROGRESS,
) -> EvaluationReport:
    """Evaluate each of ``indexes`` on the rows of ``pairs``.

    Args:
        indexes: Index files, at least one.
        pairs: Pairs file; see :func:`espalier.querylog.read_pairs`.
        systems: Names of systems besides those of every report
            (:mod:`espalier.evaluate.systems`).
        ablate: Also ask with each source and each feature group of the blender switched
            off (:mod:`espalier.evaluate.ablation`): ten more systems.
        sample: Evaluate at most so many rows (:mod:`espalier.evaluate.sampling`).
        k: Suggestions asked for, at least 10; the measures look at the first 10.
        verify: Check all checksums of an index before asking it.
        seed: Draws the bootstrap samples.
        latency_rows: At most so many calls are timed.
        clock: Nanoseconds; for latency only.
        processor_clock: Nanoseconds this thread has run.
        progress: Told of every stage.

    Raises:
        ConfigError: No index, an unknown system, k below 10, a sample of nothing.
        PairsError: The file cannot be read or has no row to evaluate.
        IndexFileError: An index cannot be used.
        UnsupportedError: A system needs what an index lacks.
    """
    _check(systems, indexes, k)
    if sample is not None and sample < 1:
        raise ConfigError(f"a sample of {sample} rows says nothing; use at least 1")
    with progress.stage(f"reading {pairs.name}"):
        questions = read_questions(pairs)
        if sample is not None:
            questions = choose(questions, sample)
    return evaluate_questions(
        indexes,
        questions,
        pairs,
        systems=systems,
        ablate=ablate,
        k=k,
        verify=verify,
        seed=seed,
        latency_rows=latency_rows,
        clock=clock,
        processor_clock=processor_clock,
        progress=progress,
    )


def evaluate_questions(
    indexes: Sequence[Path],
    questions: Questions,
    pairs: Path,
    *,
    systems: Sequence[str] = (),
    ablate: bool = False,
    k: int = CUT,
    verify: bool = True,
    seed: int = 1,
    latency_rows: int = LATENCY_ROWS,
    clock: Clock = time.perf_counter_ns,
    processor_clock: Clock = time.thread_time_ns,
    progress: Progress = NO_PROGRESS,
) -> EvaluationReport:
    """Evaluate each of ``indexes`` on questions at hand, at least one of each.

    ``pairs`` is what reports call the questions; everything else as in :func:`evaluate`.
    """
    chosen = _check(systems, indexes, k)
    ablated = ABLATED if ablate else ()
    reports = []
    for path in indexes:
        with open_index(path, verify=verify) as index:
            facts = _facts(path, index)
            with progress.stage(f"evaluating {path.name}", len(questions.asked)) as advance:
                everything = ask_all(index, questions, (*chosen, *ablated), k=k, advance=advance)
            with progress.stage(f"timing {path.name}"), NativeIndex.open(path) as native:
                scratch = native.scratch()
                timing = time_index(
                    index,
                    questions,
                    k=k,
                    native=scratch,
                    rows=latency_rows,
                    clock=clock,
                    processor_clock=processor_clock,
                )
        with progress.stage(f"summing up {path.name}"):
            outcomes = everything.of(chosen)
            report = IndexReport(
                facts,
                _pairs_facts(pairs, questions),
                k,
                summarise(outcomes, questions, seed=seed),
                timing,
                calibration_of(outcomes.by_system[WHOLE], questions, seed=seed),
                ablation_of(outcomes, everything.of(ablated), questions, seed=seed)
                if ablated
                else {},
            )
        reports.append(report)
    return EvaluationReport(tuple(reports))


def _check(systems: Sequence[str], indexes: Sequence[Path], k: int) -> tuple[System, ...]:
    """Return the systems asked for; refuse what no evaluation can be made of."""
    chosen = select(systems)
    if not indexes:
        raise ConfigError("no index to evaluate; name at least one .esp file")
    if k < CUT:
        raise ConfigError(f"k is {k}, but the measures look at {CUT} places; use k >= {CUT}")
    return chosen


def read_questions(pairs: Path) -> Questions:
    """Read the rows of a pairs file as questions.

    Raises:
        PairsError: The file cannot be read, or no row of it can be evaluated.
    """
    file = read_pairs(pairs)
    questions = prepare(file.rows, file.rows_bad)
    if not questions.asked:
        bad = sum(questions.bad.values())
        raise PairsError(
            f"{pairs}: no row to evaluate; {questions.skipped} have the whole next query as "
            f"prefix and {bad} are bad; make pairs with `espalier pairs`"
        )
    return questions


def time_index(
    index: Completer,
    questions: Questions,
    *,
    k: int,
    native: NativeCompleter | None = None,
    rows: int = LATENCY_ROWS,
    clock: Clock = time.perf_counter_ns,
    processor_clock: Clock = time.thread_time_ns,
) -> Timing:
    """Time the call a host makes, over ``rows`` questions spread over the file.

    ``native`` makes the same calls without the Python around them: texts are
    encoded before, and no suggestion becomes a Python object.
    """
    step = max(1, len(questions.asked) // rows)
    sample = questions.asked[::step][:rows]
    calls = [
        functools.partial(
            index.complete, question.prefix, question.previous, k=k, previous_age=question.ages
        )
        for question in sample
    ]
    taken = time_calls(calls, warm_up=WARM_UP_ROWS, clock=clock)
    # A pass of its own: reading the second clock would be part of the first figure.
    processor = percentiles(time_calls(calls, warm_up=0, clock=processor_clock))
    inner: NDArray[np.int64] | None = None
    if native is not None:
        calls_inside = [
            functools.partial(
                native.time_complete,
                question.prefix.encode(),
                encode_previous(question.previous),
                k,
            )
            for question in sample
        ]
        inner = time_calls(calls_inside, warm_up=WARM_UP_ROWS, clock=clock)
    return Timing(
        percentiles(taken),
        processor,
        None if inner is None else percentiles(inner),
        calibrate(clock),
        distribution(taken),
        () if inner is None else distribution(inner),
    )


def _facts(path: Path, index: Index) -> IndexFacts:
    info = index.info
    return IndexFacts(
        file=path,
        bytes=info.bytes,
        labels=info.labels,
        nodes=info.nodes,
        features=info.features,
        depth=info.depth,
        fingerprint=info.fingerprint,
    )


def _pairs_facts(pairs: Path, questions: Questions) -> PairsFacts:
    return PairsFacts(
        file=pairs,
        rows=len(questions.asked),
        rows_skipped=questions.skipped,
        rows_bad=questions.bad,
        units=questions.units,
        rows_left_out=questions.left_out,
    )
