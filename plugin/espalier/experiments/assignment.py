"""Which variant a unit gets: a pure function of the seed and the unit, nothing is stored.

Compatible with GrowthBook bit for bit (docs.growthbook.io/lib/build-your-own): hash version
2 for variants, version 1 for namespaces, coverage and ranges as their SDKs have them. A
site that splits its pages with GrowthBook can split its completions alike, and the other
way round. The hash is FNV-1a, 32 bits wide (Fowler, Noll and Vo), over UTF-16 code units,
as JavaScript counts; a Python package of GrowthBook before version 4 counts code points,
which differs beyond U+FFFF.
"""

from __future__ import annotations

import datetime as dt
import enum
import functools
from collections.abc import Callable, Iterable
from typing import Final

from espalier.experiments.model import Assignment, Experiment, Mode, Participant, Reason

_OFFSET: Final = 0x811C9DC5
_PRIME: Final = 0x01000193
_MASK: Final = 0xFFFFFFFF
_UNITS: Final = 10_000
_NAMESPACE_UNITS: Final = 1_000


class State(enum.Enum):
    """Whether an experiment runs; as ``espalier.v1.ExperimentState``."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    ENDED = "ended"


Decide = Callable[[Experiment, Participant], str | None]
"""What names the variant of a participant, ``None`` for none: an assigner that is plugged in."""


def fnv1a32(text: str, state: int = _OFFSET) -> int:
    """Return the FNV-1a hash of ``text``, continuing from the hash of what came before."""
    if text.isascii():
        for unit in text.encode():
            state = ((state ^ unit) * _PRIME) & _MASK
        return state
    # As the cast is of two bytes in the order of the machine, so must the encoding be; the
    # byte order mark, which comes first, is no part of the text.
    for unit in memoryview(text.encode("utf-16", "surrogatepass")).cast("H")[1:]:
        state = ((state ^ unit) * _PRIME) & _MASK
    return state


@functools.lru_cache(1_024)
def _seeded(seed: str) -> int:
    return fnv1a32(seed)


def place_of(seed: str, unit: str) -> float:
    """Return where a unit falls, from 0 until before 1, in steps of 0.01 % (version 2)."""
    return fnv1a32(str(fnv1a32(unit, _seeded(seed)))) % _UNITS / _UNITS


def place_in_namespace(namespace: str, unit: str) -> float:
    """Return where a unit falls in a namespace, in steps of 0.1 % (version 1)."""
    return fnv1a32(f"{unit}__{namespace}") % _NAMESPACE_UNITS / _NAMESPACE_UNITS


def shares_of(weights: Iterable[float], coverage: float) -> list[tuple[float, float]]:
    """Return the half-open ranges of variants: each begins where it would at full coverage.

    More coverage so moves nobody from one variant to another.
    """
    shares = []
    cumulative = 0.0
    for weight in weights:
        shares.append((cumulative, cumulative + coverage * weight))
        cumulative += weight
    return shares


def state_at(experiment: Experiment, now: dt.datetime) -> State:
    """Return whether an experiment runs at a time with time zone."""
    if experiment.end is not None and now >= experiment.end:
        return State.ENDED
    if experiment.start is not None and now < experiment.start:
        return State.SCHEDULED
    return State.RUNNING


def assign(
    experiment: Experiment, who: Participant, state: State, decide: Decide | None = None
) -> Assignment | None:
    """Return what becomes of a participant, ``None`` if the experiment does not run.

    What the participant forces comes first, then what somebody else assigned to it, then
    ``decide``, an assigner in place of the hash. Where nothing is split, who takes part is
    in the control.
    """
    forced = who.forced.get(experiment.name)
    if forced is not None:
        return _named(experiment, forced, Reason.FORCED)
    if state is not State.RUNNING:
        return None
    unit = who.unit_of(experiment.unit)
    given = who.assigned.get(experiment.name) if experiment.mode is Mode.SPLIT else None
    if unit and given is not None:
        return _named(experiment, given, Reason.EXTERNAL)
    outside = _why_not(experiment, who, unit)
    if outside is not None:
        return Assignment(experiment, None, outside)
    return _hashed(experiment, unit) if decide is None else _decided(experiment, who, decide)


def _why_not(experiment: Experiment, who: Participant, unit: str) -> Reason | None:
    """Return why a unit cannot take part, ``None`` if it can."""
    if not unit:
        return Reason.NO_UNIT
    for name, values in experiment.eligible.items():
        if who.attributes.get(name) not in values:
            return Reason.NOT_ELIGIBLE
    if experiment.namespace:
        start, end = experiment.namespace_share
        if not start <= place_in_namespace(experiment.namespace, unit) < end:
            return Reason.NOT_IN_NAMESPACE
    return None


def _hashed(experiment: Experiment, unit: str) -> Assignment:
    place = place_of(experiment.seed, unit)
    for variant in experiment.variants:
        start, end = variant.share
        if start <= place < end:
            return Assignment(experiment, variant, Reason.ASSIGNED)
    return Assignment(experiment, None, Reason.NOT_COVERED)


def _decided(experiment: Experiment, who: Participant, decide: Decide) -> Assignment:
    chosen = decide(experiment, who)
    if chosen is None:
        return Assignment(experiment, None, Reason.NOT_COVERED)
    return _named(experiment, chosen, Reason.EXTERNAL)


def _named(experiment: Experiment, name: str, reason: Reason) -> Assignment:
    variant = experiment.variant(name)
    return Assignment(experiment, variant, Reason.UNKNOWN_VARIANT if variant is None else reason)
