"""Ratio metrics by unit: all that means, differences and their errors are made of.

A metric is a ratio of two totals, as accepted episodes by episodes. Episodes of one
person resemble each other, so a unit counts once, with its two totals ``n`` and ``d``;
the ratio of the sums has the variance that the delta method gives it (Deng, Knoblich
and Lu, "Applying the delta method in metric analytics", KDD 2018, section 3):

    var(sum n / sum d) = (var n - 2 r cov(n, d) + r^2 var d) / (units * mean(d)^2)

Six sums are enough for it, they can be added up anywhere and in any order.

Of a difference the variance is at least what it would be if the units of both variants
varied as all of them together do: a small variant in which what is rare has not happened
yet would else be taken for one in which it never does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from espalier.analysis.sequences import (
    FEWEST_ALIKE,
    FEWEST_EVENTS,
    FEWEST_UNITS,
    TUNED_FOR,
    interval,
)
from espalier.evaluate.intervals import Interval
from espalier.evaluate.measures import FloatArray

SHARE: Final = Interval(0.0, 1.0)
"""Where a share is."""
# What is left of a difference of equal sums.
_ROUNDING: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over the units of a variant.

    Attributes:
        units: Units, those with a denominator of 0 too.
        n, d: Sum of the numerators, of the denominators.
        nn, nd, dd: Sums of their squares and products.
    """

    units: int
    n: float
    d: float
    nn: float
    nd: float
    dd: float

    @classmethod
    def of(cls, numerators: FloatArray, denominators: FloatArray) -> Moments:
        """Sum up units one by one, both ``(units,)``."""
        return cls(
            len(numerators),
            float(numerators.sum()),
            float(denominators.sum()),
            float(numerators @ numerators),
            float(numerators @ denominators),
            float(denominators @ denominators),
        )

    @property
    def ratio(self) -> float | None:
        """The metric; None where nothing was measured."""
        return self.n / self.d if self.d > 0 else None

    @property
    def alike(self) -> float:
        """How many units with equal denominators say as much (Kish's effective sample size)."""
        return _worth(self.d, self.dd)

    @property
    def settled(self) -> bool:
        """Whether a share has been seen to be neither 0 nor 1, more than a few times."""
        rest, squares = self.d - self.n, self.dd - 2.0 * self.nd + self.nn
        return min(_worth(self.n, self.nn), _worth(rest, squares)) >= FEWEST_EVENTS

    @property
    def enough(self) -> bool:
        """Whether the metric is anything like normally distributed."""
        return self.units >= FEWEST_UNITS and self.alike >= FEWEST_ALIKE

    @property
    def variance(self) -> float:
        """The variance of the metric; infinite where nothing can be said about it."""
        ratio = self.ratio
        if ratio is None or self.units < 2:
            return float("inf")
        # The residuals n - r d add up to zero, so their squares are their variance.
        squares = self.nn - 2.0 * ratio * self.nd + ratio * ratio * self.dd
        if squares <= _ROUNDING * self.nn:
            squares = 0.0
        return squares * self.units / (self.units - 1) / (self.d * self.d)


NOTHING: Final = Moments(0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""The sums over no unit."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval.

    Attributes:
        value: None where nothing was measured.
        interval: None where too few units were seen, or they do not differ at all.
    """

    value: float | None
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        """Return both."""
        return {
            "value": self.value,
            "interval": None if self.interval is None else self.interval.to_json(),
        }


def level(
    of: Moments, alpha: float, tuned_for: float = TUNED_FOR, *, within: Interval = SHARE
) -> Estimate:
    """Return the metric of one variant with an interval that holds at every look.

    Args:
        of: Its sums.
        alpha: Probability of an interval that ever misses the truth.
        tuned_for: Units at which it is narrowest.
        within: Where the truth must be whatever the data say.
    """
    ratio, variance = of.ratio, of.variance
    if ratio is None or not of.enough or not 0.0 < variance < float("inf"):
        return Estimate(ratio, None)
    if within == SHARE and not of.settled:
        return Estimate(ratio, None)
    found = interval(ratio, variance, of.units, alpha, tuned_for)
    return Estimate(ratio, Interval(max(found.low, within.low), min(found.high, within.high)))


def difference(of: Moments, base: Moments, alpha: float, tuned_for: float = TUNED_FOR) -> Estimate:
    """Return by how much ``of`` is above ``base``, with an interval that holds at every look."""
    if of.ratio is None or base.ratio is None:
        return Estimate(None, None)
    value, variance, units = of.ratio - base.ratio, _together(of, base), of.units + base.units
    if not (of.enough and base.enough and 0.0 < variance < float("inf")):
        return Estimate(value, None)
    return Estimate(value, interval(value, variance, units, alpha, tuned_for))


def _worth(total: float, squares: float) -> float:
    """Return how many equal numbers have this sum and this sum of squares, 0 for none."""
    return total * total / squares if squares > 0 else 0.0


def _together(of: Moments, base: Moments) -> float:
    """Return the variance of the difference of two metrics; see the top of the module."""
    units = of.units + base.units
    pooled = (of.variance * of.units**2 + base.variance * base.units**2) / units
    return sum(max(one.variance, pooled / one.units) for one in (of, base))
