"""What experiments want of one call: who is in which variant, as far as that can be done.

Somebody types ten keys in a row, and what is wanted of each is the same; so plans are
remembered until an experiment begins or ends, or other indexes are served.
"""

from __future__ import annotations

import datetime as dt
import math
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from espalier.experiments import (
    INTERLEAVED,
    NO_TRIAL,
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
)
from espalier.experiments.assigners import Assigner
from espalier.experiments.assignment import Decide
from espalier.serve.counters import Counting
from espalier.serve.indexes import Indexes
from espalier.serve.log import EventLog

REMEMBERED: Final = 4_096
"""Plans that are remembered; forgotten together."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What experiments want of one call.

    Attributes:
        trial: What there is to say of the answer, but for credits.
        units: Who was assigned, by experiment.
        interleaved: The experiment whose two variants draft the list.
        faults: What cannot be done: experiment and reason.
    """

    trial: Trial = NO_TRIAL
    units: Mapping[str, str] = field(default_factory=dict)
    interleaved: Experiment | None = None
    faults: tuple[tuple[str, str], ...] = ()

    @property
    def wants(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.trial.variants or self.trial.shadows)


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

    def until(self, now: int) -> float:
        """Return when the state is another one."""
        return min((moment for moment in (self.start, self.end) if moment > now), default=math.inf)


@dataclass(slots=True)
class _Draft:
    """A plan in the making."""

    variants: dict[str, str] = field(default_factory=dict)
    counted: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    interleaved: Experiment | None = None
    shadows: list[tuple[Experiment, Variant]] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    forced: bool = False

    def plan(self, who: Participant) -> Plan:
        """Return what became of it."""
        if self.forced:
            # The answer is none that anybody else could have got.
            return Plan(
                Trial(self.variants, tested=True, parameters=Parameters(**self.changes)),
                self.units,
                self.interleaved,
                tuple(self.faults),
            )
        unit = next((self.units[name] for name in self.counted), who.unit)
        trial = Trial(
            self.variants,
            self.counted,
            unit,
            {name: self.units[name] for name in self.counted if self.units[name] != unit},
            shadows=tuple(self.shadows),
            parameters=Parameters(**self.changes),
        )
        return Plan(trial, self.units, self.interleaved, tuple(self.faults))


@dataclass(frozen=True, slots=True)
class _Memory:
    """Plans, how long they hold, and for which indexes.

    Those are not held on to: who replaces an index waits until nobody does.
    """

    until: float
    indexes: weakref.ref[Indexes]
    plans: dict[tuple[object, ...], Plan] = field(default_factory=dict)


class Planner:
    """Makes plans. Safe to use from many threads.

    Args:
        experiments: In the order of the configuration.
        assigners: By the names the experiments have for them.
        indexes: What is served now.
        clock: Unix time in nanoseconds.
    """

    def __init__(
        self,
        experiments: Iterable[Experiment],
        assigners: Mapping[str, Assigner | None],
        indexes: Callable[[], Indexes],
        *,
        counters: Counting,
        log: EventLog,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._indexes = indexes
        self._counters = counters
        self._log = log
        self._clock = clock
        self._entries = [
            _Entry(
                one,
                _nanoseconds(one.start, -math.inf),
                _nanoseconds(one.end, math.inf),
                self._deciding(assigners[one.assigner]),
            )
            for one in experiments
        ]
        # Others may decide anew with every call.
        self._pure = all(entry.decide is None for entry in self._entries)
        self._memory = _Memory(-math.inf, weakref.ref(indexes()))
        # Variants whose index is not served, so that it is said once.
        self._missing: set[tuple[str, str]] = set()

    def states(self) -> list[tuple[Experiment, State]]:
        """Return every experiment and whether it runs."""
        now = self._clock()
        return [(entry.experiment, entry.state(now)) for entry in self._entries]

    def served(self, variant: Variant) -> bool:
        """Return whether the index is served that a variant asks for."""
        index = variant.parameters.index
        return index is None or self._indexes().has(index)

    def assignments(self, who: Participant) -> list[Assignment]:
        """Return what becomes of somebody in every experiment that runs or is forced."""
        now = self._clock()
        made = [
            assign(entry.experiment, who, entry.state(now), entry.decide) for entry in self._entries
        ]
        return [self._servable(one) for one in made if one is not None]

    def plan(self, index: str, who: Participant) -> Plan:
        """Return what is wanted of a call about an index, "" for the default one."""
        now, indexes = self._clock(), self._indexes()
        if who.forced or who.assigned or not self._pure:
            plan = self._made(index, who, now, indexes)
        else:
            plan = self._remembered(index, who, now, indexes)
        for experiment, reason in plan.faults:
            self._counters.add("experiment_faults", experiment, reason)
        return plan

    def _remembered(self, index: str, who: Participant, now: int, indexes: Indexes) -> Plan:
        memory = self._memory
        if now >= memory.until or memory.indexes() is not indexes:
            until = min((entry.until(now) for entry in self._entries), default=math.inf)
            memory = self._memory = _Memory(until, weakref.ref(indexes))
        key: tuple[object, ...] = (index, who.unit, who.session_id)
        if who.attributes:
            key += tuple(sorted(who.attributes.items()))
        plan = memory.plans.get(key)
        if plan is None:
            plan = self._made(index, who, now, indexes)
            if len(memory.plans) >= REMEMBERED:
                memory.plans.clear()
            memory.plans[key] = plan
        return plan

    def _made(self, index: str, who: Participant, now: int, indexes: Indexes) -> Plan:
        default = indexes.default.name
        draft = _Draft()
        for entry in self._entries:
            experiment = entry.experiment
            if (experiment.index or default) == (index or default):
                made = assign(experiment, who, entry.state(now), entry.decide)
                if made is not None:
                    self._take_in(draft, made, who)
        return draft.plan(who)

    def _take_in(self, draft: _Draft, made: Assignment, who: Participant) -> None:
        """Add what an assignment wants, as far as it can be done."""
        experiment, variant = made.experiment, made.variant
        name = experiment.name
        if variant is None:
            if made.reason is Reason.UNKNOWN_VARIANT:
                draft.faults.append((name, made.reason.value))
            return
        forced = made.reason is Reason.FORCED
        alone = experiment.mode is Mode.SPLIT or forced
        needed = (variant,) if alone else experiment.variants
        missing = [one for one in needed if not self._can(experiment, one)]
        draft.faults += [(name, Reason.INDEX_NOT_SERVED.value)] * len(missing)
        if experiment.mode is Mode.SHADOW and not forced:
            others = experiment.variants[1:]
            draft.shadows += [(experiment, one) for one in others if one not in missing]
            return
        if missing or (not alone and draft.interleaved):
            return
        if alone:
            draft.variants[name] = variant.name
            draft.changes |= variant.parameters.given()
        else:
            draft.variants[name] = INTERLEAVED
            draft.interleaved = experiment
        draft.forced |= forced
        if not forced:
            draft.units[name] = who.unit_of(experiment.unit)
            draft.counted[name] = draft.variants[name]

    def _can(self, experiment: Experiment, variant: Variant) -> bool:
        """Return whether a variant can be applied; say once if not."""
        key = (experiment.name, variant.name)
        if self.served(variant):
            if key in self._missing:
                self._missing.discard(key)
                self._log.info("variant_recovered", experiment=key[0], variant=key[1])
            return True
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


def _nanoseconds(moment: dt.datetime | None, never: float) -> float:
    return never if moment is None else round(moment.timestamp() * 1e9)
