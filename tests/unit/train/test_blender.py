"""Blenders: each learns a scorer of candidates that is the library's own kind."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from espalier.errors import ConfigError
from espalier.native import feature_names, features_id, forest_head, forest_predict
from espalier.settings import TrainSettings
from espalier.train.blender import BLENDERS, Blender, LinearBlender, TreeBlender
from espalier.train.fold import Answers
from espalier.train.questions import Questions

SETTINGS = TrainSettings(blend_trees=12, blend_leaves=6, blend_learning_rate=0.2, seed=5)
USEFUL = feature_names().index("session_chance")


def answers(questions: int = 250, seed: int = 1) -> Answers:
    """Return questions of three to twelve candidates; one feature says which was wanted."""
    random = np.random.default_rng(seed)
    group = random.integers(3, 13, questions)
    x = random.normal(size=(int(group.sum()), len(feature_names()))).astype(np.float32)
    x[random.random(len(x)) < 0.1, USEFUL + 1] = np.nan
    relevant = np.zeros(len(x), bool)
    for first, last in itertools.pairwise(np.append(0, np.cumsum(group))):
        relevant[first + x[first:last, USEFUL].argmax()] = True
    return Answers(x, group, relevant, 2 * questions)


def made(name: str) -> Blender:
    """Return a blender that ships and learns."""
    blender = BLENDERS[name](SETTINGS)
    assert blender is not None
    return blender


@pytest.mark.parametrize("name", ["trees", "linear"])
def test_a_blender_finds_what_matters(name: str) -> None:
    """On questions it has not seen the wanted one comes first, by the library's own score."""
    forest = made(name).learn(answers(), threads=1)
    section = forest.section()
    unseen = answers(seed=2)
    questions = Questions.answered(unseen.x, unseen.group, unseen.relevant)

    head = forest_head(section)
    assert (features_id(), feature_names()) == (head.features_id, head.names)
    assert questions.reciprocal_rank(forest_predict(section, questions.x), 10) > 0.8


@pytest.mark.parametrize("name", ["trees", "linear"])
def test_threads_change_nothing_and_questions_do(name: str) -> None:
    """Same answers, same bytes."""
    one, two = (made(name).learn(answers(), threads=threads).section() for threads in (1, 2))
    other = made(name).learn(answers(seed=3), threads=1).section()

    assert one == two
    assert one != other


def test_trees_are_grown_as_the_settings_say() -> None:
    """As many, of as many leaves, and by the seed."""
    forest = TreeBlender(SETTINGS).learn(answers(), threads=1)
    fewer = TreeBlender(replace(SETTINGS, blend_trees=3)).learn(answers(), threads=1)
    slower = TreeBlender(replace(SETTINGS, blend_learning_rate=0.01)).learn(answers(), threads=1)
    other = TreeBlender(replace(SETTINGS, seed=6)).learn(answers(), threads=1)

    assert 3 < len(forest.trees) <= 12
    assert 6 == max(len(tree.leaf) for tree in forest.trees)
    assert len(fewer.trees) <= 3
    assert np.ptp(slower.trees[0].leaf) < np.ptp(forest.trees[0].leaf) / 5
    assert other.section() != forest.section()


def test_any_seed_of_the_settings_is_one_for_the_trees() -> None:
    """LightGBM takes 31 bits, the settings 63."""
    huge = replace(SETTINGS, seed=2**63 - 1, blend_trees=1)

    assert TreeBlender(huge).learn(answers(), threads=1).trees


def test_a_weighted_sum_has_no_trees() -> None:
    """And its weight stands at the feature that matters."""
    forest = LinearBlender(SETTINGS).learn(answers(), threads=1)

    assert () == forest.trees
    assert USEFUL == np.abs(forest.weight).argmax()


def test_without_lightgbm_trees_are_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error names the package, the library it needs, and the way without."""

    def missing() -> None:
        raise ConfigError("no lightgbm; set blender=linear")

    monkeypatch.setattr("espalier.train.blender.load_lightgbm", missing)
    with pytest.raises(ConfigError, match="blender=linear"):
        TreeBlender(SETTINGS)
    assert LinearBlender(SETTINGS).learn(answers(), threads=1).names == feature_names()
