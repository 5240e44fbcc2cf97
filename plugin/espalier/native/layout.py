"""Structures of the index file as numpy sees them (FORMAT.md: PARM, TREE, NGRM, ATTR)."""

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
NGRAM_HEADER: Final = np.dtype(
    [
        ("n_words", "<u4"),
        ("n_bigrams", "<u4"),
        ("n_contexts", "<u4"),
        ("n_trigrams", "<u4"),
        ("step", "<f4"),
        ("mix_context", "<f4"),
        ("mix_follow", "<f4"),
        ("decay", "<f4"),
        ("mix_related", "<f4"),
        ("end", "<u4"),
        ("unknown", "<u4"),
        ("half_life", "<f4"),
    ]
)
ATTRIBUTE_HEADER: Final = np.dtype(
    [("n_values", "<u4"), ("n_entries", "<u4"), ("text_bytes", "<u4"), ("reserved", "<u4")]
)
ATTRIBUTE_VALUES: Final = 65_535
"""Attribute values of an index, at most."""
LABEL_VALUES: Final = 16
"""Of a label, at most."""
CATALOGUE_HEADER: Final = np.dtype(
    [
        ("n_labels", "<u4"),
        ("n_words", "<u4"),
        ("word_kinds", "<u4"),
        ("text_kinds", "<u4"),
        ("k1", "<f4"),
        ("b", "<f4"),
        ("average", "<f4"),
        ("pool", "<u4"),
        ("stemmer", "u1", 16),
        ("word_bytes", "<u4"),
        ("reserved", "<u4", 3),
    ]
)
RELATION_HEADER: Final = np.dtype(
    [
        ("n_rules", "<u4"),
        ("n_sources", "<u4"),
        ("n_related", "<u4"),
        ("n_heads", "<u4"),
        ("n_followers", "<u4"),
        ("reserved", "<u4", 3),
    ]
)
AFFIX_RULE: Final = np.dtype(
    [
        ("chance", "<f4"),
        ("at_end", "u1"),
        ("n_strip", "u1"),
        ("n_add", "u1"),
        ("reserved", "u1"),
        ("strip", "u1", 8),
        ("add", "u1", 8),
    ]
)
AFFIX_BYTES: Final = 8
"""Bytes of what a rule strips or adds, at most."""

FOREST_HEADER: Final = np.dtype(
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
FOREST_FEATURE: Final = np.dtype([("weight", "<f4"), ("fill", "<f4")])
FOREST_COLUMN: Final = np.dtype(
    [("missing", "<f4"), ("feature", "u1"), ("n_blocks", "u1"), ("reserved", "<u2")]
)
FOREST_TREE: Final = np.dtype([("n_leaves", "u1"), ("n_tests", "u1", 4), ("reserved", "u1", 3)])
FOREST_TEST: Final = np.dtype([("column", "u1"), ("limit", "u1"), ("keep", "u1"), ("first", "u1")])

WORD_BYTES: Final = 255
"""Bytes of a word of the tail model, at most."""
WORD_LIMIT: Final = 1 << 24
"""Words of the tail model: fewer than this."""
WORD_BLOCK: Final = 64
"""Words whose best probability is stored once more."""
LIST_LONG: Final = 32
"""A list of followers longer than this begins with its best."""
LIST_HEAD: Final = 16
"""How many of them."""

FOREST_FEATURES: Final = 64
"""Features of a scorer, at most."""
FOREST_COLUMNS: Final = 128
"""Pairs of a feature and what stands for it where it is not known, at most."""
FOREST_TREES: Final = 1024
"""Trees, at most."""
FOREST_LEAVES: Final = 32
"""Leaves of a tree, at most."""
FOREST_BLOCK: Final = 8
"""Thresholds are stored in blocks of so many."""
FOREST_THRESHOLDS: Final = 255
"""Thresholds of a column, at most."""
