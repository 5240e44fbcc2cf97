"""Health by component."""

from __future__ import annotations

from dataclasses import dataclass, field

import grpc
import pytest
from google.rpc.status_pb2 import Status
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from espalier.serve.health import Health
from espalier.serve.rpc import Outcome, Subscription, Unary

SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING
UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN
SERVICE = "site.v1.SearchService"


def check(health: Health, data: bytes) -> Outcome:
    """Return the outcome of a check."""
    method = health.methods()["/grpc.health.v1.Health/Check"]
    assert isinstance(method, Unary)
    return method.answer(data, 1.0)


def told(health: Health) -> dict[str, int]:
    """Return what each name is told."""
    found = {}
    for name in ("live", "ready", "", SERVICE):
        outcome = check(health, HealthCheckRequest(service=name).SerializeToString())
        assert isinstance(outcome, bytes)
        found[name] = HealthCheckResponse.FromString(outcome).status
    return found


@dataclass(eq=False)
class FakeStream:
    """Keeps what it is sent."""

    sent: list[int] = field(default_factory=list)
    ended: list[Status | None] = field(default_factory=list)

    def send(self, message: bytes) -> None:
        """Keep the status in a message."""
        self.sent.append(HealthCheckResponse.FromString(message).status)

    def finish(self, status: Status | None = None) -> None:
        """Keep how it ended."""
        self.ended.append(status)


def watch(health: Health) -> tuple[FakeStream, Subscription]:
    """Begin to watch; return the stream and the method."""
    method = health.methods()["/grpc.health.v1.Health/Watch"]
    assert isinstance(method, Subscription)
    return FakeStream(), method


def test_nothing_is_ready_until_every_component_is_well() -> None:
    """Alive from the start, ready at the end of start-up."""
    health = Health([SERVICE], ["indexes", "sessions"])
    waiting = {"live": SERVING} | dict.fromkeys(("ready", "", SERVICE), NOT_SERVING)

    assert told(health) == waiting
    health.set("indexes", well=True)
    assert told(health) == waiting
    health.set("sessions", well=True)
    assert told(health) == dict.fromkeys(waiting, SERVING)
    assert health.ready


def test_one_unwell_component_takes_readiness_away_and_nothing_else() -> None:
    """A drain makes balancers look elsewhere, and no supervisor kill the process."""
    health = Health([SERVICE], ["indexes", "drain"])
    health.set("indexes", well=True)
    health.set("drain", well=True)
    health.set("drain", well=False)

    assert told(health)["live"] == SERVING
    assert {told(health)[name] for name in ("", "ready", SERVICE)} == {NOT_SERVING}


def test_an_unknown_component_is_a_mistake() -> None:
    """A misspelled component must not look well by being ignored."""
    with pytest.raises(KeyError):
        Health([], ["indexes"]).set("indices", well=True)


def test_checks_say_what_is_wrong_with_them() -> None:
    """A name nobody knows, and bytes that are no request."""
    health = Health([], [])
    unknown = check(health, HealthCheckRequest(service="nobody").SerializeToString())
    malformed = check(health, b"\x0a\x05ab")

    assert isinstance(unknown, Status)
    assert isinstance(malformed, Status)
    assert unknown.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert malformed.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_watchers_hear_of_changes_until_they_leave() -> None:
    """First how it is, then each change and nothing in between."""
    health = Health([SERVICE], ["indexes", "drain"])
    stream, method = watch(health)
    leave = method.begin(HealthCheckRequest(service=SERVICE).SerializeToString(), stream)
    for component, well in (("indexes", True), ("drain", True), ("drain", True), ("drain", False)):
        health.set(component, well=well)
    leave()
    health.set("drain", well=True)

    assert stream.sent == [NOT_SERVING, SERVING, NOT_SERVING]
    assert stream.ended == []


def test_watching_what_never_changes_is_answered_once() -> None:
    """Being alive is always so; of an unknown name the protocol wants to be told so."""
    health = Health([], ["drain"])
    sent = []
    for name in ("live", "nobody"):
        stream, method = watch(health)
        method.begin(HealthCheckRequest(service=name).SerializeToString(), stream)()
        sent.append(stream.sent)
    health.set("drain", well=True)

    assert sent == [[SERVING], [UNKNOWN]]


def test_what_is_told_of_an_index_is_for_who_asks_for_it() -> None:
    """Readiness does not follow from it; watchers of the name hear of changes."""
    health = Health([SERVICE], ["indexes"])
    health.set("indexes", well=True)
    asked = HealthCheckRequest(service="index/main").SerializeToString()
    stream, method = watch(health)
    method.begin(asked, stream)
    for well in (True, False, False):
        health.tell("index/main", well=well)

    assert stream.sent == [UNKNOWN, SERVING, NOT_SERVING]
    outcome = check(health, asked)
    assert isinstance(outcome, bytes)
    assert HealthCheckResponse.FromString(outcome).status == NOT_SERVING
    assert told(health) == dict.fromkeys(("live", "ready", "", SERVICE), SERVING)


def test_watching_with_bytes_that_are_no_request_ends() -> None:
    """The stream says why."""
    stream, method = watch(Health([], []))
    method.begin(b"\x0a\x05ab", stream)()

    (status,) = stream.ended
    assert status is not None
    assert status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert stream.sent == []
