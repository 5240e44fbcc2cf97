"""The service before a Redis that is dead, hangs, or is none: it completes, and says so."""

from __future__ import annotations

import contextlib
import signal
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import grpc
import pytest

from espalier.client import CallError, Client
from espalier.v1.core_pb2 import Degradation, SessionState
from integration.processes import PATIENCE, Sidecar
from integration.redis_server import Server
from tests.unit.sessions.fake_redis import NONSENSE, drips, hangs, says, server

CALLS = 100


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Return a file with a secret for session ids."""
    path = tmp_path / "key"
    path.write_bytes(bytes(range(32)))
    return path


@contextlib.contextmanager
def served(index: Path, key_file: Path, url: str, budget_ms: float = 2.0) -> Iterator[Sidecar]:
    """Run a sidecar whose sessions are at ``url``."""
    with Sidecar(
        *("--index", index, "--set", f"sessions={url}", "--set", f"session_key_file={key_file}"),
        *("--set", "workers=1", "--set", f"session_budget_ms={budget_ms}"),
    ) as sidecar:
        yield sidecar


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """Yield the URL of a port that is held and on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"redis://127.0.0.1:{held.getsockname()[1]}/0"


FAULTS: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "dead": nobody,
    "hangs": lambda: server(hangs),
    "drips": lambda: server(drips),
    "noise": lambda: server(says(NONSENSE["noise"])),
    "http": lambda: server(says(NONSENSE["http"])),
    "loading": lambda: server(says(NONSENSE["an error"])),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_without_its_store_the_service_completes_and_says_so(
    demo_index: Path, key_file: Path, fault: str
) -> None:
    """As without a session, at once; what cannot be remembered is refused; the log says why."""
    with FAULTS[fault]() as url, served(demo_index, key_file, url) as sidecar:
        with Client(sidecar.address, timeout=PATIENCE) as client:
            plain = client.complete("a").suggestions
            seconds = []
            for _ in range(CALLS):
                started = time.monotonic()
                reply = client.complete("a", session="canary")
                seconds.append(time.monotonic() - started)
                assert reply.suggestions == plain
                assert reply.session_state == SessionState.SESSION_STATE_UNAVAILABLE
                assert reply.degradations == [Degradation.DEGRADATION_WITHOUT_SESSION]
            for call in (
                lambda: client.record("canary query", session="canary"),
                lambda: client.delete("canary"),
            ):
                with pytest.raises(CallError) as caught:
                    call()
                error = caught.value
                assert error.code == grpc.StatusCode.UNAVAILABLE
                assert error.reason == "SESSION_STORE_UNAVAILABLE"
        sidecar.send(signal.SIGTERM)
        assert sidecar.wait() == 0
        events = [event["event"] for event in sidecar.events()]

    # Nearly all of them found the circuit breaker open; a wide margin for slow machines.
    assert statistics.median(seconds) < 0.1
    assert events.count("session_store_failing") >= 1
    # Once per change, not once per keystroke.
    assert len(events) < 20
    assert "canary" not in sidecar.stderr


def test_the_service_uses_a_store_again_that_died_and_is_back(
    demo_index: Path, key_file: Path, tmp_path: Path
) -> None:
    """Its sessions are gone, as Redis keeps them; everything else goes on."""
    redis = Server(tmp_path)
    try:
        with (
            served(demo_index, key_file, redis.url, budget_ms=250) as sidecar,
            Client(sidecar.address, timeout=PATIENCE) as client,
        ):
            recorded(client)
            state = client.complete("a", session="s").session_state
            assert state == SessionState.SESSION_STATE_FOUND
            redis.send(signal.SIGKILL)
            state = client.complete("a", session="s").session_state
            assert state == SessionState.SESSION_STATE_UNAVAILABLE
            redis.start()
            assert recorded(client) == SessionState.SESSION_STATE_NEW
            reply = client.complete("a", session="s")
            assert reply.session_state == SessionState.SESSION_STATE_FOUND
            assert reply.degradations == []
            events = [event["event"] for event in sidecar.events()]
    finally:
        redis.send(signal.SIGKILL)

    assert events[-2:] == ["session_store_failing", "session_store_recovered"]


def recorded(client: Client) -> SessionState:
    """Record a query as soon as the store takes it; return what it said of the session."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return client.record("something", session="s").session_state
        except CallError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
