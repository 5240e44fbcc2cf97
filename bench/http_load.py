"""The HTTP front under load, beside a bare handler of the same server.

The server has one processor and one front, the client another. On each of a few
connections one request is under way at any time, so what comes out is throughput.

What is compared, round by round, each in turn:

``espalier``
    ``POST /v1/complete``: completions from every source, the previous queries in the body
``sessions``
    the same questions with a session id in their place
``labels``, ``popular``
    completions without generated queries and corrections, and without the model either
``suggest``
    ``GET /suggest``: what was typed, without context
``bare``
    an ASGI application on the same server (uvicorn with httptools, its own connections)
    that reads the body and returns as many bytes as the front does on average

A figure is the median over rounds; a ratio is the median of the rounds' ratios.
Processor time a request is what the server's process used; on a machine that others use
too it is the figure to trust. The index is as for `serve_load`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import Any, Self
from urllib.parse import urlencode

import uvicorn
from google.protobuf import json_format

from bench import harness
from bench.complete_latency import questions_of, trained
from bench.serve_clients import Counted, Load, Meter, Outcome, Target
from bench.serve_load import LABELS, POPULAR, PREVIOUS, in_rounds, log_of, name_of, sample_of
from espalier.client import Client
from espalier.evaluate.questions import Question
from espalier.v1.completion_service_pb2 import CompleteRequest
from integration.processes import Sidecar

FRONT, BARE = "espalier", "bare"
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length: "


@dataclass(frozen=True, slots=True)
class Side:
    """A server and the requests it is sent."""

    target: Target
    requests: Sequence[bytes]


def main() -> None:
    """Run the benchmark, or with ``--bare`` be the server to compare with."""
    options = harness.parser(__doc__, rounds=7)
    options.add_argument("--index", type=Path, metavar="NAME.esp", help="serve this index")
    options.add_argument("--seconds", type=float, default=2.0, metavar="S", help="a round [2]")
    options.add_argument("--connections", type=int, default=8, metavar="N", help="[8]")
    options.add_argument("--bare", type=int, metavar="BYTES", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.bare is not None:
        serve_bare(bytes(chosen.bare))
        return
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        harness.skip("server and client need a processor each, and there is only one")
    report = harness.Reporter("http_load", as_json=chosen.json)
    load = Load(chosen.connections, 1, chosen.seconds)
    with harness.work_folder(chosen.work) as folder:
        log = log_of(folder)
        index = chosen.index or trained(log, folder)
        questions = sample_of(questions_of(log, folder).asked)
        os.sched_setaffinity(0, {processors[0]})
        with serving(index, questions) as sides:
            os.sched_setaffinity(0, {processors[1]})
            measure(report, sides, load, rounds=chosen.rounds)
    report.calibration()


# ---- requests -----------------------------------------------------------------------


def posted(request: CompleteRequest) -> bytes:
    """Return a completion as a request of a page."""
    body = json_format.MessageToJson(request, indent=None).encode()
    head = b"POST /v1/complete HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
    return b"%scontent-length: %d\r\n\r\n%s" % (head, len(body), body)


def requests_of(questions: Sequence[Question]) -> dict[str, list[bytes]]:
    """Return the requests of every side by name."""

    def with_context(**more: Any) -> list[bytes]:
        return [
            posted(
                CompleteRequest(prefix=one.prefix, previous_queries=one.previous[:PREVIOUS], **more)
            )
            for one in questions
        ]

    return {
        FRONT: with_context(),
        "sessions": [
            posted(CompleteRequest(prefix=one.prefix, session_id=name_of(number)))
            for number, one in enumerate(questions)
        ],
        "labels": with_context(allowed_sources=LABELS),
        "popular": with_context(allowed_sources=POPULAR),
        "suggest": [
            b"GET /suggest?%s HTTP/1.1\r\nhost: bench\r\n\r\n"
            % urlencode({"q": one.prefix}).encode()
            for one in questions
        ],
    }


# ---- servers ------------------------------------------------------------------------


def serve_bare(reply: bytes) -> None:
    """Return the same bytes to everybody, until the end of standard input."""

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(reply)),
        ]
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": headers})
        await send({"type": "http.response.body", "body": reply})

    sock = socket.create_server(("127.0.0.1", 0), backlog=1024)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    print(sock.getsockname()[1], flush=True)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            loop="asyncio",
            interface="asgi3",
            log_config=None,
            access_log=False,
        )
    )
    threading.Thread(target=server.run, args=([sock],), daemon=True).start()
    sys.stdin.read()


@contextlib.contextmanager
def serving(index: Path, questions: Sequence[Question]) -> Iterator[dict[str, Side]]:
    """Yield every side, its server started on the processor this process may use."""
    with contextlib.ExitStack() as stack:
        sidecar = stack.enter_context(
            Sidecar("--index", index, "--http", "127.0.0.1:0", "--workers", "1")
        )
        with Client(sidecar.address, timeout=60.0) as client:
            for number, one in enumerate(questions):
                for query in reversed(one.previous[:PREVIOUS]):
                    client.record(query, session=name_of(number))
        target = Target(sidecar.http, (sidecar.workers()[1],))
        requests = requests_of(questions)
        sides = {name: Side(target, asked) for name, asked in requests.items()}
        bare = stack.enter_context(other(reply_bytes(target, requests[FRONT])))
        yield {**sides, BARE: Side(bare, requests[FRONT])}


def reply_bytes(target: Target, requests: Sequence[bytes]) -> int:
    """Return how many bytes the body of a reply has on average."""
    with Connection(target.address) as connection:
        sizes = []
        for request in requests[:500]:
            connection.send(request)
            while (size := connection.receive()) is None:
                pass
            sizes.append(size)
        return round(sum(sizes) / len(sizes))


@contextlib.contextmanager
def other(size: int) -> Iterator[Target]:
    """Yield the bare server."""
    command = [sys.executable, "-m", "bench.http_load", "--bare", str(size)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdout is None or process.stdin is None:
            raise AssertionError
        yield Target(f"127.0.0.1:{process.stdout.readline().strip()}", (process.pid,))
        process.stdin.close()


# ---- the client ---------------------------------------------------------------------


class Connection:
    """A connection with one request under way, that knows as much HTTP as its servers use."""

    def __init__(self, address: str) -> None:
        host, port = address.split(":")
        self.ok = True
        self._data = b""
        self._socket = socket.create_connection((host, int(port)), timeout=60.0)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """Return the file descriptor, for waiting."""
        return self._socket.fileno()

    def send(self, request: bytes) -> None:
        """Begin a request."""
        self._socket.sendall(request)

    def receive(self) -> int | None:
        """Take what is there; return the size of the body once a reply is complete."""
        part = self._socket.recv(1 << 18)
        if not part:
            raise SystemExit("the server hung up")
        self._data += part
        head, end, body = self._data.partition(_END_OF_HEAD)
        if not end:
            return None
        start = head.index(_LENGTH) + len(_LENGTH)
        length = int(head[start:].partition(b"\r")[0])
        if len(body) < length:
            return None
        self.ok = head.startswith(b"HTTP/1.1 200")
        self._data = b""
        return length


def closed_loop(side: Side, load: Load) -> Outcome:
    """Keep a request under way on every connection."""
    clock = time.perf_counter
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(Connection(side.target.address)) for _ in range(load.connections)
        ]
        poll = stack.enter_context(select.epoll())
        by_descriptor = {one.fileno(): one for one in connections}
        for descriptor in by_descriptor:
            poll.register(descriptor, select.EPOLLIN)
        counted, begun, sent = Counted(), {}, 0
        meter = Meter(side.target)
        for descriptor, connection in by_descriptor.items():
            connection.send(side.requests[sent % len(side.requests)])
            begun[descriptor], sent = clock(), sent + 1
        end = meter.started + load.seconds
        while (now := clock()) < end:
            for descriptor, _ in poll.poll(1.0):
                connection = by_descriptor[descriptor]
                if connection.receive() is None:
                    continue
                now = clock()
                counted.latencies.append(now - begun[descriptor])
                counted.failed += not connection.ok
                connection.send(side.requests[sent % len(side.requests)])
                begun[descriptor], sent = now, sent + 1
        return meter.outcome(counted)


# ---- measuring ----------------------------------------------------------------------


def measure(
    report: harness.Reporter, sides: Mapping[str, Side], load: Load, *, rounds: int
) -> None:
    """Run every side in turn, and print what came out."""
    for side in sides.values():
        closed_loop(side, load)
    outcomes = in_rounds(
        {name: partial(closed_loop, side, load) for name, side in sides.items()}, rounds
    )
    report.text(f"\n{load.connections} connections, a request under way on each")
    rows = []
    for name, found in outcomes.items():
        figures = figures_of(found, outcomes[BARE])
        report.record(side=name, rounds=rounds, **figures)
        rows.append(
            [
                name,
                f"{figures['rate']:,.0f}",
                f"{figures['rate_to_bare']:.2f}",
                f"{figures['server_us']:.0f}",
                f"{figures['cost_to_bare']:.2f}",
                f"{figures['p50_ms']:.2f}",
                f"{figures['p99_ms']:.2f}",
                f"{figures['client_share']:.0%}",
                str(figures["failed"]),
            ]
        )
    head = ["side", "requests/s", "to bare", "cpu us", "to bare", "p50 ms", "p99 ms"]
    report.table([*head, "client cpu", "failed"], rows)


def figures_of(outcomes: Sequence[Outcome], bare: Sequence[Outcome]) -> dict[str, Any]:
    """Return the medians of one side; ratios above 1 are better than the bare handler."""

    def ratio(of: Callable[[Outcome, Outcome], float]) -> float:
        return median(of(one, base) for one, base in zip(outcomes, bare, strict=True))

    return {
        "rate": median(one.rate for one in outcomes),
        "rate_to_bare": ratio(lambda one, base: one.rate / base.rate),
        "server_us": median(one.server_us for one in outcomes),
        "cost_to_bare": ratio(lambda one, base: base.server_us / one.server_us),
        "p50_ms": median(one.at(50) for one in outcomes),
        "p99_ms": median(one.at(99) for one in outcomes),
        "client_share": median(one.client_share for one in outcomes),
        "failed": sum(one.failed for one in outcomes),
    }


if __name__ == "__main__":
    main()
