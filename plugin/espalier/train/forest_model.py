"""The scorer as Python objects, and its section of the index file.

    score(x) = bias + sum of weight * value + sum over trees of the leaf x reaches

The leaves of a tree are numbered from left to right. Inner node i stands between
leaves i and i + 1; with the first leaf of its left side that is all there is to a
tree's shape: the left side is ``first[i] .. i``, and the topmost node of leaves
``lo .. hi`` is the last of ``lo .. hi - 1`` whose left side begins at ``lo``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from espalier.errors import LimitError
from espalier.native import (
    FOREST_BLOCK,
    FOREST_COLUMN,
    FOREST_COLUMNS,
    FOREST_FEATURE,
    FOREST_FEATURES,
    FOREST_HEADER,
    FOREST_LEAVES,
    FOREST_TEST,
    FOREST_THRESHOLDS,
    FOREST_TREE,
    FOREST_TREES,
)

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

_PLANE = 8
_PLANES = FOREST_LEAVES // _PLANE


@dataclass(frozen=True, slots=True)
class ForestTree:
    """One tree of n leaves; inner nodes in order of the leaves they stand between.

    Attributes:
        feature: Feature a node looks at, ``(n - 1,)``.
        threshold: Left where the value is not above it, ``(n - 1,)``.
        missing: What a NaN counts as: -inf (left), inf (right) or 0, ``(n - 1,)``.
        first: First leaf of a node's left side, ``(n - 1,)``.
        leaf: What a leaf adds to the score, ``(n,)``.
        expected: The mean of that over the training rows below a node, ``(n - 1,)``.
    """

    feature: I64
    threshold: F32
    missing: F32
    first: I64
    leaf: F32
    expected: F32

    def top(self, lo: int, hi: int) -> int:
        """Return the topmost node of the subtree of leaves ``lo`` to ``hi``."""
        return int(lo + np.flatnonzero(self.first[lo:hi] == lo)[-1])

    def leaf_of(self, x: F32) -> I64:
        """Return the number of the leaf each row of ``x`` reaches, ``(n_rows,)``."""
        reached = np.zeros(len(x), np.int64)
        todo = [(0, len(self.leaf) - 1, np.arange(len(x)))]
        while todo:
            lo, hi, rows = todo.pop()
            if lo == hi:
                reached[rows] = lo
                continue
            node = self.top(lo, hi)
            value = x[rows, self.feature[node]]
            left = np.where(np.isnan(value), self.missing[node], value) <= self.threshold[node]
            todo += [(lo, node, rows[left]), (node + 1, hi, rows[~left])]
        return reached


@dataclass(frozen=True, slots=True)
class Forest:
    """A scorer: weights, trees, or both.

    Attributes:
        names: Name of every feature.
        features_id: Fingerprint of the list of features, given by whoever computes them.
        bias: Score before everything else.
        weight: Factor on each feature, ``(n_features,)``.
        fill: What a value that is not finite counts as under its weight, ``(n_features,)``.
        trees: Added one after the other.
    """

    names: tuple[str, ...]
    features_id: int
    bias: float
    weight: F32
    fill: F32
    trees: tuple[ForestTree, ...]

    def predict(self, x: F32) -> F32:
        """Return the score of every row of ``x``, to the bit what the C library gives."""
        score = np.full(len(x), self.bias, np.float32)
        for feature in np.flatnonzero(self.weight):
            value = x[:, feature]
            score += self.weight[feature] * np.where(np.isfinite(value), value, self.fill[feature])
        for tree in self.trees:
            score += tree.leaf[tree.leaf_of(x)]
        return score

    def section(self) -> bytes:
        """Return the FRST section.

        Raises:
            LimitError: More features, trees or thresholds than the format holds.
        """
        _check_limits(self)
        columns = _columns(self.trees)
        made = [_tests(tree, columns) for tree in self.trees]
        records = np.zeros(len(columns), FOREST_COLUMN)
        blocks = []
        for record, ((feature, missing), values) in zip(records, columns.items(), strict=True):
            n_blocks = len(values) // FOREST_BLOCK + 1
            record["feature"], record["missing"], record["n_blocks"] = feature, missing, n_blocks
            blocks.append(np.full(n_blocks * FOREST_BLOCK, np.inf, "<f4"))
            blocks[-1][: len(values)] = values
        trees = np.zeros(len(self.trees), FOREST_TREE)
        trees["n_leaves"] = [len(tree.leaf) for tree in self.trees]
        trees["n_tests"] = np.array([counts for counts, _ in made]).reshape(-1, _PLANES)
        features = np.zeros(len(self.names), FOREST_FEATURE)
        features["weight"], features["fill"] = self.weight, self.fill
        names = "".join(f"{name}\n" for name in self.names).encode()
        head = np.zeros(1, FOREST_HEADER)
        head["n_features"], head["features_id"] = len(self.names), self.features_id
        head["n_columns"], head["n_trees"] = len(columns), len(trees)
        head["n_thresholds"] = sum(map(len, blocks))
        head["n_leaves"] = trees["n_leaves"].sum(dtype=np.uint32)
        head["n_tests"] = sum(len(tests) for _, tests in made)
        head["name_bytes"], head["bias"] = len(names), self.bias
        parts: list[NDArray[np.generic]] = [head, features, records, *blocks, trees]
        parts += [tests for _, tests in made]
        parts += [tree.leaf.astype("<f4") for tree in self.trees]
        parts += [tree.expected.astype("<f4") for tree in self.trees]
        return b"".join(part.tobytes() for part in parts) + names


Columns = dict[tuple[int, float], F32]
"""Thresholds of each feature and stand-in for NaN, ascending."""


def _columns(trees: Sequence[ForestTree]) -> Columns:
    found: dict[tuple[int, float], set[float]] = {}
    for tree in trees:
        keys = zip(tree.feature.tolist(), tree.missing.tolist(), strict=True)
        for key, threshold in zip(keys, tree.threshold.tolist(), strict=True):
            found.setdefault(key, set()).add(threshold + 0.0)  # -0.0 is 0.0
    columns = {key: np.array(sorted(found[key]), np.float32) for key in sorted(found)}
    most = max(map(len, columns.values()), default=0)
    if len(columns) > FOREST_COLUMNS or most > FOREST_THRESHOLDS:
        raise LimitError(
            f"trees with {len(columns)} columns of up to {most} thresholds do not fit a scorer "
            f"({FOREST_COLUMNS} of {FOREST_THRESHOLDS}); train with smaller max_bins"
        )
    return columns


def _tests(tree: ForestTree, columns: Columns) -> tuple[list[int], NDArray[np.void]]:
    """Return how many tests each eight leaves have, and all tests in file order."""
    numbers = {key: number for number, key in enumerate(columns)}
    counts: list[int] = []
    rows: list[tuple[int, int, int, int]] = []
    for plane in range(_PLANES):
        leaves = range(plane * _PLANE, (plane + 1) * _PLANE)
        before = len(rows)
        for node in range(leaves.start, len(tree.feature)):
            first = int(tree.first[node])
            keep = sum((not first <= leaf <= node) << bit for bit, leaf in enumerate(leaves))
            if keep != 0xFF:
                key = int(tree.feature[node]), float(tree.missing[node])
                limit = int(np.searchsorted(columns[key], tree.threshold[node])) + 1
                rows.append((numbers[key], limit, keep, first))
        counts.append(len(rows) - before)
    return counts, np.array(rows, FOREST_TEST)


def _check_limits(forest: Forest) -> None:
    if not 0 < len(forest.names) <= FOREST_FEATURES:
        raise LimitError(
            f"a scorer of {len(forest.names)} features; the format holds 1 to {FOREST_FEATURES}"
        )
    if len(forest.trees) > FOREST_TREES:
        raise LimitError(
            f"{len(forest.trees):,} trees do not fit a scorer; train at most {FOREST_TREES:,}"
        )
    for tree in forest.trees:
        if not 1 < len(tree.leaf) <= FOREST_LEAVES:
            raise LimitError(
                f"a tree of {len(tree.leaf)} leaves does not fit a scorer; "
                f"train with 2 to {FOREST_LEAVES} leaves"
            )
