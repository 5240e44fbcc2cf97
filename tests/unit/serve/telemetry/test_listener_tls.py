"""Certificates and tokens of the metrics listener are those of the service."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
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
            with urlopen(request, context=context) as reply:  # noqa: S310
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
