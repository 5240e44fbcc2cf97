"""ExperimentService, and what of a request experiments go by."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from espalier.events import NO_EVENTS
from espalier.experiments import INTERLEAVED, as_message, read_experiments
from espalier.serve.counters import Counters
from espalier.serve.domain import Completer
from espalier.serve.errors import RequestError, SessionIdTooLongError
from espalier.serve.experiment_service import ExperimentService
from espalier.serve.experimenting import Experimenting
from espalier.serve.reporting import Reporter
from espalier.serve.service import CompletionService
from espalier.sessions.memory import MemorySessionStore
from espalier.v1.completion_service_pb2 import CompleteRequest
from espalier.v1.core_pb2 import ExperimentContext
from espalier.v1.experiment_service_pb2 import (
    Assignment,
    AssignmentReason,
    AssignRequest,
    Experiment,
    ExperimentMode,
    ExperimentState,
    ListExperimentsRequest,
    Variant,
)
from tests.unit.serve.fakes import FakeIndex, FakeRecorder, ListLog, indexes_of

NOW = 1_700_000_000_000_000_000
ALL_IN_B = {"variants": {"a": {"weight": 0}, "b": {"weight": 10_000, "suggestions": 1}}}


class Bench:
    """Both services over one completer."""

    def __init__(self) -> None:
        self.completer = Completer(
            indexes_of(main=FakeIndex()),
            MemorySessionStore(),
            context_queries=5,
            log=ListLog(),
            counters=Counters(),
        )
        self.service = CompletionService(self.completer, clock=lambda: NOW)
        self.experiments = ExperimentService(self.completer, self.service, clock=lambda: NOW)
        self.experimenting = Experimenting(
            self.service, self.completer, NO_EVENTS, counters=Counters(), log=ListLog()
        )

    def run(self, **tables: Any) -> None:
        """Let experiments hold."""
        self.experimenting.apply(as_message(read_experiments(tables, "here")))


@pytest.fixture
def bench() -> Bench:
    """Return a fresh one."""
    return Bench()


def test_a_reply_names_the_variants_in_force(bench: Bench) -> None:
    """And does what they say; without experiments there are none."""
    request = CompleteRequest(prefix="ni", experiment=ExperimentContext(unit="u"))
    assert not bench.service.complete(request).header.variants

    bench.run(e=ALL_IN_B)
    reply = bench.service.complete(request)
    assert dict(reply.header.variants) == {"e": "b"}
    assert len(reply.suggestions) == 1
    assert len(bench.service.complete(CompleteRequest(prefix="ni")).suggestions) == 3

    bench.run()
    assert bench.service.trials is None


def test_the_unit_may_be_the_session(bench: Bench) -> None:
    """Then a request needs nothing else."""
    bench.run(e={"unit": "session", **ALL_IN_B})

    reply = bench.service.complete(CompleteRequest(prefix="ni", session_id="s"))

    assert dict(reply.header.variants) == {"e": "b"}


def test_an_impression_says_who_saw_what_of_which_variant(bench: Bench) -> None:
    """By the unit of each experiment; what a tester saw is nobody's."""
    recorder = FakeRecorder()
    bench.service._reporter = Reporter(
        recorder, late_seconds=1, skew_seconds=1, counters=Counters(), clock=lambda: NOW
    )
    bench.run(
        e={"unit": "session", **ALL_IN_B},
        f={"mode": "interleave", "variants": {"c": {}, "d": {"context": 0}}},
        g={"variants": {"x": {"weight": 10_000}, "y": {"weight": 0}}},
    )
    request = CompleteRequest(
        prefix="ni", session_id="s", experiment=ExperimentContext(unit="u"), intent_id="i"
    )
    everybody = bench.service.complete(request)
    request.experiment.forced_variants["g"] = "y"
    tester = bench.service.complete(request)

    event, tested = recorder.told
    assert dict(everybody.header.variants) == {"e": "b", "f": INTERLEAVED, "g": "x"}
    assert event.experiments == {"e": "b", "f": INTERLEAVED, "g": "x"}
    assert (event.unit, event.session, event.intent_id) == ("s", "s", "i")
    assert event.units == {"f": "u", "g": "u"}
    assert event.credits == (None,)

    assert dict(tester.header.variants) == {"e": "b", "f": INTERLEAVED, "g": "y"}
    assert (tested.experiments, tested.unit, tested.units) == ({}, "", None)


LONG = "x" * 129


@pytest.mark.parametrize(
    ("context", "field"),
    [
        (ExperimentContext(unit=LONG), "experiment.unit"),
        (ExperimentContext(attributes={LONG[:65]: ""}), "experiment.attributes"),
        (ExperimentContext(attributes={"a": LONG}), "experiment.attributes"),
        (
            ExperimentContext(forced_variants=dict.fromkeys(map(str, range(33)), "")),
            "experiment.forced_variants",
        ),
        (
            ExperimentContext(assigned_variants=dict.fromkeys(map(str, range(33)), "")),
            "experiment.assigned_variants",
        ),
    ],
)
def test_what_is_too_large_is_refused_with_its_field(
    bench: Bench, context: ExperimentContext, field: str
) -> None:
    """Whether there are experiments or not, so that beginning one breaks no client."""
    for _ in range(2):
        with pytest.raises(RequestError) as completing:
            bench.service.complete(CompleteRequest(prefix="n", experiment=context))
        with pytest.raises(RequestError) as assigning:
            bench.experiments.assign(AssignRequest(experiment=context))
        assert completing.value.field == assigning.value.field == field
        assert LONG not in str(completing.value)
        bench.run(e=ALL_IN_B)


def test_ids_are_no_longer_than_ids_may_be(bench: Bench) -> None:
    """The intent is text of the client as well."""
    with pytest.raises(RequestError) as caught:
        bench.service.complete(CompleteRequest(prefix="n", intent_id=LONG))
    assert caught.value.field == "intent_id"
    with pytest.raises(SessionIdTooLongError):
        bench.experiments.assign(AssignRequest(session_id=LONG))


def test_assignments_are_told_with_their_reasons(bench: Bench) -> None:
    """In the order of the configuration; what does not run is left out."""
    bench.run(
        e=ALL_IN_B,
        f={"mode": "interleave", "variants": {"c": {}, "d": {"context": 0}}},
        g={"mode": "shadow", "variants": {"live": {}, "new": {"index": "later"}}},
        h={
            "variants": {"a": {"weight": 0}, "b": {"weight": 10_000, "index": "later"}},
            "end": dt.datetime(2999, 1, 1, tzinfo=dt.UTC),
        },
        i={
            "end": dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
            "variants": {"a": {"weight": 0}, "b": {"weight": 10_000}},
        },
        j={"unit": "session", "variants": {"a": {"weight": 0}, "b": {"weight": 10_000}}},
    )
    context = ExperimentContext(unit="u", forced_variants={"i": "a"})

    reply = bench.experiments.assign(AssignRequest(experiment=context))

    reason = AssignmentReason
    assert list(reply.assignments) == [
        Assignment(experiment="e", variant="b", reason=reason.ASSIGNMENT_REASON_ASSIGNED),
        Assignment(experiment="f", variant=INTERLEAVED, reason=reason.ASSIGNMENT_REASON_ASSIGNED),
        Assignment(experiment="g", variant="live", reason=reason.ASSIGNMENT_REASON_ASSIGNED),
        Assignment(experiment="h", reason=reason.ASSIGNMENT_REASON_INDEX_NOT_SERVED),
        Assignment(experiment="i", variant="a", reason=reason.ASSIGNMENT_REASON_FORCED),
        Assignment(experiment="j", reason=reason.ASSIGNMENT_REASON_NO_UNIT),
    ]
    assert dict(reply.header.variants) == {"e": "b", "f": INTERLEAVED, "i": "a"}
    assert reply.header.index == "main"


def test_experiments_are_listed_as_they_are_configured(bench: Bench) -> None:
    """Running or not, with what their variants change."""
    start = dt.datetime(2999, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    bench.run(
        e={
            "namespace": "n",
            "coverage": 100,
            "start": start,
            "variants": {
                "a": {"weight": 5_000},
                "b": {"weight": 5_000, "sources": ["MODEL"], "index": "later", "context": 0},
            },
        },
        f={"mode": "shadow", "variants": {"a": {}, "b": {"beam": 2}}},
    )

    first, second = bench.experiments.list_experiments(ListExperimentsRequest()).experiments

    expected = Experiment(
        name="e",
        state=ExperimentState.EXPERIMENT_STATE_SCHEDULED,
        mode=ExperimentMode.EXPERIMENT_MODE_SPLIT,
        namespace="n",
        coverage=100,
        variants=[
            Variant(name="a", weight=5_000, index_served=True),
            Variant(
                name="b",
                weight=5_000,
                parameters={"sources": '["MODEL"]', "index": "later", "context": "0"},
            ),
        ],
    )
    expected.start.FromDatetime(start.astimezone(dt.UTC))
    assert first == expected
    assert (second.state, second.mode) == (
        ExperimentState.EXPERIMENT_STATE_RUNNING,
        ExperimentMode.EXPERIMENT_MODE_SHADOW,
    )
    bench.run()
    assert not bench.experiments.list_experiments(ListExperimentsRequest()).experiments
    assert not bench.experiments.assign(AssignRequest()).assignments


def test_an_assigner_goes_on_while_experiments_change(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider of flags may have connected; it is made anew only after it was let go."""
    made: list[object] = []

    class Everybody:
        def assign(self, _experiment: object, _who: object) -> str:
            made.append(self)
            return "b"

    def assigners_of(experiments: Any) -> dict[str, Any]:
        return {one.assigner: Everybody() for one in experiments}

    monkeypatch.setattr("espalier.serve.experimenting.assigners_of", assigners_of)
    request = CompleteRequest(prefix="ni", experiment=ExperimentContext(unit="u"))
    for tables in ({"e": ALL_IN_B}, {"e": ALL_IN_B, "f": ALL_IN_B}, {}, {"e": ALL_IN_B}):
        alone = {
            name: {"assigner": "site", "index": name, **table} for name, table in tables.items()
        }
        bench.completer.indexes = indexes_of(e=FakeIndex(), f=FakeIndex())
        bench.run(**alone)
        bench.service.complete(request)

    first, second, third = made
    assert first is second
    assert third is not first
