r"""The label tree: a flat structure every stage after indexing reads.

::

                     node 0  [0, 7)                 positions of labels in tree order
                    /            \
           node 1 [0, 3)     node 2 [3, 7)          nodes are numbered breadth first, so the
           labels 0 1 4       /        \\            children of a node are consecutive
                       node 3 [3, 5)  node 4 [5, 7)
                       labels 2 3     labels 5 6

A node covers the positions ``[pos_begin, pos_end)`` and has either child nodes
``[child_begin, child_end)`` or, where those two are equal, the labels at its
positions as children. ``label_at`` gives the label of a position. Leaves may
have different depths.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

U32 = NDArray[np.uint32]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tree:
    """Nodes breadth first, and the labels in tree order.

    Attributes:
        child_begin, child_end: First child node and the one after the last, ``(n_nodes,)``.
        pos_begin, pos_end: Positions of the labels below each node, ``(n_nodes,)``.
        depth: Edges from the root, ``(n_nodes,)``.
        label_at: Label at each position, ``(n_labels,)``; ascending inside a leaf.
    """

    child_begin: U32
    child_end: U32
    pos_begin: U32
    pos_end: U32
    depth: U32
    label_at: U32

    @property
    def n_nodes(self) -> int:
        """Number of nodes; labels are not nodes."""
        return len(self.pos_begin)

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return len(self.label_at)

    @property
    def n_levels(self) -> int:
        """Edges from the root to the deepest label."""
        return int(self.depth.max()) + 1

    @property
    def is_leaf(self) -> NDArray[np.bool_]:
        """True for nodes whose children are labels, ``(n_nodes,)``."""
        return np.asarray(self.child_begin == self.child_end)

    @property
    def n_children(self) -> I64:
        """Children of each node, nodes or labels, ``(n_nodes,)``."""
        nodes = self.child_end.astype(np.int64) - self.child_begin
        labels = self.pos_end.astype(np.int64) - self.pos_begin
        return np.where(self.is_leaf, labels, nodes)

    def position_of(self) -> U32:
        """Return the position of each label, the inverse of ``label_at``."""
        position = np.empty(self.n_labels, np.uint32)
        position[self.label_at] = np.arange(self.n_labels, dtype=np.uint32)
        return position

    def child_positions(self, node: int) -> U32:
        """Return where the children of ``node`` begin, and where the last one ends."""
        first, last = int(self.child_begin[node]), int(self.child_end[node])
        if first == last:
            return np.arange(self.pos_begin[node], int(self.pos_end[node]) + 1, dtype=np.uint32)
        return np.append(self.pos_begin[first:last], self.pos_end[last - 1])

    def label_bounds(self) -> tuple[U32, U32]:
        """Return the smallest and the largest label below each node."""
        low = self.label_at[self.pos_begin].copy()
        high = self.label_at[self.pos_end.astype(np.int64) - 1].copy()
        inner = np.flatnonzero(~self.is_leaf)
        for depth in range(int(self.depth.max()) - 1, -1, -1):
            nodes = inner[self.depth[inner] == depth]
            if not len(nodes):
                continue
            # The children of consecutive nodes of one depth are consecutive too.
            first = int(self.child_begin[nodes[0]])
            last = int(self.child_end[nodes[-1]])
            starts = self.child_begin[nodes].astype(np.int64) - first
            low[nodes] = np.minimum.reduceat(low[first:last], starts)
            high[nodes] = np.maximum.reduceat(high[first:last], starts)
        return low, high


@dataclass(slots=True)
class TreeBuilder:
    """Collects nodes in any order in which a parent comes before its children.

    Attributes:
        label_at: Permutation of the labels, rearranged while clusters are split.
    """

    label_at: U32
    _parent: list[I64] = field(default_factory=list)
    _begin: list[I64] = field(default_factory=list)
    _end: list[I64] = field(default_factory=list)
    n_nodes: int = 0

    def add(self, parent: I64, begin: I64, end: I64) -> I64:
        """Add nodes and return their numbers. The root has parent -1."""
        numbers = np.arange(self.n_nodes, self.n_nodes + len(parent))
        self._parent.append(np.asarray(parent, np.int64))
        self._begin.append(np.asarray(begin, np.int64))
        self._end.append(np.asarray(end, np.int64))
        self.n_nodes += len(parent)
        return numbers

    def add_root(self) -> None:
        """Add node 0, which covers every label."""
        self.add(np.array([-1]), np.array([0]), np.array([len(self.label_at)]))

    def add_children(self, parent: int, bounds: I64) -> I64:
        """Add the children of one node, child ``j`` covering ``[bounds[j], bounds[j + 1])``."""
        return self.add(np.full(len(bounds) - 1, parent), bounds[:-1], bounds[1:])

    def finish(self) -> Tree:
        """Return the tree: bottom choices flattened, breadth first, leaves ascending.

        A node all of whose children hold one label takes those labels as its own
        children: the same choice, made once instead of twice.
        """
        parent, begin, end = (
            np.concatenate(parts) for parts in (self._parent, self._begin, self._end)
        )
        children = np.bincount(parent[1:], minlength=len(parent))
        flat = children == end - begin
        keep = np.ones(len(parent), bool)
        keep[1:] = ~flat[parent[1:]]
        number = np.cumsum(keep) - 1
        parent, begin, end = parent[keep], begin[keep], end[keep]
        parent[1:] = number[parent[1:]]
        return _breadth_first(parent, begin, end, self.label_at)


def _breadth_first(parent: I64, begin: I64, end: I64, label_at: U32) -> Tree:
    depth = np.zeros(len(parent), np.int64)
    while True:
        below = np.append(0, depth[parent[1:]] + 1)
        if np.array_equal(below, depth):
            break
        depth = below
    order = np.lexsort((begin, depth))
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    counts = np.bincount(number[parent[1:]], minlength=len(parent))
    child_end = 1 + np.cumsum(counts)
    pos_begin, pos_end = begin[order], end[order]
    leaves = np.flatnonzero(counts == 0)
    leaves = leaves[np.argsort(pos_begin[leaves])]
    leaf_at = np.repeat(np.arange(len(leaves)), (pos_end - pos_begin)[leaves])
    return Tree(
        child_begin=(child_end - counts).astype(np.uint32),
        child_end=child_end.astype(np.uint32),
        pos_begin=pos_begin.astype(np.uint32),
        pos_end=pos_end.astype(np.uint32),
        depth=depth[order].astype(np.uint32),
        label_at=label_at[np.lexsort((label_at, leaf_at))],
    )
