"""Health by component."""

from __future__ import annotations

import pytest
from grpc_health.v1 import health_pb2

from espalier.serve.health import Health

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def told(health: Health) -> dict[str, int]:
    """Return what each name is told."""
    return {
        name: health.servicer.Check(health_pb2.HealthCheckRequest(service=name), None).status
        for name in ("live", "ready", "", "site.v1.SearchService")
    }


def test_nothing_is_ready_until_every_component_is_well() -> None:
    """Alive from the start, ready at the end of start-up."""
    health = Health(["site.v1.SearchService"], ["indexes", "sessions"])
    waiting = {"live": SERVING} | dict.fromkeys(("ready", "", "site.v1.SearchService"), NOT_SERVING)

    assert told(health) == waiting
    health.set("indexes", well=True)
    assert told(health) == waiting
    health.set("sessions", well=True)
    assert told(health) == dict.fromkeys(waiting, SERVING)
    assert health.ready


def test_one_unwell_component_takes_readiness_away_and_nothing_else() -> None:
    """A drain makes balancers look elsewhere, and no supervisor kill the process."""
    health = Health(["site.v1.SearchService"], ["indexes", "drain"])
    health.set("indexes", well=True)
    health.set("drain", well=True)
    health.set("drain", well=False)

    assert told(health)["live"] == SERVING
    assert {told(health)[name] for name in ("", "ready", "site.v1.SearchService")} == {NOT_SERVING}


def test_an_unknown_component_is_a_mistake() -> None:
    """A misspelled component must not look well by being ignored."""
    with pytest.raises(KeyError):
        Health([], ["indexes"]).set("indices", well=True)
