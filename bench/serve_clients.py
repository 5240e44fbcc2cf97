"""Clients that put load on a server, closed loop and open, and what they saw.

One thread and no library: a call costs the client a tenth of what it costs the server,
so one processor of client keeps one of server busy.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from bench import harness
from integration.raw_http2 import RawConnection

Call: TypeAlias = tuple[str, bytes]
"""``/package.Service/Method`` and the request."""

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


def memory_of(pid: int) -> dict[str, int]:
    """Return bytes of a process by kind, as ``/proc/PID/smaps_rollup`` names them.

    ``Pss`` counts a page that several processes have mapped in equal shares, ``Pss_Anon``
    leaves files and shared memory out.
    """
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    lines = (line.split() for line in text.splitlines()[1:])
    return {name.rstrip(":"): int(kilobytes) * 1024 for name, kilobytes, _ in lines}


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


@contextlib.contextmanager
def connected(target: Target, load: Load) -> Iterator[tuple[list[RawConnection], select.epoll]]:
    """Yield connections that do not block, and what waits for any of them."""
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(RawConnection(target.address, "")) for _ in range(load.connections)
        ]
        poll = stack.enter_context(select.epoll())
        for connection in connections:
            poll.register(connection.fileno(), select.EPOLLIN)
        yield connections, poll


def closed_loop(target: Target, calls: Sequence[Call], load: Load) -> Outcome:
    """Keep a number of calls under way."""
    clock = time.perf_counter
    with connected(target, load) as (connections, poll):
        numbers = {connection.fileno(): n for n, connection in enumerate(connections)}
        counted, sent = Counted(), 0
        meter = Meter(target)

        def begin(number: int) -> None:
            nonlocal sent
            path, message = calls[sent % len(calls)]
            stream = connections[number].call(message, path)
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


def open_loop(target: Target, calls: Sequence[Call], load: Load, rate: float) -> Outcome:
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
                path, message = calls[sent % len(calls)]
                stream = connections[number].call(message, path)
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
