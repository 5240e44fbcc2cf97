"""Intervals that hold however often somebody looks: asymptotic confidence sequences.

An experiment's report is read every day, and stopped when it says something. An
interval made for one look then misses the truth far more often than it promises. The
interval here covers it at all times at once, with the promised probability:

    estimate +- sqrt(variance) * sqrt(2 (1 + 1/(n r^2)) log(sqrt(n r^2 + 1) / alpha))

with ``n`` units so far and ``variance`` that of the estimate. This is Theorem 2.2 of
Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and
asymptotic confidence sequences", Annals of Statistics 52 (2024), arXiv 2103.06476;
the boundary is the normal mixture of Robbins (1970), the same that the mixture
sequential probability ratio test stands on. ``r`` chooses where the interval is
narrowest (by the usual approximation of the Lambert function), for any ``n`` it is valid.

It is asymptotic: before :data:`FEWEST_UNITS` in each variant there is no interval, nor
where a few of them did most of what was done (:data:`FEWEST_ALIKE`).
"""

from __future__ import annotations

import math
from typing import Final

from espalier.evaluate.intervals import Interval

FEWEST_UNITS: Final = 100
"""Units a variant needs before its mean is anything like normally distributed."""
FEWEST_ALIKE: Final = 50
"""Equally active units that what those of a variant did has to be worth, at least."""
FEWEST_EVENTS: Final = 10
"""Times that something has to happen, and not to, before its share has an interval."""
TUNED_FOR: Final = 5_000
"""Units at which intervals are narrowest unless told otherwise, all variants together."""


def widening(units: float, alpha: float, tuned_for: float = TUNED_FOR) -> float:
    """Return how many standard errors the interval reaches to each side.

    Args:
        units: Units so far, above 0.
        alpha: Probability of ever missing the truth, above 0 and below 1.
        tuned_for: Units at which the interval is narrowest; to be chosen before looking.
    """
    log = -2.0 * math.log(alpha)
    scale = units * (log + math.log(log + 1.0)) / tuned_for
    return math.sqrt(2.0 * (1.0 + 1.0 / scale) * (0.5 * math.log1p(scale) - math.log(alpha)))


def interval(
    estimate: float, variance: float, units: float, alpha: float, tuned_for: float = TUNED_FOR
) -> Interval:
    """Return the interval of an estimate after ``units`` units; see the top of the module.

    Args:
        estimate: What was found so far.
        variance: Of the estimate, not of a unit.
        units: Units it was found from.
        alpha: As for :func:`widening`.
        tuned_for: As for :func:`widening`.
    """
    half = math.sqrt(variance) * widening(units, alpha, tuned_for)
    return Interval(estimate - half, estimate + half)
