"""More calls than can be answered in time: who is left out, who is told, and what is counted.

What a worker counted stands in its last word, the event ``stopped``.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.rpc.error_details_pb2 import RetryInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from espalier.client import CallError, Client
from espalier.v1.completion_service_pb2 import CompleteRequest
from espalier.v1.core_pb2 import Degradation
from integration.processes import PATIENCE, Sidecar
from integration.raw_http2 import Header, RawConnection

COMPLETE = "/espalier.v1.CompletionService/Complete"
# Expensive: every label of the index matches, and a hundred are wanted.
QUESTION = CompleteRequest(prefix="", max_suggestions=100).SerializeToString()
CONNECTIONS, CALLS = 4, 250


def serving(index: Path, **settings: float) -> Sidecar:
    """Return a sidecar with one worker."""
    chosen = {"workers": 1, **settings}
    pairs = [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]
    return Sidecar("--index", index, *pairs)


def counted(sidecar: Sidecar) -> dict[str, int]:
    """End the sidecar; return what its worker had counted, methods added up."""
    sidecar.send(signal.SIGTERM)
    assert sidecar.wait() == 0
    (last,) = [one for one in sidecar.events() if one["event"] == "stopped" and "worker" in one]
    families = ("calls_", "unanswered_", "degraded_")
    return {
        name: count
        for name, count in last.items()
        if name.startswith(families) and name != "calls_cut_off"
    }


def family(counts: Mapping[str, int], name: str) -> dict[str, int]:
    """Return the counts of one family."""
    return {
        key.removeprefix(f"{name}_"): count
        for key, count in counts.items()
        if key.startswith(f"{name}_")
    }


def flood(address: str, headers: Sequence[Header] = ()) -> list[RawConnection]:
    """Send a thousand calls at once on a few connections."""
    connections = [RawConnection(address, COMPLETE, headers=headers) for _ in range(CONNECTIONS)]
    for connection in connections:
        for _ in range(CALLS):
            connection.call(QUESTION)
    return connections


def until_over(connections: Sequence[RawConnection], calls: int = CONNECTIONS * CALLS) -> int:
    """Read until so many calls have ended; return how many of them ended with OK."""
    over = succeeded = 0
    while over < calls:
        ready, _, _ = select.select(connections, [], [], PATIENCE)
        assert ready, "calls were forgotten"
        for connection in ready:
            for one in connection.receive():
                over += 1
                succeeded += one.ok
    return succeeded


def test_calls_that_expire_in_the_queue_are_not_worked_on(demo_index: Path) -> None:
    """Of a thousand with three milliseconds each none is answered in full."""
    with serving(demo_index, max_waiting=100_000) as sidecar:
        connections = flood(sidecar.address, [(b"grpc-timeout", b"3m")])
        succeeded = until_over(connections)
        for connection in connections:
            connection.socket.close()
        with Client(sidecar.address, timeout=PATIENCE) as client:
            assert client.complete("a").degradations == []
        counts = counted(sidecar)

    unanswered = family(counts, "unanswered")
    assert unanswered.keys() <= {"expired", "no_request"}
    assert unanswered["expired"] > 0
    # The call that came when it was over is one more.
    assert counts["calls_ok"] >= succeeded + 1
    calls = sum(family(counts, "calls").values()) - 1
    # Some were over before the core had told of them.
    assert calls <= CONNECTIONS * CALLS
    assert counts.get("degraded_popular_only", 0) == calls - sum(unanswered.values())


def test_calls_cancelled_in_the_queue_are_not_worked_on(demo_index: Path) -> None:
    """As by a client that typed on; all of them are counted, one way or the other."""
    rounds = 4
    with serving(demo_index, max_waiting=100_000) as sidecar:
        for _ in range(rounds):
            connections = flood(sidecar.address)
            # Of those it has seen by now most wait.
            until_over(connections, 20)
            for connection in connections:
                for number in range(CALLS):
                    connection.cancel(2 * number + 1)
            # A call after them on each connection ends when those before have.
            for connection in connections:
                stream = connection.call(QUESTION)
                connection.socket.settimeout(PATIENCE)
                while stream not in {one.stream for one in connection.receive()}:
                    pass
                connection.socket.close()
        counts = counted(sidecar)

    assert family(counts, "unanswered").keys() <= {"cancelled", "no_request"}
    assert counts["unanswered_cancelled"] > 0
    assert family(counts, "calls").keys() == {"ok", "cancelled"}
    assert counts["calls_ok"] >= rounds * CONNECTIONS


def test_above_the_soft_limit_clients_are_told_when_to_come_back(demo_index: Path) -> None:
    """RESOURCE_EXHAUSTED with RetryInfo at once; health is answered; whoever waits gets it."""
    with serving(demo_index, max_waiting=5) as sidecar:
        (worker,) = sidecar.workers().values()
        with grpc.insecure_channel(sidecar.address) as channel:
            grpc.channel_ready_future(channel).result(PATIENCE)
            method: Any = channel.unary_unary(COMPLETE)
            # So that they arrive together, however busy this machine is.
            os.kill(worker, signal.SIGSTOP)
            futures = [method.future(QUESTION, timeout=PATIENCE) for _ in range(200)]
            time.sleep(0.2)
            os.kill(worker, signal.SIGCONT)
            health = health_pb2_grpc.HealthStub(channel)
            reply = health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
            errors = [one.exception() for one in futures]
        refused = [error for error in errors if error is not None]
        assert 0 < len(refused) < 200
        for error in refused:
            failure = CallError(error)
            assert failure.code == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert failure.reason == "OVERLOADED"
            status = rpc_status.from_call(error)
            retries = [RetryInfo() for detail in status.details if detail.Is(RetryInfo.DESCRIPTOR)]
            assert len(retries) == 1
        with Client(sidecar.address, timeout=PATIENCE) as client:
            assert client.complete("a").header.index == "default"
        counts = counted(sidecar)

    assert family(counts, "unanswered") == {"overloaded": len(refused)}
    assert counts["calls_resource_exhausted"] == len(refused)
    # And one answer about health, one afterwards.
    assert counts["calls_ok"] == 200 - len(refused) + 2


def test_a_reply_in_a_hurry_says_what_it_lacks(demo_index: Path) -> None:
    """With less than five milliseconds left only popular queries are looked up."""
    with serving(demo_index) as sidecar, Client(sidecar.address, timeout=0.003) as hasty:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                reply = hasty.complete("a", session="s")
                break
            except CallError as error:
                # Too late, as a busy machine may be.
                if time.monotonic() > deadline:
                    raise AssertionError from error

    assert reply.degradations == [Degradation.DEGRADATION_POPULAR_ONLY]
    assert {one.source for one in reply.suggestions} <= {2}


def test_connections_of_one_age_do_not_end_together(demo_index: Path) -> None:
    """Or all clients of a worker would come to connect at the same moment, for ever."""
    age = 2
    with serving(demo_index, connection_age_seconds=age) as sidecar:
        started = time.monotonic()
        connections = [RawConnection(sidecar.address, COMPLETE) for _ in range(12)]
        ended: dict[int, float] = {}
        waiting = dict.fromkeys(connections)
        while waiting:
            ready, _, _ = select.select(list(waiting), [], [], PATIENCE)
            assert ready
            for connection in ready:
                try:
                    connection.receive()
                except EOFError:
                    del waiting[connection]
                if connection.going_away:
                    ended.setdefault(connection.fileno(), time.monotonic() - started)
        for connection in connections:
            connection.socket.close()

    assert len(ended) == 12
    # Ours and the core's jitter are a tenth each.
    assert min(ended.values()) > age * 0.75
    assert max(ended.values()) - min(ended.values()) > age * 0.02


def test_above_the_hard_limit_calls_are_not_even_read(demo_index: Path) -> None:
    """Calls whose request never comes cannot take more than that; one that ends makes room."""
    open_calls = 50
    with serving(demo_index, max_open=open_calls) as sidecar:
        with RawConnection(sidecar.address, COMPLETE) as connection:
            connection.socket.settimeout(PATIENCE)
            streams = [connection.call(None) for _ in range(open_calls)]
            refused = connection.call(QUESTION)
            finished = connection.receive()
            while not finished:
                finished = connection.receive()
            assert [(one.stream, one.ok) for one in finished] == [(refused, False)]
            for stream in streams:
                connection.cancel(stream)
        with Client(sidecar.address, timeout=PATIENCE) as client:
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    assert client.complete("a").header.index == "default"
                    break
                except CallError:
                    if time.monotonic() > deadline:
                        raise
        counts = counted(sidecar)

    assert counts["unanswered_refused"] >= 1
    assert counts["unanswered_no_request"] == open_calls
