"""Indexers: label vectors and label texts become a tree.

What each one does with the labels, in code-point order, and their vectors:

    kmeans     balanced spherical k-means all the way down, every leaf equally deep
               (PECOS; Yu et al. 2022, section 3)
    trie       a character trie to ``depth`` code points (Yadav et al. 2021, section 4.1)
    hybrid     a trie for ``depth`` code points, balanced k-means inside each of its
               cells (the same, section 4.2)
    must-link  balanced 2-means in which, at level ``d`` up to ``depth``, labels that
               share their first ``d`` code points move as one point (section 4.3)

A trie level without a choice (one child) would only add a score every label
below shares, so chains are compressed away; a label that ends at an inner node
becomes a leaf node of its own. Random numbers are seeded by what is split (seed,
level, first position), never by when, so threads do not change the tree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from espalier.native import Csr, Trainer
from espalier.settings import TrainSettings
from espalier.train.matrices import csr_of, normalise_rows, scipy_of
from espalier.train.tree import Tree, TreeBuilder
from espalier.train.workers import Workers

I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]

# Depth of the published configurations, used where the setting is 0.
DEPTHS: Final = {"trie": 16, "hybrid": 3, "must-link": 5}


@dataclass(frozen=True, slots=True)
class IndexerInput:
    """What an indexer may look at.

    Attributes:
        texts: Label texts, ascending code points.
        vectors: Returns the label vectors, unit rows ``(n_labels, n)``; computed on
            the first call, so an indexer that does not ask does not pay.
        workers: Threads with clustering kernels.
    """

    texts: list[str]
    vectors: Callable[[], Csr]
    workers: Workers


class Indexer(Protocol):
    """Stage one: arranges labels in a tree."""

    def index(self, labels: IndexerInput) -> Tree:
        """Return a tree whose leaves partition the labels."""


@dataclass(frozen=True, slots=True)
class TrieIndexer:
    """A character trie; leaves at ``depth`` hold all labels that agree so far."""

    settings: TrainSettings

    def index(self, labels: IndexerInput) -> Tree:
        """Return the trie as a tree. Leaf sizes are not bounded."""
        builder = _builder(len(labels.texts))
        _grow_trie(builder, labels.texts, effective_depth(self.settings))
        return builder.finish()


@dataclass(frozen=True, slots=True)
class KMeansIndexer:
    """Balanced k-means from the root down."""

    settings: TrainSettings

    def index(self, labels: IndexerInput) -> Tree:
        """Return a tree whose leaves are equally deep and differ by one label at most."""
        builder = _builder(len(labels.texts))
        builder.add_root()
        cells = [_Cell(0, 0, len(labels.texts), 0)]
        _split_down(builder, cells, labels, self.settings)
        return builder.finish()


@dataclass(frozen=True, slots=True)
class HybridIndexer:
    """A trie above, balanced k-means inside every cell that is still too large."""

    settings: TrainSettings

    def index(self, labels: IndexerInput) -> Tree:
        """Return the tree; cells of different size have leaves of different depth."""
        builder = _builder(len(labels.texts))
        leaves = _grow_trie(builder, labels.texts, effective_depth(self.settings))
        cells = [cell for cell in leaves if cell.size > self.settings.max_leaf]
        if cells:
            _split_down(builder, cells, labels, self.settings)
        return builder.finish()


@dataclass(frozen=True, slots=True)
class MustLinkIndexer:
    """Balanced k-means over groups of labels that share their beginning."""

    settings: TrainSettings

    def index(self, labels: IndexerInput) -> Tree:
        """Return the tree; leaf sizes are balanced only as far as the groups allow."""
        settings = self.settings
        builder = _builder(len(labels.texts))
        builder.add_root()
        cells = [_Cell(0, 0, len(labels.texts), 0)]
        points = CodePoints(labels.texts)
        boundary = np.zeros(len(labels.texts), bool)
        boundary[0] = True
        for depth in range(effective_depth(settings)):
            points.mark_changes(boundary, depth)
            large = [cell for cell in cells if cell.size > settings.max_leaf]
            if not large:
                break
            cells = _split_linked(builder, large, boundary, labels, settings)
        large = [cell for cell in cells if cell.size > settings.max_leaf]
        if large:
            _split_down(builder, large, labels, settings)
        return builder.finish()


def effective_depth(settings: TrainSettings) -> int:
    """Return ``settings.depth``, or the published depth of the indexer where it is 0."""
    return settings.depth or DEPTHS.get(settings.indexer, 0)


class CodePoints:
    """The code points of many texts, by place in the text."""

    def __init__(self, texts: list[str]) -> None:
        """Decode ``texts``."""
        self._points = np.frombuffer("".join(texts).encode("utf-32-le") + b"\0" * 4, np.uint32)
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        self._end = np.cumsum(lengths)
        self._begin = self._end - lengths

    def at(self, place: int) -> U32:
        """Return code point number ``place`` of every text plus one, 0 where the text is over."""
        index = self._begin + place
        inside = index < self._end
        return np.where(inside, self._points[np.where(inside, index, 0)] + 1, 0).astype(np.uint32)

    def mark_changes(self, boundary: NDArray[np.bool_], place: int) -> None:
        """Set ``boundary[i]`` where text ``i`` and the one before it differ at ``place``."""
        points = self.at(place)
        boundary[1:] |= points[1:] != points[:-1]


@dataclass(frozen=True, slots=True)
class _Cell:
    """A node to be split: its number, its positions and how often its labels were split."""

    node: int
    begin: int
    end: int
    level: int

    @property
    def size(self) -> int:
        return self.end - self.begin


def _builder(n_labels: int) -> TreeBuilder:
    return TreeBuilder(np.arange(n_labels, dtype=np.uint32))


def _grow_trie(builder: TreeBuilder, texts: list[str], depth: int) -> list[_Cell]:
    """Add the compressed trie to ``depth`` code points and return its leaves.

    Level ``d`` of the trie is the list of runs of labels that share ``d`` code
    points; a run is a node of its own where the run above it has several.
    """
    points = CodePoints(texts)
    n_labels = len(texts)
    boundary = np.zeros(n_labels, bool)
    boundary[0] = True
    builder.add_root()
    starts, node = np.array([0]), np.array([0])
    for place in range(depth):
        points.mark_changes(boundary, place)
        below = np.flatnonzero(boundary)
        above = np.searchsorted(starts, below, "right") - 1
        fresh = np.bincount(above)[above] > 1
        ends = np.append(below[1:], n_labels)
        number = node[above]
        number[fresh] = builder.add(number[fresh], below[fresh], ends[fresh])
        starts, node = below, number
        if len(starts) == n_labels:
            break
    ends = np.append(starts[1:], n_labels)
    # The level of a cell starts at 0 however deep the trie is.
    return [
        _Cell(*cell, 0) for cell in zip(node.tolist(), starts.tolist(), ends.tolist(), strict=True)
    ]


def levels_needed(size: int, arity: int, max_leaf: int) -> int:
    """Return how often ``size`` labels are split into ``arity`` to have leaves of ``max_leaf``."""
    return max(0, math.ceil(math.log(size / max_leaf, arity) - 1e-9))


def first_parts(size: int, arity: int, max_leaf: int) -> int:
    """Return into how many parts the first split goes, every later one into ``arity``.

    The smallest power of two for which leaves have at most ``max_leaf`` labels, at most
    ``arity``: as in PECOS, what is left over goes to the top. A whole ``arity`` there
    would leave leaves up to ``arity`` times smaller, and a beam of so many leaves would
    see so many fewer labels.
    """
    below: int = arity ** (levels_needed(size, arity, max_leaf) - 1)
    needed = max(2, math.ceil(size / (max_leaf * below) - 1e-9))
    return min(arity, 1 << (needed - 1).bit_length())


def _split_down(
    builder: TreeBuilder, cells: list[_Cell], labels: IndexerInput, settings: TrainSettings
) -> None:
    """Split every cell by balanced k-means until its leaves have ``max_leaf`` labels.

    All leaves below one cell are equally deep, as in PECOS.
    """
    vectors = labels.vectors()
    last = {
        cell.node: cell.level + levels_needed(cell.size, settings.arity, settings.max_leaf)
        for cell in cells
    }
    frontier = [(cell, last[cell.node]) for cell in cells if cell.level < last[cell.node]]
    top = {
        cell.node: first_parts(cell.size, settings.arity, settings.max_leaf) for cell, _ in frontier
    }

    def split(trainer: Trainer, job: tuple[_Cell, int]) -> tuple[U32, U32]:
        cell, _ = job
        members = builder.label_at[cell.begin : cell.end].copy()
        bounds = trainer.split(
            vectors,
            members,
            None,
            parts=min(top.get(cell.node, settings.arity), cell.size),
            iterations=settings.kmeans_iterations,
            seed=_seed(settings.seed, cell),
        )
        return members, bounds

    while frontier:
        results = labels.workers.map(
            split, frontier, n_features=vectors.n_cols, cost=lambda job: job[0].size
        )
        below: list[tuple[_Cell, int]] = []
        for (cell, stop), (members, bounds) in zip(frontier, results, strict=True):
            builder.label_at[cell.begin : cell.end] = members
            children = _add_cells(builder, cell, bounds)
            below += [(child, stop) for child in children if child.level < stop and child.size > 1]
        frontier = below


def _add_cells(builder: TreeBuilder, cell: _Cell, bounds: NDArray[np.generic]) -> list[_Cell]:
    """Add the non-empty parts of a cell as its child nodes."""
    places = np.unique(cell.begin + bounds.astype(np.int64))
    if len(places) < 3:
        return [_Cell(cell.node, cell.begin, cell.end, cell.level + 1)]
    nodes = builder.add_children(cell.node, places).tolist()
    edges = places.tolist()
    return [
        _Cell(node, begin, end, cell.level + 1)
        for node, begin, end in zip(nodes, edges, edges[1:], strict=False)
    ]


def _split_linked(
    builder: TreeBuilder,
    cells: list[_Cell],
    boundary: NDArray[np.bool_],
    labels: IndexerInput,
    settings: TrainSettings,
) -> list[_Cell]:
    """Split every cell once, runs of labels between boundaries staying together."""
    group_of = np.cumsum(boundary) - 1
    starts = np.flatnonzero(boundary)
    sizes = np.diff(np.append(starts, len(boundary)))
    vectors = scipy_of(labels.vectors())
    mean = sp.csr_matrix(
        (
            np.repeat(1.0 / sizes, sizes).astype(np.float32),
            np.arange(len(boundary)),
            np.append(0, np.cumsum(sizes)),
        ),
        shape=(len(starts), len(boundary)),
    )
    points = csr_of(normalise_rows(mean @ vectors))

    def split(trainer: Trainer, cell: _Cell) -> tuple[U32, U32] | None:
        members = np.unique(group_of[builder.label_at[cell.begin : cell.end]]).astype(np.uint32)
        if len(members) == 1:
            return None
        bounds = trainer.split(
            points,
            members,
            sizes[members].astype(np.uint32),
            parts=min(settings.arity, len(members)),
            iterations=settings.kmeans_iterations,
            seed=_seed(settings.seed, cell),
        )
        return members, bounds

    results = labels.workers.map(
        split, cells, n_features=points.n_cols, cost=lambda cell: cell.size
    )
    below: list[_Cell] = []
    for cell, result in zip(cells, results, strict=True):
        if result is None:
            below.append(_Cell(cell.node, cell.begin, cell.end, cell.level + 1))
            continue
        members, bounds = result
        counts = sizes[members]
        # Labels of a group are consecutive numbers, so a group becomes a range of labels.
        first = np.repeat(starts[members] - np.append(0, np.cumsum(counts)[:-1]), counts)
        builder.label_at[cell.begin : cell.end] = first + np.arange(cell.size)
        edges = np.append(0, np.cumsum(counts))[bounds.astype(np.int64)]
        below += _add_cells(builder, cell, edges)
    return below


def _seed(seed: int, cell: _Cell) -> int:
    """Return the seed of one split (splitmix64 over what is split)."""
    mask = (1 << 64) - 1
    mixed = seed
    for part in (cell.level, cell.begin):
        mixed = (mixed + part + 0x9E3779B97F4A7C15) & mask
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
        mixed ^= mixed >> 31
    return mixed


INDEXERS: Final[dict[str, Callable[[TrainSettings], Indexer]]] = {
    "kmeans": KMeansIndexer,
    "trie": TrieIndexer,
    "hybrid": HybridIndexer,
    "must-link": MustLinkIndexer,
}
