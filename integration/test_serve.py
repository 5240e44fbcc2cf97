"""The sidecar as a process: what clients see, what operators see, how it ends."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from espalier.client import CallError, Client
from espalier.text import normalise
from espalier.v1.core_pb2 import SessionState, SuggestionSource
from integration.processes import PATIENCE, Sidecar, espalier
from integration.raw_http2 import RawConnection

SERVICE = "espalier.v1.CompletionService"


@pytest.fixture(scope="module")
def sidecar(demo_index: Path) -> Iterator[Sidecar]:
    """Return a running sidecar, shared by the tests that only ask."""
    with Sidecar("--index", demo_index) as running:
        yield running


@pytest.fixture
def client(sidecar: Sidecar) -> Iterator[Client]:
    """Return a client of the shared sidecar."""
    with Client(sidecar.address, timeout=PATIENCE) as client:
        yield client


def failed(call: Callable[[], object]) -> CallError:
    """Return how ``call`` fails."""
    with pytest.raises(CallError) as caught:
        call()
    return caught.value


def send(address: str, method: str, data: bytes) -> grpc.RpcError:
    """Send raw bytes; return how that fails."""
    with grpc.insecure_channel(address) as channel:
        call: Callable[..., bytes] = channel.unary_unary(f"/{SERVICE}/{method}")
        with pytest.raises(grpc.RpcError) as caught:
            call(data, timeout=PATIENCE)
    return caught.value


# ---- what clients see -----------------------------------------------------------


def test_every_suggestion_starts_with_the_prefix(client: Client, demo_index: Path) -> None:
    """And the reply says from which training run it comes."""
    import espalier as package

    with package.open(demo_index) as index:
        first = index.popular("", 1)[0]
        fingerprint = index.info.fingerprint
        expected = [one.text for one in index.complete(first[:2])]
    reply = client.complete(first[:2], sequence=42)

    assert [one.text for one in reply.suggestions] == expected
    assert all(one.text.startswith(first[:2]) for one in reply.suggestions)
    assert all(one.matched_code_points == 2 for one in reply.suggestions)
    assert (reply.header.index, reply.header.index_revision) == ("default", fingerprint)
    assert (reply.prefix, reply.sequence) == (first[:2], 42)


def test_both_styles_of_context_give_the_same_suggestions(client: Client) -> None:
    """Previous queries in the request, or recorded under a session id."""
    popular = [one.text for one in client.complete("", limit=3).suggestions]
    for query in popular:
        client.record(query, session="both")

    recorded = client.complete("", session="both", limit=20)
    # How old its queries are by now is for the sidecar to know: seconds at the most.
    brought = [
        client.complete("", previous=popular[::-1], ages=ages, limit=20).suggestions
        for age in range(20)
        # A second may have begun between two of them.
        for ages in ([age, age, age], [age, age, age + 1], [age, age + 1, age + 1])
    ]
    without = client.complete("", limit=20)

    assert recorded.suggestions in brought
    assert recorded.session_state == SessionState.SESSION_STATE_FOUND
    assert without.suggestions != recorded.suggestions


def test_a_deleted_session_is_forgotten(client: Client) -> None:
    """From the moment the call returns."""
    client.record("something", session="gone")
    client.delete("gone")
    client.delete("gone")

    state = client.complete("a", session="gone").session_state
    assert state == SessionState.SESSION_STATE_NEW


def test_sources_can_be_restricted(client: Client) -> None:
    """Only what was allowed comes back."""
    reply = client.complete("", sources=[SuggestionSource.SUGGESTION_SOURCE_POPULAR])

    assert {one.source for one in reply.suggestions} == {SuggestionSource.SUGGESTION_SOURCE_POPULAR}


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "\t\n\x00\x07\x7f",
        "שלום עולם",
        "مرحبا",
        "e\u0301\u0301\u0301" * 50,
        "\u202e\u2066abc",
        "👩‍👩‍👧‍👦",
        "\ufeff\u200b",
        "\ufdfa" * 20,
        "%s%n{}'\"\\;--",
        "x" * 1024,
    ],
    ids=range(11),
)
def test_odd_text_is_answered(client: Client, text: str) -> None:
    """As a prefix, as a previous query, and as a session id."""
    reply = client.complete(text, previous=[text, "", text * 50], session="odd")
    assert reply.prefix == text
    if normalise(text):
        client.record(text, session=text[:20])
        client.complete("a", session=text[:20])


@pytest.mark.parametrize("text", ["", "   ", "\t\x00", "\u3000\u00a0", "\ufeff\u200b"])
def test_blank_queries_cannot_be_recorded(client: Client, text: str) -> None:
    """They say nothing about the session."""
    assert failed(lambda: client.record(text, session="s")).reason == "EMPTY_QUERY"


def test_what_is_too_long_is_refused_with_its_limit(client: Client) -> None:
    """Before and after normalisation, and without harm to the next call."""
    for prefix in ("x" * 1025, "\u00e9" * 513, "\ufdfa" * 300):
        error = failed(lambda prefix=prefix: client.complete(prefix))  # type: ignore[misc]
        assert (error.code, error.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "PREFIX_TOO_LONG",
        )
        assert error.metadata["limit_bytes"] == "1024"
    assert failed(lambda: client.complete("a", session="s" * 129)).reason == "SESSION_ID_TOO_LONG"
    assert client.record("long " * 10_000, session="s").HasField("header")
    assert client.complete("a", previous=["long " * 400] * 40).HasField("header")
    huge = failed(lambda: client.complete("a", previous=["x" * 300_000]))
    assert (huge.code, huge.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "")


def test_an_unknown_index_is_not_found(client: Client) -> None:
    """The error lists what is served."""
    error = failed(lambda: client.complete("a", index="other"))

    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_INDEX")
    assert error.metadata == {"field": "index", "served": "default"}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x0a\x05ab", "MALFORMED_REQUEST"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "MALFORMED_REQUEST"),
        (b'{"prefix": "a"}', "MALFORMED_REQUEST"),
        (b"\x0a\x03ab\xff", "INVALID_TEXT"),
        (b"\x0a\x03\xed\xa0\x80", "INVALID_TEXT"),
    ],
)
@pytest.mark.parametrize("method", ["Complete", "RecordQuery", "DeleteSession"])
def test_bytes_that_make_no_request_are_invalid_arguments(
    sidecar: Sidecar, method: str, data: bytes, reason: str
) -> None:
    """Malformed protobuf and text that is not UTF-8 are the client's fault, and it is told so."""
    error = send(sidecar.address, method, data)

    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert CallError(error).reason == reason


def test_reflection_describes_the_service(sidecar: Sidecar) -> None:
    """Tools can list and call it without the .proto files."""
    with grpc.insecure_channel(sidecar.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = set(database.get_services())
        file = database.FindFileContainingSymbol(SERVICE)

    assert {SERVICE, "grpc.health.v1.Health"} <= services
    assert [method.name for method in file.service[0].method] == [
        "Complete",
        "RecordQuery",
        "RecordEvents",
        "DeleteSession",
    ]


@pytest.mark.parametrize("name", ["", "live", "ready", SERVICE])
def test_every_health_component_is_serving(sidecar: Sidecar, name: str) -> None:
    """By the standard protocol."""
    with grpc.insecure_channel(sidecar.address) as channel:
        request = health_pb2.HealthCheckRequest(service=name)
        reply = health_pb2_grpc.HealthStub(channel).Check(request, timeout=PATIENCE)

    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_many_clients_at_once_get_their_own_answers(sidecar: Sidecar) -> None:
    """No reply is mixed up between calls."""
    wrong: list[str] = []

    def ask(number: int) -> None:
        with Client(sidecar.address, timeout=PATIENCE) as client:
            for step in range(50):
                prefix = chr(ord("a") + (number + step) % 26)
                reply = client.complete(prefix, sequence=number * 1000 + step)
                if (reply.prefix, reply.sequence) != (prefix, number * 1000 + step):
                    wrong.append(prefix)
                texts = [one.text for one in reply.suggestions]
                wrong.extend(text for text in texts if not text.startswith(prefix))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert wrong == []


# ---- what operators see -----------------------------------------------------------


def test_the_log_is_json_and_knows_no_text(demo_index: Path) -> None:
    """Whatever clients send, neither stdout nor stderr repeats it."""
    with Sidecar("--index", demo_index, "--set", "workers=1") as sidecar:
        with Client(sidecar.address, timeout=PATIENCE) as client:
            client.record("canary query", session="canary-session")
            client.complete("canary", previous=["canary before"], session="canary-session")
            client.complete("canary", session="canary-session")
            for call in (
                lambda: client.complete("canary" * 1000),
                lambda: client.complete("a", index="canary"),
                lambda: client.complete("a", session="canary" * 100),
            ):
                assert "canary" not in str(failed(call))
        send(sidecar.address, "Complete", b"\x0a\x07canary\xff")
        sidecar.send(signal.SIGTERM)
        assert sidecar.wait() == 0
        events = [event["event"] for event in sidecar.events()]

    assert events[:2] == ["index_loaded", "listening"]
    assert sorted(events[2:]) == ["draining", "draining", "stopped", "stopped"]
    assert "canary" not in sidecar.stderr


def test_several_indexes_are_served_by_name(demo_index: Path) -> None:
    """The first is the default."""
    arguments = ("--index", f"one={demo_index}", "--index", f"two={demo_index}")
    with Sidecar(*arguments) as sidecar, Client(sidecar.address, timeout=PATIENCE) as client:
        assert client.complete("a").header.index == "one"
        assert client.complete("a", index="two").header.index == "two"


def flipped(data: bytes) -> bytes:
    """Return ``data`` with one bit changed in its middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda _: None, id="missing"),
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda data: data[: len(data) // 2], id="truncated"),
        pytest.param(lambda _: b"query\tuser\n" * 100, id="foreign"),
        pytest.param(flipped, id="flipped"),
    ],
)
def test_an_index_that_cannot_be_used_is_one_line_and_exit_code_2(
    demo_index: Path, tmp_path: Path, damage: Callable[[bytes], bytes | None]
) -> None:
    """The line names the file; nothing listens."""
    path = tmp_path / "bad.esp"
    data = damage(demo_index.read_bytes())
    if data is not None:
        path.write_bytes(data)

    done = espalier("serve", "--index", path, "--listen", "127.0.0.1:0")

    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert str(path) in done.stderr


def test_clients_reconnect_when_their_connection_is_old(demo_index: Path) -> None:
    """So that a worker that was away gets its share again; no call fails for it."""
    with Sidecar("--index", demo_index, "--set", "connection_age_seconds=1") as sidecar:
        with RawConnection(sidecar.address, f"/{SERVICE}/Complete") as connection:
            connection.socket.settimeout(PATIENCE)
            with pytest.raises(EOFError):
                list(iter(connection.receive, None))
            assert connection.going_away
        with Client(sidecar.address, timeout=PATIENCE) as client:
            until = time.monotonic() + 3.0
            while time.monotonic() < until:
                assert client.complete("a").header.index == "default"


# ---- how it ends --------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_with_0(demo_index: Path, number: signal.Signals) -> None:
    """Watchers of health hear of it; the port is free at once for a successor."""
    with Sidecar("--index", demo_index) as sidecar:
        with grpc.insecure_channel(sidecar.address) as channel:
            stream = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(service="ready"), timeout=PATIENCE
            )
            told = [next(stream).status]
            sidecar.send(number)
            told.append(next(stream).status)
        assert sidecar.wait() == 0
        address = sidecar.address
    with Sidecar("--index", demo_index, listen=address) as successor:
        assert successor.address == address

    assert told == [
        health_pb2.HealthCheckResponse.SERVING,
        health_pb2.HealthCheckResponse.NOT_SERVING,
    ]


def test_a_client_that_says_nothing_holds_nobody_up(demo_index: Path) -> None:
    """An open connection is no call."""
    with Sidecar("--index", demo_index) as sidecar:
        host, _, port = sidecar.address.rpartition(":")
        with socket.create_connection((host, int(port))):
            started = time.monotonic()
            sidecar.send(signal.SIGTERM)
            assert sidecar.wait() == 0

    assert time.monotonic() - started < PATIENCE / 2
