"""The scorer in C, its numpy twin, the second reader and LightGBM agree."""

from __future__ import annotations

import contextlib
from typing import Any

import lightgbm
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from espalier.errors import IndexFileError, InputError
from espalier.native import NativeIndex, forest_contributions, forest_predict
from espalier.train.forest import forest_of_dump
from espalier.train.forest_model import Forest, ForestTree
from tests.reference import build, invariants
from tests.reference import forest as reference
from tests.reference import format as file_format

F32 = NDArray[np.float32]
SEEDS = st.integers(0, 2**32)


def _random_tree(rng: np.random.Generator, n_features: int, steps: int) -> ForestTree:
    """Return a tree of 2 to 32 leaves, its shape drawn by splitting ranges of leaves."""
    n = int(rng.integers(2, 33))
    first = np.zeros(n - 1, np.int64)
    todo = [(0, n - 1)]
    while todo:
        lo, hi = todo.pop()
        if lo < hi:
            node = int(rng.integers(lo, hi))
            first[node] = lo
            todo += [(lo, node), (node + 1, hi)]
    missing = rng.choice(np.array([-np.inf, 0, np.inf], np.float32), n - 1)
    feature = rng.integers(0, n_features, n - 1)
    return ForestTree(
        feature,
        _numbers(rng, n - 1, steps),
        np.where(feature < 40, missing, np.float32(0)),
        first,
        rng.normal(size=n).astype(np.float32),
        rng.normal(size=n - 1).astype(np.float32),
    )


def _numbers(rng: np.random.Generator, size: int | tuple[int, int], steps: int) -> F32:
    """Return numbers from a short list, so that values and thresholds meet."""
    return (rng.integers(-steps // 2, steps // 2 + 1, size) / 8).astype(np.float32)


def _random_forest(rng: np.random.Generator, n_features: int, n_trees: int, steps: int) -> Forest:
    weight = _numbers(rng, n_features, 8) * (rng.random(n_features) < rng.random())
    return Forest(
        tuple(f"feature {i} é" for i in range(n_features)),
        int(rng.integers(2**32)),
        float(np.float32(rng.normal())),
        weight.astype(np.float32),
        _numbers(rng, n_features, 8),
        tuple(_random_tree(rng, n_features, steps) for _ in range(n_trees)),
    )


def _rows(rng: np.random.Generator, n: int, n_features: int, steps: int) -> F32:
    """Return rows on thresholds and beside them, unknown and constant values among them."""
    x = _numbers(rng, (n, n_features), steps + 4)
    beside = rng.random(x.shape) < 0.2
    toward = np.where(rng.random(x.shape) < 0.5, -np.inf, np.inf).astype(np.float32)
    x = np.where(beside, np.nextafter(x, toward), x)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[rng.random(x.shape) < 0.02] = np.inf
    x[rng.random(x.shape) < 0.02] = -np.inf
    constant = rng.random(n_features) < 0.3
    x[:, constant] = x[0, constant] if n else 0
    return x


@given(st.sampled_from([1, 2, 7, 40, 64]), st.integers(0, 12), st.sampled_from([2, 30, 250]), SEEDS)
def test_c_numpy_and_the_second_reader_agree(
    n_features: int, n_trees: int, steps: int, seed: int
) -> None:
    """Scores are equal to the bit, for any number of rows; contributions sum to them."""
    rng = np.random.default_rng(seed)
    forest = _random_forest(rng, n_features, n_trees, steps)
    x = _rows(rng, int(rng.integers(0, 90)), n_features, steps)
    section = forest.section()
    twin = reference.parse(section)
    score = forest_predict(section, x)

    np.testing.assert_array_equal(forest.predict(x), score)
    np.testing.assert_array_equal(np.array([twin.score(row) for row in x], np.float32), score)
    for row, total in zip(x[:5], score, strict=False):
        contributions = forest_contributions(section, row)
        np.testing.assert_allclose(twin.contributions(row), contributions, atol=1e-4)
        np.testing.assert_allclose(total, contributions.sum(dtype=np.float64), atol=1e-3)


@given(st.integers(1, 20), st.integers(0, 8), SEEDS)
def test_written_scorers_keep_every_promise(n_features: int, n_trees: int, seed: int) -> None:
    """Both readers validate what the writer wrote, in an index of its own."""
    section = _random_forest(np.random.default_rng(seed), n_features, n_trees, 20).section()
    data = build.assemble(build.sections([build.Label(b"a")]) | {"FRST": section})

    invariants.validate(file_format.parse(data))
    with NativeIndex.from_bytes(data) as index:
        index.validate()
        assert section == index.section("FRST")


@given(st.binary(max_size=600), SEEDS, st.integers(0, 12))
def test_random_bytes_are_refused_or_give_numbers(tail: bytes, seed: int, changes: int) -> None:
    """No content of the section makes the scorer fail or answer NaN."""
    rng = np.random.default_rng(seed)
    good = bytearray(_random_forest(rng, 5, 6, 20).section())
    for _ in range(changes):
        good[int(rng.integers(len(good)))] = int(rng.integers(256))
    x = _rows(rng, 70, 5, 20)
    for section in (tail, bytes(good), bytes(good[:64]) + tail):
        with contextlib.suppress(InputError, IndexFileError):
            assert not np.isnan(forest_predict(section, x)).any()
        with contextlib.suppress(InputError, IndexFileError):
            forest_contributions(section, x[0])


def _boosted(rng: np.random.Generator, x: F32, leaves: int, bins: int) -> Any:
    params = {
        "objective": "regression",
        "num_leaves": leaves,
        "min_data_in_leaf": 2,
        "max_bin": bins,
        "verbosity": -1,
        "num_threads": 1,
        "boost_from_average": False,
    }
    y = np.nan_to_num(x).sum(1) + rng.normal(size=len(x))
    return lightgbm.train(params, lightgbm.Dataset(x, y), 12)


def _on_thresholds(rng: np.random.Generator, forest: Forest, x: F32) -> F32:
    """Return rows whose values are thresholds, or the float beside one."""
    x = x.copy()
    for feature in range(x.shape[1]):
        found = [tree.threshold[tree.feature == feature] for tree in forest.trees]
        values = np.concatenate([*found, np.zeros(1, np.float32)])
        # Training refuses infinite values, so the largest number has none above it.
        above = np.nextafter(values, np.finfo(np.float32).max)
        values = np.concatenate([values, above, np.full(1, np.nan, np.float32)])
        x[:, feature] = rng.choice(values, len(x))
    return x


@given(st.sampled_from([2, 7, 31, 32]), st.sampled_from([3, 63, 255]), st.booleans(), SEEDS)
def test_lightgbm_decides_the_same(leaves: int, bins: int, unknown: bool, seed: int) -> None:
    """Also on its thresholds and beside them, and where a value is not known."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(400, 4)).astype(np.float32)
    x[:, 1] = np.round(x[:, 1] * 2)
    x[:, 2] = np.where(rng.random(400) < 0.5, 0, x[:, 2])
    if unknown:
        x[rng.random(x.shape) < 0.2] = np.nan
    booster = _boosted(rng, x, leaves, bins)
    forest = forest_of_dump(booster.dump_model(), names=tuple("abcd"), features_id=0)
    for rows in (x, _on_thresholds(rng, forest, x)):
        np.testing.assert_allclose(
            booster.predict(rows), forest_predict(forest.section(), rows), atol=1e-5
        )
