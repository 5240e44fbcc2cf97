"""Structures of the index file as numpy sees them (FORMAT.md: PARM, TREE)."""

from __future__ import annotations

from typing import Final

import numpy as np

PARAMS: Final = np.dtype(
    [
        ("n_labels", "<u4"),
        ("n_nodes", "<u4"),
        ("n_features", "<u4"),
        ("tree_depth", "<u4"),
        ("max_children", "<u4"),
        ("post_processor", "<u4"),
        ("prefix_features", "<u4"),
        ("max_context", "<u4"),
        ("context_decay", "<f4"),
        ("blend_model", "<f4"),
        ("blend_popularity", "<f4"),
        ("default_beam", "<u4"),
        ("default_pool", "<u4"),
        ("default_matcher", "<u4"),
        ("reserved", "<u4", 2),
    ]
)
TREE_NODE: Final = np.dtype(
    [
        ("child_begin", "<u4"),
        ("child_end", "<u4"),
        ("pos_begin", "<u4"),
        ("pos_end", "<u4"),
        ("label_min", "<u4"),
        ("label_max", "<u4"),
        ("chunk", "<u8"),
    ]
)
