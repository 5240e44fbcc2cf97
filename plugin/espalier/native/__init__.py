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
from espalier.native.layout import PARAMS, TREE_NODE
from espalier.native.query import (
    FEATURE_GROUPS,
    KEEP_VARIANTS,
    Caps,
    RawSuggestion,
    Scratch,
    Work,
)
from espalier.native.reading import NativeIndex, NativeInfo, SectionInfo
from espalier.native.training import RankOptions, RankTask, Trainer, chunk_encode
from espalier.native.writing import IndexWriter, maxima_build, trie_build

__all__ = [
    "FEATURE_GROUPS",
    "KEEP_VARIANTS",
    "PARAMS",
    "TREE_NODE",
    "Caps",
    "Csr",
    "FeatureKind",
    "IndexWriter",
    "Matcher",
    "NativeIndex",
    "NativeInfo",
    "PostProcessor",
    "PrefixFeatures",
    "RankOptions",
    "RankTask",
    "RawSuggestion",
    "Scratch",
    "SectionInfo",
    "Source",
    "Space",
    "TextTable",
    "Trainer",
    "Work",
    "chunk_encode",
    "crc32c",
    "features_hash",
    "features_vectorise",
    "maxima_build",
    "section_id",
    "section_name",
    "trie_build",
    "version",
]
