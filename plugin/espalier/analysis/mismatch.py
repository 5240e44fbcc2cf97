"""Whether the variants have the shares of units they were meant to have.

If not, something other than the variant decides who is seen (a crash, a redirect, a
filter of robots), and no difference can be trusted. The test is sequential, so that a
daily report does not raise a false alarm sooner or later: the Bayes factor of counts
from Dirichlet-distributed shares against the meant ones, a martingale if the meant ones
hold (Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS
2022, section 2). By Ville's inequality it ever reaches 1/p with probability p at most.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

THRESHOLD: Final = 0.001
"""Chance at most of a false alarm in the whole life of an experiment."""

# How closely alternatives crowd around the meant shares: in imagined units behind them.
# The first finds a variant that nobody gets, the second a mismatch of some percent.
_CONCENTRATIONS: Final = (10.0, 1_000.0)


@dataclass(frozen=True, slots=True)
class RatioTest:
    """What became of the shares.

    Attributes:
        expected: Share of each variant as meant; they add up to 1.
        observed: Share of each variant as found; 0 without units.
        p_value: Valid at every look; at most 1.
    """

    expected: Mapping[str, float]
    observed: Mapping[str, float]
    p_value: float

    @property
    def mismatch(self) -> bool:
        """Whether the shares are not what they were meant to be."""
        return self.p_value <= THRESHOLD

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "expected": dict(self.expected),
            "observed": dict(self.observed),
            "p_value": self.p_value,
            "threshold": THRESHOLD,
            "mismatch": self.mismatch,
        }


def log_bayes_factor(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return the evidence of ``counts`` against ``shares``, as a logarithm to base e.

    Args:
        counts: Units of each variant.
        shares: Meant share of each, all above 0, adding up to 1.
    """
    found = [_against(counts, shares, one) for one in _CONCENTRATIONS]
    # The mean of martingales is a martingale.
    most = max(found)
    return most + math.log(sum(math.exp(one - most) for one in found) / len(found))


def _against(counts: Sequence[int], shares: Sequence[float], concentration: float) -> float:
    found = math.lgamma(concentration) - math.lgamma(concentration + sum(counts))
    for count, part in zip(counts, shares, strict=True):
        imagined = concentration * part
        found += math.lgamma(imagined + count) - math.lgamma(imagined) - count * math.log(part)
    return found


def ratio_test(counts: Mapping[str, int], weights: Mapping[str, float]) -> RatioTest:
    """Compare the units of each variant with its weight.

    Args:
        counts: Units by variant.
        weights: Of these variants and of those that nobody saw, all above 0, in any unit.
    """
    counts = {name: counts.get(name, 0) for name in (*counts, *sorted(weights.keys() - counts))}
    whole, total = sum(weights.values()), sum(counts.values())
    expected = {name: weights[name] / whole for name in counts}
    evidence = log_bayes_factor(list(counts.values()), list(expected.values()))
    return RatioTest(
        expected,
        {name: count / total if total else 0.0 for name, count in counts.items()},
        math.exp(-max(evidence, 0.0)),
    )
