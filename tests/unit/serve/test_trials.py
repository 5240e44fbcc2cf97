"""Experiments applied to completions: what variants change, and what they may not break."""

from __future__ import annotations

import datetime as dt
import gc
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from espalier.errors import UnsupportedError
from espalier.events import Action, Event
from espalier.experiments import (
    INTERLEAVED,
    NO_TRIAL,
    Experiment,
    Participant,
    Reason,
    Trial,
    assign,
    read_experiments,
    state_at,
)
from espalier.experiments.assigners import Assigner
from espalier.native import Source
from espalier.serve.counters import Counters
from espalier.serve.domain import SHORT_SECONDS, Answer, Completer, Question, SessionState
from espalier.serve.errors import PrefixTooLongError
from espalier.serve.exposures import EXPOSED, Exposures
from espalier.serve.plans import REMEMBERED, Planner
from espalier.serve.shadow import QUEUE, Shadow
from espalier.serve.trials import Trials
from espalier.sessions.memory import MemorySessionStore
from tests.unit.serve.fakes import FakeIndex, FakeRecorder, ListLog, indexes_of

USER = Participant(unit="u")
NEVER = 1e9
SHADOWED = {"variants": {"live": {}, "beside": {"beam": 3}}}
PATIENCE = 30.0
NOW = 1_700_000_000_000_000_000


class Asked(NamedTuple):
    """An answer, and what experiments had to do with it."""

    given: Answer
    trial: Trial


class Bench:
    """A completer with experiments, and everything around it within reach."""

    def __init__(self) -> None:
        self.now = NOW
        self.index = FakeIndex()
        self.other = FakeIndex(("nikon camera", "nice", "nike socks"))
        self.log = ListLog()
        self.counters = Counters()
        self.sink = FakeRecorder()
        self.store = MemorySessionStore()
        self.completer = Completer(
            indexes_of(main=self.index, other=self.other),
            self.store,
            context_queries=2,
            log=self.log,
            counters=self.counters,
        )
        self.shadow = Shadow(
            self.completer, self.sink, counters=self.counters, log=self.log, clock=lambda: 0
        )
        self.exposures = Exposures(self.sink, clock=lambda: NOW)

    def trials(
        self,
        tables: Mapping[str, Any] | None = None,
        *,
        assigners: Mapping[str, Assigner | None] | None = None,
        **variant: Any,
    ) -> Trials:
        """Return trials of one experiment whose second variant all get, or of given ones."""
        if tables is None:
            tables = {"e": {"variants": {"a": {"weight": 0}, "b": {"weight": 10_000, **variant}}}}
        experiments: Sequence[Experiment] = read_experiments(tables, "here")
        planner = Planner(
            experiments,
            {"hash": None, **(assigners or {})},
            lambda: self.completer.indexes,
            counters=self.counters,
            log=self.log,
            clock=lambda: self.now,
        )
        return Trials(
            planner,
            self.completer,
            counters=self.counters,
            exposures=self.exposures,
            shadow=self.shadow,
            clock=lambda: self.now,
        )

    def ask(
        self, trials: Trials, question: Question, who: Participant = USER, intent: str = ""
    ) -> Asked:
        """Return the answer to a question with all time in the world."""
        return Asked(*trials.complete(question, who, intent, NEVER))


@pytest.fixture
def bench() -> Bench:
    """Return a fresh one."""
    return Bench()


def texts(asked: Asked) -> list[str]:
    """Return what is suggested."""
    return [one.text for one in asked.given.suggestions]


def test_a_variant_changes_what_is_asked(bench: Bench) -> None:
    """Every parameter arrives where it belongs."""
    trials = bench.trials(
        suggestions=3,
        sources=["MODEL", "POPULAR"],
        beam=7,
        pool=90,
        features_off=["context"],
        keep_variants=True,
        context=1,
    )

    answer = bench.ask(trials, Question("ni", previous=("a", "b"), ages=(1, 2), limit=8))

    assert bench.index.asked == [("ni", ("a",), 3, Source.MODEL | Source.POPULAR)]
    assert bench.index.searches == [(7, 90, ("context",))]
    assert bench.index.kept_variants == [True]
    assert bench.index.ages == [(1,)]
    assert answer.given.context == 1
    assert answer.trial.variants == answer.trial.counted == {"e": "b"}
    assert answer.trial.unit == "u"


def test_a_variant_may_answer_from_another_index(bench: Bench) -> None:
    """The header then names that one."""
    answer = bench.ask(bench.trials(index="other"), Question("ni"))

    assert answer.given.served.name == "other"
    assert texts(answer) == ["nikon camera", "nice", "nike socks"]


def test_who_is_in_no_variant_gets_what_there_is_without_experiments(bench: Bench) -> None:
    """No unit, not covered, another index: the question stays as it is."""
    question = Question("ni", index="other")

    for trials, who in (
        (bench.trials(beam=7), Participant()),
        (bench.trials(beam=7), USER),
    ):
        assert bench.ask(trials, question, who).trial is NO_TRIAL
    assert bench.ask(bench.trials(beam=7), Question("ni"), Participant()).trial is NO_TRIAL
    assert {beam for beam, _, _ in bench.index.searches + bench.other.searches} == {0}
    assert bench.sink.told == []


def test_experiments_concern_the_calls_of_their_index(bench: Bench) -> None:
    """The default one, or the one that is named."""
    table = {"variants": {"a": {"weight": 0}, "b": {"weight": 10_000, "beam": 9}}}
    trials = bench.trials({"e": {"index": "other", **table}})

    assert bench.ask(trials, Question("ni")).trial is NO_TRIAL
    assert bench.ask(trials, Question("ni", index="other")).trial.variants == {"e": "b"}
    assert bench.ask(bench.trials(), Question("ni", index="main")).trial.variants == {"e": "b"}


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        (None, Source.MODEL | Source.TAIL),
        (Source.TAIL | Source.POPULAR, Source.TAIL),
        (Source.POPULAR, Source.POPULAR),
    ],
)
def test_a_request_gets_no_source_that_it_does_not_allow(
    bench: Bench, asked: Source | None, used: Source
) -> None:
    """Where both leave nothing, the request is right: somebody waits for an answer."""
    bench.ask(bench.trials(sources=["MODEL", "TAIL"]), Question("ni", sources=asked))

    assert bench.index.asked[-1][3] == used


def test_a_variant_says_how_much_of_a_session_counts(bench: Bench) -> None:
    """More or less than otherwise; without any the session is not looked up."""
    for query in "abcd":
        bench.store.append("s", query)
    question = Question("ni", session_id="s")

    for context, used in ((0, ()), (1, ("d",)), (3, ("d", "c", "b"))):
        answer = bench.ask(bench.trials(context=context), question)
        assert bench.index.asked[-1][1] == used
        assert answer.given.session is (SessionState.FOUND if used else SessionState.NONE)
    assert bench.ask(bench.trials(), question).given.context == 2


def test_a_variant_without_its_index_is_as_if_it_were_not_there(bench: Bench) -> None:
    """Counted each time and said once, until the index is there."""
    trials = bench.trials(index="later", beam=7)

    for _ in range(2):
        answer = bench.ask(trials, Question("ni"))
        assert (answer.given.served.name, answer.trial) == ("main", NO_TRIAL)
    assert bench.index.searches == [(0, 0, ())] * 2
    assert bench.counters.get("experiment_faults", "e", "index_not_served") == 2
    assert bench.log.names() == ["variant_index_not_served"]
    assert [one.reason for one in trials.planner.assignments(USER)] == [Reason.INDEX_NOT_SERVED]

    bench.completer.indexes = indexes_of(main=bench.index, later=bench.other)
    assert bench.ask(trials, Question("ni")).given.served.name == "later"
    assert bench.log.names()[1:] == ["variant_recovered"]
    assert trials.planner.assignments(USER)[0].reason is Reason.ASSIGNED


def test_a_variant_that_fails_costs_nobody_an_answer(bench: Bench) -> None:
    """The call is answered without it, and no variant is said to be in force."""
    bench.other.raises = UnsupportedError("it has no model")

    answer = bench.ask(bench.trials(index="other"), Question("ni"))

    assert (answer.given.served.name, answer.trial) == ("main", Trial(unit="u"))
    assert bench.counters.get("experiment_faults", "e", "failed") == 1
    assert bench.sink.told == []
    with pytest.raises(PrefixTooLongError):
        bench.ask(bench.trials(index="other"), Question("n" * 2_000))


def test_there_are_no_variants_where_there_is_no_time(bench: Bench) -> None:
    """Popular completions are the same in each."""
    _, trial = bench.trials(beam=7).complete(Question("ni"), USER, "", SHORT_SECONDS / 2)

    assert trial == Trial(unit="u")
    assert bench.sink.told == []


def test_what_a_variant_spoils_is_still_said_to_be_of_its_unit(bench: Bench) -> None:
    """Or one that fails every now and then would be rid of the episodes in which it does."""
    bench.other.raises = UnsupportedError("it has no model")
    halves = {"variants": {"a": {"weight": 0}, "b": {"weight": 10_000, "index": "other"}}}
    control = {"variants": {"c": {"weight": 10_000}, "d": {"weight": 0}}}
    trials = bench.trials({"e": {"unit": "session", **halves}, "f": control})
    who = Participant("u", "s")

    failed = bench.ask(trials, Question("ni"), who).trial
    _, late = trials.complete(Question("ni"), who, "", SHORT_SECONDS / 2)

    assert failed == late == Trial(unit="s", units={"f": "u"})


def test_a_unit_is_exposed_once(bench: Bench) -> None:
    """With the variant it got, also if that is the control."""
    trials = bench.trials(
        {
            "e": {"variants": {"a": {"weight": 10_000}, "b": {"weight": 0}}},
            "f": {"unit": "session", "variants": {"c": {"weight": 0}, "d": {"weight": 10_000}}},
        }
    )
    who = Participant("u", "s")
    for _ in range(3):
        bench.ask(trials, Question("ni", session_id="s"), who, "i")

    found = [(one.unit, one.experiments, one.index) for one in bench.sink.told]
    assert found == [("u", {"e": "a"}, "main"), ("s", {"f": "d"}, "main")]
    assert {(one.action, one.time_ns, one.intent_id) for one in bench.sink.told} == {
        (Action.EXPOSURE, NOW, "i")
    }
    assert bench.counters.get("experiments", "e", "a") == 3


def test_exposures_are_remembered_within_bounds(bench: Bench) -> None:
    """Whoever reads the events counts the first of several."""
    served = bench.completer.indexes.default
    for number in range(EXPOSED + 1):
        bench.exposures.note("e", "a", str(number), "", served)
    bench.exposures.note("e", "a", str(EXPOSED), "", served)
    assert len(bench.sink.told) == EXPOSED + 1

    bench.exposures.note("e", "a", "0", "", served)
    assert len(bench.sink.told) == EXPOSED + 2


def test_an_exposure_that_was_lost_is_told_again(bench: Bench) -> None:
    """With the next answer: because there was no room for it, or the disk was full."""
    served = bench.completer.indexes.default

    def told_after_an_answer() -> int:
        bench.exposures.note("e", "a", "u", "", served)
        return len(bench.sink.told)

    bench.sink.full = True
    assert told_after_an_answer() == 0
    bench.sink.full = False
    assert [told_after_an_answer(), told_after_an_answer()] == [1, 1]

    bench.sink.failures += 1
    assert [told_after_an_answer(), told_after_an_answer()] == [2, 2]


def test_testers_see_their_variant_and_count_in_no_report(bench: Bench) -> None:
    """The reply names it; exposures and counted variants do not."""
    answer = bench.ask(bench.trials(beam=7), Question("ni"), Participant(forced={"e": "a"}))

    assert answer.trial.variants == {"e": "a"}
    assert answer.trial.counted == {}
    assert bench.sink.told == []

    unknown = bench.ask(bench.trials(beam=7), Question("ni"), Participant("u", forced={"e": "z"}))
    assert unknown.trial is NO_TRIAL
    assert bench.counters.get("experiment_faults", "e", "unknown_variant") == 1


def test_testers_count_in_no_report_of_another_experiment_either(bench: Bench) -> None:
    """Theirs is an answer that nobody else could have got."""
    both = {"variants": {"a": {"weight": 0}, "b": {"weight": 10_000}}}
    trials = bench.trials({"e": both, "f": both, "g": {"mode": "shadow", **SHADOWED}})

    trial = bench.ask(trials, Question("ni"), Participant("u", forced={"e": "a"})).trial

    assert (trial.variants, trial.counted, trial.tested) == ({"e": "a", "f": "b"}, {}, True)
    assert (trial.shadows, bench.sink.told) == ((), [])


def test_an_assigner_that_fails_puts_nobody_anywhere(bench: Bench) -> None:
    """It is foreign code, in the way of an answer."""

    class Failing:
        def assign(self, experiment: Experiment, who: Participant) -> str | None:
            raise OSError(experiment.name, who.unit)

    table = {"assigner": "x", "variants": {"a": {"weight": 0}, "b": {"weight": 10_000}}}
    trials = bench.trials({"e": table}, assigners={"x": Failing()})

    assert bench.ask(trials, Question("ni")).trial is NO_TRIAL
    assert bench.counters.get("experiment_faults", "e", "assigner_failed") == 1


def test_variants_of_several_experiments_add_up(bench: Bench) -> None:
    """Each changes what the others do not."""
    pairs = {"e": {"beam": 7}, "f": {"context": 0}}
    trials = bench.trials(
        {
            name: {"variants": {"a": {"weight": 0}, "b": {"weight": 10_000, **change}}}
            for name, change in pairs.items()
        }
    )

    answer = bench.ask(trials, Question("ni", previous=("a",)))

    assert bench.index.asked == [("ni", (), 10, None)]
    assert bench.index.searches == [(7, 0, ())]
    assert answer.trial.variants == {"e": "b", "f": "b"}


def test_what_is_wanted_is_remembered_and_stays_true(bench: Bench) -> None:
    """Until an experiment begins or ends, and for each unit, index and attributes."""
    start = dt.datetime.fromtimestamp(NOW / 1e9 + 10, dt.UTC)
    variants = {"a": {"weight": 5_000}, "b": {"weight": 5_000, "context": 0}}
    table = {
        "start": start,
        "end": start + dt.timedelta(seconds=10),
        "eligible": {"country": ["de"]},
        "variants": variants,
    }
    trials = bench.trials({"e": table})
    (experiment,) = read_experiments({"e": table}, "here")
    asked = 0
    for later in (0, 9, 10, 19, 20, 25):
        bench.now = NOW + later * 1_000_000_000
        state = state_at(experiment, start + dt.timedelta(seconds=later - 10))
        for country in ("de", "at", "de"):
            for number in range(20):
                who = Participant(str(number), attributes={"country": country})
                made = assign(experiment, who, state)
                expected = {} if made is None or made.variant is None else made.variant.name
                found = bench.ask(trials, Question("ni"), who).trial.variants
                assert found == ({"e": expected} if expected else {})
                asked += bool(expected)
    assert asked > 0


def test_plans_are_remembered_within_bounds(bench: Bench) -> None:
    """What is forgotten is found out again."""
    trials = bench.trials(beam=7)
    for number in range(REMEMBERED + 2):
        trials.planner.plan("", Participant(str(number)))

    assert len(trials.planner._memory.plans) == 2
    assert trials.planner.plan("", Participant("0")).trial.variants == {"e": "b"}


# ---- interleaving -------------------------------------------------------------------

INTERLEAVE = {"e": {"mode": "interleave", "variants": {"a": {}, "b": {"index": "other"}}}}


def test_a_list_is_drafted_from_two_variants(bench: Bench) -> None:
    """What both have is nobody's, the rest belongs to who gave it."""
    answer = bench.ask(bench.trials(INTERLEAVE), Question("ni"), intent="i")

    credit = dict(zip(texts(answer), answer.trial.credits, strict=True))
    assert credit == {
        "nike shoes": "a",
        "nike socks": None,
        "nikon camera": None,
        "nice": "b",
    }
    assert answer.given.served.name == "main"
    assert answer.trial.variants == answer.trial.counted == {"e": INTERLEAVED}
    assert [one.experiments for one in bench.sink.told] == [{"e": INTERLEAVED}]


def test_a_list_stays_put_through_a_typing_episode(bench: Bench) -> None:
    """And differs between episodes, or the coins would not be fair."""
    trials = bench.trials(INTERLEAVE)
    lists = {
        intent: {tuple(texts(bench.ask(trials, Question("ni"), intent=intent))) for _ in range(3)}
        for intent in map(str, range(20))
    }

    assert {len(found) for found in lists.values()} == {1}
    assert len({found.pop() for found in lists.values()}) == 2


def test_a_drafted_list_has_as_many_as_were_asked_for(bench: Bench) -> None:
    """And looks up the session once, whichever variant uses more of it."""
    for query in "abcd":
        bench.store.append("s", query)
    table = {"mode": "interleave", "variants": {"a": {"context": 1}, "b": {"index": "other"}}}
    question = Question("ni", session_id="s", limit=2)
    before = bench.store.stats().found

    answer = bench.ask(bench.trials({"e": table}), question)

    assert len(texts(answer)) == len(answer.trial.credits) == 2
    assert [asked[1] for asked in bench.index.asked] == [("d",)]
    assert [asked[1] for asked in bench.other.asked] == [("d", "c")]
    assert bench.store.stats().found == before + 1
    assert answer.given.session is SessionState.FOUND


def test_a_drafted_list_is_explained(bench: Bench) -> None:
    """Each suggestion by the variant that gave it, in the order of the list."""
    answer = bench.ask(bench.trials(INTERLEAVE), Question("ni", explain=True))

    assert [one.suggestion.text for one in answer.given.explanations] == texts(answer)


def test_nothing_is_drafted_without_both_variants(bench: Bench) -> None:
    """One that cannot be computed is no rival."""
    bench.completer.indexes = indexes_of(main=bench.index)
    answer = bench.ask(bench.trials(INTERLEAVE), Question("ni"))

    assert answer.trial is NO_TRIAL
    assert bench.counters.get("experiment_faults", "e", "index_not_served") == 1
    forced = Participant("u", forced={"e": "a"})
    assert bench.ask(bench.trials(INTERLEAVE), Question("ni"), forced).trial.credits == ()


# ---- shadow -------------------------------------------------------------------------

SHADOW = {"e": {"mode": "shadow", "variants": {"a": {}, "b": {"index": "other"}}}}


def begin(trials: Trials, question: Question, asked: Asked) -> None:
    """Begin what is to be computed beside an answer."""
    event = Event(Action.SHADOW, 0, set_id="set", session=question.session_id, intent_id="i")
    trials.begin_shadows(question, USER, event, asked.given, asked.trial)


def shadowed(bench: Bench, trials: Trials, question: Question) -> Asked:
    """Answer, begin what is to be computed beside it, and wait for that."""
    answer = bench.ask(trials, question, intent="i")
    begin(trials, question, answer)
    until = time.monotonic() + PATIENCE
    while not any(bench.counters.read().get(("shadows", "e", "b", how)) for how in OUTCOMES):
        assert time.monotonic() < until
        time.sleep(0.002)
    bench.shadow.close()
    return answer


OUTCOMES = ("compared", "failed", "dropped")


def test_a_shadow_changes_nothing_and_is_compared(bench: Bench) -> None:
    """The answer is that of everybody; the other list is written as places in it."""
    bench.store.append("s", "shoes")
    trials = bench.trials(SHADOW)

    answer = shadowed(bench, trials, Question("ni", session_id="s"))

    assert texts(answer) == ["nike shoes", "nike socks", "nikon camera"]
    assert answer.trial.variants == {}
    (event,) = bench.sink.told
    assert event.action is Action.SHADOW
    assert (event.set_id, event.unit, event.session, event.intent_id) == ("set", "u", "s", "i")
    assert event.shadow == {
        "experiment": "e",
        "variant": "b",
        "places": [3, 0, 2],
        "live": 3,
        "latency_us": 0,
    }
    assert bench.other.asked == [("ni", ("shoes",), 10, None)]
    assert bench.counters.get("shadows", "e", "b", "compared") == 1


def test_a_shadow_that_fails_says_so(bench: Bench) -> None:
    """Nobody waits for it, so that is all."""
    bench.other.raises = UnsupportedError("no")

    shadowed(bench, bench.trials(SHADOW), Question("ni"))

    assert [one.shadow for one in bench.sink.told] == [
        {"experiment": "e", "variant": "b", "failed": True}
    ]
    assert bench.counters.get("shadows", "e", "b", "failed") == 1


def test_a_shadow_that_is_broken_is_logged_and_the_next_is_computed(bench: Bench) -> None:
    """Without a word of what was asked."""
    bench.other.raises = RuntimeError("canary")

    shadowed(bench, bench.trials(SHADOW), Question("ni"))

    assert bench.log.names() == ["shadow_failed"]
    assert "canary" not in repr(bench.log.events)


def test_shadows_are_dropped_while_calls_wait(bench: Bench) -> None:
    """They work between calls, not against them."""
    bench.shadow.waiting = lambda: 1

    shadowed(bench, bench.trials(SHADOW), Question("ni"))

    assert bench.other.asked == []
    assert bench.counters.get("shadows", "e", "b", "dropped") == 1


def test_shadows_wait_for_the_end_of_a_call(bench: Bench) -> None:
    """As of the one they belong to, whose reply may not be sent yet."""
    waiting = iter([2, 1])
    bench.shadow.waiting = lambda: next(waiting, 0)

    shadowed(bench, bench.trials(SHADOW), Question("ni"))

    assert bench.counters.get("shadows", "e", "b", "compared") == 1


def test_shadows_are_dropped_when_too_many_wait(bench: Bench) -> None:
    """Their queue is short, and putting something into it never waits."""
    trials = bench.trials(SHADOW)
    question = Question("ni")
    answer = bench.ask(trials, question)
    bench.shadow._begin = lambda: None  # type: ignore[method-assign]

    for _ in range(QUEUE + 3):
        begin(trials, question, answer)

    assert bench.counters.get("shadows", "e", "b", "dropped") == 3


def test_a_job_holds_on_to_no_index(bench: Bench) -> None:
    """An index that is replaced would otherwise have to wait for it."""
    bench.shadow._begin = lambda: None  # type: ignore[method-assign]
    trials = bench.trials(SHADOW)
    question = Question("ni")
    answer = bench.ask(trials, question)
    begin(trials, question, answer)
    left = weakref.ref(answer.given.served)

    bench.completer.indexes = indexes_of(main=bench.index)
    del answer
    gc.collect()

    assert left() is None
