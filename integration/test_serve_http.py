"""The HTTP front of a running service: the same answers, sessions and rules as gRPC's."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from espalier.admin import Admin
from espalier.client import Client
from espalier.overlay import Block
from integration.processes import PATIENCE, Sidecar, espalier

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def sidecar(demo_index: Path) -> Iterator[Sidecar]:
    """Return a service with a worker, a front and an admin listener; its access log is on."""
    with Sidecar(
        *("--index", demo_index, "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"),
        *("--workers", "1", "--set", "http_access_log=true"),
        *("--set", 'http_origins=["https://shop.example"]'),
    ) as started:
        yield started


def ask(
    sidecar: Sidecar, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, dict[str, str], Any]:
    """Return status, headers and JSON of the reply to a request."""
    connection = HTTPConnection(sidecar.http, timeout=PATIENCE)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else json.dumps(body).encode()
    try:
        connection.request(method, path, data, named if data is None else JSON | named)
        reply = connection.getresponse()
        text = reply.read()
        found = {name.lower(): value for name, value in reply.getheaders()}
        return reply.status, found, json.loads(text) if text else None
    finally:
        connection.close()


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_both_doors_give_the_same_answer(sidecar: Sidecar) -> None:
    """Text, score and source of every suggestion, and the revision they come from."""
    with Client(sidecar.address, timeout=PATIENCE) as client:
        expected = client.complete("c", previous=["tent"])
    _, _, found = ask(
        sidecar, "POST", "/v1/complete", {"prefix": "c", "previous_queries": ["tent"]}
    )

    assert expected.suggestions
    assert found["header"]["indexRevision"] == expected.header.index_revision
    assert [(one["text"], one["score"]) for one in found["suggestions"]] == [
        (one.text, one.score) for one in expected.suggestions
    ]


def test_a_session_is_one_on_both_doors(sidecar: Sidecar) -> None:
    """Recorded here, used there, forgotten here."""

    def state(client: Client) -> int:
        return int(client.complete("c", session="both").session_state)

    with Client(sidecar.address, timeout=PATIENCE) as client:
        recorded, _, _ = ask(sidecar, "POST", "/v1/queries", {"sessionId": "both", "query": "tent"})
        known = state(client)
        deleted, _, _ = ask(sidecar, "DELETE", "/v1/sessions/both")
        forgotten = state(client)

    assert (recorded, deleted) == (200, 200)
    assert (known, forgotten) == (2, 3)


def test_a_blocked_query_is_blocked_on_both_doors(sidecar: Sidecar) -> None:
    """From the moment the call returns."""
    first = ask(sidecar, "GET", "/suggest?q=c")[2][1][0]
    with Admin(sidecar.admin, timeout=PATIENCE) as admin:
        admin.add(Block(first))
        blocked = ask(sidecar, "GET", "/suggest?q=c")[2][1]
        admin.remove(Block(first))

    assert first not in blocked
    assert first in ask(sidecar, "GET", "/suggest?q=c")[2][1]


def test_without_the_switch_there_is_no_demo_page(sidecar: Sidecar) -> None:
    """A service that is not meant to show one has none of its paths."""
    paths = ("/", "/demo/app.js", "/demo/about", "/demo/search?q=a")

    assert [ask(sidecar, "GET", path)[0] for path in paths] == [404] * 4


def test_a_page_of_a_named_origin_may_ask(sidecar: Sidecar) -> None:
    """A preflight before, and the header in the reply."""
    origin = "https://shop.example"
    status, headers, _ = ask(
        sidecar,
        "OPTIONS",
        "/v1/complete",
        origin=origin,
        access_control_request_method="POST",
        access_control_request_headers="content-type",
    )
    _, replied, _ = ask(sidecar, "POST", "/v1/complete", {"prefix": "c"}, origin=origin)

    assert (status, headers["access-control-allow-headers"]) == (204, "content-type")
    assert headers["access-control-allow-origin"] == origin
    assert replied["access-control-allow-origin"] == origin


def test_nothing_that_was_typed_reaches_the_log(sidecar: Sidecar) -> None:
    """Not from bodies, parameters, paths, headers, ids or broken requests, access log on."""
    canary = "zqxcanary"
    asked = [
        ("POST", "/v1/complete", {"prefix": canary, "sessionId": canary}),
        ("POST", "/v1/complete", {canary: canary}),
        ("POST", "/v1/queries", {"sessionId": canary, "query": canary}),
        ("POST", "/v1/queries", {"sessionId": [canary]}),
        ("GET", f"/v1/complete?prefix={canary}&previousQueries={canary}", None),
        ("GET", f"/v1/complete?{canary}={canary}", None),
        ("GET", f"/suggest?q={canary}", None),
        ("GET", f"/{canary}?{canary}", None),
        ("DELETE", f"/v1/sessions/{canary}", None),
        ("PUT", f"/v1/complete?{canary}", {canary: canary}),
    ]
    for method, path, body in asked:
        ask(sidecar, method, path, body, referer=canary, user_agent=canary)
    host, port = sidecar.http.split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as sock:
        sock.sendall(f"{canary}\r\n\r\n".encode())
        sock.recv(65_536)

    def noted() -> int:
        return sum(event["event"] == "http_request" for event in sidecar.events())

    eventually(lambda: noted() >= len(asked))
    assert canary not in sidecar.stderr


Bad = tuple[str, str, bytes, dict[str, str], int]
BAD: dict[str, Bad] = {
    "wrong type": ("POST", "/v1/complete", b'{"prefix": 1}', JSON, 400),
    "wrong type in a list": ("POST", "/v1/complete", b'{"previousQueries": [{}]}', JSON, 400),
    "number out of range": ("POST", "/v1/complete", b'{"maxSuggestions": 1e99}', JSON, 400),
    "unknown field": ("POST", "/v1/complete", b'{"prefixes": "c"}', JSON, 400),
    "no object": ("POST", "/v1/complete", b"[]", JSON, 400),
    "broken JSON": ("POST", "/v1/complete", b'{"prefix": "c', JSON, 400),
    "deep JSON": ("POST", "/v1/complete", b"[" * 100_000, JSON, 400),
    "not UTF-8": ("POST", "/v1/complete", b'{"prefix": "\xff"}', JSON, 400),
    "another type": ("POST", "/v1/complete", b"{}", {"content-type": "text/html"}, 415),
    "oversized body": ("POST", "/v1/complete", b" " * 300_000, JSON, 413),
    "long prefix": ("POST", "/v1/complete", b'{"prefix": "%s"}' % (b"x" * 2_000), JSON, 400),
    "header flood": ("GET", "/suggest?q=c", b"", {f"x-{n}": "y" * 90 for n in range(200)}, 431),
    "long path": ("GET", f"/{'x' * 20_000}", b"", {}, 431),
    "dots": ("GET", "/v1/../v1/complete", b"", {}, 404),
    "escaped dots": ("GET", "/%2e%2e/suggest", b"", {}, 404),
    "escaped path": ("GET", "/sugges%74", b"", {}, 404),
    "two slashes": ("GET", "//suggest", b"", {}, 404),
    "a host": ("GET", "//evil.example/suggest", b"", {}, 404),
    "a file": ("GET", "/etc/passwd", b"", {}, 404),
    "slash in an id": ("DELETE", "/v1/sessions/a/b", b"", {}, 404),
    "wrong method": ("PATCH", "/v1/complete", b"", {}, 405),
    "unknown parameter": ("GET", "/suggest?query=c", b"", {}, 400),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_bad_requests_are_told_so_and_others_answered(sidecar: Sidecar, bad: Bad) -> None:
    """With a status and a sentence as JSON, by the same process as before."""
    method, path, body, headers, status = bad
    before = sidecar.workers()
    connection = HTTPConnection(sidecar.http, timeout=PATIENCE)
    # The reply may come while the body is still sent.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request(method, path, body or None, headers)
    with contextlib.suppress(ConnectionResetError):
        reply = connection.getresponse()

        assert reply.status == status
        assert json.loads(reply.read())["message"]
    connection.close()
    assert ask(sidecar, "GET", "/suggest?q=c")[0] == 200
    assert sidecar.workers() == before


def test_bodies_that_do_not_come_keep_nobody_waiting(sidecar: Sidecar) -> None:
    """A hundred of them are open while others are answered at once."""
    host, port = sidecar.http.split(":")
    head = b"POST /v1/complete HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    with contextlib.ExitStack() as held:
        for _ in range(100):
            slow = held.enter_context(socket.create_connection((host, int(port))))
            slow.sendall(head + b"content-length: 100\r\n\r\n{")

        assert ask(sidecar, "GET", "/suggest?q=c")[0] == 200
        assert ask(sidecar, "POST", "/v1/complete", {"prefix": "c"})[0] == 200


def test_a_front_that_dies_is_replaced(demo_index: Path) -> None:
    """Sessions outlive it, and the workers beside it notice nothing."""
    with Sidecar(
        *("--index", demo_index, "--http", "127.0.0.1:0", "--workers", "1"),
    ) as sidecar:
        ask(sidecar, "POST", "/v1/queries", {"sessionId": "s", "query": "tent"})
        before = sidecar.workers()
        os.kill(before[1], signal.SIGKILL)

        def answered() -> bool:
            try:
                status, _, found = ask(
                    sidecar, "POST", "/v1/complete", {"prefix": "c", "sessionId": "s"}
                )
            except OSError:
                return False
            return status == 200 and found["sessionState"] == "SESSION_STATE_FOUND"

        eventually(answered)
        after = sidecar.workers()
        sidecar.send(signal.SIGTERM)

        assert sidecar.wait() == 0
        assert before[0] == after[0]
        assert before[1] != after[1]


def test_a_port_that_is_in_use_is_refused(sidecar: Sidecar, demo_index: Path) -> None:
    """Before anything is loaded, as for gRPC."""
    done = espalier(
        "serve", "--index", demo_index, "--listen", "127.0.0.1:0", "--http", sidecar.http
    )

    assert done.returncode == 1
    assert f"cannot listen on {sidecar.http}: the port is in use" in done.stderr
