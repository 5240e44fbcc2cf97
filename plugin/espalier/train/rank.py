"""Rankers: every node of the tree learns to score its children.

Each node is a small problem of its own: the rows the matcher chose, and for each
child which of them are its positives. Nodes are independent, so they are trained
on all threads, the largest first; only matcher-aware negatives need the levels
above finished before the next one starts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from espalier.native import Csr, RankOptions, RankTask, Trainer, chunk_encode
from espalier.settings import TrainSettings
from espalier.train.match import Matcher
from espalier.train.matrices import take_rows
from espalier.train.tree import Tree
from espalier.train.workers import Workers

U32 = NDArray[np.uint32]
I64 = NDArray[np.int64]

# A margin that costs nothing: hinges are silent from 1 on, a sigmoid is flat there.
_CERTAIN: Final = {"sigmoid": 16.0, "log-sigmoid": 16.0}


@dataclass(frozen=True, slots=True)
class RankInput:
    """What a ranker may look at.

    Attributes:
        x: Feature vectors of the rows, ``(n_rows, n_features)``.
        user: Who typed each row, ``(n_rows,)``; None where nobody knows or it
            does not matter (``min_users`` is 1).
        cost: Factor on each row's cost, ``(n_rows,)``; None for 1 each.
        is_context: 1 for features of previous queries, ``(n_features,)``.
    """

    x: Csr
    user: U32 | None
    cost: NDArray[np.float32] | None
    is_context: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class NodeTask:
    """One node to train: its rows, and the places among them that belong to each child."""

    node: int
    rows: U32
    positive_ptr: U32
    positive: U32

    @property
    def n_children(self) -> int:
        """Children to tell apart."""
        return len(self.positive_ptr) - 1


class Ranker(Protocol):
    """Stage three: turns the rows of a node into the weights of its children."""

    def rank(self, trainer: Trainer, data: RankInput, task: NodeTask) -> bytes:
        """Return the node's children as encoded chunks. Called on several threads."""


@dataclass(frozen=True, slots=True)
class LinearRanker:
    """A linear classifier per child: squared hinge, dual coordinate descent."""

    settings: TrainSettings

    def rank(self, trainer: Trainer, data: RankInput, task: NodeTask) -> bytes:
        """Train one-vs-rest among the children of one node.

        An only child is no choice: it gets a constant that costs its labels nothing.
        """
        settings = self.settings
        if task.n_children == 1 and settings.post_processor != "noop":
            return certain_child(settings.post_processor, settings.weight_bits, data.x.n_cols)
        cost = None if data.cost is None else data.cost[task.rows]
        return trainer.rank(
            data.x,
            RankTask(
                rows=task.rows,
                n_children=task.n_children,
                positive_ptr=task.positive_ptr,
                positive=task.positive,
                cost=cost,
                user=data.user,
                is_context=None if data.user is None else data.is_context,
            ),
            RankOptions(
                max_iterations=settings.max_iterations,
                cp=settings.cp,
                cn=settings.cn,
                epsilon=settings.epsilon,
                bias=settings.bias,
                threshold=settings.threshold,
                max_nonzeros=settings.max_nonzeros,
                min_support=settings.min_users,
                weight_bits=settings.weight_bits,
                seed=(settings.seed + task.node) & ((1 << 64) - 1),
            ),
        )


@dataclass(frozen=True, slots=True)
class EnvelopeRanker:
    """A child weighs each feature as the row below it that weighs it most.

    Where a label's rows are what is known of it (a product's title, the queries it was
    paired with), its weights are these themselves, and a single row is enough to find it
    by. Above, no label scores higher than any node on the way to it: a beam wide enough
    misses nothing.
    """

    settings: TrainSettings

    def rank(self, trainer: Trainer, data: RankInput, task: NodeTask) -> bytes:  # noqa: ARG002 - the port
        """Return the maxima, without small ones and, by `max_nonzeros` a row, the smallest."""
        settings = self.settings
        child = np.repeat(np.arange(task.n_children), np.diff(task.positive_ptr).astype(np.int64))
        rows = take_rows(data.x, task.rows[task.positive])
        counts = np.diff(rows.row_ptr).astype(np.int64)
        column = np.repeat(child, counts) * data.x.n_cols + rows.col
        order = np.argsort(column, kind="stable")
        keys, starts = np.unique(column[order], return_index=True)
        value = np.maximum.reduceat(rows.val[order], starts) if len(keys) else rows.val
        child, feature = np.divmod(keys, data.x.n_cols)
        kept = (value >= settings.threshold) & (value > 0)
        if settings.max_nonzeros:
            heaviest = np.lexsort((feature, -value, child))
            place = np.arange(len(keys)) - np.searchsorted(child, child[heaviest])
            most = settings.max_nonzeros * np.diff(task.positive_ptr).astype(np.int64)
            kept[heaviest[place >= most[child[heaviest]]]] = False
        return chunk_encode(
            task.n_children,
            data.x.n_cols,
            np.searchsorted(child[kept], np.arange(task.n_children + 1)).astype(np.uint64),
            feature[kept].astype(np.uint32),
            value[kept],
            np.zeros(task.n_children, np.float32),
            weight_bits=settings.weight_bits,
        )


RANKERS: Final[dict[str, Callable[[TrainSettings], Ranker]]] = {
    "linear": LinearRanker,
    "envelope": EnvelopeRanker,
}


@functools.cache
def certain_child(post_processor: str, weight_bits: int, n_features: int) -> bytes:
    """Return the chunk of a single child whose score never takes anything away."""
    bias = _CERTAIN.get(post_processor, 1.0)
    return chunk_encode(
        1,
        n_features,
        np.zeros(2, np.uint64),
        np.zeros(0, np.uint32),
        np.zeros(0, np.float32),
        np.array([bias], np.float32),
        weight_bits=weight_bits,
    )


@dataclass(frozen=True, slots=True)
class Entries:
    """Pairs (row, label), by position of the label in the tree.

    Attributes:
        row: Row of each entry.
        begin: First entry of each position, ``(n_labels + 1,)``.
        one_each: Every row stands for exactly one label, and rows are numbered in
            tree order: a node's rows are then a range.
    """

    row: U32
    begin: I64
    one_each: bool

    @classmethod
    def of(cls, tree: Tree, entry_row: U32, entry_label: U32, n_rows: int) -> Entries:
        """Sort the entries into tree order."""
        position = tree.position_of()[entry_label]
        order = np.lexsort((entry_row, position))
        row = entry_row[order]
        begin = np.searchsorted(position[order], np.arange(tree.n_labels + 1))
        one_each = len(row) == n_rows and np.array_equal(row, np.arange(n_rows))
        return cls(row, begin, one_each)

    def below(self, first: int, last: int) -> U32:
        """Return the rows with a label at positions ``[first, last)``, ascending, distinct."""
        rows = self.row[self.begin[first] : self.begin[last]]
        return rows if self.one_each else np.unique(rows)


def tree_order(tree: Tree, entry_row: U32, entry_label: U32, n_rows: int) -> I64:
    """Return the rows ordered by the first position of their labels.

    Rows in this order make the rows of a node neighbours in memory.
    """
    first = np.full(n_rows, tree.n_labels, np.int64)
    np.minimum.at(first, entry_row, tree.position_of()[entry_label].astype(np.int64))
    return np.argsort(first, kind="stable")


def node_task(tree: Tree, entries: Entries, node: int, matcher: Matcher, in_beam: U32) -> NodeTask:
    """Return the task of one node."""
    edges = tree.child_positions(node)
    if entries.one_each and not matcher.needs_beam:
        places = entries.begin[edges]
        first = int(places[0])
        count = int(places[-1]) - first
        return NodeTask(
            node,
            np.arange(first, first + count, dtype=np.uint32),
            (places - first).astype(np.uint32),
            np.arange(count, dtype=np.uint32),
        )
    children = [
        entries.below(begin, end)
        for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    below = entries.below(int(edges[0]), int(edges[-1]))
    rows = matcher.rows(below, in_beam, children).astype(np.uint32)
    positive = [_places(rows, child) for child in children]
    return NodeTask(
        node,
        rows,
        np.append(0, np.cumsum([len(places) for places in positive])).astype(np.uint32),
        np.concatenate(positive),
    )


def _places(rows: U32, wanted: U32) -> U32:
    """Return where the ``wanted`` rows stand in ``rows``; those that do not are left out."""
    if not len(rows):
        return np.zeros(0, np.uint32)
    place = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    places: U32 = place[rows[place] == wanted].astype(np.uint32)
    return places


class Beams(Protocol):
    """Searches the levels that are trained already."""

    def __call__(self, level: int, chunks: list[bytes]) -> dict[int, U32]:
        """Return the rows whose beam holds each node of depth ``level``, ascending.

        ``chunks`` are those of all nodes less deep, by node number.
        """


def rank_tree(
    tree: Tree,
    entries: Entries,
    data: RankInput,
    *,
    matcher: Matcher,
    ranker: Ranker,
    workers: Workers,
    beams: Beams,
    done: Callable[[int], None],
) -> list[bytes]:
    """Return the encoded chunks of every node, by node number.

    Args:
        tree: The tree.
        entries: Which rows belong to which label.
        data: The rows.
        matcher: Chooses the rows of a node.
        ranker: Trains a node.
        workers: Threads with kernels for ``data.x``.
        beams: Asked once per level where the matcher needs it.
        done: Called with the number of nodes just finished.
    """
    n_rows = entries.begin[tree.pos_end] - entries.begin[tree.pos_begin]
    costs = (n_rows * tree.n_children).tolist()
    nothing = np.zeros(0, np.uint32)
    chunks: list[bytes] = []
    if matcher.needs_beam:
        levels = [np.flatnonzero(tree.depth == depth) for depth in range(tree.n_levels)]
    else:
        levels = [np.arange(tree.n_nodes)]
    for level, nodes in enumerate(levels):
        in_beam = beams(level, chunks) if matcher.needs_beam else {}

        def train(trainer: Trainer, node: int, in_beam: dict[int, U32] = in_beam) -> bytes:
            task = node_task(tree, entries, node, matcher, in_beam.get(node, nothing))
            return ranker.rank(trainer, data, task)

        chunks += workers.map(
            train,
            nodes.tolist(),
            n_features=data.x.n_cols,
            cost=costs.__getitem__,
            done=done,
        )
    return chunks
