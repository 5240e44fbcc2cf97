"""Ratios of totals by unit, and how sure they are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from espalier.analysis.moments import Moments, difference, level
from espalier.evaluate.intervals import Interval


def test_the_variance_is_that_of_drawing_other_units() -> None:
    """The delta method says what the bootstrap over units says, within its own noise."""
    rng = np.random.default_rng(3)
    d = rng.geometric(0.3, 2_000).astype(float)
    n = rng.binomial(d.astype(int), rng.beta(1, 2, 2_000)).astype(float)
    drawn = rng.integers(0, 2_000, (2_000, 2_000))
    ratios = n[drawn].sum(axis=1) / d[drawn].sum(axis=1)

    assert Moments.of(n, d).variance == pytest.approx(float(ratios.var()), rel=0.15)


def test_episodes_of_one_unit_are_not_counted_as_if_they_were_of_many() -> None:
    """Everybody comes ten times and always does the same: ten times as wide a variance."""
    n = np.repeat([0.0, 1.0], 500)
    once = Moments.of(n, np.ones(1_000))
    always = Moments.of(np.repeat(n, 10), np.ones(10_000))
    ten_times = Moments.of(10 * n, np.full(1_000, 10.0))

    assert ten_times.ratio == once.ratio == always.ratio
    assert ten_times.variance == pytest.approx(once.variance)
    assert ten_times.variance == pytest.approx(10 * always.variance, rel=0.01)


def test_what_is_rare_and_has_not_happened_yet_is_not_taken_for_impossible() -> None:
    """A variant of few units in which nothing varied is as unsure as the other one is."""
    many = Moments.of(np.repeat([0.0, 1.0], [9_900, 100]), np.ones(10_000))
    few = Moments.of(np.zeros(200), np.ones(200))

    found = difference(few, many, 0.05).interval

    assert few.variance == 0.0
    assert found is not None
    assert found.low < 0.0 < found.high
    assert (found.high - found.low) / 2 > 3 * np.sqrt(0.01 / 200)


@pytest.mark.parametrize("share", [0.002, 0.998])
def test_the_interval_of_what_is_rare_holds_at_every_look(share: float) -> None:
    """It waits until it has happened some times: the first of them says how often it does not."""
    looks = np.unique(np.geomspace(100, 20_000, 60).astype(int))
    missed = 0
    for seed in range(200):
        rng = np.random.default_rng([seed, 17])
        d = rng.geometric(0.5, 20_000)
        n = rng.binomial(d, share)
        sums = np.cumsum([n, d, n * n, n * d, d * d], axis=1, dtype=float).T[looks - 1]
        spans = [
            level(Moments(units, *of), 0.05).interval
            for units, of in zip(looks.tolist(), sums.tolist(), strict=True)
        ]
        assert spans[-1] is not None
        missed += any(span is not None and not span.low <= share <= span.high for span in spans)

    assert missed <= binom.ppf(0.99, 200, 0.05)


def test_one_who_does_most_of_it_is_no_crowd() -> None:
    """Five hundred units, one of which did two thirds of all: nothing is said."""
    d = np.append(np.ones(499), 1_000.0)
    robot, people = Moments.of(d * 0.0 + (d > 1), d), Moments.of(d[:-1] * 0.5, d[:-1])

    assert people.alike == pytest.approx(499)
    assert robot.alike < 3
    assert level(robot, 0.05).interval is None
    assert difference(robot, robot, 0.05).interval is None


def test_a_share_is_never_above_one() -> None:
    """What nearly all do has an interval that ends where shares do."""
    of = Moments.of(np.repeat([0.0, 1.0], [12, 288]), np.ones(300))

    found = level(of, 0.05).interval
    free = level(of, 0.05, within=Interval(-9.0, 9.0)).interval
    assert found is not None
    assert free is not None
    assert (found.low, found.high) == (free.low, 1.0)
    assert free.high > 1.0


@pytest.mark.parametrize(
    ("n", "d"),
    [([], []), ([0.0] * 300, [0.0] * 300), ([1.0] * 300, [1.0] * 300), ([0.1] * 300, [1.0] * 300)],
)
def test_what_does_not_vary_has_no_interval(n: list[float], d: list[float]) -> None:
    """No unit, nothing measured, everybody alike: a figure perhaps, and nothing around it."""
    of = Moments.of(np.array(n), np.array(d))

    assert level(of, 0.05).interval is None
    assert difference(of, of, 0.05).interval is None
    assert (level(of, 0.05).value is None) == (sum(d) == 0)
