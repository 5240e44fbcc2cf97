"""The beam over levels trained so far, for matcher-aware negatives."""

from __future__ import annotations

import numpy as np
import pytest

from espalier.querylog import QueryLog
from espalier.settings import TrainSettings
from espalier.train.beam import BeamSearch, upper_tree
from espalier.train.index import IndexerInput
from espalier.train.match import TeacherForcing
from espalier.train.matrices import take_rows
from espalier.train.rank import Entries, LinearRanker, RankInput, rank_tree, tree_order
from espalier.train.stages import make_indexer
from espalier.train.tree import Tree, TreeBuilder
from espalier.train.vectorise import label_vectors, make_lessons
from espalier.train.workers import Workers


def uneven_tree() -> Tree:
    """Return a root over a leaf [0, 2), a node [2, 6) over two leaves, and a leaf [6, 8)."""
    builder = TreeBuilder(np.arange(8, dtype=np.uint32))
    builder.add_root()
    _, inner, _ = builder.add_children(0, np.array([0, 2, 6, 8])).tolist()
    builder.add_children(inner, np.array([2, 4, 6]))
    return builder.finish()


def test_the_nodes_of_a_level_become_labels() -> None:
    """Nodes above keep their numbers; the level itself is what is predicted."""
    upper, nodes = upper_tree(uneven_tree(), 1)

    assert nodes.tolist() == [1, 2, 3]
    assert upper.n_nodes == 1
    assert upper.is_leaf.tolist() == [True]
    assert (upper.pos_begin[0], upper.pos_end[0]) == (0, 3)


def test_a_leaf_above_the_level_stays_in_the_beam() -> None:
    """It keeps its node, whose only label it is itself."""
    upper, nodes = upper_tree(uneven_tree(), 2)

    assert nodes.tolist() == [1, 4, 5, 3]
    assert upper.n_nodes == 4
    assert upper.is_leaf.tolist() == [False, True, True, True]
    assert upper.pos_begin.tolist() == [0, 0, 1, 3]
    assert upper.pos_end.tolist() == [4, 1, 3, 4]


@pytest.mark.parametrize("indexer", ["hybrid", "kmeans"])
def test_a_wide_beam_holds_every_node_for_every_row(shop_log: QueryLog, indexer: str) -> None:
    """The search above a level is the query path's own; nothing is cut when it is wide."""
    settings = TrainSettings(min_users=1, indexer=indexer, max_leaf=3, beam=100, threads=1)
    lessons = make_lessons(shop_log, settings)
    rows = lessons.rows
    with Workers(1) as workers:
        tree = make_indexer(settings).index(
            IndexerInput(lessons.labels.texts, lambda: label_vectors(lessons, settings), workers)
        )
        order = tree_order(tree, rows.entry_row, rows.entry_label, len(rows))
        x = take_rows(lessons.x, order)
        number = np.argsort(order).astype(np.uint32)
        beams = BeamSearch(tree, x, lessons.vocabulary.space, settings)
        chunks = rank_tree(
            tree,
            Entries.of(tree, number[rows.entry_row], rows.entry_label, len(rows)),
            RankInput(x, None, None, lessons.vocabulary.is_context),
            matcher=TeacherForcing(settings),
            ranker=LinearRanker(settings),
            workers=workers,
            beams=beams,
            done=lambda _: None,
        )

    assert tree.n_levels > 2
    for level in range(tree.n_levels):
        found = beams(level, chunks)
        expected = (tree.depth == level) | (tree.is_leaf & (tree.depth < level))
        assert sorted(found) == np.flatnonzero(expected).tolist()
        for reached in found.values():
            assert reached.tolist() == list(range(len(rows)))
