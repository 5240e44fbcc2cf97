"""SIGTERM under load: health says so, calls finish, and the process ends with 0."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from espalier.client import CallError, Client
from integration.processes import PATIENCE, Sidecar
from integration.raw_http2 import RawConnection

COMPLETE = "/espalier.v1.CompletionService/Complete"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_under_load_no_call_is_lost(demo_index: Path, number: signal.Signals) -> None:
    """Every call is answered, or refused in a way that says: elsewhere."""
    outcomes: Counter[str] = Counter()
    answered = threading.Event()

    def ask(address: str) -> None:
        options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.insecure_channel(address, options)
        with Client(channel=channel, timeout=PATIENCE) as client:
            while True:
                try:
                    client.complete("a")
                except CallError as error:
                    outcomes[error.code.name] += 1
                    return
                outcomes["OK"] += 1
                answered.set()

    with Sidecar("--index", demo_index, "--set", "workers=2") as sidecar:
        threads = [threading.Thread(target=ask, args=(sidecar.address,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        assert answered.wait(PATIENCE)
        time.sleep(0.5)
        started = time.monotonic()
        sidecar.send(number)
        assert sidecar.wait() == 0
        seconds = time.monotonic() - started
        for thread in threads:
            thread.join(PATIENCE)
        stopped = [event for event in sidecar.events() if event["event"] == "stopped"]

    assert outcomes.keys() <= {"OK", "UNAVAILABLE", "CANCELLED"}
    assert sum(outcomes.values()) - outcomes["OK"] == 8
    assert [event["calls_cut_off"] for event in stopped] == [0, 0, 0]
    # Nobody waits for the grace of ten seconds when there is nothing to wait for.
    assert seconds < PATIENCE / 4


def test_health_turns_before_the_listener_closes(demo_index: Path) -> None:
    """Who watches hears NOT_SERVING while calls under way are still let finish."""
    with Sidecar("--index", demo_index, "--set", "grace_seconds=2") as sidecar:
        with (
            RawConnection(sidecar.address, COMPLETE) as connection,
            grpc.insecure_channel(sidecar.address) as channel,
        ):
            stream = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(service="ready"), timeout=PATIENCE
            )
            told = [next(stream).status]
            connection.call(None)
            time.sleep(0.3)
            sidecar.send(signal.SIGTERM)
            told.append(next(stream).status)
            assert sidecar.process.poll() is None
        assert sidecar.wait() == 0

    assert told == [
        health_pb2.HealthCheckResponse.SERVING,
        health_pb2.HealthCheckResponse.NOT_SERVING,
    ]


def test_the_grace_ends_what_would_never_end(demo_index: Path) -> None:
    """Exit code 0 within the grace, give or take; the log counts what was cut off."""
    with Sidecar("--index", demo_index, "--set", "grace_seconds=0.5") as sidecar:
        with RawConnection(sidecar.address, COMPLETE) as connection:
            for _ in range(3):
                connection.call(None)
            time.sleep(0.3)
            started = time.monotonic()
            sidecar.send(signal.SIGTERM)
            assert sidecar.wait() == 0
        assert 0.5 <= time.monotonic() - started < PATIENCE / 4
        stopped = sidecar.events()[-1]

    assert (stopped["event"], stopped["calls_cut_off"]) == ("stopped", 3)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_now(demo_index: Path, second: signal.Signals) -> None:
    """With 128 and its number, whatever the grace."""
    with Sidecar("--index", demo_index, "--set", "grace_seconds=600") as sidecar:
        with RawConnection(sidecar.address, COMPLETE) as connection:
            connection.call(None)
            time.sleep(0.3)
            sidecar.send(signal.SIGTERM)
            time.sleep(0.5)
            assert sidecar.process.poll() is None
            sidecar.send(second)
            assert sidecar.wait() == 128 + second
        stopped = sidecar.events()[-1]

    assert (stopped["event"], stopped["calls_cut_off"]) == ("stopped", 1)
