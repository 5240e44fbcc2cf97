"""In-process completion, one thread: p50, p95 and p99 by prefix length and context.

Questions are pairs of the session log itself, so that prefixes and previous
queries are as long and as frequent as people make them. Every cell asks the same
number of questions in every round; a figure is the median over rounds of the
round's percentile. `--sources labels` leaves generated queries out. "python" is the
call a host makes; "native" is the call into the C library with texts normalised and
encoded before, and no suggestion made a Python object.

Without `--index` an index is trained from the whole log at `min_users` 1.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import espalier
from bench import harness
from bench.training import train
from espalier.evaluate.buckets import LENGTHS, masks
from espalier.evaluate.latency import Clock, percentiles, time_calls
from espalier.evaluate.questions import Question, Questions
from espalier.evaluate.runner import WARM_UP_ROWS, read_questions
from espalier.index import Source, encode_previous
from espalier.native import NativeIndex
from espalier.progress import TerminalProgress
from espalier.querylog import write_pairs
from espalier.settings import LogSettings

CONTEXTS = (0, 1, 5)
QUESTIONS = 1000
LABELS = Source.MODEL | Source.POPULAR
CLOCKS: Mapping[str, Clock] = {"wall": time.perf_counter_ns, "processor": time.thread_time_ns}
PERCENTILES = ("p50", "p95", "p99")

Ask = Callable[[Any, Any], object]


@dataclass(frozen=True, slots=True)
class Cell:
    """Questions with one range of prefix lengths and one number of previous queries."""

    length: str
    context: int
    questions: tuple[Question, ...]


def main() -> None:
    """Run the benchmark."""
    options = harness.parser(__doc__, rounds=5)
    options.add_argument("--index", type=Path, metavar="NAME.esp", help="measure this index")
    options.add_argument(
        "--sources", choices=("all", "labels"), default="all", help="what may be suggested [all]"
    )
    options.add_argument(
        "--clock",
        choices=tuple(CLOCKS),
        default="wall",
        help="wall clock, or the time this thread ran, for a machine that others use too [wall]",
    )
    options.add_argument("-k", type=int, default=10, metavar="N", help="suggestions asked for [10]")
    chosen = options.parse_args()
    log = harness.data_file()
    report = harness.Reporter("complete_latency", as_json=chosen.json)
    with harness.work_folder(chosen.work) as folder:
        path = chosen.index or trained(log, folder)
        cells = cells_of(questions_of(log, folder))
        with espalier.open(path) as index, NativeIndex.open(path) as native:
            report.text(f"{path.name}: {index.info.labels:,} labels, {index.info.bytes:,} bytes")
            sources = None if chosen.sources == "all" else LABELS
            asks: dict[str, Ask] = {
                "python": functools.partial(index.complete, k=chosen.k, sources=sources),
                "native": functools.partial(
                    native.scratch().time_complete, k=chosen.k, sources=int(sources or 0)
                ),
            }
            measure(report, cells, asks, rounds=chosen.rounds, clock=chosen.clock)
    report.calibration()


def trained(log: Path, folder: Path) -> Path:
    """Return an index of the whole log, at `min_users` 1."""
    out = folder / "whole-1.esp"
    if not out.exists():
        train(log, out, ["min_users=1"])
    return out


def questions_of(log: Path, folder: Path) -> Questions:
    """Return every pair of the log as a question."""
    pairs = folder / "whole-pairs.tsv"
    if not pairs.exists():
        write_pairs(
            [log],
            pairs,
            settings=LogSettings(),
            split=None,
            train_log=None,
            seed=harness.SEED,
            progress=TerminalProgress(),
        )
    return read_questions(pairs)


def cells_of(questions: Questions) -> list[Cell]:
    """Return up to QUESTIONS questions for every prefix length and context.

    A cell takes rows that have as many previous queries as it needs, spread
    evenly over the file, and cuts their context to that number.
    """
    chosen = masks(questions.prefix_lengths(), questions.prefix_lengths() < 0)
    cells = []
    for context in CONTEXTS:
        for length in ("all", *LENGTHS):
            fitting = [
                question
                for question, inside in zip(questions.asked, chosen[length], strict=True)
                if inside and len(question.previous) >= context
            ]
            step = max(1, len(fitting) // QUESTIONS)
            sample = tuple(
                Question(q.prefix, q.previous[:context], q.wanted, q.unit)
                for q in fitting[::step][:QUESTIONS]
            )
            if sample:
                cells.append(Cell(length, context, sample))
    return cells


def measure(
    report: harness.Reporter,
    cells: Sequence[Cell],
    asks: Mapping[str, Ask],
    *,
    rounds: int,
    clock: str,
) -> None:
    """Time every cell through every way of asking, interleaved, and print the table."""
    taken: dict[tuple[Cell, str, str], list[float]] = {}

    def one_round(cell: Cell, name: str) -> float:
        ask = asks[name]
        calls = [
            functools.partial(ask, q.prefix.encode(), encode_previous(q.previous))
            if name == "native"
            else functools.partial(ask, q.prefix, q.previous)
            for q in cell.questions
        ]
        found = percentiles(time_calls(calls, warm_up=WARM_UP_ROWS, clock=CLOCKS[clock])).to_json()
        for percentile in PERCENTILES:
            taken.setdefault((cell, name, percentile), []).append(found[percentile])
        return found["p50"]

    sides = {
        f"{cell.length} {cell.context} {name}": functools.partial(one_round, cell, name)
        for cell in cells
        for name in asks
    }
    harness.interleaved(sides, rounds)
    rows = []
    for cell in cells:
        for name in asks:
            medians = {
                percentile: harness.Spread.of(taken[cell, name, percentile]).median
                for percentile in PERCENTILES
            }
            report.record(
                length=cell.length,
                context=cell.context,
                through=name,
                clock=clock,
                calls=len(cell.questions),
                rounds=rounds,
                **{f"{percentile}_us": value for percentile, value in medians.items()},
            )
            rows.append(
                [
                    cell.length.removeprefix("len_"),
                    str(cell.context),
                    name,
                    str(len(cell.questions)),
                    *(f"{value:.0f}" for value in medians.values()),
                ]
            )
    head = ["prefix", "previous", "through", "calls", *(f"{p} us" for p in PERCENTILES)]
    report.table(head, rows)


if __name__ == "__main__":
    main()
