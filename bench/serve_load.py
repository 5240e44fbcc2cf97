"""The sidecar under load, beside empty handlers that return as many bytes.

The server has one processor and one worker, the client another. Two kinds of load:

- *closed loop*: as many calls as there are under way are always under way, and each
  one that ends begins another. What comes out is throughput.
- *open loop*: calls begin at random moments, at half the rate the sidecar was just
  seen to sustain, whether others have ended or not. What comes out is latency, counted
  from the moment a call was due, so that a server that stalls does not get fewer
  calls for it.

What is compared, round by round, every one of them in turn:

``espalier``
    completions from every source, the previous queries in the request
``sessions``
    the same questions with a session id in their place, out of a table of `--sessions`
    sessions that is full, and one `RecordQuery` for every seven completions
``labels``, ``popular``
    completions without generated queries and corrections, and without the model either
``empty``
    a handler on ``grpc.server`` with eight threads, that returns as many bytes as the
    sidecar does on average: the least a Python service on grpcio costs
``empty_loop``
    the same handler on the sidecar's own loop: what is left is completing

A figure is the median over rounds; a ratio is the median of the rounds' ratios.
Processor time a call is what all processes of a server used; on a machine that others
use too it is the figure to trust.

`--all` measures the sidecar's own handlers on ``grpc.server`` (``threads``) and on
``grpc.aio`` (``asyncio``) as well. Without `--index` one is trained from the whole log
at `min_users` 1; without `ESPALIER_DATA` the log is the synthetic one.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench import harness
from bench.complete_latency import questions_of, trained
from bench.serve_clients import Call, Load, Outcome, Target, closed_loop, memory_of, open_loop
from bench.serve_sides import METHOD
from espalier.evaluate.questions import Question
from espalier.querylog import write_demo_log
from espalier.serve.service import SERVICE_NAME
from espalier.serve.supervisor import ENVIRONMENT
from espalier.sessions.opening import FILE_NAME
from espalier.sessions.shared import SharedSessionStore
from espalier.v1.completion_service_pb2 import CompleteRequest, RecordQueryRequest
from espalier.v1.core_pb2 import SuggestionSource
from integration.processes import Sidecar
from integration.raw_http2 import RawConnection

COMPLETE = f"/{SERVICE_NAME}/{METHOD}"
RECORD = f"/{SERVICE_NAME}/RecordQuery"
PREVIOUS = 3
REQUESTS = 3_000
RECORD_EVERY = 8
SIDECAR, EMPTY, EMPTY_LOOP = "espalier", "empty", "empty_loop"
BASES = (EMPTY, EMPTY_LOOP)
LABELS = (SuggestionSource.SUGGESTION_SOURCE_MODEL, SuggestionSource.SUGGESTION_SOURCE_POPULAR)
POPULAR = (SuggestionSource.SUGGESTION_SOURCE_POPULAR,)


@dataclass(frozen=True, slots=True)
class Side:
    """A server and what it is asked."""

    target: Target
    calls: Sequence[Call]


def main() -> None:
    """Run the benchmark."""
    options = harness.parser(__doc__, rounds=7)
    options.add_argument("--index", type=Path, metavar="NAME.esp", help="serve this index")
    options.add_argument("--all", action="store_true", help="measure our other servers as well")
    options.add_argument("--seconds", type=float, default=2.0, metavar="S", help="a round [2]")
    options.add_argument("--connections", type=int, default=4, metavar="N", help="[4]")
    options.add_argument(
        "--under-way",
        type=int,
        default=4,
        metavar="N",
        help="calls on each, in the closed loop [4]",
    )
    options.add_argument(
        "--sessions", type=int, default=1_000_000, metavar="N", help="remembered [1,000,000]"
    )
    chosen = options.parse_args()
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        harness.skip("server and client need a processor each, and there is only one")
    report = harness.Reporter("serve_load", as_json=chosen.json)
    load = Load(chosen.connections, chosen.under_way, chosen.seconds)
    with harness.work_folder(chosen.work) as folder:
        log = log_of(folder)
        index = chosen.index or trained(log, folder)
        questions = sample_of(questions_of(log, folder).asked)
        kinds = (*BASES, "threads", "asyncio", "empty_asyncio") if chosen.all else BASES
        os.sched_setaffinity(0, {processors[0]})
        with serving(report, index, questions, chosen.sessions, kinds) as sides:
            os.sched_setaffinity(0, {processors[1]})
            measure(report, sides, load, rounds=chosen.rounds)
    report.calibration()


def log_of(folder: Path) -> Path:
    """Return the evaluation log if there is one, else a synthetic one."""
    if os.environ.get(harness.DATA_VARIABLE):
        return harness.data_file()
    log = folder / "synthetic.tsv"
    if not log.exists():
        write_demo_log(log, catalogue=folder / "catalogue.tsv")
    return log


# ---- calls --------------------------------------------------------------------------


def sample_of(asked: Sequence[Question]) -> list[Question]:
    """Return questions spread evenly over all, in an order that is the same in every run."""
    sample = list(asked[:: max(1, len(asked) // REQUESTS)][:REQUESTS])
    random.Random(harness.SEED).shuffle(sample)  # noqa: S311 - no secret
    return sample


def completions(
    questions: Sequence[Question], sources: Sequence[SuggestionSource] = ()
) -> list[Call]:
    """Return the questions as calls, each with its newest previous queries."""
    return [
        (
            COMPLETE,
            CompleteRequest(
                prefix=one.prefix,
                previous_queries=one.previous[:PREVIOUS],
                sequence=number,
                allowed_sources=sources,
            ).SerializeToString(),
        )
        for number, one in enumerate(questions)
    ]


def session_calls(questions: Sequence[Question]) -> list[Call]:
    """Return the questions with session ids, and what some of the sessions then submit."""
    calls: list[Call] = []
    for number, one in enumerate(questions):
        asked = CompleteRequest(prefix=one.prefix, session_id=name_of(number), sequence=number)
        calls.append((COMPLETE, asked.SerializeToString()))
        if len(calls) % RECORD_EVERY == RECORD_EVERY - 1:
            # What stands there already, so that the context stays the question's.
            newest = one.previous[0] if one.previous else one.wanted
            submitted = RecordQueryRequest(session_id=name_of(number), query=newest)
            calls.append((RECORD, submitted.SerializeToString()))
    return calls


def name_of(number: int) -> str:
    """Return the id of a session."""
    return f"bench-session-{number}"


def fill(path: Path, questions: Sequence[Question], sessions: int) -> None:
    """Record the questions' previous queries, and sessions of others up to the capacity."""
    store = SharedSessionStore(path, max_sessions=sessions, sweep_seconds=None)
    with contextlib.closing(store):
        for number in range(len(questions), sessions):
            store.append(name_of(number), questions[number % len(questions)].wanted)
        # The sessions that are asked for come last: they are the newest.
        for number, one in enumerate(questions):
            for query in reversed(one.previous[:PREVIOUS]):
                store.append(name_of(number), query)


# ---- servers ------------------------------------------------------------------------


@contextlib.contextmanager
def serving(
    report: harness.Reporter,
    index: Path,
    questions: Sequence[Question],
    sessions: int,
    kinds: Sequence[str],
) -> Iterator[dict[str, Side]]:
    """Yield every side, its server started on the processor this process may use."""
    with contextlib.ExitStack() as stack:
        state = stack.enter_context(harness.work_folder(None))
        sidecar = stack.enter_context(
            Sidecar(
                *("--index", index, "--state-dir", state, "--set", f"max_sessions={sessions}"),
                *("--set", "workers=1", "--set", "max_waiting=100000"),
            )
        )
        target = Target(sidecar.address, tuple({sidecar.process.pid, *sidecar.workers().values()}))
        harness.note(f"filling a table of {sessions:,} sessions")
        fill(state / FILE_NAME, questions, sessions)
        calls = completions(questions)
        size = reply_bytes(target, calls)
        sides = {
            SIDECAR: Side(target, calls),
            "sessions": Side(target, session_calls(questions)),
            "labels": Side(target, completions(questions, LABELS)),
            "popular": Side(target, completions(questions, POPULAR)),
        }
        for kind in kinds:
            sides[kind] = Side(stack.enter_context(other(kind, index, size)), calls)
        yield sides
        report_memory(report, target, state / FILE_NAME, sessions)


def reply_bytes(target: Target, calls: Sequence[Call]) -> int:
    """Return how many bytes of reply a call gets on average."""
    with RawConnection(target.address, COMPLETE) as connection:
        for path, message in calls[:500]:
            stream = connection.call(message, path)
            while stream not in {one.stream for one in connection.receive()}:
                pass
        return round(connection.message_bytes / min(500, len(calls))) - 5


@contextlib.contextmanager
def other(kind: str, index: Path, size: int) -> Iterator[Target]:
    """Yield a server of `serve_sides`."""
    command = [sys.executable, "-m", "bench.serve_sides", kind]
    command += ["--bytes", str(size)] if kind.startswith("empty") else ["--index", str(index)]
    # What a worker runs with goes with our loop; grpc.server stays as everybody has it.
    env = {**ENVIRONMENT, **os.environ} if kind == EMPTY_LOOP else None
    with subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout is None or process.stdin is None:
            raise AssertionError
        port = process.stdout.readline().strip()
        yield Target(f"127.0.0.1:{port}", (process.pid,))
        process.stdin.close()


def report_memory(report: harness.Reporter, target: Target, table: Path, sessions: int) -> None:
    """Print what the sessions take, and what the sidecar's processes take besides."""
    file_bytes = table.stat().st_blocks * 512
    private = sum(memory_of(pid)["Pss_Anon"] for pid in target.pids)
    report.record(sessions=sessions, table_bytes=file_bytes, private_bytes=private)
    report.text(
        f"\n{sessions:,} sessions in {file_bytes / 2**20:,.0f} MiB on disk, mapped by all; "
        f"private memory of supervisor and worker {private / 2**20:,.0f} MiB"
    )


# ---- measuring ----------------------------------------------------------------------


def measure(
    report: harness.Reporter, sides: Mapping[str, Side], load: Load, *, rounds: int
) -> None:
    """Run both loops on every side, and print what came out."""
    for side in sides.values():
        closed_loop(side.target, side.calls, load)
    closed = in_rounds(
        {name: partial(closed_loop, one.target, one.calls, load) for name, one in sides.items()},
        rounds,
    )
    half = median(one.rate for one in closed[SIDECAR]) / 2
    opened = in_rounds(
        {
            name: partial(open_loop, one.target, one.calls, load, half)
            for name, one in sides.items()
        },
        rounds,
    )
    report.text(f"\nclosed loop, {load.connections} x {load.under_way} calls under way")
    head = ["side", "calls/s", "to empty", "to loop", "cpu us", "to empty", "to loop"]
    rows = []
    for name, outcomes in closed.items():
        figures = closed_figures(outcomes, closed[EMPTY], closed[EMPTY_LOOP])
        report.record(loop="closed", side=name, rounds=rounds, **figures)
        shown = ("rate_to_empty", "rate_to_loop", "server_us", "cost_to_empty", "cost_to_loop")
        numbers = [f"{figures[key]:.{0 if key == 'server_us' else 2}f}" for key in shown]
        rows.append(
            [
                name,
                f"{figures['rate']:,.0f}",
                *numbers,
                f"{figures['client_share']:.0%}",
                str(figures["failed"]),
            ]
        )
    report.table([*head, "client cpu", "failed"], rows)
    report.text(f"\nopen loop, {half:,.0f} calls/s: half of what {SIDECAR} sustains")
    rows = []
    for name, outcomes in opened.items():
        figures = open_figures(outcomes, opened[EMPTY])
        report.record(loop="open", side=name, rounds=rounds, due_rate=half, **figures)
        rows.append(
            [
                name,
                f"{figures['p50_ms']:.2f}",
                f"{figures['p99_ms']:.2f}",
                f"{figures['added_p50_ms']:+.2f} ms",
                f"{figures['added_p99_ms']:+.2f} ms",
                str(figures["failed"]),
            ]
        )
    report.table(["side", "p50 ms", "p99 ms", "p50 over empty", "p99 over empty", "failed"], rows)


def in_rounds(sides: Mapping[str, Callable[[], Outcome]], rounds: int) -> dict[str, list[Outcome]]:
    """Run every side once a round, interleaved; return what came out of each."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in sides}

    def one(name: str) -> float:
        outcomes[name].append(sides[name]())
        return outcomes[name][-1].rate

    harness.interleaved({name: partial(one, name) for name in sides}, rounds)
    return outcomes


def closed_figures(
    outcomes: Sequence[Outcome], empty: Sequence[Outcome], loop: Sequence[Outcome]
) -> dict[str, Any]:
    """Return the medians of the closed loop; ratios above 1 are better than the base."""

    def ratio(bases: Sequence[Outcome], of: Callable[[Outcome, Outcome], float]) -> float:
        return median(of(one, base) for one, base in zip(outcomes, bases, strict=True))

    def rates(one: Outcome, base: Outcome) -> float:
        return one.rate / base.rate

    def costs(one: Outcome, base: Outcome) -> float:
        return base.server_us / one.server_us

    return {
        "rate": median(one.rate for one in outcomes),
        "rate_to_empty": ratio(empty, rates),
        "rate_to_loop": ratio(loop, rates),
        "server_us": median(one.server_us for one in outcomes),
        "cost_to_empty": ratio(empty, costs),
        "cost_to_loop": ratio(loop, costs),
        "p50_ms": median(one.at(50) for one in outcomes),
        "p99_ms": median(one.at(99) for one in outcomes),
        "client_share": median(one.client_share for one in outcomes),
        "failed": sum(one.failed for one in outcomes),
    }


def open_figures(outcomes: Sequence[Outcome], empty: Sequence[Outcome]) -> dict[str, Any]:
    """Return the medians of the open loop."""
    pairs = list(zip(outcomes, empty, strict=True))
    return {
        "p50_ms": median(one.at(50) for one in outcomes),
        "p99_ms": median(one.at(99) for one in outcomes),
        "added_p50_ms": median(one.at(50) - base.at(50) for one, base in pairs),
        "added_p99_ms": median(one.at(99) - base.at(99) for one, base in pairs),
        "failed": sum(one.failed for one in outcomes),
    }


if __name__ == "__main__":
    main()
