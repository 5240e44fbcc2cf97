"""Certificates and tokens of the metrics listener are those of the service."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from espalier.serve.credentials import Credentials
from espalier.serve.listen import reserve_tcp
from espalier.serve.telemetry.listener import MetricsListener
from espalier.serve.tls import read_pair
from espalier.serve.tokens import Tokens
from integration.certificates import Authority, token_file
from tests.unit.serve.fakes import ListLog

TOKEN = "0123456789abcdef" * 2


class Bench:
    """A listener whose credentials may change."""

    def __init__(self, folder: Path) -> None:
        self.old, self.new = (Authority.in_folder(folder, name) for name in ("old", "new"))
        self.tokens = Tokens.read(token_file(folder / "tokens", TOKEN), "token_file")
        self.credentials = self.shown_by(self.old)
        reserved = reserve_tcp("127.0.0.1:0")
        self.address = reserved.address
        self.log = ListLog()
        self.listener = MetricsListener(
            self.address,
            text=lambda: b"espalier_ready 1\n",
            ready=lambda: True,
            log=self.log,
            credentials=lambda: self.credentials,
        )
        self.listener.start()
        self.reserved = reserved

    def shown_by(self, authority: Authority, tokens: Tokens | None = None) -> Credentials:
        """Return credentials with a certificate of an authority."""
        pair = authority.issue("server")
        return Credentials(read_pair(pair.certificate, pair.key), tokens)

    def get(self, path: str, trusting: Authority, token: str = "") -> int:
        """Return the status of a reply to a client that trusts an authority."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        context = ssl.create_default_context(cafile=str(trusting.path))
        request = Request(f"https://{self.address}{path}", headers=headers)
        try:
            with urlopen(request, context=context, timeout=5) as reply:  # noqa: S310 - an address of our own
                return int(reply.status)
        except HTTPError as error:
            with error:
                return error.code


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Yield one that answers."""
    made = Bench(tmp_path)
    yield made
    made.listener.stop()
    made.reserved.close()


def test_a_renewed_certificate_is_shown_from_the_next_connection_on(bench: Bench) -> None:
    """Who trusts another authority, or speaks no TLS, gets nothing and disturbs nobody."""
    assert bench.get("/metrics", bench.old) == 200
    with pytest.raises(URLError, match="CERTIFICATE_VERIFY_FAILED"):
        bench.get("/metrics", bench.new)
    with pytest.raises((URLError, ConnectionError)):
        urlopen(f"http://{bench.address}/metrics")
    bench.credentials = bench.shown_by(bench.new)

    assert bench.get("/metrics", bench.new) == 200
    with pytest.raises(URLError, match="CERTIFICATE_VERIFY_FAILED"):
        bench.get("/metrics", bench.old)
    assert bench.log.events == []


def test_numbers_need_a_token_where_calls_do_and_health_does_not(bench: Bench) -> None:
    """Missing, empty, wrong and right; probes have none to show."""
    bench.credentials = bench.shown_by(bench.old, bench.tokens)
    tries = ("", " ", TOKEN[:-1], TOKEN[::-1], TOKEN)

    statuses = [bench.get("/metrics", bench.old, token) for token in tries]

    assert statuses == [401, 401, 401, 401, 200]
    assert [bench.get(path, bench.old) for path in ("/healthz", "/readyz")] == [200, 200]


def test_who_does_not_shake_hands_keeps_others_waiting_for_a_moment(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or shakes hands and says nothing more: there are few threads, and none is held for good."""
    monkeypatch.setattr("espalier.serve.telemetry.listener._REQUEST_SECONDS", 0.2)
    host, port = bench.address.split(":")
    context = ssl.create_default_context(cafile=str(bench.old.path))
    with ExitStack() as held:
        idle = [held.enter_context(socket.create_connection((host, int(port)))) for _ in range(8)]
        for one in idle[:2]:
            one.settimeout(5)
            held.enter_context(context.wrap_socket(one, server_hostname=host))

        # Who comes while all threads are held may be hung up on; not for long.
        until = time.monotonic() + 10
        status = 0
        while status != 200 and time.monotonic() < until:
            with suppress(URLError, ConnectionError):
                status = bench.get("/readyz", bench.old)

    assert status == 200


def test_who_leaves_at_once_holds_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many do, the next is answered; a client that is gone has no place to wrap."""
    host, port = bench.address.split(":")
    left = []

    def gone(*_arguments: object, **_named: object) -> None:
        left.append(1)
        raise OSError(errno.ENOTCONN, "gone")

    with monkeypatch.context() as patched:
        patched.setattr(ssl.SSLContext, "wrap_socket", gone)
        for _ in range(10):
            with socket.create_connection((host, int(port)), timeout=5) as sock:
                assert sock.recv(1) == b""

    assert len(left) == 10
    assert bench.get("/healthz", bench.old) == 200


def drip(sock: socket.socket) -> None:
    """Send a byte ten times a second, for ten seconds."""
    for _ in range(100):
        sock.sendall(b"G")
        time.sleep(0.1)


def test_who_drips_is_hung_up_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then ends no single read, so what counts is the whole."""
    monkeypatch.setattr("espalier.serve.telemetry.listener._REQUEST_SECONDS", 0.5)
    host, port = bench.address.split(":")
    context = ssl.create_default_context(cafile=str(bench.old.path))
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=host) as sock,
        pytest.raises((ConnectionError, ssl.SSLError)),
    ):
        drip(sock)
