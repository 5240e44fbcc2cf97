"""The flat tree: numbering, flattening, bounds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from espalier.train.tree import Tree, TreeBuilder

# A tree is a list of subtrees; an integer is a leaf of that many labels.
shapes = st.recursive(
    st.integers(1, 4), lambda below: st.lists(below, min_size=2, max_size=4), max_leaves=30
)
Shape = int | list["Shape"]


def size_of(shape: Shape) -> int:
    """Return the number of labels of a shape."""
    return shape if isinstance(shape, int) else sum(map(size_of, shape))


def grow(shape: Shape, seed: int = 0) -> Tree:
    """Return the tree of a shape over shuffled labels, nodes added depth first."""
    labels = np.random.default_rng(seed).permutation(size_of(shape)).astype(np.uint32)
    builder = TreeBuilder(labels)
    builder.add_root()

    def add(node: int, begin: int, below: Shape) -> None:
        if isinstance(below, int):
            return
        bounds = begin + np.append(0, np.cumsum([size_of(child) for child in below]))
        nodes = builder.add_children(node, bounds)
        for child, number, start in zip(below, nodes.tolist(), bounds.tolist(), strict=False):
            add(number, start, child)

    add(0, 0, shape)
    return builder.finish()


def check(tree: Tree) -> None:
    """Assert everything a tree promises."""
    assert sorted(tree.label_at.tolist()) == list(range(tree.n_labels))
    assert (tree.pos_begin[0], tree.pos_end[0]) == (0, tree.n_labels)
    assert (np.diff(tree.depth.astype(int)) >= 0).all()
    seen = [0]
    for node in range(tree.n_nodes):
        edges = tree.child_positions(node).tolist()
        assert len(edges) - 1 == tree.n_children[node]
        assert (edges[0], edges[-1]) == (tree.pos_begin[node], tree.pos_end[node])
        assert edges == sorted(set(edges))
        if tree.is_leaf[node]:
            inside = tree.label_at[edges[0] : edges[-1]].tolist()
            assert inside == sorted(inside)
            continue
        children = range(int(tree.child_begin[node]), int(tree.child_end[node]))
        assert len(children) > 1
        assert (tree.depth[children.start : children.stop] == tree.depth[node] + 1).all()
        seen += children
    assert seen == list(range(tree.n_nodes))


@given(shapes, st.integers(0, 5))
def test_nodes_are_numbered_breadth_first(shape: Shape, seed: int) -> None:
    """Children are consecutive, deeper nodes later, leaves partition the labels."""
    tree = grow(shape, seed)

    check(tree)
    position = tree.position_of()
    assert tree.label_at[position].tolist() == list(range(tree.n_labels))


@given(shapes, st.integers(0, 5))
def test_label_bounds_are_those_of_the_labels_below(shape: Shape, seed: int) -> None:
    """Smallest and largest label of a node, computed by looking at each."""
    tree = grow(shape, seed)
    low, high = tree.label_bounds()

    for node in range(tree.n_nodes):
        below = tree.label_at[int(tree.pos_begin[node]) : int(tree.pos_end[node])]
        assert (low[node], high[node]) == (below.min(), below.max())


def test_a_node_of_single_labels_takes_them_as_its_own() -> None:
    """The same choice is not made twice."""
    tree = grow([[1, 1, 1], 2, [1, 2]])

    assert tree.n_nodes == 6
    assert tree.n_children.tolist() == [3, 3, 2, 2, 1, 2]
    assert tree.is_leaf.tolist() == [False, True, True, False, True, True]
    assert tree.n_levels == 3


def test_a_tree_of_one_leaf_is_the_root() -> None:
    """Few labels need no levels."""
    tree = grow(3)

    assert tree.n_nodes == 1
    assert tree.n_levels == 1
    assert tree.child_positions(0).tolist() == [0, 1, 2, 3]
