"""`espalier call` and `espalier health` against servers: ours, and one that is not."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from espalier import console
from espalier.calling import AnyServer
from espalier.cli import cli
from espalier.client import CallError
from integration.processes import PATIENCE, Sidecar, environment

WAIT = ("--timeout", str(PATIENCE))


@pytest.fixture(scope="module")
def sidecar(demo_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """Return a service with an admin listener."""
    admin = tmp_path_factory.mktemp("call") / "admin"
    with Sidecar("--index", demo_index, "--workers", "1", "--admin", f"unix:{admin}") as started:
        yield started


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return what runs the command in this process: exit code, stdout, stderr."""

    def ran(*arguments: str) -> tuple[int, str, str]:
        code = console.run(cli, [*arguments, *WAIT])
        return code, *capsys.readouterr()

    return ran


def test_a_service_is_listed_described_and_called(sidecar: Sidecar, run: Any) -> None:
    """Three steps, and nothing known before the first but an address."""
    listed = run("call", sidecar.address)[1].split()
    described = run("call", sidecar.address, "Complete")[1]
    code, answered, _ = run("call", sidecar.address, listed[0], '{"prefix": "c"}')

    assert listed[0] == "espalier.v1.CompletionService/Complete"
    assert "grpc.health.v1.Health/Check" in listed
    assert "  repeated string previous_queries = 2;" in described.splitlines()
    assert "message espalier.v1.Suggestion {" in described.splitlines()
    assert code == 0
    assert json.loads(answered)["suggestions"][0]["text"].startswith("c")


def test_the_same_as_json_for_programs(sidecar: Sidecar, run: Any) -> None:
    """A reply is a line; a declaration is the one of descriptor.proto."""
    service = "espalier.v1.CompletionService"
    listed = json.loads(run("call", sidecar.address, "--json")[1])
    declared = json.loads(run("call", sidecar.address, f"{service}/Complete", "--json")[1])
    message = json.loads(run("call", sidecar.address, "espalier.v1.CompleteRequest", "--json")[1])
    enum = json.loads(run("call", sidecar.address, "espalier.v1.SessionState", "--json")[1])
    whole = json.loads(run("call", sidecar.address, "CompletionService", "--json")[1])
    replied = run("call", sidecar.address, "Complete", '{"prefix": "c"}', "--json")[1]

    assert listed["services"][0] == {
        "service": service,
        "methods": [one["name"] for one in whole["declaration"]["method"]],
    }
    assert declared["declaration"]["inputType"] == ".espalier.v1.CompleteRequest"
    assert message["declaration"]["field"][0]["name"] == "prefix"
    assert enum["declaration"]["value"][0]["name"] == "SESSION_STATE_UNSPECIFIED"
    assert replied.count("\n") == 1
    assert json.loads(replied)["prefix"] == "c"


def test_the_admin_listener_describes_itself_too(sidecar: Sidecar, run: Any) -> None:
    """What an operator can do is listed there, and can be done."""
    assert "espalier.v1.IndexService/ListIndexes" in run("call", sidecar.admin)[1]

    code, out, _ = run("call", sidecar.admin, "IndexService/ListIndexes", "{}")

    assert code == 0
    assert json.loads(out)["revisions"][0]["state"] == "INDEX_STATE_ACTIVE"


def test_several_requests_go_where_a_stream_is_taken(sidecar: Sidecar, run: Any) -> None:
    """Reflection itself is such a method, and answers each on a line of its own."""
    requests = '{"listServices": "*"} {"fileByFilename": "none.proto"}\n'
    out = run("call", sidecar.address, "ServerReflectionInfo", requests, "--json")[1]
    first, second = map(json.loads, out.splitlines())

    assert {"name": "espalier.v1.CompletionService"} in first["listServicesResponse"]["service"]
    assert second["errorResponse"]["errorCode"] == grpc.StatusCode.NOT_FOUND.value[0]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["Complet", "{}"], 2, "did you mean espalier.v1.CompletionService.Complete?"),
        (["CompletionService", "{}"], 2, "is no method"),
        (["Complete", '{"prefx": "c"}'], 2, 'no field named "prefx"'),
        (["Complete", '{"maxSuggestions": "many"}'], 2, "maxSuggestions"),
        (["Complete", "[]"], 2, "write an object"),
        (["Complete", "c"], 2, "not JSON: Expecting value: line 1 column 1"),
        (["Complete", "{}{}"], 2, "takes one request, not 2"),
        (["Complete", ""], 2, "takes one request, not 0"),
        (["Complete", "[" * 100_000], 2, "not JSON"),
        (["RecordQuery", "{}"], 1, "INVALID_ARGUMENT: session_id is empty"),
        (["Complete", "{}", "--header", "a b:c"], 2, "NAME:VALUE"),
        (["Complete", "{}", "--header", "a-bin:c"], 2, "NAME-bin"),
    ],
)
def test_what_cannot_be_called_is_said(
    sidecar: Sidecar, run: Any, arguments: list[str], code: int, said: str
) -> None:
    """On one line, with how to mend it."""
    got, out, err = run("call", sidecar.address, *arguments)

    assert (got, out, err.count("\n")) == (code, "", 1)
    assert said in err


def test_nobody_there_is_said_as_well(run: Any) -> None:
    """By both verbs; waiting for a while changes nothing."""
    assert run("call", "127.0.0.1:1")[0] == 1
    code, _, err = run("health", "127.0.0.1:1", "--wait", "0.2")

    assert code == 1
    assert "UNAVAILABLE" in err


def test_health_says_how_a_component_is_by_its_exit_code(sidecar: Sidecar, run: Any) -> None:
    """As probes want it."""
    assert run("health", sidecar.address) == (0, "SERVING\n", "")
    assert run("health", sidecar.admin, "workers", "--wait", "30")[0] == 0
    code, out, _ = run("health", sidecar.address, "index/default", "--json")
    assert (code, json.loads(out)) == (0, {"component": "index/default", "status": "SERVING"})
    code, _, err = run("health", sidecar.address, "index/other", "--wait", "0.2")
    assert (code, "NOT_FOUND" in err) == (1, True)


def test_who_waits_for_health_waits_out_a_server_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A listener that accepts and says nothing is one that may come to itself."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        asked: list[float] = []
        monkeypatch.setattr(time, "sleep", asked.append)
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        with AnyServer(address, timeout=0.05) as server, pytest.raises(CallError) as caught:
            server.health("", wait=0.5)

    assert caught.value.code in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}
    assert len(asked) > 1


def test_requests_come_from_stdin(sidecar: Sidecar) -> None:
    """A dash stands for it, here as everywhere."""
    done = subprocess.run(
        [sys.executable, "-m", "espalier", "call", sidecar.address, "Complete", "-"],
        input='{"prefix": "c"}',
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout)["prefix"] == "c"


class NewReflection(grpc.GenericRpcHandler):
    """Reflection in its newer version alone, of which grpcio's own server has the older.

    Attributes:
        headers: What came with the calls.
    """

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self._servicer = reflection.ReflectionServicer(["grpc.health.v1.Health", "a.v1.Missing"])

    def service(self, details: Any) -> Any:
        """Return the handler of a call, if it is ours."""
        self.headers |= dict(details.invocation_metadata)
        if not details.method.startswith("/grpc.reflection.v1."):
            return None
        return grpc.stream_stream_rpc_method_handler(
            self._servicer.ServerReflectionInfo,
            request_deserializer=ServerReflectionRequest.FromString,
            response_serializer=ServerReflectionResponse.SerializeToString,
        )


class Stranger:
    """A server that is not ours, on grpcio's own.

    Attributes:
        address: Where it listens.
        health: What it says of itself.
        reflection: How it describes itself.
    """

    def __init__(self) -> None:
        self.reflection = NewReflection()
        self.health = health.HealthServicer()
        self.health.set("part", HealthCheckResponse.NOT_SERVING)
        self._server = grpc.server(ThreadPoolExecutor(4))
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)

    def start(self, *, reflects: bool = True) -> None:
        """Begin to answer."""
        if reflects:
            self._server.add_generic_rpc_handlers((self.reflection,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def stop(self) -> None:
        """End."""
        self._server.stop(None).wait()


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    """Return such a server, to be started."""
    one = Stranger()
    yield one
    one.stop()


def test_a_server_of_somebody_else_is_called_too(stranger: Stranger, run: Any) -> None:
    """With headers, by the newer reflection; what it does not describe is listed bare."""
    stranger.start()
    code, out, _ = run(
        "call", stranger.address, "Check", '{"service": "part"}', "-H", "X-Shop: a b"
    )

    assert (code, json.loads(out)) == (0, {"status": "NOT_SERVING"})
    assert stranger.reflection.headers["x-shop"] == "a b"
    assert run("call", stranger.address)[1].split() == [
        "a.v1.Missing",
        *(f"grpc.health.v1.Health/{name}" for name in ("Check", "List", "Watch")),
    ]
    assert run("health", stranger.address, "part")[:2] == (1, "NOT_SERVING\n")
    assert run("call", stranger.address, "a.v1.Missing")[0] == 2


def test_a_server_without_reflection_is_told_apart(stranger: Stranger, run: Any) -> None:
    """It can be asked for its health all the same."""
    stranger.start(reflects=False)

    assert run("health", stranger.address, "")[:2] == (0, "SERVING\n")
    code, _, err = run("call", stranger.address)
    assert (code, "UNIMPLEMENTED" in err) == (1, True)


def test_a_stream_is_shown_as_it_comes(stranger: Stranger) -> None:
    """Reply by reply, until who asks has enough."""
    stranger.start()
    with AnyServer(stranger.address, timeout=PATIENCE) as server:
        method = server.method("Watch")
        replies = server.call(method, [server.message(method.input_type, {"service": "part"})])
        first = server.as_document(next(replies))
        stranger.health.set("part", HealthCheckResponse.SERVING)
        second = server.as_document(next(replies))

    assert (first, second) == ({"status": "NOT_SERVING"}, {"status": "SERVING"})
