"""The service configs that ship with the client are understood and do what they promise."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest

from espalier.client import CallError, Client, service_config
from espalier.serve.service import SERVICE_NAME
from espalier.v1 import completion_service_pb2, retrieval_service_pb2
from espalier.v1.completion_service_pb2 import CompleteResponse
from integration.processes import PATIENCE, Sidecar

METHODS = {
    service.full_name: {method.name for method in service.methods}
    for service in (
        completion_service_pb2.DESCRIPTOR.services_by_name["CompletionService"],
        retrieval_service_pb2.DESCRIPTOR.services_by_name["RetrievalService"],
    )
}


@pytest.mark.parametrize("hedging", [False, True])
def test_a_config_names_methods_that_exist_and_codes_worth_repeating(*, hedging: bool) -> None:
    """And no timeout, which clients on the C core would cut short."""
    config = json.loads(service_config(hedging=hedging))
    policies = {}
    for method in config["methodConfig"]:
        assert "timeout" not in method
        for name in method["name"]:
            assert name.get("method", "") in {"", *METHODS[name["service"]]}
            policies[name["service"], name.get("method", "")] = method
    for service, asked in zip(METHODS, ("Complete", "Retrieve"), strict=True):
        retry = policies[service, ""]["retryPolicy"]
        assert set(retry["retryableStatusCodes"]) == {"UNAVAILABLE", "CANCELLED"}
        assert 2 <= retry["maxAttempts"] <= 5
        assert ("hedgingPolicy" in policies.get((service, asked), {})) is hedging


class Flaky:
    """A service that ends its first calls with some status, then answers."""

    def __init__(self, failures: int, code: grpc.StatusCode) -> None:
        self.asked = 0
        self._failures = failures
        self._code = code
        self._lock = threading.Lock()

    def complete(self, _data: bytes, context: grpc.ServicerContext) -> bytes:
        """Fail, or answer."""
        with self._lock:
            self.asked += 1
            number = self.asked
        if number <= self._failures:
            context.abort(self._code, "not now")
        return CompleteResponse(sequence=number).SerializeToString()


@pytest.fixture
def serving() -> Iterator[Callable[[Flaky], str]]:
    """Return a function that serves a flaky service and returns its address."""
    servers: list[grpc.Server] = []

    def serve(flaky: Flaky) -> str:
        server = grpc.server(futures.ThreadPoolExecutor(4))
        handler: Any = grpc.unary_unary_rpc_method_handler(flaky.complete)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(SERVICE_NAME, {"Complete": handler})]
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield serve
    for server in servers:
        server.stop(0).wait(PATIENCE)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
def test_what_another_worker_may_answer_is_tried_again(
    serving: Callable[[Flaky], str], code: grpc.StatusCode
) -> None:
    """Three times at most, within the deadline of the call."""
    flaky = Flaky(3, code)
    with Client(serving(flaky), timeout=PATIENCE) as client:
        assert client.complete("a").sequence == 4


def test_what_would_fail_again_is_not_tried_again(serving: Callable[[Flaky], str]) -> None:
    """Overload least of all."""
    flaky = Flaky(1, grpc.StatusCode.RESOURCE_EXHAUSTED)
    with Client(serving(flaky), timeout=PATIENCE) as client:
        with pytest.raises(CallError):
            client.complete("a")
        assert client.complete("a").sequence == 2


def open_files(pid: int) -> int:
    """Return how many files and connections a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def test_a_call_survives_the_death_of_the_worker_that_answers_it(demo_index: Path) -> None:
    """It was on its way to one that does not answer, and is asked again at another."""
    outcome: list[str] = []
    with (
        Sidecar("--index", demo_index, "--set", "workers=2") as sidecar,
        Client(sidecar.address, timeout=PATIENCE) as client,
    ):
        before = {pid: open_files(pid) for pid in sidecar.workers().values()}
        client.complete("a")
        (victim,) = [pid for pid, files in before.items() if open_files(pid) > files]
        os.kill(victim, signal.SIGSTOP)
        thread = threading.Thread(target=lambda: outcome.append(client.complete("a").header.index))
        thread.start()
        time.sleep(0.3)
        assert outcome == []
        os.kill(victim, signal.SIGKILL)
        thread.join(PATIENCE)

    assert outcome == ["default"]
