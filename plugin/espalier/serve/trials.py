"""Experiments applied to completions.

A variant changes a question, and the completer answers what came of it; so whatever
holds for answers holds for those of variants. Nothing an experiment asks for may cost
somebody an answer: what cannot be done is answered as if there were no experiment, and
counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from espalier.errors import EspalierError
from espalier.events import Action, Event
from espalier.experiments import NO_TRIAL, Parameters, Participant, Trial, Variant, draft
from espalier.experiments.interleaving import coins
from espalier.index import MAX_PREVIOUS
from espalier.native import Source
from espalier.serve.counters import Counting
from espalier.serve.domain import DEFAULT_SUGGESTIONS, Answer, Completer, Degradation, Question
from espalier.serve.exposures import Exposures
from espalier.serve.indexes import Suggested
from espalier.serve.plans import Plan, Planner
from espalier.serve.shadow import Job, Shadow

_CORRECTED: Final = str(Source.CORRECTED.name)


class Trials:
    """Applies experiments. Safe to use from many threads.

    Attributes:
        planner: Who is in which variant.

    Args:
        completer: What answers.
        exposures: Notes who got which variant; outlives a change of the experiments, as
            ``shadow`` does.
        clock: Unix time in nanoseconds.
    """

    def __init__(
        self,
        planner: Planner,
        completer: Completer,
        *,
        counters: Counting,
        exposures: Exposures,
        shadow: Shadow,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.planner = planner
        self._completer = completer
        self._counters = counters
        self._exposures = exposures
        self._shadow = shadow
        self._clock = clock

    def complete(
        self, question: Question, who: Participant, intent_id: str, time_left: float
    ) -> tuple[Answer, Trial]:
        """Answer ``question`` as the variants of ``who`` want; see `Completer.complete`."""
        plan = self.planner.plan(question.index, who)
        if not plan.wants:
            return self._completer.complete(question, time_left), NO_TRIAL
        try:
            answer, trial = self._answer(plan, question, intent_id, time_left)
        except EspalierError:
            if not plan.trial.variants:
                raise
            # Whose fault it was shows in whether it can be answered without.
            answer = self._completer.complete(question, time_left)
            for experiment in plan.trial.variants:
                self._counters.add("experiment_faults", experiment, "failed")
            return answer, _of_nobody_else(plan.trial)
        for experiment, variant in trial.variants.items():
            self._counters.add("experiments", experiment, variant)
        for experiment, variant in trial.counted.items():
            unit = plan.units[experiment]
            self._exposures.note(experiment, variant, unit, intent_id, answer.served)
        return answer, trial

    def begin_shadows(
        self, question: Question, who: Participant, event: Event, answer: Answer, trial: Trial
    ) -> None:
        """Have computed what else could have been answered, once the reply is made.

        Args:
            question: As it was asked.
            who: Who asked.
            event: Names the suggestion set, the session and the intent.
            answer: What was answered.
            trial: What experiments had to do with it.
        """
        # The context is the one of the answer, so that no session is looked up for it.
        beside = replace(question, previous=answer.previous, ages=answer.ages, session_id="")
        for experiment, variant in trial.shadows:
            noted = replace(
                event,
                action=Action.SHADOW,
                time_ns=self._clock(),
                unit=who.unit_of(experiment.unit),
                prefix_length=len(question.prefix),
                index=answer.served.name,
                index_revision=answer.served.revision,
                experiments=trial.counted,
            )
            tuned = _tuned(beside, _merged(trial.parameters, variant.parameters))
            job = Job(experiment.name, variant.name, tuned, answer.suggestions, noted)
            self._shadow.submit(job)

    def _answer(
        self, plan: Plan, question: Question, intent_id: str, time_left: float
    ) -> tuple[Answer, Trial]:
        trial, experiment = plan.trial, plan.interleaved
        if experiment is None:
            tuned = _tuned(question, trial.parameters)
            answer = self._completer.complete(tuned, time_left)
        else:
            toss = coins(experiment.seed, plan.units[experiment.name], intent_id)
            wanted = [self._bounded(question, trial.parameters, one) for one in experiment.variants]
            answer, teams = self._drafted(question, wanted, toss, time_left)
            names = [one.name for one in experiment.variants]
            credit = tuple(None if team is None else names[team] for team in teams)
            trial = replace(trial, credits=credit)
        if Degradation.POPULAR_ONLY in answer.degradations:
            # There was no time for what the variants differ in.
            return answer, _of_nobody_else(trial)
        return answer, trial

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


def _tuned(question: Question, tuned: Parameters) -> Question:
    """Return ``question`` as parameters change it."""
    if tuned == _UNCHANGED:
        return question
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


_UNCHANGED: Final = Parameters()


def _of_nobody_else(trial: Trial) -> Trial:
    """Return that no variant is in force, and whose answer it is all the same.

    A variant that fails, or takes its time, would else be rid of the episodes it spoils.
    """
    return Trial(unit=trial.unit, units=trial.units)


def _merged(first: Parameters, then: Parameters) -> Parameters:
    return replace(first, **then.given())


def _tier(one: Suggested) -> int:
    return int(one.source == _CORRECTED)
