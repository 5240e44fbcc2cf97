"""A weighted sum as scorer: what it learns and what it does with what it does not know."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from espalier.errors import ConfigError
from espalier.native import forest_predict
from espalier.train import linear
from espalier.train.forest_model import Forest
from espalier.train.linear import LinearSettings, train_linear
from espalier.train.questions import Questions
from tests.unit.train.test_forest import NAMES, candidates

DEFAULT = LinearSettings()


def train(settings: LinearSettings = DEFAULT, threads: int = 1, scale: float = 1.0) -> Forest:
    """Train on the same candidates as the trees, the first feature scaled."""
    x, group, relevant = candidates()
    x *= np.array([scale, 1, 1, 1], np.float32)
    return train_linear(x, group, relevant, settings, names=NAMES, features_id=3, threads=threads)


def test_a_useful_feature_gets_the_weight() -> None:
    """The wanted candidates' feature counts, noise does not, a constant gets nothing."""
    weight = train().weight

    assert weight[0] > 2
    assert np.abs(weight[2]) < 0.3
    assert weight[3] == 0


def test_the_scorer_ranks_questions_not_seen() -> None:
    """And the C library scores as the model itself does."""
    x, group, relevant = candidates(seed=2)
    unseen = Questions.answered(x, group, relevant)
    forest = train()
    score = forest_predict(forest.section(), unseen.x)

    np.testing.assert_array_equal(forest.predict(unseen.x), score)
    assert unseen.reciprocal_rank(score, 10) > 0.6


def test_the_scale_of_a_feature_does_not_matter() -> None:
    """Features are standardised first, so weights scale back."""
    plain, scaled = train().weight, train(scale=1000).weight

    np.testing.assert_allclose(plain[0], scaled[0] * 1000, rtol=1e-3)
    np.testing.assert_allclose(plain[1:], scaled[1:], atol=1e-3)


def test_what_is_not_known_counts_as_the_mean() -> None:
    """A row of means and a row of unknowns have the same score: about 0."""
    forest = train()
    rows = np.stack([forest.fill, np.full(4, np.nan, np.float32)])
    score = forest_predict(forest.section(), rows)

    np.testing.assert_array_equal(score[0], score[1])
    assert abs(score[0]) < 1e-5


def test_the_number_of_threads_changes_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are added up in order."""
    monkeypatch.setattr(linear, "_BLOCK_ROWS", 100)

    assert train(threads=1).section() == train(threads=3).section()


def test_blocks_change_rounding_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is a sum over questions, however they are cut."""
    whole = train().weight
    monkeypatch.setattr(linear, "_BLOCK_ROWS", 7)

    np.testing.assert_allclose(whole, train().weight, atol=1e-3)


def test_the_gradient_is_that_of_the_loss() -> None:
    """Compared with differences, unknown values and several wanted candidates included."""
    x, group, relevant = candidates(40)
    relevant = relevant | (np.arange(len(x)) % 7 == 0)
    questions = Questions.answered(x, group, relevant)
    mean, scale = linear._standard(questions.x)

    def loss(weight: linear.F64) -> float:
        return linear._block_loss(questions, slice(0, len(questions)), mean, scale, weight)[0]

    def gradient(weight: linear.F64) -> linear.F64:
        return linear._block_loss(questions, slice(0, len(questions)), mean, scale, weight)[1]

    for seed in range(3):
        assert check_grad(loss, gradient, np.random.default_rng(seed).normal(size=4)) < 1e-3


@pytest.mark.parametrize(
    "settings", [LinearSettings(l2=-1), LinearSettings(iterations=0), LinearSettings(l2=np.nan)]
)
def test_a_setting_out_of_range_is_refused(settings: LinearSettings) -> None:
    """The message has what it may be."""
    with pytest.raises(ConfigError, match="give 0 to 1e6, and 1 to a million"):
        train(settings)
