"""Experiments in a running service: assigned, forced, shadowed, interleaved, read anew."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from espalier.client import Client
from espalier.events import Action, Event
from espalier.events.reading import read_events
from espalier.experiments import Participant, State, assign
from espalier.settings import load_experiments
from espalier.v1.completion_service_pb2 import CompleteResponse
from espalier.v1.core_pb2 import ExperimentContext
from espalier.v1.experiment_service_pb2 import (
    AssignmentReason,
    AssignRequest,
    ExperimentState,
    ListExperimentsRequest,
)
from espalier.v1.experiment_service_pb2_grpc import ExperimentServiceStub
from integration.processes import PATIENCE, Sidecar, environment, espalier

SERVE = """
[serve]
workers = 2
http = "127.0.0.1:0"
state_dir = "state"
events = "drop"
index.default = "demo.esp"
index.again = "again.esp"
"""

EXPERIMENTS = """
[experiments.short]
coverage = 9000
[experiments.short.variants]
control = { weight = 5000 }
short = { weight = 5000, suggestions = 3, index = "again" }

[experiments.draft]
mode = "interleave"
unit = "attribute:account"
[experiments.draft.variants]
all = {}
popular = { sources = ["POPULAR"] }

[experiments.beside]
mode = "shadow"
unit = "session"
[experiments.beside.variants]
live = {}
narrow = { beam = 1, sources = ["MODEL"] }

[experiments.flags]
unit = "attribute:account"
assigner = "openfeature:site_flags:Flags"
eligible = { tier = ["gold"] }
[experiments.flags.variants]
all = { weight = 10000 }
tidy = { weight = 0, keep_variants = true }

[experiments.later]
start = 2999-01-01T00:00:00Z
[experiments.later.variants]
a = { weight = 5000 }
b = { weight = 5000, context = 0 }
"""


FLAGS = """
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider.in_memory_provider import InMemoryProvider


class Flags(InMemoryProvider):
    def __init__(self):
        super().__init__({})

    def resolve_string_details(self, flag_key, default_value, evaluation_context=None):
        chosen = flag_key == "flags" and evaluation_context.targeting_key.startswith("t")
        return FlagResolutionDetails("tidy" if chosen else default_value)
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A service, its configuration, and clients of it."""

    sidecar: Sidecar
    config: Path
    client: Client
    experiments: ExperimentServiceStub
    health: HealthStub

    def ask(self, prefix: str = "c", **context: object) -> CompleteResponse:
        """Complete for somebody."""
        return self.client.complete(
            prefix,
            session=str(context.pop("session", "")),
            intent=str(context.pop("intent", "")),
            experiment=ExperimentContext(**context),  # type: ignore[arg-type]
        )

    def events(self, action: Action) -> list[Event]:
        """Return what was written of one kind so far."""
        found = read_events([self.config.parent / "state" / "events"])
        return [event for event in found if event.action is action]

    def told(self, event: str) -> list[dict[str, object]]:
        """Return what the log says of something."""
        return [one for one in self.sidecar.events() if one["event"] == event]

    def well(self) -> bool:
        """Return whether the experiments configured are those that hold."""
        answer = self.health.Check(HealthCheckRequest(service="experiments"), timeout=PATIENCE)
        return bool(answer.status == HealthCheckResponse.SERVING)


SHORT = {"short": "short"}


def impressions(site: Site) -> dict[str, Event]:
    """Return what was shown, by suggestion set."""
    return {one.set_id: one for one in site.events(Action.IMPRESSION)}


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def site(demo_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a service with experiments."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("demo.esp", "again.esp"):
        shutil.copy(demo_index, folder / name)
    config = folder / "site.toml"
    config.write_text(SERVE + EXPERIMENTS, encoding="utf-8")
    (folder / "site_flags.py").write_text(FLAGS, encoding="utf-8")
    path = os.pathsep.join([str(folder), environment()["PYTHONPATH"]])
    with (
        Sidecar("--config", config, env={"PYTHONPATH": path}) as sidecar,
        grpc.insecure_channel(sidecar.address) as channel,
        Client(sidecar.address, timeout=PATIENCE) as client,
    ):
        yield Site(sidecar, config, client, ExperimentServiceStub(channel), HealthStub(channel))


def test_units_get_their_variants_in_every_process(site: Site) -> None:
    """As the pure function says, over gRPC and HTTP; what a variant changes shows."""
    (experiment, *_) = load_experiments(site.config)
    sizes = {"control": 10, "short": 3, None: 10}
    for number in range(30):
        made = assign(experiment, Participant(unit=str(number)), State.RUNNING)
        assert made is not None
        expected = None if made.variant is None else made.variant.name

        reply = site.ask(unit=str(number))
        parameters = urlencode({"prefix": "c", "experiment.unit": number})
        url = f"http://{site.sidecar.http}/v1/complete?{parameters}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            over_http = json.load(answer)
            kept = answer.headers["cache-control"]

        assert reply.header.variants.get("short") == expected
        assert over_http["header"]["variants"].get("short") == expected
        assert len(reply.suggestions) == len(over_http["suggestions"]) == sizes[expected]
        assert reply.header.index == ("again" if expected == "short" else "default")
        assert kept == "private, no-store"
    assert not site.client.complete("c").header.variants


def test_variants_are_forced_or_decided_elsewhere(site: Site) -> None:
    """For testers, who count nowhere, and by another platform, whose units do."""
    forced = site.ask(forced_variants={"short": "short", "later": "b"})
    decided = site.ask(unit="decided", assigned_variants={"short": "short"})
    unknown = site.ask(unit="decided", assigned_variants={"short": "of old"})

    assert dict(forced.header.variants) == {"short": "short", "later": "b"}
    assert dict(decided.header.variants) == {"short": "short"}
    assert dict(unknown.header.variants) == {}

    def exposed() -> list[Event]:
        return [one for one in site.events(Action.EXPOSURE) if one.experiments == SHORT]

    until(lambda: bool(exposed()))
    until(lambda: {forced.suggestion_set_id, decided.suggestion_set_id} <= impressions(site).keys())
    sets = impressions(site)
    assert not sets[forced.suggestion_set_id].experiments
    assert sets[decided.suggestion_set_id].experiments == SHORT
    assert sets[decided.suggestion_set_id].unit in {one.unit for one in exposed()}


def test_the_flag_platform_of_a_site_decides(site: Site) -> None:
    """In every worker, for those who may take part."""
    for account, tier, expected in (
        ("t1", "gold", "tidy"),
        ("u1", "gold", None),
        ("t1", "none", None),
    ):
        for _ in range(3):
            with Client(site.sidecar.address, timeout=PATIENCE) as client:
                context = ExperimentContext(attributes={"account": account, "tier": tier})
                reply = client.complete("c", experiment=context)
            assert reply.header.variants.get("flags") == expected


def test_hosts_can_ask_who_gets_what(site: Site) -> None:
    """Before completing, and without leaving a trace; and what there is at all."""
    context = ExperimentContext(unit="7", attributes={"account": "x"})
    reply = site.experiments.Assign(AssignRequest(experiment=context), timeout=PATIENCE)
    completed = site.client.complete("c", experiment=context)

    assert dict(reply.header.variants) == dict(completed.header.variants)
    assert {one.experiment: one.reason for one in reply.assignments} == {
        "short": AssignmentReason.ASSIGNMENT_REASON_ASSIGNED,
        "draft": AssignmentReason.ASSIGNMENT_REASON_ASSIGNED,
        "flags": AssignmentReason.ASSIGNMENT_REASON_NOT_ELIGIBLE,
        "beside": AssignmentReason.ASSIGNMENT_REASON_NO_UNIT,
    }
    listed = site.experiments.ListExperiments(ListExperimentsRequest(), timeout=PATIENCE)
    assert [one.name for one in listed.experiments] == [
        "short",
        "draft",
        "beside",
        "flags",
        "later",
    ]
    assert listed.experiments[4].state == ExperimentState.EXPERIMENT_STATE_SCHEDULED
    assert dict(listed.experiments[0].variants[1].parameters) == {
        "suggestions": "3",
        "index": "again",
    }
    assert listed.experiments[0].variants[1].index_served


def test_a_list_of_two_variants_is_credited(site: Site) -> None:
    """The same list for the whole typing episode; the events say whose each one is."""
    replies = [site.ask("s", intent="i1", attributes={"account": "a1"}) for _ in range(4)]

    shown = {tuple(one.text for one in reply.suggestions) for reply in replies}
    assert len(shown) == 1
    assert {reply.header.variants["draft"] for reply in replies} == {"interleaved"}
    until(lambda: {reply.suggestion_set_id for reply in replies} <= impressions(site).keys())
    event = impressions(site)[replies[0].suggestion_set_id]
    assert event.credits is not None
    assert len(event.credits) == len(replies[0].suggestions)
    assert set(event.credits) <= {None, "all", "popular"}


def test_a_shadow_is_compared_and_never_shown(site: Site) -> None:
    """What it would have answered is noted as places in the list that was sent."""
    reply = site.ask("s", session="for-shadow")
    plain = site.client.complete("s", session="for-shadow-not")

    assert not reply.header.variants
    assert [one.text for one in reply.suggestions] == [one.text for one in plain.suggestions]

    def noted() -> list[Event]:
        return [one for one in site.events(Action.SHADOW) if one.set_id == reply.suggestion_set_id]

    until(lambda: bool(noted()))
    (event,) = noted()
    assert event.shadow is not None
    assert (event.shadow["experiment"], event.shadow["variant"]) == ("beside", "narrow")
    assert event.shadow["live"] == len(reply.suggestions)


def test_a_shadow_runs_beside_the_http_front_too(site: Site) -> None:
    """There a request counts as open until its reply is sent."""
    parameters = urlencode(
        {"prefix": "s", "sessionId": "over-http", "experiment.unit": "", "intentId": "web"}
    )
    url = f"http://{site.sidecar.http}/v1/complete?{parameters}"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        assert json.load(answer)["suggestions"]

    until(lambda: any(one.intent_id == "web" for one in site.events(Action.SHADOW)))


def test_experiments_are_read_anew_while_it_runs(site: Site) -> None:
    """A broken set keeps the one before, and shows in health and in the log."""
    broken = EXPERIMENTS.replace("weight = 5000, suggestions", "weight = 4000, suggestions")
    site.config.write_text(SERVE + broken, encoding="utf-8")
    assert espalier("check-config", site.config).returncode == 2
    site.sidecar.send(signal.SIGHUP)
    until(lambda: bool(site.told("experiments_refused")))
    until(lambda: not site.well())
    assert "weights 5000, 4000" in str(site.told("experiments_refused")[0]["error"])
    forced = {"short": "short"}
    assert len(site.ask(forced_variants=forced).suggestions) == 3

    missing = EXPERIMENTS.replace("coverage = 9000", 'assigner = "nobody-installed-it"')
    site.config.write_text(SERVE + missing, encoding="utf-8")
    site.sidecar.send(signal.SIGHUP)
    until(lambda: len(site.told("experiments_refused")) == 2)
    assert "no assigner is called" in str(site.told("experiments_refused")[1]["error"])

    better = EXPERIMENTS.replace("suggestions = 3", "suggestions = 2")
    site.config.write_text(SERVE + better, encoding="utf-8")
    site.sidecar.send(signal.SIGHUP)
    until(lambda: bool(site.told("experiments_taken_over")))
    for _ in range(8):
        with Client(site.sidecar.address, timeout=PATIENCE) as client:
            context = ExperimentContext(forced_variants=forced)
            assert len(client.complete("c", experiment=context).suggestions) == 2
    until(site.well)


def test_a_worker_that_is_new_knows_the_experiments(site: Site) -> None:
    """Also those that were read since the service started."""
    before = site.sidecar.workers()
    listed = site.experiments.ListExperiments(ListExperimentsRequest(), timeout=PATIENCE)
    wanted = [dict(one.parameters) for one in listed.experiments[0].variants]
    for number in (0, 1):
        os.kill(before[number], signal.SIGKILL)
    until(lambda: all(site.sidecar.workers()[number] != before[number] for number in (0, 1)))

    with grpc.insecure_channel(site.sidecar.address) as channel:
        stub = ExperimentServiceStub(channel)
        listed = stub.ListExperiments(
            ListExperimentsRequest(), timeout=PATIENCE, wait_for_ready=True
        )
    assert [dict(one.parameters) for one in listed.experiments[0].variants] == wanted
