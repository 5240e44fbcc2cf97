"""Indexers: each keeps the promises of its kind, on any labels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from espalier.native import Csr
from espalier.settings import TrainSettings
from espalier.train.index import (
    CodePoints,
    HybridIndexer,
    Indexer,
    IndexerInput,
    KMeansIndexer,
    MustLinkIndexer,
    TrieIndexer,
    effective_depth,
    first_parts,
    levels_needed,
)
from espalier.train.matrices import csr_of, normalise_rows
from espalier.train.tree import Tree
from espalier.train.workers import Workers

label_lists = st.lists(
    st.text("abé日", min_size=1, max_size=6), min_size=1, max_size=60, unique=True
).map(sorted)
N_FEATURES = 12


def vectors_of(n_labels: int, seed: int = 0) -> Csr:
    """Return random sparse unit vectors."""
    matrix = sp.random(n_labels, N_FEATURES, 0.4, "csr", random_state=seed)
    return csr_of(normalise_rows(matrix))


def run(indexer: Indexer, texts: list[str], *, threads: int = 1, seed: int = 0) -> Tree:
    """Return the tree an indexer makes of the labels with random vectors."""
    with Workers(threads) as workers:
        labels = IndexerInput(texts, lambda: vectors_of(len(texts), seed), workers)
        return indexer.index(labels)


def labels_below(tree: Tree, node: int) -> list[int]:
    """Return the labels of a node."""
    labels: list[int] = tree.label_at[tree.pos_begin[node] : tree.pos_end[node]].tolist()
    return labels


def children_of(tree: Tree, node: int) -> list[list[int]]:
    """Return the labels of each child of a node."""
    edges = tree.child_positions(node).tolist()
    return [tree.label_at[begin:end].tolist() for begin, end in itertools.pairwise(edges)]


def leaf_sizes(tree: Tree) -> list[int]:
    """Return the number of labels of every leaf."""
    sizes: list[int] = tree.n_children[tree.is_leaf].tolist()
    return sizes


def is_partition(tree: Tree) -> bool:
    """Return whether every label has one position, and every leaf is in order."""
    leaves = np.flatnonzero(tree.is_leaf).tolist()
    below = [labels_below(tree, leaf) for leaf in leaves]
    whole = sorted(itertools.chain.from_iterable(below)) == list(range(tree.n_labels))
    return whole and all(labels == sorted(labels) for labels in below)


def trie_twin(texts: list[str], depth: int) -> set[tuple[int, ...]]:
    """Return the label sets of the nodes of a compressed trie, by recursion."""

    def walk(labels: list[int], place: int) -> set[tuple[int, ...]]:
        nodes = {tuple(labels)}
        if place == depth or len(labels) == 1:
            return nodes
        groups: dict[str, list[int]] = {}
        for label in labels:
            groups.setdefault(texts[label][place : place + 1], []).append(label)
        for group in groups.values():
            nodes |= walk(group, place + 1)
        return nodes

    return walk(list(range(len(texts))), 0)


@given(label_lists, st.integers(1, 7))
def test_the_trie_is_that_of_the_recursion(texts: list[str], depth: int) -> None:
    """The nodes are the distinct sets of labels that share a beginning."""
    tree = run(TrieIndexer(TrainSettings(depth=depth)), texts)
    expected = trie_twin(texts, depth)
    nodes = {tuple(labels_below(tree, node)) for node in range(tree.n_nodes)}
    single = {(label,) for label in range(len(texts))}

    assert is_partition(tree)
    # Nodes of one label may be folded into their parent, where they are its children.
    assert nodes - single == expected - single
    children = {tuple(c) for node in range(tree.n_nodes) for c in children_of(tree, node)}
    assert expected - {tuple(range(len(texts)))} <= children | nodes


@given(label_lists, st.integers(2, 5), st.integers(1, 8), st.integers(0, 3))
def test_kmeans_leaves_are_equally_deep_and_large(
    texts: list[str], arity: int, max_leaf: int, seed: int
) -> None:
    """Forced balance: leaves differ by one label at most, and no leaf is too large."""
    settings = TrainSettings(arity=arity, max_leaf=max_leaf)
    tree = run(KMeansIndexer(settings), texts, seed=seed)
    levels = levels_needed(len(texts), arity, max_leaf)

    assert is_partition(tree)
    # Where labels are few, single labels are folded into the node above.
    assert max(leaf_sizes(tree)) <= max(max_leaf, arity)
    if len(texts) >= 2 * arity**levels:
        assert set(tree.depth[tree.is_leaf].tolist()) == {levels}
        assert max(leaf_sizes(tree)) - min(leaf_sizes(tree)) <= 1


@given(label_lists, st.integers(1, 3), st.integers(2, 5))
def test_the_hybrid_is_a_trie_with_kmeans_below(
    texts: list[str], depth: int, max_leaf: int
) -> None:
    """Every cell of the trie stays whole, and is split only where it is too large."""
    tree = run(HybridIndexer(TrainSettings(depth=depth, max_leaf=max_leaf)), texts)
    cells = trie_twin(texts, depth)
    single = {(label,) for label in range(len(texts))}
    nodes = {tuple(sorted(labels_below(tree, node))) for node in range(tree.n_nodes)}

    assert is_partition(tree)
    assert cells - single <= nodes
    leaves = [sorted(labels_below(tree, leaf)) for leaf in np.flatnonzero(tree.is_leaf).tolist()]
    for leaf in leaves:
        # A leaf is a small cell, a part of a large one, or a choice between single labels.
        choice = all(len({texts[i][:depth] for i in pair}) > 1 for pair in itertools.pairwise(leaf))
        assert len(leaf) <= max_leaf or choice


@given(label_lists, st.integers(1, 7), st.integers(2, 3), st.integers(0, 3))
def test_must_link_keeps_beginnings_together(
    texts: list[str], depth: int, arity: int, seed: int
) -> None:
    """At level d no split separates labels that share their first d code points."""
    settings = TrainSettings(depth=depth, arity=arity, max_leaf=1)
    tree = run(MustLinkIndexer(settings), texts, seed=seed)
    level_of = {0: 0}

    assert is_partition(tree)
    for node in range(tree.n_nodes):
        groups = children_of(tree, node)
        level = level_of[node] + 1
        while level <= depth and len({texts[i][:level] for i in labels_below(tree, node)}) == 1:
            level += 1
        for child in range(int(tree.child_begin[node]), int(tree.child_end[node])):
            level_of[child] = level
        if level <= depth and len(groups) > 1:
            beginnings = [{texts[i][:level] for i in group} for group in groups]
            assert sum(map(len, beginnings)) == len(set().union(*beginnings))


def test_must_link_balances_labels_not_groups() -> None:
    """A large group weighs as much as its labels, so it has one companion at most."""
    texts = sorted([f"a{i:02}" for i in range(40)] + ["b", "c", "d", "e"])
    tree = run(MustLinkIndexer(TrainSettings(depth=1, max_leaf=10)), texts)

    assert max(len(group) for group in children_of(tree, 0)) in {40, 41}


@pytest.mark.parametrize(
    "kind",
    [KMeansIndexer, TrieIndexer, HybridIndexer, MustLinkIndexer],
    ids=lambda kind: kind.__name__,
)
def test_threads_do_not_change_the_tree(kind: type) -> None:
    """Seeds belong to nodes, not to the order of work."""
    texts = sorted({f"{a}{b}{c}" for a in "abc" for b in "xyé" for c in range(20)})
    indexer = kind(TrainSettings(max_leaf=3, depth=2))
    one, two = run(indexer, texts, threads=1), run(indexer, texts, threads=2)

    for name in ("child_begin", "child_end", "pos_begin", "pos_end", "label_at"):
        assert getattr(one, name).tolist() == getattr(two, name).tolist()


def test_a_trie_never_asks_for_vectors() -> None:
    """Vectors cost time; what does not look at them does not pay."""

    def refuse() -> Csr:
        raise AssertionError

    with Workers(1) as workers:
        tree = TrieIndexer(TrainSettings()).index(IndexerInput(["a", "b"], refuse, workers))
    assert tree.n_labels == 2


@pytest.mark.parametrize(
    ("indexer", "depth"), [("trie", 16), ("hybrid", 3), ("must-link", 5), ("kmeans", 0)]
)
def test_depth_zero_is_the_published_one(indexer: str, depth: int) -> None:
    """Each indexer has its own."""
    assert effective_depth(TrainSettings(indexer=indexer)) == depth
    assert effective_depth(TrainSettings(indexer=indexer, depth=7)) == 7


@pytest.mark.parametrize(
    ("size", "arity", "max_leaf", "levels"),
    [(100, 2, 100, 0), (101, 2, 100, 1), (400, 2, 100, 2), (401, 2, 100, 3), (1600, 16, 100, 1)],
)
def test_levels_are_the_rounded_up_logarithm(
    size: int, arity: int, max_leaf: int, levels: int
) -> None:
    """Exact powers need no extra level."""
    assert levels_needed(size, arity, max_leaf) == levels


@pytest.mark.parametrize(
    ("size", "arity", "max_leaf", "parts"),
    [
        (101, 2, 100, 2),
        (401, 2, 100, 2),
        (1600, 16, 100, 16),
        (1601, 16, 100, 2),
        (54667, 16, 100, 4),
    ],
)
def test_the_first_split_is_as_wide_as_leaves_need(
    size: int, arity: int, max_leaf: int, parts: int
) -> None:
    """A power of two, as in PECOS, so that leaves are not small; a binary tree is binary."""
    assert first_parts(size, arity, max_leaf) == parts
    leaves = parts * arity ** (levels_needed(size, arity, max_leaf) - 1)
    assert -(-size // leaves) <= max_leaf


def test_code_points_are_read_by_place() -> None:
    """Past the end of a text there is 0, which no code point gives."""
    points = CodePoints(["a", "aé𝄞"])

    assert points.at(0).tolist() == [ord("a") + 1] * 2
    assert points.at(1).tolist() == [0, ord("é") + 1]
    assert points.at(2).tolist() == [0, ord("𝄞") + 1]
    assert points.at(3).tolist() == [0, 0]
