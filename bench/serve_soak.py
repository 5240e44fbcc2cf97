"""Minutes of mixed traffic, and what the memory of the processes does meanwhile.

The traffic: completions with and without sessions, submitted queries, more new sessions
than the table holds, requests that are none, calls that are cancelled, clients that leave
in the middle, and new connections every few seconds. Every few seconds the memory of each
process is read. Growth is the slope of a line through the second half of the readings; the
first half is warming up.

What counts is private memory: pages of the index and of the session table are the
kernel's, and belong to a process from when it first looks at them. Ends with exit code 1
if a process grew by more than `--most`, or if a call failed that should not have.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import harness
from bench.complete_latency import questions_of, trained
from bench.serve_clients import Call, Load, Target, closed_loop, memory_of
from bench.serve_load import (
    COMPLETE,
    RECORD,
    completions,
    log_of,
    name_of,
    sample_of,
    session_calls,
)
from espalier.v1.completion_service_pb2 import RecordQueryRequest
from integration.processes import Sidecar
from integration.raw_http2 import RawConnection

SESSIONS = 5_000
NEW_SESSIONS = 20_000
LOAD = Load(connections=4, under_way=4, seconds=2.0)
# Fewer readings have no second half worth a line.
FEWEST = 8


@dataclass(frozen=True, slots=True)
class Reading:
    """The memory of a process at one time, in bytes."""

    seconds: float
    resident: int
    private: int


def main() -> None:
    """Run the benchmark."""
    options = harness.parser(__doc__, rounds=1)
    options.add_argument("--index", type=Path, metavar="NAME.esp", help="serve this index")
    options.add_argument("--seconds", type=float, default=600.0, metavar="S", help="[600]")
    options.add_argument(
        "--most", type=float, default=256.0, metavar="KIB", help="growth a minute [256]"
    )
    chosen = options.parse_args()
    report = harness.Reporter("serve_soak", as_json=chosen.json)
    with harness.work_folder(chosen.work) as folder, harness.work_folder(None) as state:
        log = log_of(folder)
        index = chosen.index or trained(log, folder)
        questions = sample_of(questions_of(log, folder).asked)
        with Sidecar(
            *("--index", index, "--state-dir", state, "--set", f"max_sessions={SESSIONS}"),
            *("--set", "workers=2", "--set", "max_waiting=100000"),
        ) as sidecar:
            workers = {f"worker {number}": pid for number, pid in sidecar.workers().items()}
            pids = {"supervisor": sidecar.process.pid, **workers}
            target = Target(sidecar.address, tuple(pids.values()))
            calls = [*session_calls(questions), *completions(questions), *new_sessions()]
            readings, answered, failed = soak(target, calls, pids, chosen.seconds)
            same = sidecar.workers() == {
                int(name.removeprefix("worker ")): pid for name, pid in workers.items()
            }
    grown = say(report, readings, answered, failed)
    if failed or grown > chosen.most or not same:
        sys.exit(f"{failed} calls failed, {grown:+,.0f} KiB a minute, workers the same: {same}")


def new_sessions() -> list[Call]:
    """Return a query for each of many sessions."""
    return [
        (
            RECORD,
            RecordQueryRequest(session_id=name_of(-1 - n), query="something").SerializeToString(),
        )
        for n in range(NEW_SESSIONS)
    ]


def soak(
    target: Target, calls: Sequence[Call], pids: Mapping[str, int], seconds: float
) -> tuple[dict[str, list[Reading]], int, int]:
    """Put load on the server for so long; return readings by process, calls, and failures."""
    readings: dict[str, list[Reading]] = {name: [] for name in pids}
    answered = failed = turn = 0
    started = time.monotonic()
    while (now := time.monotonic() - started) < seconds or turn < FEWEST:
        for name, pid in pids.items():
            memory = memory_of(pid)
            readings[name].append(Reading(now, memory["Rss"], memory["Pss_Anon"]))
        # Each turn begins elsewhere, so that all calls have theirs.
        at = turn * 7_919 % len(calls)
        outcome = closed_loop(target, [*calls[at:], *calls[:at]], LOAD)
        answered += len(outcome.latencies)
        failed += outcome.failed
        misbehave(target, [message for _, message in calls[at : at + 200]])
        turn += 1
    return readings, answered, failed


def misbehave(target: Target, messages: Sequence[bytes]) -> None:
    """Send what is no request, cancel, leave in the middle."""
    with contextlib.suppress(OSError), RawConnection(target.address, COMPLETE) as connection:
        for number, message in enumerate(messages):
            stream = connection.call((message, b"\xff" + message, None)[number % 3])
            if number % 2:
                connection.cancel(stream)


def slope(readings: Sequence[Reading]) -> float:
    """Return the growth of private memory over the second half, in KiB a minute."""
    half = readings[len(readings) // 2 :]
    line = statistics.linear_regression(
        [one.seconds / 60 for one in half], [one.private / 1024 for one in half]
    )
    return line.slope


def say(
    report: harness.Reporter,
    readings: Mapping[str, Sequence[Reading]],
    answered: int,
    failed: int,
) -> float:
    """Print what came out; return the largest growth, in KiB a minute."""
    rows = []
    for name, found in readings.items():
        grown = slope(found)
        first, middle, last = found[0], found[len(found) // 2], found[-1]
        report.record(
            process=name,
            seconds=last.seconds,
            resident_bytes=last.resident,
            private_bytes=[first.private, middle.private, last.private],
            kib_a_minute=grown,
        )
        shown = (last.resident, first.private, middle.private, last.private)
        rows.append([name, *(f"{one / 2**20:.1f}" for one in shown), f"{grown:+,.0f}"])
    minutes = max(found[-1].seconds for found in readings.values()) / 60
    report.text(f"\n{answered:,} calls in {minutes:.1f} minutes, {failed} failed; MiB of memory")
    report.table(["process", "resident", "private: first", "half", "last", "KiB/minute"], rows)
    return max(slope(found) for found in readings.values())


if __name__ == "__main__":
    main()
