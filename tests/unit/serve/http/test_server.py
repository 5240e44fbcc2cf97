"""The server over real sockets: heads, bodies and time; clients that misbehave."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from espalier.serve.calls import Limits
from espalier.serve.counters import Counters
from espalier.serve.http.app import MAX_HEAD_BYTES
from espalier.serve.http.server import HttpServer
from espalier.serve.listen import ListenError
from espalier.serve.server import MAX_REQUEST_BYTES
from espalier.serve.tls import Tls, read_pair
from integration.certificates import Authority
from tests.unit.serve.http.test_front import Site

PATIENCE = 30.0
ASK = b"GET /suggest?q=n HTTP/1.1\r\nhost: x\r\n\r\n"


class Served(Site):
    """A site with a port."""

    def __init__(
        self, *, limits: Limits | None = None, access_log: bool = False, tls: Tls | None = None
    ) -> None:
        """Listen on a free port, and answer."""
        super().__init__()
        self.counters = Counters()
        self.crashes: list[Exception] = []
        self.server = HttpServer(
            self.front,
            limits=limits or Limits(request_seconds=PATIENCE),
            counters=self.counters,
            crashed=self.crashes.append,
            access_log=self.log if access_log else None,
            tls=tls,
        )
        self.address = self.server.listen("127.0.0.1:0")
        self.server.start()

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask as a well-behaved client does; return status, headers and body."""
        connection = HTTPConnection(self.address, timeout=PATIENCE)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, named)
            reply = connection.getresponse()
            return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()
        finally:
            connection.close()

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        """Yield a connection to do with what one likes."""
        host, port = self.address.split(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as sock:
            yield sock


@contextmanager
def serving(**options: Any) -> Iterator[Served]:
    """Yield a site that answers, and end it."""
    site = Served(**options)
    try:
        yield site
    finally:
        site.server.drain(0.0, lambda _seconds: True)


@pytest.fixture
def site() -> Iterator[Served]:
    """Return a site whose limits of time nobody meets."""
    with serving() as started:
        yield started


def until_closed(sock: socket.socket) -> bytes:
    """Return everything that comes until the other side hangs up."""
    parts: list[bytes] = []
    while True:
        try:
            part = sock.recv(65_536)
        except ConnectionResetError:
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)


def next_status(sock: socket.socket) -> int:
    """Read one whole reply; return its status."""
    reply = HTTPResponse(sock)
    reply.begin()
    reply.read()
    return reply.status


def send_often(sock: socket.socket, data: bytes, times: int) -> None:
    """Send the same again and again."""
    for _ in range(times):
        sock.sendall(data)


def status_of(reply: bytes) -> int:
    """Return the status of the first reply in some bytes."""
    return int(reply.split(b" ", 2)[1])


def patiently(seconds: float) -> bool:
    """Wait, in no hurry."""
    time.sleep(seconds)
    return False


def eventually(holds: Any) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_request_is_answered_and_the_connection_kept(site: Served) -> None:
    """Two requests on one connection; the date, and not the name of the server."""
    connection = HTTPConnection(site.address, timeout=PATIENCE)
    for _ in range(2):
        connection.request(
            "POST", "/v1/complete", b'{"prefix": "nike s"}', {"content-type": "application/json"}
        )
        reply = connection.getresponse()
        document = json.loads(reply.read())

        assert reply.status == 200
        assert [one["text"] for one in document["suggestions"]] == ["nike shoes", "nike socks"]
        assert reply.getheader("server") is None
        assert reply.getheader("date") is not None
    connection.close()

    assert site.counters.get("http", "POST", "/v1/complete", "200") == 2


def test_small_replies_do_not_wait_for_each_other(site: Served) -> None:
    """Head and body are two writes; with Nagle's algorithm the second would wait 40 ms."""
    with site.connected() as sock:
        sock.sendall(ASK)
        assert next_status(sock) == 200
        (connection,) = site.server._server.server_state.connections
        served: socket.socket = connection.transport.get_extra_info("socket")

        assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_head_has_the_headers_of_get_and_no_body(site: Served) -> None:
    """Its length included."""
    status, headers, body = site.request("HEAD", "/suggest?q=nike")
    _, of_get, full = site.request("GET", "/suggest?q=nike")

    assert (status, body) == (200, b"")
    assert headers["content-length"] == of_get["content-length"] == str(len(full))


def test_options_has_no_body_and_no_length(site: Served) -> None:
    """As the status without content demands."""
    status, headers, body = site.request("OPTIONS", "/v1/complete")

    assert (status, body) == (204, b"")
    assert headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert "content-length" not in headers


def test_text_of_any_script_goes_through(site: Served) -> None:
    """In a body and in parameters, to the last byte of the echo."""
    text = "новый 東京 👟 é"
    body = json.dumps({"prefix": text}, ensure_ascii=False).encode()
    _, _, posted = site.request("POST", "/v1/complete", body, content_type="application/json")
    _, _, got = site.request("GET", "/suggest?q=%F0%9F%91%9F")

    assert json.loads(posted)["prefix"] == text
    assert json.loads(got)[0] == "👟"


def test_a_body_may_come_in_pieces(site: Served) -> None:
    """Chunked, byte by byte, after the client was told to continue."""
    body = b'{"prefix": "nike"}'
    with site.connected() as sock:
        sock.sendall(
            b"POST /v1/complete HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"transfer-encoding: chunked\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
        )
        assert sock.recv(65_536).startswith(b"HTTP/1.1 100")
        for byte in body:
            sock.sendall(b"1\r\n%c\r\n" % byte)
        sock.sendall(b"0\r\n\r\n")

        assert status_of(until_closed(sock)) == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(site: Served, chunked: bool) -> None:
    """At once where its length is announced, else as soon as it is too long."""
    head = b"POST /v1/queries HTTP/1.1\r\nhost: x\r\n"
    with site.connected() as sock:
        if chunked:
            sock.sendall(head + b"transfer-encoding: chunked\r\n\r\n")
            piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
            for _ in range(MAX_REQUEST_BYTES // 65_536 + 1):
                sock.sendall(piece)
        else:
            sock.sendall(head + b"content-length: %d\r\n\r\n" % (MAX_REQUEST_BYTES + 1))
        reply = until_closed(sock)

    assert status_of(reply) == 413
    assert str(MAX_REQUEST_BYTES).encode() in reply


def test_a_body_of_the_largest_size_is_read(site: Served) -> None:
    """The limit is in, what is above is out."""
    body = b'{"prefix": "nike"}'.ljust(MAX_REQUEST_BYTES)
    status, _, _ = site.request("POST", "/v1/complete", body, content_type="application/json")

    assert status == 200


def test_a_body_that_does_not_come_is_given_up() -> None:
    """The connection ends with it."""
    with serving(limits=Limits(request_seconds=0.2)) as site, site.connected() as sock:
        sock.sendall(b"POST /v1/queries HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")

        assert status_of(until_closed(sock)) == 408


@pytest.mark.parametrize(
    "head",
    [
        b"GET /suggest?q=n HTTP/1.1\r\n" + b"x-a: b\r\n" * 4_000,
        b"GET /suggest?q=n HTTP/1.1\r\nx: " + b"a" * 40_000,
        b"GET /" + b"a" * 40_000,
        b"GET /suggest?q=n HTTP/1.1\r\nx: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n",
        b"G" * 40_000,
    ],
)
def test_a_flood_of_headers_is_refused(site: Served, head: bytes) -> None:
    """Whether they end or not; a request line counts as well."""
    with site.connected() as sock:
        sock.sendall(head)
        reply = until_closed(sock)

    assert status_of(reply) in {400, 431}
    assert reply.count(b"connection: close") == 1


@pytest.mark.parametrize(("begin", "line"), [(b"", b"x-a: b\r\n"), (b"x: ", b"a")])
def test_a_flood_behind_a_body_is_hung_up_on(site: Served, begin: bytes, line: bytes) -> None:
    """Where a body comes in chunks headers may follow it, many or one without an end."""
    head = b"POST /v1/queries HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    flood = line * (65_536 // len(line))
    with site.connected() as sock:
        sock.sendall(head + b"2\r\n{}\r\n0\r\n" + begin)
        with pytest.raises(ConnectionError):
            send_often(sock, flood, 500 * MAX_REQUEST_BYTES // len(flood))

    assert site.request("GET", "/healthz")[0] == 200


def test_what_follows_a_body_is_no_header_of_the_request(site: Served) -> None:
    """A proxy that looks at headers does not look there."""
    body = b"13\r\n" + b'{"prefix": "nike s"}'[:19] + b"\r\n1\r\n}\r\n0\r\n"
    with site.connected() as sock:
        sock.sendall(
            b"POST /v1/complete HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
            + body
            + b"content-type: application/json\r\n\r\n"
        )

        assert next_status(sock) == 415


def test_methods_nobody_uses_are_counted_as_one(site: Served) -> None:
    """Who asks with each that the parser knows makes one series of them."""
    for method in ("PROPFIND", "MKCOL", "PUT", "GET"):
        site.request(method, "/v1/complete?prefix=n")

    assert {key[1] for key in site.counters.read()} == {"_OTHER", "GET"}
    assert site.counters.get("http", "_OTHER", "/v1/complete", "405") == 3


def test_heads_that_do_not_come_are_given_up() -> None:
    """A byte now and then does not help, nor do empty lines, nor a request before."""
    with serving(limits=Limits(request_seconds=0.2)) as site:
        for opening in (b"GET /suggest", b"\r\n", ASK + b"GET /"):
            with site.connected() as sock:
                sock.sendall(opening)
                if opening.startswith(ASK):
                    assert next_status(sock) == 200
                    sock.sendall(b"sug")
                reply = until_closed(sock)

                assert status_of(reply[reply.rfind(b"HTTP/1.1 ") :]) == 408
        with site.connected() as silent:
            assert until_closed(silent) == b""
        assert site.counters.get("unanswered", "http", "no_request") == 3


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /suggest HTTP/1.1\r\ncontent-length: a\r\n\r\n",
        b"POST /v1/queries HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n",
        b"GET /suggest\x00 HTTP/1.1\r\n\r\n",
        b"GET suggest HTTP/9.9\r\n\r\n",
    ],
)
def test_what_is_no_request_is_told_so(site: Served, data: bytes) -> None:
    """TLS, HTTP/2 and ways to smuggle one request into another; as JSON like every error."""
    with site.connected() as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        reply = until_closed(sock)

    assert status_of(reply) == 400
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["code"] == 3
    assert site.request("GET", "/healthz")[0] == 200


def test_requests_behind_each_other_are_answered_in_their_order(site: Served) -> None:
    """One client may send several at once."""
    with site.connected() as sock:
        asked = [b"GET /suggest?q=%d HTTP/1.1\r\nhost: x\r\n\r\n" % number for number in range(20)]
        asked.append(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        sock.sendall(b"".join(asked))
        reply = until_closed(sock)

    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in reply.split(b"HTTP/1.1 ")[1:]]
    assert bodies[:20] == [b'["%d",[]]' % number for number in range(20)]


def test_a_body_nobody_reads_is_not_taken_for_a_request(site: Served) -> None:
    """The connection ends instead."""
    inner = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    with site.connected() as sock:
        sock.sendall(
            b"GET /suggest?q=n HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(inner)
            + inner
        )
        reply = until_closed(sock)

    assert reply.count(b"connection: close") == 1
    assert b"connection: close" in reply


def test_connections_beyond_the_limit_are_hung_up_on() -> None:
    """Those that are there go on."""
    with (
        serving(limits=Limits(open=2, request_seconds=PATIENCE)) as site,
        site.connected() as first,
        site.connected() as second,
    ):
        for sock in (first, second):
            sock.sendall(ASK)
            assert next_status(sock) == 200
        with site.connected() as third:
            assert until_closed(third) == b""
        first.sendall(ASK)

        assert next_status(first) == 200
        assert site.counters.get("unanswered", "http", "refused") == 1


def test_requests_beyond_what_may_wait_are_turned_away() -> None:
    """With when to come again; health is answered all the same."""
    with serving(limits=Limits(waiting=2, request_seconds=PATIENCE)) as site:
        begun = []
        for _ in range(3):
            context = site.connected()
            sock = context.__enter__()
            begun.append((context, sock))
            sock.sendall(b"POST /v1/queries HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n")
        eventually(lambda: site.server.waiting == 3)

        status, headers, body = site.request("GET", "/suggest?q=n")
        healthy, _, _ = site.request("GET", "/healthz")
        for context, _ in begun:
            context.__exit__(None, None, None)
        eventually(lambda: not site.server.waiting)

        assert (status, headers["retry-after"], healthy) == (429, "1", 200)
        assert json.loads(body)["details"][0]["reason"] == "OVERLOADED"
        assert site.request("GET", "/suggest?q=n")[0] == 200


def test_who_does_not_shake_hands_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither silence nor plain HTTP holds a connection; who does shake hands is answered."""
    monkeypatch.setattr("espalier.serve.http.server.HANDSHAKE_SECONDS", 0.3)
    authority = Authority(tmp_path, "ours")
    pair = authority.issue("server")
    context = ssl.create_default_context(cafile=authority.path)
    with serving(tls=read_pair(pair.certificate, pair.key)) as site:
        with site.connected() as silent, site.connected() as plain:
            plain.sendall(ASK)

            assert until_closed(plain) == b""
            assert until_closed(silent) == b""
        with site.connected() as sock, context.wrap_socket(sock, server_hostname="localhost") as up:
            up.sendall(ASK)

            assert next_status(up) == 200
        assert not site.crashes


def test_a_client_that_does_not_read_is_left() -> None:
    """What waits for it is bounded, and not for long."""
    with serving(limits=Limits(request_seconds=0.3)) as site:
        site.index.labels = tuple(f"nike {'x' * 400} {number}" for number in range(100))
        with site.connected() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            sock.setblocking(False)
            ask = b"GET /v1/complete?prefix=n&maxSuggestions=100 HTTP/1.1\r\nhost: x\r\n\r\n"
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                try:
                    sock.send(ask * 20)
                except BlockingIOError:
                    time.sleep(0.01)
                except OSError:
                    break
            else:
                pytest.fail("nobody hung up")
        assert site.request("GET", "/healthz")[0] == 200


def test_draining_answers_what_was_asked_and_takes_no_more() -> None:
    """A request under way has the grace; an idle connection ends."""
    with serving() as site, site.connected() as busy, site.connected() as idle:
        idle.sendall(ASK)
        assert next_status(idle) == 200
        busy.sendall(b"POST /v1/queries HTTP/1.1\r\nhost: x\r\ncontent-length: 29\r\n\r\n{")
        eventually(lambda: site.server.waiting == 1)
        left: list[int] = []

        def drain() -> None:
            left.append(site.server.drain(PATIENCE, patiently))

        ending = threading.Thread(target=drain)
        ending.start()
        assert until_closed(idle) == b""
        busy.sendall(b'"sessionId":"s","query":"q"}')
        reply = until_closed(busy)
        ending.join(PATIENCE)

        assert (status_of(reply), left) == (200, [0])
        with pytest.raises(OSError, match="refused"), site.connected():
            pass


def test_draining_cuts_off_what_takes_too_long() -> None:
    """And says how many there were."""
    with serving() as site, site.connected() as busy:
        busy.sendall(b"POST /v1/queries HTTP/1.1\r\nhost: x\r\ncontent-length: 29\r\n\r\n{")
        eventually(lambda: site.server.waiting == 1)

        assert site.server.drain(0.05, patiently) == 1


def test_the_access_log_has_routes_and_nothing_that_was_typed() -> None:
    """It is off unless the operator wants it; then ids and texts are still not in it."""
    with serving(access_log=True) as site:
        site.request("GET", "/v1/complete?prefix=canary&sessionId=canary")
        site.request("DELETE", "/v1/sessions/canary")
        site.request("GET", "/canary?canary=canary", canary="canary")
        site.request("POST", "/v1/complete", b'{"canary', content_type="application/json")
        eventually(lambda: len(site.log.events) == 4)

    assert {event for _, event, _ in site.log.events} == {"http_request"}
    assert ["/v1/complete", "/v1/sessions/{id}", "", "/v1/complete"] == [
        fields["route"] for _, _, fields in site.log.events
    ]
    assert "canary" not in str(site.log.events)


def test_by_default_nothing_is_logged_of_requests(
    site: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """Not by the server library either, whatever clients do."""
    site.request("GET", "/v1/complete?prefix=canary")
    with site.connected() as sock:
        sock.sendall(b"canary\r\n\r\n")
        until_closed(sock)

    assert site.log.events == []
    assert caplog.records == []


def test_an_address_that_is_taken_is_refused() -> None:
    """By somebody who does not share it."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server = HttpServer(
            Site().front, limits=Limits(), counters=Counters(), crashed=lambda _error: None
        )
        with pytest.raises(ListenError, match="taken just now"):
            server.listen(f"127.0.0.1:{other.getsockname()[1]}")
