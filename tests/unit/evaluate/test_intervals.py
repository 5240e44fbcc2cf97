"""The bootstrap over users."""

from __future__ import annotations

import numpy as np
import pytest

from espalier.evaluate.intervals import ratio_interval, resample, sums_by_unit


def test_sums_are_taken_per_unit() -> None:
    """Rows of one unit add up wherever they stand; a unit without rows has 0."""
    sums = sums_by_unit(np.array([1.0, 2.0, 4.0]), np.array([2, 0, 2]), 4)

    assert sums.tolist() == [2.0, 0.0, 5.0, 0.0]


def test_equal_seeds_draw_equal_samples_whatever_the_block() -> None:
    """Blocks bound memory and change nothing but rounding, which is the BLAS library's."""
    sums = np.random.default_rng(5).random((40, 3))

    assert (resample(sums, seed=3) == resample(sums, seed=3)).all()
    assert np.allclose(
        resample(sums, seed=3, replicates=9), resample(sums, seed=3)[:9], rtol=1e-12, atol=0
    )
    assert (resample(sums, seed=3) != resample(sums, seed=4)).any()


def test_a_sample_draws_as_many_units_as_there_are() -> None:
    """A column of ones adds up to the number of units in every replicate."""
    drawn = resample(np.ones((17, 1)), seed=1, replicates=50)

    assert drawn[:, 0].tolist() == [17.0] * 50


def test_units_that_all_agree_leave_no_doubt() -> None:
    """If every user has the same mean, the interval is a point."""
    sums = np.tile([3.0, 6.0], (10, 1))
    drawn = resample(sums, seed=1)
    interval = ratio_interval(drawn[:, 0], drawn[:, 1])

    assert interval is not None
    assert interval.to_json() == [0.5, 0.5]


def test_the_interval_is_as_wide_as_theory_says() -> None:
    """For the mean of n users, 1.96 standard errors to both sides (within 15 %)."""
    values = np.random.default_rng(7).normal(2.0, 1.0, 400)
    drawn = resample(np.stack([values, np.ones(400)], axis=1), seed=1)
    interval = ratio_interval(drawn[:, 0], drawn[:, 1])
    half = 1.96 * values.std() / 20.0

    assert interval is not None
    assert interval.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_without_a_denominator_there_is_no_interval() -> None:
    """An empty bucket, or a baseline that never finds anything, says nothing."""
    assert ratio_interval(np.zeros(5), np.zeros(5)) is None
