"""Whether the shares are what they were meant to be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, dirichlet_multinomial, multinomial

from espalier.analysis.mismatch import THRESHOLD, log_bayes_factor, ratio_test


def test_the_evidence_is_the_ratio_of_two_likelihoods() -> None:
    """Dirichlet-multinomial around the shares against multinomial with them, as scipy has both."""
    counts, shares = [530, 270, 200], [0.5, 0.3, 0.2]
    found = [dirichlet_multinomial(np.array(shares) * k, 1_000).pmf(counts) for k in (10, 1_000)]
    meant = multinomial(1_000, shares).logpmf(counts)

    assert log_bayes_factor(counts, shares) == pytest.approx(math.log(sum(found) / 2) - meant)


def test_looking_after_every_unit_rarely_raises_a_false_alarm() -> None:
    """300 experiments of 20,000 units with the right shares, looked at every 10 units."""
    runs, alarms = 300, 0
    rng = np.random.default_rng(5)
    looks = np.arange(10, 20_001, 10)
    for _ in range(runs):
        first = np.cumsum(rng.random(20_000) < 0.3)[looks - 1]
        alarms += any(
            log_bayes_factor([a, n - a], [0.3, 0.7]) >= -math.log(THRESHOLD)
            for a, n in zip(first.tolist()[::20], looks.tolist()[::20], strict=True)
        )

    assert alarms <= binom.ppf(0.99, runs, THRESHOLD)


@pytest.mark.parametrize(
    ("counts", "mismatch"),
    [
        ({"A": 5_000, "B": 5_000}, False),
        ({"A": 5_100, "B": 4_900}, False),
        ({"A": 5_300, "B": 4_700}, True),
        ({"A": 500_000, "B": 495_000}, True),
        ({"A": 40, "B": 0}, True),
        ({"A": 0, "B": 0}, False),
    ],
)
def test_what_is_a_mismatch(counts: dict[str, int], *, mismatch: bool) -> None:
    """Two percent too few of ten thousand are chance, six are not; nor is one of a million."""
    assert ratio_test(counts, {"A": 1.0, "B": 1.0}).mismatch is mismatch


def test_a_variant_that_nobody_saw_is_missed() -> None:
    """It has a weight, so it should have units."""
    found = ratio_test({"A": 500}, {"A": 50, "B": 50})

    assert found.mismatch
    assert found.observed == {"A": 1.0, "B": 0.0}


def test_weights_are_in_any_unit() -> None:
    """9,000 and 1,000 of 10,000 are nine to one."""
    counts = {"A": 9_020, "B": 980}
    found = [ratio_test(counts, {"A": 9.0 * k, "B": 1.0 * k}) for k in (1, 1_000)]

    assert found[0].p_value == pytest.approx(found[1].p_value)
    assert found[0].expected == {"A": 0.9, "B": 0.1}
    assert not found[0].mismatch
