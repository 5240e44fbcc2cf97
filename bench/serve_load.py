"""The sidecar under load, beside an empty handler on grpcio's own server.

The server has one processor and one worker, the client another. Two kinds of load:

- *closed loop*: as many calls as there are under way are always under way, and each
  one that ends begins another. What comes out is throughput.
- *open loop*: calls begin at random moments, at half the rate the sidecar was just
  seen to sustain, whether others have ended or not. What comes out is latency, counted
  from the moment a call was due, so that a server that stalls does not get fewer
  calls for it.

The empty handler returns as many bytes as the sidecar does on average, on
``grpc.server`` with eight threads: the least a Python service on grpcio costs. Servers
take turns, round by round, and a figure is the median over rounds; a ratio is the
median of the rounds' ratios. Processor time a call is what all processes of a server
used; on a machine that others use too it is the figure to trust.

`--all` measures the sidecar's own handlers on ``grpc.server`` and ``grpc.aio`` as
well. Without `--index` one is trained from the whole log at `min_users` 1; without
`ESPALIER_DATA` the log is the synthetic one.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench import harness
from bench.complete_latency import questions_of, trained
from bench.serve_sides import METHOD
from espalier.client import Client
from espalier.evaluate.questions import Questions
from espalier.querylog import write_demo_log
from espalier.serve.service import SERVICE_NAME
from espalier.v1.completion_service_pb2 import CompleteRequest
from espalier.v1.core_pb2 import SuggestionSource
from integration.processes import Sidecar
from integration.raw_http2 import RawConnection

PATH = f"/{SERVICE_NAME}/{METHOD}"
PREVIOUS = 3
REQUESTS = 3_000
SIDECAR, EMPTY = "espalier", "empty"
SIDES = (SIDECAR, EMPTY)
ALL_SIDES = (*SIDES, "threads", "asyncio", "empty_asyncio")
SOURCES: Mapping[str, Sequence[SuggestionSource]] = {
    "all": (),
    "labels": (
        SuggestionSource.SUGGESTION_SOURCE_MODEL,
        SuggestionSource.SUGGESTION_SOURCE_POPULAR,
    ),
}
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Load:
    """How hard the client tries: connections, calls under way on each, seconds a round."""

    connections: int
    under_way: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One round against one server.

    Attributes:
        rate: Calls a second.
        latencies: Seconds, sorted.
        failed: Calls that did not end with OK.
        server_us: Processor time of the server, microseconds a call.
        client_share: Share of its processor that the client used.
    """

    rate: float
    latencies: Sequence[float]
    failed: int
    server_us: float
    client_share: float

    def at(self, percent: float) -> float:
        """Return a percentile of the latencies, in milliseconds."""
        place = min(len(self.latencies) - 1, int(len(self.latencies) * percent / 100))
        return self.latencies[place] * 1_000


@dataclass(frozen=True, slots=True)
class Target:
    """A running server and the processes it consists of."""

    address: str
    pids: tuple[int, ...]

    def processor_seconds(self) -> float:
        """Return what its processes have used so far."""
        used = 0
        for pid in self.pids:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
            user, system = fields.split()[11:13]
            used += int(user) + int(system)
        return used / TICKS


@dataclass(slots=True)
class Counted:
    """Calls under way, and how those that are over ended."""

    begun: dict[tuple[int, int], float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    def over(self, number: int, connection: RawConnection) -> int:
        """Take what is there on a connection; return how many calls ended."""
        finished = connection.receive()
        now = time.perf_counter()
        for stream, ok in finished:
            self.latencies.append(now - self.begun.pop((number, stream)))
            self.failed += not ok
        return len(finished)


def main() -> None:
    """Run the benchmark."""
    options = harness.parser(__doc__, rounds=7)
    options.add_argument("--index", type=Path, metavar="NAME.esp", help="serve this index")
    options.add_argument(
        "--sources", choices=("all", "labels"), default="all", help="what may be suggested [all]"
    )
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
    chosen = options.parse_args()
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        harness.skip("server and client need a processor each, and there is only one")
    report = harness.Reporter("serve_load", as_json=chosen.json)
    load = Load(chosen.connections, chosen.under_way, chosen.seconds)
    with harness.work_folder(chosen.work) as folder:
        log = log_of(folder)
        index = chosen.index or trained(log, folder)
        requests = requests_of(questions_of(log, folder), SOURCES[chosen.sources])
        os.sched_setaffinity(0, {processors[0]})
        with running(index, requests, ALL_SIDES if chosen.all else SIDES) as targets:
            os.sched_setaffinity(0, {processors[1]})
            measure(report, targets, requests, load, rounds=chosen.rounds)
    report.calibration()


def log_of(folder: Path) -> Path:
    """Return the evaluation log if there is one, else a synthetic one."""
    if os.environ.get(harness.DATA_VARIABLE):
        return harness.data_file()
    log = folder / "synthetic.tsv"
    if not log.exists():
        write_demo_log(log, catalogue=folder / "catalogue.tsv")
    return log


def requests_of(questions: Questions, sources: Sequence[SuggestionSource]) -> list[bytes]:
    """Return requests spread evenly over the questions, each with its newest context."""
    step = max(1, len(questions.asked) // REQUESTS)
    sample = [
        CompleteRequest(
            prefix=one.prefix,
            previous_queries=one.previous[:PREVIOUS],
            sequence=number,
            allowed_sources=sources,
        ).SerializeToString()
        for number, one in enumerate(questions.asked[::step][:REQUESTS])
    ]
    random.Random(harness.SEED).shuffle(sample)  # noqa: S311 - the same order in every run
    return sample


# ---- servers ------------------------------------------------------------------------


@contextlib.contextmanager
def running(
    index: Path, requests: Sequence[bytes], sides: Sequence[str]
) -> Iterator[dict[str, Target]]:
    """Yield every server, started on the processor this process may use."""
    with contextlib.ExitStack() as stack:
        sidecar = stack.enter_context(
            Sidecar("--index", index, "--set", "workers=1", "--set", "max_waiting=100000")
        )
        pids = (sidecar.process.pid, *sidecar.workers().values())
        targets = {SIDECAR: Target(sidecar.address, pids)}
        size = reply_bytes(sidecar.address, requests)
        for side in sides:
            if side != SIDECAR:
                targets[side] = stack.enter_context(other(side, index, size))
        yield targets


def reply_bytes(address: str, requests: Sequence[bytes]) -> int:
    """Return how long a reply is on average."""
    with Client(address, timeout=60.0) as client:
        sizes = []
        for data in requests[:500]:
            request = CompleteRequest.FromString(data)
            reply = client.complete(
                request.prefix,
                previous=request.previous_queries,
                sources=request.allowed_sources,
            )
            sizes.append(reply.ByteSize())
    return round(sum(sizes) / len(sizes))


@contextlib.contextmanager
def other(kind: str, index: Path, size: int) -> Iterator[Target]:
    """Yield a server of `serve_sides`."""
    command = [sys.executable, "-m", "bench.serve_sides", kind]
    command += ["--bytes", str(size)] if kind.startswith("empty") else ["--index", str(index)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout is None or process.stdin is None:
            raise AssertionError
        port = process.stdout.readline().strip()
        yield Target(f"127.0.0.1:{port}", (process.pid,))
        process.stdin.close()


# ---- clients ------------------------------------------------------------------------


@contextlib.contextmanager
def connected(target: Target, load: Load) -> Iterator[tuple[list[RawConnection], select.epoll]]:
    """Yield connections that do not block, and what waits for any of them."""
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(RawConnection(target.address, PATH))
            for _ in range(load.connections)
        ]
        poll = stack.enter_context(select.epoll())
        for connection in connections:
            poll.register(connection.fileno(), select.EPOLLIN)
        yield connections, poll


def closed_loop(target: Target, requests: Sequence[bytes], load: Load) -> Outcome:
    """Keep a number of calls under way."""
    clock = time.perf_counter
    with connected(target, load) as (connections, poll):
        numbers = {connection.fileno(): n for n, connection in enumerate(connections)}
        counted, sent = Counted(), 0
        meter = Meter(target)

        def begin(number: int) -> None:
            nonlocal sent
            stream = connections[number].call(requests[sent % len(requests)])
            counted.begun[number, stream] = clock()
            sent += 1

        for number in range(load.connections):
            for _ in range(load.under_way):
                begin(number)
        end = meter.started + load.seconds
        while clock() < end:
            for descriptor, _ in poll.poll(1.0):
                number = numbers[descriptor]
                for _ in range(counted.over(number, connections[number])):
                    begin(number)
        return meter.outcome(counted)


def open_loop(target: Target, requests: Sequence[bytes], load: Load, rate: float) -> Outcome:
    """Begin calls at random moments, ``rate`` a second."""
    clock = time.perf_counter
    chance = random.Random(harness.SEED)  # noqa: S311 - the same moments for every server
    with connected(target, load) as (connections, poll):
        numbers = {connection.fileno(): n for n, connection in enumerate(connections)}
        counted, sent = Counted(), 0
        meter = Meter(target)
        due, end = meter.started, meter.started + load.seconds
        while due < end or counted.begun:
            now = clock()
            if now > end + load.seconds:
                raise SystemExit("calls are lost, or half the rate is too much")
            while due <= now and due < end:
                number = sent % load.connections
                stream = connections[number].call(requests[sent % len(requests)])
                # Late or not, a call counts from when it was due.
                counted.begun[number, stream] = due
                sent += 1
                due += chance.expovariate(rate)
            # Without sleeping: waking up takes longer than a call.
            for descriptor, _ in poll.poll(0):
                number = numbers[descriptor]
                counted.over(number, connections[number])
        return meter.outcome(counted)


class Meter:
    """Times a round: wall clock, the server's processor and our own."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._server = target.processor_seconds()
        self._client = time.process_time()
        self.started = time.perf_counter()

    def outcome(self, counted: Counted) -> Outcome:
        """Return what a round came to, now that it is over."""
        seconds = time.perf_counter() - self.started
        calls = max(1, len(counted.latencies))
        return Outcome(
            rate=calls / seconds,
            latencies=sorted(counted.latencies),
            failed=counted.failed,
            server_us=(self._target.processor_seconds() - self._server) / calls * 1e6,
            client_share=(time.process_time() - self._client) / seconds,
        )


# ---- measuring ----------------------------------------------------------------------


def measure(
    report: harness.Reporter,
    targets: Mapping[str, Target],
    requests: Sequence[bytes],
    load: Load,
    *,
    rounds: int,
) -> None:
    """Run both loops against every server, and print what came out."""
    for target in targets.values():
        closed_loop(target, requests, load)
    closed = in_rounds(
        {name: partial(closed_loop, one, requests, load) for name, one in targets.items()},
        rounds,
    )
    half = median(one.rate for one in closed[SIDECAR]) / 2
    opened = in_rounds(
        {name: partial(open_loop, one, requests, load, half) for name, one in targets.items()},
        rounds,
    )
    head = ["server", "calls/s", "to empty", "cpu us", "to empty", "client cpu", "failed"]
    rows = []
    for name, outcomes in closed.items():
        figures = closed_figures(outcomes, closed[EMPTY])
        report.record(loop="closed", server=name, rounds=rounds, **figures)
        rows.append(
            [
                name,
                f"{figures['rate']:,.0f}",
                f"{figures['rate_ratio']:.2f}",
                f"{figures['server_us']:.0f}",
                f"{figures['cost_ratio']:.2f}",
                f"{figures['client_share']:.0%}",
                str(figures["failed"]),
            ]
        )
    report.text(f"\nclosed loop, {load.connections} x {load.under_way} calls under way")
    report.table(head, rows)
    head = ["server", "p50 ms", "p99 ms", "p50 over empty", "failed"]
    rows = []
    for name, outcomes in opened.items():
        figures = open_figures(outcomes, opened[EMPTY])
        report.record(loop="open", server=name, rounds=rounds, due_rate=half, **figures)
        rows.append(
            [
                name,
                f"{figures['p50_ms']:.2f}",
                f"{figures['p99_ms']:.2f}",
                f"{figures['added_p50_ms']:+.2f} ms",
                str(figures["failed"]),
            ]
        )
    report.text(f"\nopen loop, {half:,.0f} calls/s: half of what {SIDECAR} sustains")
    report.table(head, rows)


def in_rounds(sides: Mapping[str, Callable[[], Outcome]], rounds: int) -> dict[str, list[Outcome]]:
    """Run every side once a round, interleaved; return what came out of each."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in sides}

    def one(name: str) -> float:
        outcomes[name].append(sides[name]())
        return outcomes[name][-1].rate

    harness.interleaved({name: partial(one, name) for name in sides}, rounds)
    return outcomes


def closed_figures(outcomes: Sequence[Outcome], empty: Sequence[Outcome]) -> dict[str, Any]:
    """Return the medians of the closed loop."""
    pairs = list(zip(outcomes, empty, strict=True))
    return {
        "rate": median(one.rate for one in outcomes),
        "rate_ratio": median(one.rate / base.rate for one, base in pairs),
        "server_us": median(one.server_us for one in outcomes),
        "cost_ratio": median(base.server_us / one.server_us for one, base in pairs),
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
        "failed": sum(one.failed for one in outcomes),
    }


if __name__ == "__main__":
    main()
