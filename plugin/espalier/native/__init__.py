"""The border to the C library: the only package that imports the extension.

Numpy arrays and strings go in and come out, statuses become exceptions, owned
memory gets an owner. Calls release the interpreter lock. What each function does,
costs and fails with stands in ``native/include/espalier.h``; here is only how it
looks from Python.
"""

from __future__ import annotations

from espalier.native.border import (
    FeatureKind,
    Matcher,
    PostProcessor,
    PrefixFeatures,
    Source,
    crc32c,
    section_id,
    section_name,
    version,
)
from espalier.native.features import Csr, Space, TextTable, features_hash, features_vectorise
from espalier.native.forest import ForestHead, forest_contributions, forest_head, forest_predict
from espalier.native.layout import (
    FOREST_BLOCK,
    FOREST_COLUMN,
    FOREST_COLUMNS,
    FOREST_FEATURE,
    FOREST_FEATURES,
    FOREST_HEADER,
    FOREST_LEAVES,
    FOREST_TEST,
    FOREST_THRESHOLDS,
    FOREST_TREE,
    FOREST_TREES,
    LIST_HEAD,
    LIST_LONG,
    NGRAM_HEADER,
    PARAMS,
    TREE_NODE,
    WORD_BLOCK,
    WORD_BYTES,
    WORD_LIMIT,
)
from espalier.native.overlay import NativeOverlay, RawPin, RawRule, RuleKind
from espalier.native.query import (
    FEATURE_GROUPS,
    KEEP_VARIANTS,
    NO_LABEL,
    Caps,
    RawSuggestion,
    Scratch,
    Work,
    feature_groups,
    feature_names,
)
from espalier.native.reading import NativeIndex, NativeInfo, SectionInfo
from espalier.native.training import RankOptions, RankTask, Trainer, chunk_encode
from espalier.native.writing import IndexWriter, maxima_build, trie_build, words_build

__all__ = [
    "FEATURE_GROUPS",
    "FOREST_BLOCK",
    "FOREST_COLUMN",
    "FOREST_COLUMNS",
    "FOREST_FEATURE",
    "FOREST_FEATURES",
    "FOREST_HEADER",
    "FOREST_LEAVES",
    "FOREST_TEST",
    "FOREST_THRESHOLDS",
    "FOREST_TREE",
    "FOREST_TREES",
    "KEEP_VARIANTS",
    "LIST_HEAD",
    "LIST_LONG",
    "NGRAM_HEADER",
    "NO_LABEL",
    "PARAMS",
    "TREE_NODE",
    "WORD_BLOCK",
    "WORD_BYTES",
    "WORD_LIMIT",
    "Caps",
    "Csr",
    "FeatureKind",
    "ForestHead",
    "IndexWriter",
    "Matcher",
    "NativeIndex",
    "NativeInfo",
    "NativeOverlay",
    "PostProcessor",
    "PrefixFeatures",
    "RankOptions",
    "RankTask",
    "RawPin",
    "RawRule",
    "RawSuggestion",
    "RuleKind",
    "Scratch",
    "SectionInfo",
    "Source",
    "Space",
    "TextTable",
    "Trainer",
    "Work",
    "chunk_encode",
    "crc32c",
    "feature_groups",
    "feature_names",
    "features_hash",
    "features_vectorise",
    "forest_contributions",
    "forest_head",
    "forest_predict",
    "maxima_build",
    "section_id",
    "section_name",
    "trie_build",
    "version",
    "words_build",
]
