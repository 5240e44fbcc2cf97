"""The task of a node: its rows and their places, under every matcher."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from espalier.native import Csr, Trainer, chunk_encode
from espalier.settings import TrainSettings
from espalier.train.match import (
    MatcherAware,
    TeacherForcing,
    TeacherForcingAndMatcherAware,
)
from espalier.train.matrices import csr_of
from espalier.train.rank import (
    Entries,
    EnvelopeRanker,
    LinearRanker,
    NodeTask,
    RankInput,
    certain_child,
    node_task,
    rank_tree,
    tree_order,
)
from espalier.train.tree import Tree, TreeBuilder
from espalier.train.workers import Workers

U32 = NDArray[np.uint32]
NOTHING = np.zeros(0, np.uint32)
SETTINGS = TrainSettings(min_users=1)


def small_tree() -> Tree:
    """Return a root over two leaves, of labels 3 0 1 and 2 4."""
    builder = TreeBuilder(np.array([3, 0, 1, 2, 4], np.uint32))
    builder.add_root()
    builder.add_children(0, np.array([0, 3, 5]))
    return builder.finish()


def places_by_child(task: NodeTask) -> list[list[int]]:
    """Return the positive rows of each child."""
    ptr = task.positive_ptr.tolist()
    return [task.rows[task.positive[begin:end]].tolist() for begin, end in itertools.pairwise(ptr)]


entry_lists = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), min_size=1, unique=True)


@given(entry_lists)
def test_a_node_gets_the_rows_below_it(entries: list[tuple[int, int]]) -> None:
    """With several labels a row, against looking at every entry."""
    tree = small_tree()
    pairs = np.array(sorted(entries), np.uint32)
    found = Entries.of(tree, pairs[:, 0], pairs[:, 1], 10)

    for node in range(tree.n_nodes):
        task = node_task(tree, found, node, TeacherForcing(SETTINGS), NOTHING)
        edges = tree.child_positions(node).tolist()
        children = [
            sorted({row for row, label in entries if label in tree.label_at[begin:end]})
            for begin, end in itertools.pairwise(edges)
        ]
        assert places_by_child(task) == children
        assert task.rows.tolist() == sorted({row for rows in children for row in rows})


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_one_label_a_row_takes_the_short_way_to_the_same_task(labels: list[int]) -> None:
    """Rows in tree order make a node a range; the general way agrees."""
    tree = small_tree()
    row, label = np.arange(len(labels), dtype=np.uint32), np.array(labels, np.uint32)
    order = tree_order(tree, row, label, len(labels))
    number = np.empty(len(labels), np.uint32)
    number[order] = np.arange(len(labels), dtype=np.uint32)
    quick = Entries.of(tree, number, label, len(labels))
    slow = Entries(quick.row, quick.begin, one_each=False)

    assert quick.one_each
    for node in range(tree.n_nodes):
        one = node_task(tree, quick, node, TeacherForcing(SETTINGS), NOTHING)
        other = node_task(tree, slow, node, TeacherForcing(SETTINGS), NOTHING)
        assert one.rows.tolist() == other.rows.tolist()
        assert one.positive_ptr.tolist() == other.positive_ptr.tolist()
        assert one.positive.tolist() == other.positive.tolist()


def test_matchers_choose_rows_of_the_node_and_of_its_beam() -> None:
    """tfn: below; man: in the beam, and children the beam missed; tfn+man: both."""
    below, in_beam = np.array([1, 2, 3], np.uint32), np.array([2, 7], np.uint32)
    children = [np.array([1, 2], np.uint32), np.array([3], np.uint32)]

    assert TeacherForcing(SETTINGS).rows(below, NOTHING, children).tolist() == [1, 2, 3]
    assert MatcherAware(SETTINGS).rows(below, in_beam, children).tolist() == [2, 3, 7]
    both = TeacherForcingAndMatcherAware(SETTINGS)
    assert both.rows(below, in_beam, children).tolist() == [1, 2, 3, 7]


def test_the_ranker_tells_children_apart() -> None:
    """Separable rows: the encoded chunks differ from those of swapped positives."""
    x = csr_of(np.eye(4, dtype=np.float32))
    data = RankInput(x, None, None, np.zeros(4, np.uint8))
    rows = np.arange(4, dtype=np.uint32)
    task = NodeTask(0, rows, np.array([0, 2, 4], np.uint32), rows)
    swapped = NodeTask(0, rows, np.array([0, 2, 4], np.uint32), rows[[2, 3, 0, 1]])
    ranker = LinearRanker(SETTINGS)
    trainer = Trainer(4)

    chunk = ranker.rank(trainer, data, task)
    assert chunk == ranker.rank(trainer, data, task)
    assert chunk != ranker.rank(trainer, data, swapped)


def test_an_only_child_is_no_choice() -> None:
    """It is a constant, not a classifier of rows that are all positive."""
    x = csr_of(np.eye(2, dtype=np.float32))
    data = RankInput(x, None, None, np.zeros(2, np.uint8))
    rows = np.arange(2, dtype=np.uint32)
    task = NodeTask(5, rows, np.array([0, 2], np.uint32), rows)

    assert LinearRanker(SETTINGS).rank(Trainer(2), data, task) == certain_child("l3-hinge", 16, 2)


def test_levels_are_trained_in_order_when_the_beam_is_needed() -> None:
    """The search of a level gets the chunks of all nodes above it."""
    tree = small_tree()
    seen: list[tuple[int, int]] = []

    def beams(level: int, chunks: list[bytes]) -> dict[int, U32]:
        seen.append((level, len(chunks)))
        return {0: np.arange(3, dtype=np.uint32)} if level == 0 else {}

    class Recorder:
        def rank(self, trainer: Trainer, data: RankInput, task: NodeTask) -> bytes:
            del trainer, data
            return bytes([task.node])

    x: Csr = csr_of(np.eye(5, dtype=np.float32))
    data = RankInput(x, None, None, np.zeros(5, np.uint8))
    row = np.arange(5, dtype=np.uint32)
    done: list[int] = []
    with Workers(2) as workers:
        chunks = rank_tree(
            tree,
            Entries.of(tree, row, tree.label_at, 5),
            data,
            matcher=MatcherAware(SETTINGS),
            ranker=Recorder(),
            workers=workers,
            beams=beams,
            done=done.append,
        )

    assert seen == [(0, 0), (1, 1)]
    assert chunks == [b"\0", b"\1", b"\2"]
    assert sum(done) == 3


@pytest.mark.parametrize("threads", [1, 3])
def test_workers_keep_the_order_of_the_jobs(threads: int) -> None:
    """Started largest first, answered in the order asked."""
    with Workers(threads) as workers:
        results = workers.map(lambda _, job: job * job, list(range(50)), n_features=1, cost=float)

    assert results == [job * job for job in range(50)]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_job_is_raised_and_the_rest_dropped(threads: int) -> None:
    """The caller sees the error of the job, not of the pool."""

    def work(_: Trainer, job: int) -> int:
        if job == 3:
            raise ValueError("job 3")
        return job

    with Workers(threads) as workers, pytest.raises(ValueError, match="job 3"):
        workers.map(work, list(range(100)), n_features=1, cost=float)


def _encoded(weights: NDArray[np.float32]) -> bytes:
    """Return columns of weights, ``(n_features, n_children)``, as a chunk."""
    columns = csr_of(weights.T)
    children = weights.shape[1]
    bias = np.zeros(children, np.float32)
    return chunk_encode(
        children,
        len(weights),
        columns.row_ptr,
        columns.col,
        columns.val,
        bias,
        weight_bits=32,
    )


def test_an_envelope_weighs_as_the_heaviest_row_of_each_child() -> None:
    """Every child's column is the maximum over its rows, small weights left out."""
    x = csr_of(np.array([[1, 0, 3, 0.1], [2, 0, 0, 0], [0, 5, 1, 0], [9, 9, 9, 9]], np.float32))
    task = NodeTask(
        0,
        np.array([0, 1, 2], np.uint32),
        np.array([0, 2, 2, 3], np.uint32),
        np.array([0, 1, 2], np.uint32),
    )
    data = RankInput(x, None, None, np.zeros(4, np.uint8))
    settings = TrainSettings(min_users=1, threshold=0.5, weight_bits=32)

    chunk = EnvelopeRanker(settings).rank(Trainer(4), data, task)

    expected = np.array([[2, 0, 0], [0, 0, 5], [3, 0, 1], [0, 0, 0]], np.float32)
    assert _encoded(expected) == chunk


def test_an_envelope_keeps_so_many_of_the_heaviest_weights() -> None:
    """`max_nonzeros` counts for each row of a child, ties by feature."""
    x = csr_of(np.array([[1, 3, 2, 3], [4, 4, 4, 4], [2, 4, 4, 4]], np.float32))
    task = NodeTask(
        0,
        np.array([0, 1, 2], np.uint32),
        np.array([0, 1, 3], np.uint32),
        np.array([0, 1, 2], np.uint32),
    )
    settings = TrainSettings(min_users=1, threshold=0.0, max_nonzeros=2, weight_bits=32)

    chunk = EnvelopeRanker(settings).rank(
        Trainer(4), RankInput(x, None, None, np.zeros(4, np.uint8)), task
    )

    expected = np.array([[0, 4], [3, 4], [0, 4], [3, 4]], np.float32)
    assert _encoded(expected) == chunk
