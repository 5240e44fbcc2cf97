"""Boosted trees: what is trained, on what, and what is refused."""

from __future__ import annotations

import builtins
import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from espalier.errors import ConfigError, InputError, LimitError
from espalier.native import forest_head, forest_predict
from espalier.train.forest import ForestSettings, float_threshold, forest_of_dump, train_forest
from espalier.train.forest_model import Forest, ForestTree
from espalier.train.questions import Questions, hashed

F32 = NDArray[np.float32]
NAMES = ("useful", "curved", "noise", "constant")
SMALL = ForestSettings(trees=30, leaves=8, min_rows_in_leaf=5)


def candidates(
    n_questions: int = 300, seed: int = 1
) -> tuple[F32, NDArray[np.int64], NDArray[np.bool_]]:
    """Return questions of 2 to 20 candidates, one wanted: by two features and some luck."""
    rng = np.random.default_rng(seed)
    group = rng.integers(2, 21, n_questions)
    x = rng.normal(size=(int(group.sum()), 4)).astype(np.float32)
    x[:, 3] = 2
    x[rng.random(len(x)) < 0.1, 2] = np.nan
    worth = 2 * x[:, 0] - np.abs(x[:, 1]) + rng.gumbel(size=len(x)) / 2
    relevant = np.zeros(len(x), bool)
    begin = np.append(0, np.cumsum(group))
    for first, last in itertools.pairwise(begin):
        relevant[first + worth[first:last].argmax()] = True
    return x, group, relevant


def train(settings: ForestSettings = SMALL, threads: int = 1, **parts: Any) -> Forest:
    """Train on :func:`candidates`, or on other parts."""
    x, group, relevant = candidates()
    used: dict[str, Any] = {"x": x, "group": group, "relevant": relevant} | parts
    return train_forest(
        used["x"],
        used["group"],
        used["relevant"],
        settings,
        names=NAMES,
        features_id=77,
        threads=threads,
    )


def test_wanted_candidates_come_first_on_questions_not_seen() -> None:
    """Trees rank far better than chance."""
    x, group, relevant = candidates(seed=2)
    unseen = Questions.answered(x, group, relevant)
    learned = unseen.reciprocal_rank(forest_predict(train().section(), unseen.x), 10)
    chance = unseen.reciprocal_rank(np.random.default_rng(0).normal(size=len(unseen.x)), 10)

    assert learned > 0.75
    assert chance < 0.4


def test_the_number_of_threads_changes_no_byte() -> None:
    """The same questions and settings give the same section, and another seed another."""
    sections = [train(threads=threads).section() for threads in (1, 2, 3)]

    assert sections[0] == sections[1] == sections[2]
    other = ForestSettings(trees=30, leaves=8, min_rows_in_leaf=5, seed=1)
    assert sections[0] != train(other).section()


def test_training_stops_when_held_out_questions_stop_gaining() -> None:
    """Of many small steps those after the best are not kept."""
    patient = ForestSettings(trees=400, leaves=8, min_rows_in_leaf=5, patience=5)
    heedless = ForestSettings(trees=60, leaves=8, min_rows_in_leaf=5, held_out=0)

    assert 0 < len(train(patient).trees) < 400
    assert len(train(heedless).trees) == 60


def test_a_question_without_a_wanted_candidate_changes_nothing() -> None:
    """Questions that say nothing are dropped before anything else."""
    x, group, relevant = candidates()
    empty = np.ones((7, 4), np.float32)
    forest = train(
        x=np.concatenate([empty, x]),
        group=np.append(7, group),
        relevant=np.append(np.zeros(7, bool), relevant),
    )

    assert train().section() == forest.section()


def test_relevance_may_be_numbers() -> None:
    """Above 0 is wanted."""
    _, _, relevant = candidates()

    assert train().section() == train(relevant=relevant.astype(np.float32) * 0.5).section()


def test_the_section_says_what_it_was_trained_for() -> None:
    """Names and fingerprint are those given; linear weights are none."""
    forest = train()
    head = forest_head(forest.section())

    assert (NAMES, 77, len(forest.trees)) == (head.names, head.features_id, head.trees)
    assert not forest.weight.any()


def test_progress_moves_a_step_per_tree() -> None:
    """Whoever watches sees trees, not seconds."""
    seen: list[tuple[str, int | None, int]] = []

    class Watch:
        """Notes every step."""

        @contextlib.contextmanager
        def stage(self, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
            yield lambda steps: seen.append((name, total, steps))

    x, group, relevant = candidates()
    settings = ForestSettings(trees=5, leaves=4, held_out=0)
    train_forest(x, group, relevant, settings, names=NAMES, features_id=0, progress=Watch())

    assert [("forest", 5, 1)] * 5 == seen


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"trees": 0}, "trees is 0; give a number from 1 to 1024"),
        ({"leaves": 33}, "leaves is 33; give a number from 2 to 32"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"max_bins": 256}, "max_bins is 256; give a number from 2 to 255"),
        ({"held_out": 1.0}, "held_out"),
        ({"l2": float("nan")}, "l2 is nan"),
    ],
)
def test_a_setting_out_of_range_is_named(change: dict[str, Any], advice: str) -> None:
    """The message has the setting, its value and what it may be."""
    with pytest.raises(ConfigError, match=advice):
        train(ForestSettings(**change))


def test_without_lightgbm_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A missing library or a missing part of it is a matter of configuration."""
    real = builtins.__import__

    def fails(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "lightgbm":
            raise OSError("libgomp.so.1: cannot open shared object file")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    monkeypatch.setattr(builtins, "__import__", fails)

    with pytest.raises(ConfigError, match=r"libgomp.*install lightgbm.*linear"):
        train()


@pytest.mark.parametrize(
    ("parts", "advice"),
    [
        ({"relevant": np.zeros(3, bool)}, "3 of relevance"),
        ({"group": np.array([5])}, "questions with 5 candidates"),
        ({"x": np.zeros(4, np.float32)}, "4 rows of features"),
        ({"relevant": np.zeros(len(candidates()[0]), bool)}, "none of 300 questions"),
        ({"relevant": np.ones(len(candidates()[0]), bool)}, "none of 300 questions"),
        ({"x": np.full_like(candidates()[0], np.inf)}, "infinite; give NaN"),
    ],
    ids=["relevance", "group", "dimensions", "nothing wanted", "all wanted", "infinite"],
)
def test_rows_nothing_can_be_learned_from_are_refused(parts: dict[str, Any], advice: str) -> None:
    """The message says what contradicts what."""
    with pytest.raises(InputError, match=advice):
        train(**parts)


def _tree(leaves: int = 2, **fields: Any) -> ForestTree:
    n = leaves - 1
    made: dict[str, Any] = {
        "feature": np.zeros(n, np.int64),
        "threshold": np.arange(n, dtype=np.float32),
        "missing": np.zeros(n, np.float32),
        "first": np.zeros(n, np.int64),
        "leaf": np.zeros(leaves, np.float32),
        "expected": np.zeros(n, np.float32),
    }
    return ForestTree(**(made | fields))


def _forest(*trees: ForestTree, names: tuple[str, ...] = ("a",)) -> Forest:
    nothing = np.zeros(len(names), np.float32)
    return Forest(names, 0, 0.0, nothing, nothing, trees)


@pytest.mark.parametrize(
    ("forest", "advice"),
    [
        (_forest(names=()), "0 features; the format holds 1 to 64"),
        (_forest(names=("a",) * 65), "65 features"),
        (_forest(_tree(33)), "33 leaves"),
        (_forest(*[_tree()] * 1025), "1,025 trees"),
        (
            _forest(*(_tree(threshold=np.array([i], np.float32)) for i in range(256))),
            "256 thresholds.*max_bins",
        ),
    ],
    ids=["no feature", "features", "leaves", "trees", "thresholds"],
)
def test_what_the_format_cannot_hold_is_refused(forest: Forest, advice: str) -> None:
    """Nothing is cut silently."""
    with pytest.raises(LimitError, match=advice):
        forest.section()


def test_255_thresholds_of_a_feature_are_told_apart() -> None:
    """The most a column holds: values on and beside each reach the right leaf."""
    trees = [
        _tree(threshold=np.array([i], np.float32), leaf=np.array([0, 1], np.float32))
        for i in range(255)
    ]
    x = np.arange(-1, 256, 0.5, dtype=np.float32)[:, None]
    score = forest_predict(_forest(*trees).section(), x)

    np.testing.assert_array_equal(np.clip(np.ceil(x[:, 0]), 0, 255), score)


@pytest.mark.parametrize("threshold", [0.1, -0.1, 1.1e-35, -2e-35, 16777217.0, 3.5, 1e38])
def test_a_threshold_in_single_precision_decides_the_same(threshold: float) -> None:
    """It is the largest that is not above: every float32 is on the same side of both."""
    below = float_threshold(threshold)

    assert below.dtype == np.float32
    assert float(below) <= threshold < float(np.nextafter(below, np.float32(np.inf)))


def test_what_is_nearly_zero_goes_where_zero_goes() -> None:
    """LightGBM tells nothing apart within 1e-35 of 0, its own thresholds there included."""
    near = np.float32(1e-35)

    assert near <= float_threshold(1.0000000180025095e-35) < 2e-35
    assert near <= float_threshold(0.0)
    assert float_threshold(-1.0000000180025095e-35) < -near


def test_a_threshold_beyond_single_precision_is_its_largest_number() -> None:
    """Only an infinite value is above it."""
    assert np.finfo(np.float32).max == float_threshold(1e300)


def test_a_tree_without_a_split_becomes_bias() -> None:
    """LightGBM may find nothing to split; what is left is a constant."""
    dump = {"tree_info": [{"tree_structure": {"leaf_value": 0.25}}] * 2}
    forest = forest_of_dump(dump, names=("a",), features_id=0)
    score = forest_predict(forest.section(), np.zeros((3, 1), np.float32))

    assert forest.trees == ()
    np.testing.assert_array_equal(np.full(3, 0.5, np.float32), score)


def test_expected_values_are_means_of_the_rows_below() -> None:
    """A node's expected value weighs its leaves by the training rows they hold."""
    leaf = {"leaf_value": 1.0, "leaf_count": 3}
    split = {
        "split_feature": 0,
        "threshold": 0.5,
        "missing_type": "NaN",
        "default_left": True,
        "left_child": leaf,
        "right_child": {"leaf_value": -1.0, "leaf_count": 1},
    }
    dump = {"tree_info": [{"tree_structure": split}]}
    (tree,) = forest_of_dump(dump, names=("a",), features_id=0).trees

    assert tree.expected.tolist() == [0.5]
    assert tree.missing.tolist() == [-np.inf]


def test_held_out_questions_are_chosen_by_hash() -> None:
    """About the share asked for, the same on every run, others for another seed."""
    numbers = np.arange(20_000, dtype=np.uint64)
    chosen = hashed(numbers, 5) < 0.1

    assert 0.09 < chosen.mean() < 0.11
    assert (chosen == (hashed(numbers, 5) < 0.1)).all()
    assert (chosen != (hashed(numbers, 6) < 0.1)).any()


def test_reciprocal_rank_counts_ties_against_the_wanted() -> None:
    """Equal scores do not look like success; ranks below the cutoff count nothing."""
    x = np.zeros((6, 1), np.float32)
    questions = Questions.answered(x, np.array([3, 3]), np.array([0, 1, 0, 1, 0, 0]))

    assert questions.reciprocal_rank(np.array([0.0, 1, 2, 5, 5, 1]), 10) == 0.5
    assert questions.reciprocal_rank(np.array([0.0, 1, 2, 5, 5, 1]), 1) == 0
    assert questions.reciprocal_rank(np.array([0.0, 3, 2, 9, 5, 1]), 1) == 1
