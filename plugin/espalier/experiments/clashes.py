"""What keeps two experiments from running at the same time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

from espalier.experiments.model import BASIS, Experiment, Mode

_EVER: Final = (
    dt.datetime.min.replace(tzinfo=dt.UTC),
    dt.datetime.max.replace(tzinfo=dt.UTC),
)


def clashes(one: Experiment, other: Experiment, default: str) -> Iterator[tuple[str, str]]:
    """Yield key and message of what keeps two experiments from running together.

    ``default`` is the name of the default index, "" if not known.
    """
    if not _meet_in_time(one, other):
        return
    together = bool(one.namespace) and one.namespace == other.namespace
    if together and one.unit != other.unit:
        yield (
            "unit",
            (
                f"{one.name} and {other.name} are in the namespace {one.namespace} with different "
                "units, so they do not exclude each other; use one unit"
            ),
        )
        return
    if together:
        start = max(one.namespace_share[0], other.namespace_share[0])
        end = min(one.namespace_share[1], other.namespace_share[1])
        if start < end:
            yield (
                "namespace_from",
                (
                    f"{one.name} and {other.name} overlap in the namespace {one.namespace} from "
                    f"{round(start * BASIS)} to {round(end * BASIS)}; give them parts of their own"
                ),
            )
        return
    if (one.index or default) != (other.index or default):
        return
    if one.mode is other.mode is Mode.INTERLEAVE:
        yield (
            "mode",
            (
                f"{one.name} and {other.name} both draft the list of the same calls; put them into "
                "one namespace, or let one begin after the other"
            ),
        )
    if Mode.SHADOW in {one.mode, other.mode}:
        return
    both = _changed(one) & _changed(other)
    if both:
        yield (
            "variants",
            (
                f"{one.name} and {other.name} both change {', '.join(sorted(both))} of the same "
                "calls; put them into one namespace, or let one begin after the other"
            ),
        )


def _meet_in_time(one: Experiment, other: Experiment) -> bool:
    first, last = _EVER
    start = max(one.start or first, other.start or first)
    return start < min(one.end or last, other.end or last)


def _changed(experiment: Experiment) -> set[str]:
    return {name for variant in experiment.variants for name in variant.parameters.given()}
