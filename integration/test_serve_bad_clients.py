"""Clients that are slow, greedy, silent or gone; others must not notice."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from espalier.client import Client
from espalier.v1.completion_service_pb2 import CompleteRequest
from integration.processes import PATIENCE, Sidecar
from integration.raw_http2 import RawConnection, frame

COMPLETE = "/espalier.v1.CompletionService/Complete"
QUESTION = CompleteRequest(prefix="", max_suggestions=100).SerializeToString()


@pytest.fixture(scope="module")
def sidecar(demo_index: Path) -> Iterator[Sidecar]:
    """Return a sidecar with a single worker, so that whoever is bad shares it with all."""
    with Sidecar("--index", demo_index, "--set", "workers=1") as running:
        yield running


@pytest.fixture
def good(sidecar: Sidecar) -> Iterator[Client]:
    """Return a client that must be answered; it is, before and after."""
    with Client(sidecar.address, timeout=PATIENCE) as client:
        assert client.complete("").suggestions
        yield client
        assert client.complete("").suggestions


def resident_bytes(pid: int) -> int:
    """Return the memory a process occupies."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def worker_pid(sidecar: Sidecar) -> int:
    """Return the process of the only worker."""
    (pid,) = sidecar.workers().values()
    return pid


def test_a_client_of_our_own_is_understood(sidecar: Sidecar) -> None:
    """Or the others here would prove nothing."""
    with RawConnection(sidecar.address, COMPLETE) as connection:
        streams = {connection.call(QUESTION) for _ in range(20)}
        finished: list[tuple[int, bool]] = []
        while len(finished) < 20:
            finished += connection.receive()

    assert {stream for stream, ok in finished if ok} == streams


@pytest.mark.usefixtures("good")
def test_large_metadata_is_refused_and_small_is_not(sidecar: Sidecar) -> None:
    """16 KiB are far above what tracing and routing need."""
    with grpc.insecure_channel(sidecar.address) as channel:
        method: Any = channel.unary_unary(COMPLETE)
        assert method(QUESTION, metadata=[("x-trace", "a" * 8_000)], timeout=PATIENCE)
        for size in (20_000, 200_000, 2_000_000):
            with pytest.raises(grpc.RpcError) as caught:
                method(QUESTION, metadata=[("x-trace", "a" * size)], timeout=PATIENCE)
            assert caught.value.code() in {
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                grpc.StatusCode.UNAVAILABLE,
            }


def test_clients_that_send_headers_only_hold_nobody_up(sidecar: Sidecar, good: Client) -> None:
    """Many connections full of calls without a request; a good client is answered at once."""
    connections = [RawConnection(sidecar.address, COMPLETE) for _ in range(8)]
    try:
        for connection in connections:
            for _ in range(200):
                connection.call(None)
        started = time.monotonic()
        for _ in range(50):
            assert good.complete("a").header.index == "default"
        assert time.monotonic() - started < PATIENCE / 4
        # After ten seconds they are given up, each with a status.
        over = 0
        connections[0].socket.settimeout(PATIENCE)
        while over < 200:
            over += len(connections[0].receive())
    finally:
        for connection in connections:
            connection.socket.close()


def test_a_client_that_does_not_read_costs_bounded_memory(sidecar: Sidecar, good: Client) -> None:
    """Its replies wait for it, no more of them than calls may be open."""
    pid = worker_pid(sidecar)
    before = resident_bytes(pid)
    with RawConnection(sidecar.address, COMPLETE, window=0) as connection:
        connection.socket.settimeout(1.0)
        try:
            for _ in range(20_000):
                connection.call(QUESTION)
        except TimeoutError:
            # The server stopped reading: everything in between is full.
            pass
        assert good.complete("a").header.index == "default"
        assert resident_bytes(pid) - before < 100 * 1024 * 1024


@pytest.mark.usefixtures("good")
def test_a_client_that_vanishes_mid_call_leaves_nothing_behind(sidecar: Sidecar) -> None:
    """Thousands of them, closing at once or resetting, and the worker is as before."""
    pid = worker_pid(sidecar)
    for warm in (True, False):
        for number in range(50 if warm else 600):
            with RawConnection(sidecar.address, COMPLETE) as connection:
                for _ in range(5):
                    connection.call(QUESTION if number % 3 else None)
                if number % 2:
                    # Closing with this option sends a reset instead of an end.
                    linger = struct.pack("ii", 1, 0)
                    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if warm:
            before = resident_bytes(pid), len(list(Path(f"/proc/{pid}/fd").iterdir()))
    deadline = time.monotonic() + PATIENCE
    while len(list(Path(f"/proc/{pid}/fd").iterdir())) > before[1] + 5:
        assert time.monotonic() < deadline
        time.sleep(0.1)

    assert resident_bytes(pid) - before[0] < 50 * 1024 * 1024
    assert worker_pid(sidecar) == pid


def test_a_client_that_is_gone_without_a_word_is_noticed(demo_index: Path) -> None:
    """It is asked whether it is there, and let go of if it does not say; who does stays."""
    with (
        Sidecar("--index", demo_index, "--set", "keepalive_seconds=1") as sidecar,
        RawConnection(sidecar.address, COMPLETE) as gone,
        RawConnection(sidecar.address, COMPLETE) as there,
    ):
        there.socket.settimeout(0.1)
        until = time.monotonic() + 4.0
        while time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                # Answers pings, too.
                there.receive()
        there.socket.settimeout(PATIENCE)
        stream = there.call(QUESTION)
        finished = there.receive()
        while not finished:
            finished = there.receive()
        # Reads and says nothing, as nobody would. After a minute grpcio lets go of it of
        # itself; that is not what was set.
        gone.socket.settimeout(30.0)
        with contextlib.suppress(ConnectionError):
            while gone.socket.recv(65_536):
                pass

    assert [(one.stream, one.ok) for one in finished] == [(stream, True)]


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="http_1"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="tls"),
        pytest.param(b"\x00" * 100_000, id="zeros"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"x" * 5), id="settings"),
        pytest.param(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + b"\xff" * 9, id="frame"
        ),
    ],
)
def test_bytes_that_are_no_grpc_end_their_own_connection(sidecar: Sidecar, data: bytes) -> None:
    """The server closes it, or answers nothing; nobody else hears of it."""
    host, _, port = sidecar.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass
        except OSError as error:
            # Closed by the server before all was sent, before we hung up, or after it. That
            # it neither answers nor closes would be a timeout, which has no number.
            if error.errno not in {errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN}:
                raise
