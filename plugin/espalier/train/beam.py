"""Searches the upper levels of a tree that is still being trained.

For matcher-aware negatives each level has to know which rows the levels above
would send where. The finished levels are written as an index of their own whose
labels are the nodes of the next level, and the query path's own beam search runs
over it: the negatives are then exactly what the finished index will confuse.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from espalier.native import Csr, NativeIndex, Space
from espalier.settings import TrainSettings
from espalier.train.blend import choose_blend
from espalier.train.rank import certain_child
from espalier.train.tree import Tree
from espalier.train.write import Model, params_section, tree_sections, write_index

U32 = NDArray[np.uint32]
I64 = NDArray[np.int64]


def upper_tree(tree: Tree, level: int) -> tuple[Tree, I64]:
    """Return the tree above ``level``, and the nodes that are its labels.

    Its labels are the nodes of depth ``level`` and the leaves above them, which
    stay in the beam once they are reached; label ``i`` is the ``i``-th of them
    from the left. A leaf above keeps its node, with itself as its only label.
    """
    is_leaf = tree.is_leaf
    frontier = np.flatnonzero((tree.depth == level) | (is_leaf & (tree.depth < level)))
    frontier = frontier[np.argsort(tree.pos_begin[frontier])]
    kept = int(np.searchsorted(tree.depth, level))
    ends_here = is_leaf[:kept] | (tree.depth[:kept] == level - 1)
    first = tree.child_begin[:kept].copy()
    last = np.where(ends_here, first, tree.child_end[:kept]).astype(np.uint32)
    starts = tree.pos_begin[frontier]
    return (
        Tree(
            child_begin=first,
            child_end=last,
            pos_begin=np.searchsorted(starts, tree.pos_begin[:kept]).astype(np.uint32),
            pos_end=np.searchsorted(starts, tree.pos_end[:kept]).astype(np.uint32),
            depth=tree.depth[:kept],
            label_at=np.arange(len(frontier), dtype=np.uint32),
        ),
        frontier,
    )


@dataclass(frozen=True, slots=True)
class BeamSearch:
    """Runs the beam over the finished levels for every training row."""

    tree: Tree
    x: Csr
    space: Space
    settings: TrainSettings

    def __call__(self, level: int, chunks: list[bytes]) -> dict[int, U32]:
        """Return the rows whose beam holds each node of depth ``level``, ascending."""
        n_rows = len(self.x.row_ptr) - 1
        if level == 0:
            return {0: np.arange(n_rows, dtype=np.uint32)}
        upper, frontier = upper_tree(self.tree, level)
        leaf = self.tree.is_leaf[: upper.n_nodes]
        identity = certain_child(
            self.settings.post_processor, self.settings.weight_bits, self.x.n_cols
        )
        known = [
            identity if is_leaf else chunk
            for is_leaf, chunk in zip(leaf.tolist(), chunks[: upper.n_nodes], strict=True)
        ]
        model = Model(self.space, upper, known)
        sections = {
            "PARM": params_section(self.settings, model, choose_blend(self.settings)),
            **tree_sections(upper, known),
        }
        with tempfile.TemporaryDirectory(prefix="espalier-beam-") as folder:
            path = Path(folder) / "upper.esp"
            write_index(path, sections, 0)
            with NativeIndex.open(path) as index:
                rows, labels = index.predict(
                    self.x, beam=self.settings.beam, threads=self.settings.thread_count
                )
        order = np.lexsort((rows, labels))
        nodes, begins = np.unique(labels[order], return_index=True)
        return dict(
            zip(
                frontier[nodes].tolist(),
                np.split(rows[order].astype(np.uint32), begins[1:]),
                strict=True,
            )
        )
