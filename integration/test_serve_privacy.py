"""What people type, who they are and what they know stays where it is said to stay."""

from __future__ import annotations

import http.client
import itertools
import signal
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import grpc
import pytest

from espalier.access import Access
from espalier.admin import Admin
from espalier.client import CallError, Client
from integration.certificates import token_file
from integration.processes import PATIENCE, Sidecar
from integration.raw_http2 import RawConnection

SERVICE = "/espalier.v1.CompletionService"
TOKEN, ADMIN_TOKEN = "zqtoken" + "a" * 40, "zqadmintoken" + "b" * 40


@dataclass(slots=True)
class Planted:
    """Words that are in no index and nowhere else, by where they were put.

    Attributes:
        words: Every one of them.
        submitted: Those of them that were submitted as queries of a session that is kept.
        heard: What was answered to requests that were refused.
    """

    words: dict[str, str] = field(default_factory=dict)
    submitted: set[str] = field(default_factory=set)
    heard: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __call__(self, where: str) -> str:
        """Return a new word, to be put there."""
        word = f"zqcanary{next(self._numbers):03d}qz"
        self.words[word] = where
        return word

    def refused(self, answer: str) -> None:
        """Remember what a refused request was answered."""
        self.heard.append(answer)


def over_grpc(sidecar: Sidecar, access: Access, plant: Planted) -> None:
    """Put words everywhere a gRPC client can put them."""
    with Client(sidecar.address, timeout=PATIENCE, access=access) as client:
        session = plant("session id")
        kept = plant("submitted query")
        plant.submitted.add(kept)
        client.record(kept, session=session)
        client.complete(plant("prefix"), session=session)
        client.complete("c", previous=[plant("previous query")], session=plant("session id"))
        gone = plant("session id")
        client.record(plant("submitted query, session deleted"), session=gone)
        client.delete(gone)
        for asked in (
            {"all_of": [f"locale:{plant('filter')}"]},
            {"index": plant("index name")},
            {"session": plant("long session id") * 40},
            {"ages": [1], "previous": [plant("previous query")] * 500},
        ):
            with pytest.raises(CallError) as caught:
                client.complete("c", **asked)
            plant.refused(f"{caught.value} {caught.value.metadata}")
        with pytest.raises(CallError) as caught:
            client.complete(plant("long prefix") * 500)
        plant.refused(f"{caught.value} {caught.value.metadata}")
    right = ("authorization", f"Bearer {TOKEN}")
    with grpc.insecure_channel(sidecar.address) as channel:
        for method, body, metadata in (
            ("Complete", b"\xff" + plant("malformed body").encode(), [right]),
            (
                "Complete",
                b"\x0a\x20" + plant("text not UTF-8").encode().ljust(32, b"\xff"),
                [right],
            ),
            ("Complete", b"", [("authorization", f"Bearer {plant('token') * 3}")]),
            ("Complete", b"", [("authorization", plant("authorization without a scheme"))]),
            (plant("method"), b"", [right]),
            (plant("method"), b"", []),
        ):
            call: Any = channel.unary_unary(f"{SERVICE}/{method}")
            with pytest.raises(grpc.RpcError) as failed:
                call(body, metadata=metadata, timeout=PATIENCE)
            plant.refused(f"{failed.value.details()} {failed.value.trailing_metadata()}")
        call = channel.unary_unary(f"{SERVICE}/Complete")
        call(b"", metadata=[right, ("x-trace", plant("metadata"))], timeout=PATIENCE)
    with RawConnection(sidecar.address, f"/{plant('path of HTTP/2')}") as raw:
        raw.call(plant("body of HTTP/2").encode())
        raw.receive()


def over_http(sidecar: Sidecar, plant: Planted) -> None:
    """Put words everywhere an HTTP client can put them."""
    json_type = {"content-type": "application/json"}
    kept, session = plant("submitted query"), plant("session id")
    plant.submitted.add(kept)
    asked: list[tuple[str, str, str, dict[str, str]]] = [
        ("POST", "/v1/queries", f'{{"sessionId":"{session}","query":"{kept}"}}', json_type),
        ("POST", "/v1/complete", f'{{"prefix":"{plant("prefix")}"}}', json_type),
        ("POST", "/v1/complete", f'{{"{plant("field name")}":1}}', json_type),
        ("POST", "/v1/complete", f'{{"maxSuggestions":"{plant("wrong type")}"}}', json_type),
        ("POST", "/v1/complete", f'{{"prefix":["{plant("wrong type")}"]}}', json_type),
        ("POST", "/v1/complete", f'{{"prefix":"{plant("broken JSON")}', json_type),
        ("POST", "/v1/complete", plant("no JSON"), json_type),
        ("POST", "/v1/complete", plant("body of another type"), {"content-type": plant("type")}),
        ("POST", "/v1/complete", f'"{plant("oversized body")}{"x" * 300_000}"', json_type),
        ("POST", "/v1/events", f'{{"events":[{{"query":"{plant("event")}"}}]}}', json_type),
        ("GET", f"/v1/complete?prefix={plant('parameter')}", "", {}),
        ("GET", f"/v1/complete?{plant('parameter name')}=1", "", {}),
        ("GET", f"/v1/complete?prefix=%ff{plant('parameter not UTF-8')}", "", {}),
        ("GET", f"/suggest?q={plant('parameter')}", "", {}),
        ("GET", f"/{plant('path')}", "", {}),
        ("GET", f"/v1/../{plant('path')}/%2e%2e/suggest", "", {}),
        ("GET", f"//{plant('host in the path')}/suggest?q=c", "", {}),
        ("DELETE", f"/v1/sessions/{plant('session id')}", "", {}),
        ("DELETE", f"/v1/sessions/a/{plant('session id')}", "", {}),
        (plant("method").upper(), "/suggest", "", {}),
        ("GET", "/suggest?q=c", "", {"x-flood": plant("header flood") * 2_000}),
        ("GET", "/suggest?q=c", "", {"authorization": f"Bearer {plant('token') * 3}"}),
        ("GET", "/suggest?q=c", "", {"authorization": plant("authorization")}),
    ]
    everywhere = {
        name: plant(name)
        for name in ("user-agent", "referer", "cookie", "origin", "x-forwarded-for", "traceparent")
    }
    for method, path, body, headers in asked:
        connection = http.client.HTTPConnection(sidecar.http, timeout=PATIENCE)
        sent = {"authorization": f"Bearer {TOKEN}", **everywhere, **headers}
        try:
            connection.request(method, path, body.encode() or None, sent)
            reply = connection.getresponse()
            text = reply.read().decode()
            if reply.status != 200:
                plant.refused(f"{reply.getheaders()} {text}")
        except (BrokenPipeError, ConnectionResetError):
            # Refused before all of it was sent.
            continue
        finally:
            connection.close()
    host, _, port = sidecar.http.rpartition(":")
    for line in (
        plant("no HTTP"),
        f"GET {plant('path')} HTTP/9.9",
        f"GET / HTTP/1.1\r\n{plant('h')}",
    ):
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as sock:
            sock.sendall(f"{line}\r\n\r\n".encode())
            plant.refused(sock.recv(65_536).decode())


def test_nothing_people_type_is_found_where_it_should_not_be(
    demo_index: Path, tmp_path: Path
) -> None:
    """Output, metrics, errors and every file of the state folder are searched.

    The one exception: the table of sessions holds the last queries of live sessions, as
    submitted; no other text, and no session id. What is deleted is not in it. Files of
    events have hashes, unless the operator asks for texts.
    """
    plant = Planted()
    state = tmp_path / "state"
    tokens = token_file(tmp_path / "tokens", TOKEN)
    admin_tokens = token_file(tmp_path / "admin_tokens", ADMIN_TOKEN)
    with Sidecar(
        *("--index", demo_index, "--workers", "1", "--state-dir", state),
        *("--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--admin", f"unix:{tmp_path}/a"),
        *("--set", "http_access_log=true", "--set", "max_sessions=1000"),
        *(
            "--set",
            "events=block",
            "--set",
            f"token_file={tokens}",
            "--set",
            f"admin_token_file={admin_tokens}",
        ),
    ) as sidecar:
        over_grpc(sidecar, Access(token_file=tokens), plant)
        over_http(sidecar, plant)
        with Admin(
            sidecar.admin, timeout=PATIENCE, access=Access(token_file=admin_tokens)
        ) as admin:
            with pytest.raises(CallError) as caught:
                admin.indexes(plant("index name"))
            plant.refused(str(caught.value))
            with pytest.raises(CallError) as caught:
                admin.load(tmp_path / plant("path of an index"))
            refused_path = str(caught.value)
        shown = {"authorization": f"Bearer {TOKEN}"}
        with urlopen(Request(f"http://{sidecar.metrics}/metrics", headers=shown)) as reply:
            metrics = reply.read().decode()
        while_running = {path.name: path.read_bytes() for path in files(state)}
        sidecar.send(signal.SIGTERM)
        assert sidecar.wait() == 0
        output = sidecar.stdout + sidecar.stderr
    after = {path.name: path.read_bytes() for path in files(state)}
    plant.words |= {TOKEN: "the token", ADMIN_TOKEN: "the admin token"}
    places = {"output": output, "metrics": metrics, "errors": "\n".join(plant.heard)}
    # The path an operator gave is what the operator wants to read.
    named = {word for word in plant.words if plant.words[word] == "path of an index"}

    found = [
        (place, where)
        for place, text in places.items()
        for word, where in plant.words.items()
        if word.lower() in text.lower() and word not in named
    ]
    assert found == []
    assert all(word not in refused_path for word in plant.words.keys() - named)
    assert "sessions.est" in after
    assert any(".ndjson" in name and data for name, data in after.items())
    for files_of in (while_running, after):
        for name, data in files_of.items():
            there = {word for word in plant.words if word.encode() in data}
            assert there == (plant.submitted if name == "sessions.est" else set()), name
    assert '"event": "http_request"' in output
    assert 'reason="unauthenticated"' in metrics


def test_every_file_and_folder_of_the_state_is_for_its_owner_alone(
    demo_index: Path, tmp_path: Path
) -> None:
    """Sessions, rules, events and what locks them, whatever the umask of who starts it."""
    from espalier.overlay import Block

    state = tmp_path / "state"
    with Sidecar(
        *("--index", demo_index, "--workers", "1", "--state-dir", state),
        *("--admin", f"unix:{tmp_path}/a", "--set", "events=block", "--set", "max_sessions=1000"),
    ) as sidecar:
        with Client(sidecar.address, timeout=PATIENCE) as client:
            client.record("tent", session="s")
        with Admin(sidecar.admin, timeout=PATIENCE) as admin:
            admin.add(Block("tent"))
        modes = {
            path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode)
            for path in [state, *state.rglob("*")]
        }
        folders = {
            path.relative_to(tmp_path).as_posix()
            for path in [state, *state.rglob("*")]
            if path.is_dir()
        }

    assert {name: mode for name, mode in modes.items() if name in folders and mode != 0o700} == {}
    assert {
        name: mode for name, mode in modes.items() if name not in folders and mode != 0o600
    } == {}
    assert len(modes) >= 5


def files(folder: Path) -> list[Path]:
    """Return every file below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]
