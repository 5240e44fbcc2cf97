"""What a score predicts for one half of the users is observed on the other half."""

from __future__ import annotations

import json

import numpy as np
import pytest

from espalier.evaluate.calibration import NO_CALIBRATION, Calibration, calibration_of
from espalier.evaluate.contract import NONE
from espalier.evaluate.measures import BoolArray, FloatArray
from espalier.evaluate.outcomes import Outcome
from espalier.evaluate.questions import Question, Questions


def calibrate(scores: FloatArray, right: BoolArray, n_users: int) -> Calibration:
    """Return the calibration of rows dealt out to users in turn."""
    rows = len(scores)
    asked = tuple(Question("", (), "x", i % n_users) for i in range(rows))
    outcome = Outcome(
        ranks=np.where(right, 1, 2),
        in_pool=np.ones(rows, np.bool_),
        returned=np.full(rows, 2),
        hit_sources=np.zeros(rows, np.int64),
        top_scores=scores,
        violations=NONE,
        names_sources=True,
    )
    return calibration_of(outcome, Questions(asked, 0, {}, n_users), seed=3)


def test_scores_that_are_probabilities_are_observed_as_predicted() -> None:
    """Ten bins, rising, both shares near the score itself, whatever its scale."""
    rng = np.random.default_rng(8)
    chance = rng.random(40_000)
    found = calibrate(5 * chance - 9, rng.random(40_000) < chance, 200)

    assert len(found.bins) == 10
    assert found.learned_rows == 20_000
    assert sum(one.rows for one in found.bins) == 20_000
    for place, one in enumerate(found.bins):
        assert one.observed == pytest.approx(place / 10 + 0.05, abs=0.04)
        assert one.predicted == pytest.approx(place / 10 + 0.05, abs=0.04)
        assert one.interval is not None
        assert one.interval.low < one.observed < one.interval.high
        assert one.low < one.high
    assert found.error is not None
    assert found.error < 0.03


def test_a_score_that_means_another_thing_to_others_is_an_error() -> None:
    """Every second user is right at high scores, the rest at low ones."""
    scores = np.repeat(np.arange(100.0), 2)
    users_even = np.arange(200) % 2 == 0
    found = calibrate(scores, (scores >= 50) == users_even, 2)

    assert found.error == pytest.approx(1.0)
    assert found.bins[0].predicted == 0.0
    assert found.bins[0].observed == 1.0


def test_equal_scores_share_a_bin() -> None:
    """A score that is always the same has one bin."""
    found = calibrate(np.ones(50), np.arange(50) % 5 == 0, 10)

    assert len(found.bins) == 1
    assert found.bins[0].low == found.bins[0].high == 1.0


def test_rows_without_a_suggestion_do_not_count() -> None:
    """There is no first suggestion to be right."""
    scores = np.where(np.arange(100) < 60, np.nan, 1.0)
    found = calibrate(scores, np.zeros(100, np.bool_), 10)

    assert found.learned_rows == 20
    assert sum(one.rows for one in found.bins) == 20


def test_one_user_can_predict_nothing() -> None:
    """No bin, no error, and JSON says null."""
    found = calibrate(np.arange(9.0), np.zeros(9, np.bool_), 1)

    assert found.bins == ()
    assert found.error is None
    assert json.loads(json.dumps(found.to_json()))["error"] is None
    assert NO_CALIBRATION.to_json()["bins"] == []
