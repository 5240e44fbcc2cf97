"""Experiments applied to completions.

A variant changes a question, and the completer answers what came of it; so whatever
holds for answers holds for those of variants. Nothing an experiment asks for may cost
somebody an answer: what cannot be done is answered as if there were no experiment, and
counted.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from espalier.errors import EspalierError
from espalier.events import Action, Event
from espalier.experiments import (
    INTERLEAVED,
    Assignment,
    Experiment,
    Mode,
    Parameters,
    Participant,
    Reason,
    State,
    Trial,
    Variant,
    assign,
    draft,
)
from espalier.experiments.assigners import Assigner
from espalier.experiments.assignment import Decide
from espalier.experiments.interleaving import coins
from espalier.index import MAX_PREVIOUS
from espalier.native import Source
from espalier.serve.counters import Counting
from espalier.serve.domain import DEFAULT_SUGGESTIONS, Answer, Completer, Degradation, Question
from espalier.serve.exposures import Exposures
from espalier.serve.indexes import Suggested
from espalier.serve.log import EventLog
from espalier.serve.shadow import Job, Shadow

_CORRECTED: Final = str(Source.CORRECTED.name)


@dataclass(frozen=True, slots=True)
class _Entry:
    """An experiment, when it runs in nanoseconds, and who decides."""

    experiment: Experiment
    start: float
    end: float
    decide: Decide | None

    def state(self, now: int) -> State:
        if now >= self.end:
            return State.ENDED
        return State.SCHEDULED if now < self.start else State.RUNNING


@dataclass(slots=True)
class _Plan:
    """What experiments want of one call.

    Attributes:
        variants: In force, by experiment; ``counted`` without those forced.
        units: By experiment.
        changes: Parameters that the variants in force change, together.
        interleaved: The experiment whose two variants draft the list.
        shadows: Variants to compute beside the answer.
    """

    variants: dict[str, str] = field(default_factory=dict)
    counted: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    interleaved: Experiment | None = None
    shadows: list[tuple[Experiment, Variant]] = field(default_factory=list)

    @property
    def unit(self) -> str:
        """Who was assigned; where units differ, of the first experiment."""
        return next((self.units[name] for name in self.counted), "")


class Trials:
    """The experiments of a process, applied. Immutable but for what it counts.

    Args:
        experiments: In the order of the configuration.
        assigners: By the names the experiments have for them.
        completer: What answers.
        exposures: Notes who got which variant; outlives a change of the experiments, as
            ``shadow`` does.
        clock: Unix time in nanoseconds.
    """

    def __init__(
        self,
        experiments: Iterable[Experiment],
        assigners: Mapping[str, Assigner | None],
        completer: Completer,
        *,
        counters: Counting,
        log: EventLog,
        exposures: Exposures,
        shadow: Shadow,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._completer = completer
        self._counters = counters
        self._log = log
        self._exposures = exposures
        self._shadow = shadow
        self._clock = clock
        self._entries = [
            _Entry(
                one,
                _nanoseconds(one.start, float("-inf")),
                _nanoseconds(one.end, float("inf")),
                self._deciding(assigners[one.assigner]),
            )
            for one in experiments
        ]
        # Variants whose index is not served, so that it is said once.
        self._missing: set[tuple[str, str]] = set()

    def states(self) -> list[tuple[Experiment, State]]:
        """Return every experiment and whether it runs."""
        now = self._clock()
        return [(entry.experiment, entry.state(now)) for entry in self._entries]

    def served(self, variant: Variant) -> bool:
        """Return whether the index is served that a variant asks for."""
        index = variant.parameters.index
        return index is None or self._completer.indexes.has(index)

    def assignments(self, who: Participant) -> list[Assignment]:
        """Return what becomes of somebody in every experiment that runs or is forced."""
        now = self._clock()
        made = [
            assign(entry.experiment, who, entry.state(now), entry.decide) for entry in self._entries
        ]
        return [self._servable(one) for one in made if one is not None]

    def complete(
        self, question: Question, who: Participant, intent_id: str, time_left: float
    ) -> Answer:
        """Answer ``question`` as the variants of ``who`` want; see `Completer.complete`."""
        plan = self._plan(question, who)
        if plan is None:
            return self._completer.complete(question, time_left)
        try:
            answer = self._answer(plan, question, who, intent_id, time_left)
        except EspalierError:
            if not plan.variants:
                raise
            # Whose fault it was shows in whether it can be answered without.
            answer = self._completer.complete(question, time_left)
            for experiment in plan.variants:
                self._counters.add("experiment_faults", experiment, "failed")
            return answer
        self._note(plan, answer, intent_id)
        return answer

    def begin_shadows(
        self, question: Question, who: Participant, intent_id: str, answer: Answer, set_id: str
    ) -> None:
        """Have computed what else could have been answered, once the reply is made."""
        for experiment, variant in answer.trial.shadows:
            # The context is the one of the answer, so that no session is looked up for it.
            beside = replace(question, previous=answer.previous, ages=answer.ages, session_id="")
            event = Event(
                Action.SHADOW,
                self._clock(),
                set_id=set_id,
                session=question.session_id,
                unit=who.unit_of(experiment.unit),
                intent_id=intent_id,
                prefix_length=len(question.prefix),
                index=answer.served.name,
                index_revision=answer.served.revision,
                experiments=answer.trial.counted,
            )
            tuned = _tuned(beside, _merged(answer.trial.parameters, variant.parameters))
            self._shadow.submit(
                Job(experiment.name, variant.name, tuned, answer.suggestions, event)
            )

    # ---- what is to be done ----------------------------------------------------------

    def _plan(self, question: Question, who: Participant) -> _Plan | None:
        """Return what experiments want of a call, ``None`` for nothing."""
        default = self._completer.indexes.default.name
        asked = question.index or default
        now = self._clock()
        plan = _Plan()
        for entry in self._entries:
            experiment = entry.experiment
            if (experiment.index or default) == asked:
                made = assign(experiment, who, entry.state(now), entry.decide)
                if made is not None:
                    self._take_in(plan, made, who)
        return plan if plan.variants or plan.shadows else None

    def _take_in(self, plan: _Plan, made: Assignment, who: Participant) -> None:
        """Add to a plan what an assignment wants, as far as it can be done."""
        experiment, variant = made.experiment, made.variant
        name = experiment.name
        if variant is None:
            if made.reason is Reason.UNKNOWN_VARIANT:
                self._counters.add("experiment_faults", name, made.reason.value)
            return
        forced = made.reason is Reason.FORCED
        if experiment.mode is Mode.SPLIT or forced:
            if not self._can(experiment, variant):
                return
            plan.variants[name] = variant.name
            plan.changes |= variant.parameters.given()
        elif experiment.mode is Mode.SHADOW:
            others = experiment.variants[1:]
            plan.shadows += [(experiment, one) for one in others if self._can(experiment, one)]
            return
        elif plan.interleaved or not all(self._can(experiment, one) for one in experiment.variants):
            return
        else:
            plan.variants[name] = INTERLEAVED
            plan.interleaved = experiment
        if not forced:
            plan.units[name] = who.unit_of(experiment.unit)
            plan.counted[name] = plan.variants[name]

    def _can(self, experiment: Experiment, variant: Variant) -> bool:
        """Return whether a variant can be applied; count and say once if not."""
        key = (experiment.name, variant.name)
        if self.served(variant):
            if key in self._missing:
                self._missing.discard(key)
                self._log.info("variant_recovered", experiment=key[0], variant=key[1])
            return True
        self._counters.add("experiment_faults", experiment.name, Reason.INDEX_NOT_SERVED.value)
        if key not in self._missing:
            self._missing.add(key)
            self._log.warning(
                "variant_index_not_served",
                experiment=key[0],
                variant=key[1],
                index=variant.parameters.index,
            )
        return False

    def _servable(self, made: Assignment) -> Assignment:
        if made.variant is None or self.served(made.variant):
            return made
        return Assignment(made.experiment, None, Reason.INDEX_NOT_SERVED)

    def _deciding(self, assigner: Assigner | None) -> Decide | None:
        if assigner is None:
            return None

        def decide(experiment: Experiment, who: Participant) -> str | None:
            try:
                return assigner.assign(experiment, who)
            except Exception:  # noqa: BLE001 - foreign code, in the way of an answer
                self._counters.add("experiment_faults", experiment.name, "assigner_failed")
                return None

        return decide

    # ---- answering -------------------------------------------------------------------

    def _answer(
        self, plan: _Plan, question: Question, who: Participant, intent_id: str, time_left: float
    ) -> Answer:
        tuned = Parameters(**plan.changes)
        credits_: tuple[str | None, ...] = ()
        experiment = plan.interleaved
        if experiment is None:
            answer = self._completer.complete(_tuned(question, tuned), time_left)
        else:
            toss = coins(experiment.seed, plan.units[experiment.name], intent_id)
            wanted = [self._bounded(question, tuned, one) for one in experiment.variants]
            answer, teams = self._drafted(question, wanted, toss, time_left)
            names = [one.name for one in experiment.variants]
            credits_ = tuple(None if team is None else names[team] for team in teams)
        if Degradation.POPULAR_ONLY in answer.degradations:
            # There was no time for what the variants differ in.
            return replace(answer, trial=Trial(unit=who.unit))
        trial = Trial(
            plan.variants,
            plan.counted,
            plan.unit or who.unit,
            credits_,
            tuple(plan.shadows),
            tuned,
        )
        return replace(answer, trial=trial)

    def _drafted(
        self,
        question: Question,
        wanted: Sequence[Parameters],
        toss: Callable[[int], int],
        time_left: float,
    ) -> tuple[Answer, tuple[int | None, ...]]:
        """Return one answer of two, and for each suggestion which of them gets credit."""
        # Whoever uses more of the session looks it up, the other one takes what it needs.
        first, second = sorted((0, 1), key=lambda n: -(wanted[n].context or 0))
        answers: dict[int, Answer] = {}
        answers[first] = self._completer.complete(_tuned(question, wanted[first]), time_left)
        if Degradation.POPULAR_ONLY in answers[first].degradations:
            return answers[first], ()
        known = replace(
            question,
            previous=answers[first].previous,
            ages=answers[first].ages,
            session_id="",
        )
        answers[second] = self._completer.beside(_tuned(known, wanted[second]))
        drafted = draft(
            (answers[0].suggestions, answers[1].suggestions),
            wanted[0].suggestions or question.limit or DEFAULT_SUGGESTIONS,
            toss,
            key=lambda one: one.text,
            tier=_tier,
        )
        why = {
            one.suggestion.text: one
            for answer in (answers[1], answers[0])
            for one in answer.explanations
        }
        answer = replace(
            answers[0],
            suggestions=drafted.items,
            session=answers[first].session,
            degradations=answers[first].degradations,
            explanations=[why[one.text] for one in drafted.items] if why else (),
        )
        return answer, drafted.teams

    def _bounded(self, question: Question, tuned: Parameters, variant: Variant) -> Parameters:
        """Return what a variant of an interleaved list changes, with a number for its context."""
        merged = _merged(tuned, variant.parameters)
        if merged.context is not None:
            return merged
        looks_up = question.session_id and not question.previous
        return replace(
            merged, context=self._completer.context_queries if looks_up else MAX_PREVIOUS
        )

    def _note(self, plan: _Plan, answer: Answer, intent_id: str) -> None:
        for experiment, variant in answer.trial.variants.items():
            self._counters.add("experiments", experiment, variant)
        for experiment, variant in answer.trial.counted.items():
            unit = plan.units[experiment]
            self._exposures.note(experiment, variant, unit, intent_id, answer.served)


def _tuned(question: Question, tuned: Parameters) -> Question:
    """Return ``question`` as parameters change it."""
    sources = question.sources
    if tuned.sources is not None:
        wanted = Source(0)
        for name in tuned.sources:
            wanted |= Source[name]
        # A request that leaves nothing of them gets what it asked for.
        sources = wanted if sources is None else (wanted & sources or sources)
    return replace(
        question,
        index=question.index if tuned.index is None else tuned.index,
        limit=question.limit if tuned.suggestions is None else tuned.suggestions,
        sources=sources,
        keep_variants=(
            question.keep_variants if tuned.keep_variants is None else tuned.keep_variants
        ),
        tuned=tuned,
    )


def _merged(first: Parameters, then: Parameters) -> Parameters:
    return replace(first, **then.given())


def _tier(one: Suggested) -> int:
    return int(one.source == _CORRECTED)


def _nanoseconds(moment: dt.datetime | None, never: float) -> float:
    return never if moment is None else round(moment.timestamp() * 1e9)
