"""The metrics listener: who asks properly is answered, who does not is not waited for."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from espalier.serve.listen import ListenError, reserve_tcp
from espalier.serve.telemetry import listener as module
from espalier.serve.telemetry.listener import MetricsListener
from tests.unit.serve.fakes import ListLog

CANARY = "canaryquery"


class Bench:
    """A listener and what it depends on."""

    def __init__(self) -> None:
        self.ready = True
        self.log = ListLog()
        self.failing = False
        self.reserved = reserve_tcp("127.0.0.1:0")
        self.address = self.reserved.address
        self.listener = MetricsListener(
            self.address, text=self._text, ready=lambda: self.ready, log=self.log
        )

    def _text(self) -> bytes:
        if self.failing:
            raise ZeroDivisionError(CANARY)
        return b"espalier_ready 1\n"

    def get(self, path: str, method: str = "GET") -> tuple[int, str, bytes]:
        """Return status, content type and body."""
        try:
            with urlopen(Request(f"http://{self.address}{path}", method=method)) as reply:
                return reply.status, reply.headers["content-type"], reply.read()
        except HTTPError as error:
            with error:
                return error.code, error.headers["content-type"], error.read()

    def send(self, data: bytes) -> bytes:
        """Return everything that comes back for some bytes."""
        host, _, port = self.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as sock:
            sock.sendall(data)
            parts = []
            try:
                while part := sock.recv(65_536):
                    parts.append(part)
            except ConnectionResetError:
                pass
            return b"".join(parts)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Yield a listener that answers."""
    made = Bench()
    made.listener.start()
    yield made
    made.listener.stop()
    made.reserved.close()


def test_prometheus_gets_the_numbers(bench: Bench) -> None:
    """With the content type of the text format; HEAD gets the head alone."""
    kind = "text/plain; version=0.0.4; charset=utf-8"

    assert bench.get("/metrics") == (200, kind, b"espalier_ready 1\n")
    assert bench.get("/metrics?name[]=x") == (200, kind, b"espalier_ready 1\n")
    assert bench.get("/metrics", "HEAD") == (200, kind, b"")


def test_probes_hear_how_the_service_is(bench: Bench) -> None:
    """Alive either way, ready or not."""
    assert [bench.get(path)[0] for path in ("/healthz", "/readyz")] == [200, 200]
    bench.ready = False
    assert [bench.get(path)[0] for path in ("/healthz", "/readyz")] == [200, 503]


def test_a_scrape_that_fails_is_said_without_a_message(bench: Bench) -> None:
    """The next one may go well."""
    bench.failing = True
    status, _, body = bench.get("/metrics")
    bench.failing = False

    assert (status, body) == (500, b"{}")
    ((level, event, fields),) = bench.log.events
    assert (level, event, fields["exception"]) == ("error", "scrape_failed", "ZeroDivisionError")
    assert CANARY not in str(fields)
    assert bench.get("/metrics")[0] == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (f"GET /{CANARY} HTTP/1.1\r\n\r\n", b"404"),
        (f"POST /metrics HTTP/1.1\r\ncontent-length: 3\r\n\r\n{CANARY}", b"501"),
        (f"{CANARY}\r\n\r\n", b"400"),
        (f"GET /metrics HTTP/9.9\r\nx: {CANARY}\r\n\r\n", b"505"),
        (f"GET /{CANARY * 10_000} HTTP/1.1\r\n\r\n", b"414"),
        ("GET / HTTP/1.1\r\n" + f"x: {CANARY}\r\n" * 200 + "\r\n", b"431"),
    ],
)
def test_what_is_no_question_gets_an_error_that_quotes_nothing(
    bench: Bench, data: str, status: bytes
) -> None:
    """Nor is it logged; the listener goes on."""
    reply = bench.send(data.encode())

    assert reply.startswith(b"HTTP/1.1 " + status)
    assert CANARY.encode() not in reply
    assert bench.log.events == []
    assert bench.get("/metrics")[0] == 200


def test_slow_clients_end_and_the_next_is_served(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than are answered at a time, sending a byte now and then."""
    monkeypatch.setattr(module, "_REQUEST_SECONDS", 0.3)
    host, _, port = bench.address.rpartition(":")
    slow = [socket.create_connection((host, int(port)), timeout=30) for _ in range(12)]
    for one in slow:
        one.sendall(b"GET /met")

    # Whoever comes next is served, or turned away and served when it comes again.
    for _ in range(100):
        connection = HTTPConnection(host, int(port), timeout=30)
        try:
            connection.request("GET", "/metrics")
            status = connection.getresponse().status
        except OSError:
            continue
        finally:
            connection.close()
        break
    assert status == 200
    for one in slow:
        assert one.recv(4096) == b""
        one.close()


def test_an_address_that_was_taken_is_said() -> None:
    """As by every other listener."""
    with pytest.raises(ListenError, match=r"cannot listen on 192\.0\.2\.1:1"):
        MetricsListener("192.0.2.1:1", text=bytes, ready=bool, log=ListLog())
