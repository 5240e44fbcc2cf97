"""A real grpcio server over a fake index: what travels, and how it ends."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from espalier.client import CallError, Client
from espalier.serve.counters import Counters
from espalier.serve.domain import Completer
from espalier.serve.health import Health
from espalier.serve.listen import ListenError
from espalier.serve.server import MAX_REQUEST_BYTES, Server
from espalier.serve.service import SERVICE_NAME, CompletionService
from espalier.sessions.fake import BreakableStore
from espalier.sessions.memory import MemorySessionStore
from tests.unit.serve.fakes import FakeIndex, ListLog, indexes_of

PATIENT = 30.0


@dataclass
class Running:
    """A started server and what is behind it."""

    index: FakeIndex = field(default_factory=FakeIndex)
    store: BreakableStore = field(default_factory=lambda: BreakableStore(MemorySessionStore()))
    log: ListLog = field(default_factory=ListLog)
    health: Health = field(default_factory=lambda: Health([SERVICE_NAME], ["drain"]))
    counters: Counters = field(default_factory=Counters)
    crashes: list[Exception] = field(default_factory=list)
    threads: int = 1

    def __post_init__(self) -> None:
        """Start it on any port."""
        self.server = self.other()
        self.address = self.server.listen("127.0.0.1:0")
        self.server.start()
        self.health.set("drain", well=True)

    def other(self) -> Server:
        """Return another server of the same, not started."""
        completer = Completer(
            indexes_of(main=self.index),
            self.store,
            context_queries=5,
            log=self.log,
            counters=self.counters,
        )
        return Server(
            CompletionService(completer).methods(self.log),
            self.health,
            counters=self.counters,
            crashed=self.crashes.append,
            threads=self.threads,
        )

    def client(self) -> Client:
        """Return a client that waits for a slow machine."""
        return Client(self.address, timeout=PATIENT)


@pytest.fixture(params=[1, 4], ids=["in_the_loop", "four_threads"])
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    """Return a running server; it is stopped afterwards."""
    running = Running(threads=request.param)
    yield running
    running.server.drain(0, lambda _: False)

    assert running.crashes == []


def failed(call: Callable[[], object]) -> CallError:
    """Return how ``call`` fails."""
    with pytest.raises(CallError) as caught:
        call()
    return caught.value


def send(address: str, method: str, data: bytes) -> grpc.RpcError | None:
    """Send raw bytes; return the error, if any."""
    with grpc.insecure_channel(address) as channel:
        try:
            call: Callable[..., bytes] = channel.unary_unary(f"/{SERVICE_NAME}/{method}")
            call(data, timeout=PATIENT)
        except grpc.RpcError as error:
            return error
    return None


def test_both_styles_of_context_travel(running: Running) -> None:
    """With the client of the package, as in the README."""
    with running.client() as client:
        brought = client.complete("ni", previous=["camera bags"], sequence=5)
        client.record("camera bags", session="s1", set_id=brought.suggestion_set_id, position=1)
        recorded = client.complete("ni", session="s1", limit=1)
        client.delete("s1")
        forgotten = client.complete("ni", session="s1")

    assert brought.suggestions[0].text == "nikon camera"
    assert (brought.prefix, brought.sequence) == ("ni", 5)
    assert [one.text for one in recorded.suggestions] == ["nikon camera"]
    assert forgotten.suggestions[0].text == "nike shoes"


def test_typed_errors_travel_with_code_reason_and_metadata(running: Running) -> None:
    """What the domain raises is what the client catches."""
    with running.client() as client:
        long = failed(lambda: client.complete("x" * 2000))
        unknown = failed(lambda: client.complete("x", index="nowhere"))
        empty = failed(lambda: client.record(" ", session="s"))
        nobody = failed(lambda: client.delete(""))
        running.store.broken = True
        broken = failed(lambda: client.delete("s"))

    assert (long.code, long.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PREFIX_TOO_LONG")
    assert long.metadata == {"field": "prefix", "limit_bytes": "1024"}
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_INDEX")
    assert (empty.code, empty.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "EMPTY_QUERY")
    assert (nobody.code, nobody.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "NO_SESSION")
    assert (broken.code, broken.reason) == (
        grpc.StatusCode.UNAVAILABLE,
        "SESSION_STORE_UNAVAILABLE",
    )


@pytest.mark.parametrize("method", ["Complete", "RecordQuery", "DeleteSession"])
def test_malformed_bytes_are_an_invalid_argument(running: Running, method: str) -> None:
    """Not INTERNAL, and nothing in the log."""
    error = send(running.address, method, b"\x0a\x05ab")

    assert error is not None
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert CallError(error).reason == "MALFORMED_REQUEST"
    assert running.log.events == []


def test_text_that_is_not_utf8_is_named(running: Running) -> None:
    """ErrorInfo and BadRequest both name the field."""
    error = send(running.address, "Complete", b"\x0a\x03ab\xff")

    assert error is not None
    status = rpc_status.from_call(error)
    bad = BadRequest()
    assert status.details[1].Unpack(bad)
    assert CallError(error).reason == "INVALID_TEXT"
    assert CallError(error).metadata == {"field": "prefix", "offset": "2"}
    assert bad.field_violations[0].field == "prefix"


def test_a_request_above_the_limit_is_refused_by_the_transport(running: Running) -> None:
    """Its size alone says that it is none of ours."""
    error = send(running.address, "Complete", b"\x0a" * (MAX_REQUEST_BYTES + 1))

    assert error is not None
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("raised", [ValueError("canary"), KeyError("canary"), RecursionError()])
def test_a_fault_shows_neither_message_nor_traceback(running: Running, raised: Exception) -> None:
    """The client gets an incident, the log the same with type and place."""
    running.index.raises = raised
    with running.client() as client:
        error = failed(lambda: client.complete("canary prefix"))

    ((level, event, fields),) = running.log.events
    assert (error.code, error.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert error.metadata == {"incident": fields["incident"]}
    assert (level, event, fields["exception"]) == ("error", "call_failed", type(raised).__name__)
    assert str(fields["raised_at"]).startswith("fakes.py:")
    assert "canary" not in f"{error}{fields}"


def test_memory_running_out_is_said_to_be_that(running: Running) -> None:
    """The client should try elsewhere."""
    running.index.raises = MemoryError()
    with running.client() as client:
        error = failed(lambda: client.complete("x"))

    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OUT_OF_MEMORY")


def test_a_connection_that_fails_has_no_reason() -> None:
    """Errors of the transport carry no details."""
    with Client("127.0.0.1:1", timeout=5) as client:
        error = failed(lambda: client.complete("x"))

    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "")


def test_health_is_answered_beside_the_service(running: Running) -> None:
    """By name, and for names nobody knows NOT_FOUND."""
    with grpc.insecure_channel(running.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        told = [
            stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=PATIENT).status
            for name in ("", "live", "ready", SERVICE_NAME)
        ]
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=PATIENT)

    assert told == [health_pb2.HealthCheckResponse.SERVING] * 4
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_port_nobody_shares_is_refused(running: Running) -> None:
    """Workers share a port; who listens alone cannot be joined."""
    with socket.socket() as alone:
        alone.bind(("127.0.0.1", 0))
        alone.listen()
        with pytest.raises(ListenError, match="taken just now"):
            running.other().listen(f"127.0.0.1:{alone.getsockname()[1]}")


def test_workers_share_a_port(running: Running) -> None:
    """Connections reach one or the other."""
    second = running.other()
    assert second.listen(running.address) == running.address
    second.start()
    ids = set()
    for _ in range(60):
        # Without a pool of its own, a channel to a known address reuses its connection.
        options = [("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.insecure_channel(running.address, options)
        with Client(channel=channel, timeout=PATIENT) as client:
            ids.add(client.complete("n").suggestion_set_id[:16])
    second.drain(0, lambda _: False)

    assert len(ids) == 2


def test_a_unix_socket_serves_as_well(running: Running, tmp_path: Path) -> None:
    """The same service behind a path."""
    server = running.other()
    address = server.listen_unix(tmp_path / "s")
    server.start()
    with Client(address, timeout=PATIENT) as client:
        assert client.complete("new").suggestions[0].text == "new york"
    assert server.drain(PATIENT, lambda _: False) == 0


def test_a_server_that_never_started_can_end(running: Running) -> None:
    """As after an address that could not be had."""
    assert running.other().drain(PATIENT, lambda _: False) == 0


class SlowIndex(FakeIndex):
    """Answers when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_now = threading.Event()
        self.go_on = threading.Event()

    def complete(self, *args: object, **kwargs: object) -> list[object]:  # type: ignore[override]
        """Wait, then answer."""
        self.asked_now.set()
        self.go_on.wait(PATIENT)
        return super().complete(*args, **kwargs)  # type: ignore[arg-type, return-value]


def slow_call(running: Running) -> tuple[threading.Thread, list[object]]:
    """Start a call that waits inside the index; return its thread and its outcome-to-be."""
    outcome: list[object] = []

    def call() -> None:
        with running.client() as client:
            try:
                outcome.append(client.complete("new").suggestions[0].text)
            except CallError as error:
                outcome.append(error.code)

    thread = threading.Thread(target=call)
    thread.start()
    assert isinstance(running.index, SlowIndex)
    assert running.index.asked_now.wait(PATIENT)
    return thread, outcome


@pytest.mark.parametrize("threads", [1, 4])
def test_draining_finishes_calls_and_takes_no_new_ones(threads: int) -> None:
    """Who was let in gets an answer; who comes later is turned away.

    A connection made in the moment the port closes ends as CANCELLED, not UNAVAILABLE.
    """
    index = SlowIndex()
    running = Running(index, threads=threads)
    thread, outcome = slow_call(running)
    late: list[CallError] = []

    def once_stopping(_seconds: float) -> bool:
        if not late:
            with running.client() as client:
                late.append(failed(lambda: client.complete("new")))
            index.go_on.set()
        time.sleep(0.01)
        return False

    assert running.server.drain(PATIENT, once_stopping) == 0
    thread.join(PATIENT)

    assert outcome == ["new york"]
    assert late[0].code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


def test_draining_does_not_wait_for_health_watchers() -> None:
    """A watcher holds its stream for ever; the grace is for calls."""
    running = Running()
    seen: list[int] = []
    with grpc.insecure_channel(running.address) as channel:
        stream = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        seen.append(next(stream).status)
        running.health.set("drain", well=False)
        started = time.monotonic()
        assert running.server.drain(PATIENT, lambda _: False) == 0
        seconds = time.monotonic() - started
        seen.append(next(stream).status)

    assert seconds < PATIENT / 2
    assert seen == [
        health_pb2.HealthCheckResponse.SERVING,
        health_pb2.HealthCheckResponse.NOT_SERVING,
    ]


@pytest.mark.parametrize("by", ["grace", "hurry"])
def test_a_call_that_takes_too_long_is_cut_off(by: str) -> None:
    """Drain counts it, after the grace or when it is told to hurry."""
    index = SlowIndex()
    running = Running(index)
    thread, outcome = slow_call(running)

    def hurry(seconds: float) -> bool:
        time.sleep(seconds)
        return by == "hurry"

    assert running.server.drain(0.2 if by == "grace" else PATIENT, hurry) == 1
    running.server.drain(0, lambda _: False)
    index.go_on.set()
    thread.join(PATIENT)

    assert len(outcome) == 1
    assert outcome != ["new york"]
