"""A second reader of the scorer's section, written from ``native/FORMAT.md`` alone.

It rebuilds each tree as nodes with a left and a right, and walks from the root.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tests.reference.format import need

HEADER: Final = np.dtype(
    [
        ("n_features", "<u4"),
        ("features_id", "<u4"),
        ("n_columns", "<u4"),
        ("n_thresholds", "<u4"),
        ("n_trees", "<u4"),
        ("n_leaves", "<u4"),
        ("n_tests", "<u4"),
        ("name_bytes", "<u4"),
        ("bias", "<f4"),
        ("reserved", "<u4", 7),
    ]
)
FEATURE: Final = np.dtype([("weight", "<f4"), ("fill", "<f4")])
COLUMN: Final = np.dtype(
    [("missing", "<f4"), ("feature", "u1"), ("n_blocks", "u1"), ("reserved", "<u2")]
)
TREE: Final = np.dtype([("n_leaves", "u1"), ("n_tests", "u1", 4), ("reserved", "u1", 3)])
TEST: Final = np.dtype([("column", "u1"), ("limit", "u1"), ("keep", "u1"), ("first", "u1")])

Row = NDArray[np.float32]


@dataclass(frozen=True)
class Leaf:
    """What a row that ends here is given."""

    value: float


@dataclass(frozen=True)
class Node:
    """A question about one feature."""

    feature: int
    threshold: float
    missing: float
    expected: float
    left: Node | Leaf
    right: Node | Leaf

    def next(self, row: Row) -> Node | Leaf:
        """Return the side a row goes to."""
        value = float(row[self.feature])
        if math.isnan(value):
            value = self.missing
        return self.left if value <= self.threshold else self.right


@dataclass(frozen=True)
class Scorer:
    """A parsed section."""

    head: Any
    features: NDArray[Any]
    columns: NDArray[Any]
    thresholds: list[NDArray[np.float32]]
    trees: NDArray[Any]
    tests: list[list[NDArray[Any]]]
    leaves: list[NDArray[np.float32]]
    expected: list[NDArray[np.float32]]
    names: bytes

    def score(self, row: Row) -> np.float32:
        """Return the score of a row, in single precision and in the order of the specification."""
        total = np.float32(self.head["bias"])
        for value, feature in zip(row, self.features, strict=True):
            if feature["weight"] != 0:
                total += feature["weight"] * (value if np.isfinite(value) else feature["fill"])
        for number in range(len(self.trees)):
            at: Node | Leaf = self.root(number)
            while isinstance(at, Node):
                at = at.next(row)
            total += np.float32(at.value)
        return np.float32(0) if np.isnan(total) else total

    def contributions(self, row: Row) -> list[float]:
        """Return what each feature adds and, last, the score before any."""
        added = [0.0] * (len(self.features) + 1)
        added[-1] = float(self.head["bias"])
        for number, feature in enumerate(self.features):
            weight, fill = float(feature["weight"]), float(feature["fill"])
            added[-1] += weight * fill
            if np.isfinite(row[number]):
                added[number] += weight * (float(row[number]) - fill)
        for number in range(len(self.trees)):
            at: Node | Leaf = self.root(number)
            added[-1] += _worth(at)
            while isinstance(at, Node):
                below = at.next(row)
                added[at.feature] += _worth(below) - _worth(at)
                at = below
        return added

    def root(self, number: int) -> Node | Leaf:
        """Return a tree as nodes."""
        return self._subtree(number, 0, len(self.leaves[number]) - 1)

    def _subtree(self, number: int, lo: int, hi: int) -> Node | Leaf:
        if lo == hi:
            return Leaf(float(self.leaves[number][lo]))
        place = max(i for i in range(lo, hi) if self.node_test(number, i)["first"] == lo)
        test = self.node_test(number, place)
        column = self.columns[test["column"]]
        return Node(
            int(column["feature"]),
            float(self.thresholds[test["column"]][test["limit"] - 1]),
            float(column["missing"]),
            float(self.expected[number][place]),
            self._subtree(number, lo, place),
            self._subtree(number, place + 1, hi),
        )

    def node_test(self, number: int, node: int) -> Any:
        """Return the first test of an inner node."""
        return self.tests[number][node // 8][node % 8]


def _worth(at: Node | Leaf) -> float:
    return at.expected if isinstance(at, Node) else at.value


def parse(data: bytes) -> Scorer:
    """Cut a section into arrays (B1, B4 and B6 as far as that needs them)."""
    need(len(data) >= HEADER.itemsize, "B1")
    head = np.frombuffer(data, HEADER, 1)[0]
    n = {name: int(head[name]) for name in HEADER.names or () if name.startswith("n_")}
    need(1 <= n["n_features"] <= 64 and n["n_columns"] <= 128 and n["n_trees"] <= 1024, "B1")
    need(n["n_thresholds"] <= n["n_columns"] * 32 * 8, "B1")
    need(2 * n["n_trees"] <= n["n_leaves"] <= 32 * n["n_trees"], "B1")
    arrays: list[tuple[str | np.dtype[Any], int]] = [
        (FEATURE, n["n_features"]),
        (COLUMN, n["n_columns"]),
        ("<f4", n["n_thresholds"]),
        (TREE, n["n_trees"]),
        (TEST, n["n_tests"]),
        ("<f4", n["n_leaves"]),
        ("<f4", n["n_leaves"] - n["n_trees"]),
        ("u1", int(head["name_bytes"])),
    ]
    size = HEADER.itemsize + sum(np.dtype(kind).itemsize * count for kind, count in arrays)
    need(size == len(data), "B1")
    part: list[NDArray[Any]] = []
    place = HEADER.itemsize
    for kind, count in arrays:
        part.append(np.frombuffer(data, kind, count, place))
        place += part[-1].nbytes
    features, columns, thresholds, trees, tests, leaves, expected, names = part
    _reserved(head, columns, trees)
    _finite(head, features, leaves, expected)
    blocks = columns["n_blocks"].astype(int)
    need(((blocks >= 1) & (blocks <= 32)).all() and 8 * blocks.sum() == len(thresholds), "B4")
    sizes = trees["n_leaves"].astype(int)
    counts = trees["n_tests"].astype(int)
    need(((sizes >= 2) & (sizes <= 32)).all(), "B6")
    need(sizes.sum() == len(leaves) and counts.sum() == len(tests), "B6")
    by_plane = _cut(tests, counts.ravel())
    return Scorer(
        head,
        features,
        columns,
        _cut(thresholds, 8 * blocks),
        trees,
        [by_plane[4 * tree : 4 * tree + 4] for tree in range(len(trees))],
        _cut(leaves, sizes),
        _cut(expected, sizes - 1),
        names.tobytes(),
    )


def _cut(items: NDArray[Any], sizes: NDArray[Any]) -> list[NDArray[Any]]:
    return np.split(items, np.cumsum(sizes)[:-1]) if len(sizes) else []


def _reserved(head: Any, columns: NDArray[Any], trees: NDArray[Any]) -> None:
    need(not head["reserved"].any(), "B2")
    need(not columns["reserved"].any() and not trees["reserved"].any(), "B2")


def _finite(
    head: Any, features: NDArray[Any], leaves: NDArray[Any], expected: NDArray[Any]
) -> None:
    for numbers in (head["bias"], features["weight"], features["fill"], leaves, expected):
        need(np.isfinite(numbers).all(), "B3")


def validate(data: bytes) -> None:
    """Check B1 to B10."""
    scorer = parse(data)
    for column in scorer.columns:
        need(column["feature"] < len(scorer.features), "B4")
        need(column["missing"] in {-math.inf, 0.0, math.inf}, "B4")
    known = [_thresholds(values.tolist()) for values in scorer.thresholds]
    for number in range(len(scorer.trees)):
        _tree(scorer, number, known)
    need(scorer.names.endswith(b"\n"), "B10")
    try:
        names = scorer.names.decode()[:-1].split("\n")
    except UnicodeDecodeError:
        names = []
    need(len(names) == len(scorer.features) and all(names), "B10")


def _thresholds(values: list[float]) -> int:
    """Return how many thresholds a column has."""
    known = [value for value in values if math.isfinite(value)]
    need(values == known + [math.inf] * (len(values) - len(known)), "B5")
    need(known == sorted(set(known)) and 1 <= len(values) - len(known) <= 8, "B5")
    return len(known)


def _tree(scorer: Scorer, number: int, known: list[int]) -> None:
    n_nodes = len(scorer.leaves[number]) - 1
    for node in range(n_nodes):
        need(node % 8 < len(scorer.tests[number][node // 8]), "B9", number)
        test = scorer.node_test(number, node)
        need(test["column"] < len(known) and 1 <= test["limit"] <= known[test["column"]], "B7")
    tests = [scorer.node_test(number, node) for node in range(n_nodes)]
    first = [int(test["first"]) for test in tests]
    for node in range(n_nodes):
        need(first[node] <= node, "B8", number)
        need(all(first[j] >= first[node] for j in range(first[node], node)), "B8", number)
    for plane, stored in enumerate(scorer.tests[number]):
        wanted = []
        for node, test in enumerate(tests):
            left = [first[node] <= 8 * plane + bit <= node for bit in range(8)]
            if any(left):
                keep = sum((not is_left) << bit for bit, is_left in enumerate(left))
                wanted.append((test["column"], test["limit"], keep, test["first"]))
        need([tuple(test.tolist()) for test in stored] == [*map(tuple, wanted)], "B9", number)
