"""Vectoriser: training rows and labels become sparse feature vectors.

Features are hashed n-grams (Yadav et al. 2021, section 4): the words of the
previous queries, and the character n-grams of the typed prefix. This module
decides which of them the index knows and what each is worth; the C library does
the hashing and the weighting, with the code the query path uses, so what is
trained on is what will be asked.

    words        idf over the distinct texts that stand before another query; a word
                 is known only if ``min_users`` distinct users typed a query with it
    characters   idf over the training prefixes

idf is smooth, ``ln((1 + n) / (1 + df)) + 1``. Words and characters are hashed
into different key spaces; should two features share a key all the same, they
become one feature with the smaller idf and the stricter privacy rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from espalier.errors import LimitError
from espalier.native import (
    Csr,
    FeatureKind,
    PrefixFeatures,
    Space,
    TextTable,
    features_hash,
    features_vectorise,
)
from espalier.train.matrices import csr_of, normalise_rows, scipy_of
from espalier.train.rows import Labels, Rows, choose_labels, make_rows

if TYPE_CHECKING:
    from espalier.querylog import QueryLog
    from espalier.settings import TrainSettings

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]

# Texts hashed at a time: bounds the memory of counting, changes no result.
_BLOCK: Final = 1 << 17
# The file stores a feature number in 28 bits.
MAX_FEATURES: Final = 1 << 28

PREFIX_FEATURES: Final = {
    "none": PrefixFeatures.NONE,
    "char-tfidf": PrefixFeatures.CHAR_TFIDF,
    "position-weighted": PrefixFeatures.POSITION_WEIGHTED,
}
_CHAR_KINDS: Final = {
    PrefixFeatures.CHAR_TFIDF: FeatureKind.CHARS,
    PrefixFeatures.POSITION_WEIGHTED: FeatureKind.CHARS_POSITION,
}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The feature space of an index, and which features come from previous queries.

    Attributes:
        space: Keys and idf, as the C library takes them.
        is_context: 1 for words of previous queries, ``(n_features,)``.
    """

    space: Space
    is_context: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Counts:
    """Document frequencies of hashed features; ``keys`` ascending and distinct."""

    keys: U32
    df: NDArray[np.int64]
    documents: int

    def idf(self) -> NDArray[np.float64]:
        share = (1.0 + self.documents) / (1.0 + self.df)
        return np.asarray(np.log(share) + 1.0, np.float64)


def learn_vocabulary(
    log: QueryLog, rows: Rows, table: TextTable, settings: TrainSettings
) -> Vocabulary:
    """Return the features of these rows."""
    texts = np.unique(rows.context)
    words = _count(_select(table, texts), FeatureKind.WORDS)
    if settings.min_users > 1:
        words = _typed_by_many(words, log, table, settings.min_users)
    prefix_features = PREFIX_FEATURES[settings.prefix_features]
    if prefix_features == PrefixFeatures.NONE:
        characters = _Counts(np.zeros(0, np.uint32), np.zeros(0, np.int64), 0)
    else:
        prefixes = TextTable(table.blob, table.offsets[rows.prefix_text], rows.prefix_bytes)
        characters = _count(prefixes, _CHAR_KINDS[prefix_features])
    return _join(words, characters, prefix_features, settings)


def vectorise_rows(vocabulary: Vocabulary, rows: Rows, table: TextTable, threads: int) -> Csr:
    """Return the feature vectors of the rows, ``(n_rows, n_features)``."""
    return features_vectorise(
        vocabulary.space,
        table,
        rows.context_ptr,
        rows.context,
        rows.prefix_text,
        rows.prefix_bytes,
        threads,
    )


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is learned from: texts, labels, rows, and the rows as vectors.

    Attributes:
        table: Texts of all queries of the log.
        labels: Queries that may be suggested.
        rows: What was typed before them.
        vocabulary: Known features.
        x: Feature vectors of the rows, ``(n_rows, n_features)``.
    """

    table: TextTable
    labels: Labels
    rows: Rows
    vocabulary: Vocabulary
    x: Csr


def make_lessons(log: QueryLog, settings: TrainSettings) -> Lessons:
    """Return labels, rows and vectors of a log.

    Raises:
        ConfigError, LogError: See ``choose_labels`` and ``make_rows``.
        LimitError: More features than an index can know.
    """
    table = TextTable.from_strings(log.queries)
    labels = choose_labels(log, settings)
    rows = make_rows(log, labels, table, settings)
    vocabulary = learn_vocabulary(log, rows, table, settings)
    x = vectorise_rows(vocabulary, rows, table, settings.thread_count)
    return Lessons(table, labels, rows, vocabulary, x)


def label_vectors(lessons: Lessons, settings: TrainSettings) -> Csr:
    """Return the vectors labels are clustered by, unit rows ``(n_labels, n)``.

    ``pifa``: the normalised sum of the unit vectors of a label's rows. ``label-text``:
    the vector of the whole label as if it were a typed prefix; where the index has
    no prefix features, its characters are weighed by tf-idf over the labels.
    """
    if settings.label_features == "pifa":
        members = csr_of_entries(lessons.rows, len(lessons.labels))
        return csr_of(normalise_rows(members @ normalise_rows(scipy_of(lessons.x))))
    table, labels = lessons.table, lessons.labels
    space = lessons.vocabulary.space
    if space.prefix_features == PrefixFeatures.NONE:
        counts = _count(_select(table, labels.query), FeatureKind.CHARS)
        nothing = _Counts(np.zeros(0, np.uint32), np.zeros(0, np.int64), 0)
        space = _join(nothing, counts, PrefixFeatures.CHAR_TFIDF, settings).space
    return features_vectorise(
        space,
        table,
        np.zeros(len(labels) + 1, np.uint64),
        np.zeros(0, np.uint32),
        labels.query,
        table.lengths[labels.query],
        settings.thread_count,
    )


def csr_of_entries(rows: Rows, n_labels: int) -> sp.csr_matrix:
    """Return the indicator matrix of rows by label, ``(n_labels, n_rows)``."""
    ones = np.ones(len(rows.entry_row), np.float32)
    return sp.csr_matrix((ones, (rows.entry_label, rows.entry_row)), shape=(n_labels, len(rows)))


def _select(table: TextTable, texts: U32) -> TextTable:
    return TextTable(table.blob, table.offsets[texts], table.lengths[texts])


def _count(texts: TextTable, kind: FeatureKind) -> _Counts:
    """Count in how many of the texts each feature stands."""
    keys = np.zeros(0, np.uint32)
    df = np.zeros(0, np.int64)
    for begin in range(0, len(texts.lengths), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        found, _, _ = features_hash(
            TextTable(texts.blob, texts.offsets[block], texts.lengths[block]), kind
        )
        new_keys, new_df = np.unique(found, return_counts=True)
        keys, df = _add_up(np.append(keys, new_keys), np.append(df, new_df))
    return _Counts(keys, df, len(texts.lengths))


def _add_up(keys: U32, numbers: NDArray[np.int64]) -> tuple[U32, NDArray[np.int64]]:
    distinct, place = np.unique(keys, return_inverse=True)
    total = np.bincount(place, weights=numbers, minlength=len(distinct)).astype(np.int64)
    return distinct, total


def _typed_by_many(words: _Counts, log: QueryLog, table: TextTable, min_users: int) -> _Counts:
    """Keep the words that stand in queries of at least ``min_users`` distinct users."""
    pairs = np.unique(log.event_query.astype(np.uint64) << np.uint64(32) | log.event_user)
    query, user = (pairs >> np.uint64(32)).astype(np.int64), pairs & np.uint64(0xFFFFFFFF)
    typed = np.zeros(0, np.uint64)
    for begin in range(0, len(table.lengths), _BLOCK):
        end = min(begin + _BLOCK, len(table.lengths))
        keys, _, ptr = features_hash(
            TextTable(table.blob, table.offsets[begin:end], table.lengths[begin:end]),
            FeatureKind.WORDS,
        )
        mine = slice(*np.searchsorted(query, (begin, end)))
        first = ptr[query[mine] - begin].astype(np.int64)
        counts = ptr[query[mine] - begin + 1].astype(np.int64) - first
        place = np.arange(counts.sum()) + np.repeat(
            first - np.append(0, np.cumsum(counts))[:-1], counts
        )
        found = keys[place].astype(np.uint64) << np.uint64(32) | np.repeat(user[mine], counts)
        typed = np.unique(np.append(typed, found))
    keys, users = np.unique((typed >> np.uint64(32)).astype(np.uint32), return_counts=True)
    known = keys[users >= min_users]
    kept = np.isin(words.keys, known, assume_unique=True)
    return _Counts(words.keys[kept], words.df[kept], words.documents)


def _join(
    words: _Counts, characters: _Counts, prefix_features: PrefixFeatures, settings: TrainSettings
) -> Vocabulary:
    keys, first = np.unique(np.append(words.keys, characters.keys), return_index=True)
    if len(keys) > MAX_FEATURES:
        raise LimitError(
            f"{len(keys):,} features, and an index knows at most {MAX_FEATURES:,}; "
            "raise min_users or give fewer log files"
        )
    idf = np.append(words.idf(), characters.idf())
    smallest = idf[first]
    shared = np.isin(keys, np.intersect1d(words.keys, characters.keys, assume_unique=True))
    if shared.any():
        in_words = np.searchsorted(words.keys, keys[shared])
        in_characters = np.searchsorted(characters.keys, keys[shared])
        smallest[shared] = np.minimum(words.idf()[in_words], characters.idf()[in_characters])
    # np.unique gives the first place, and words come first: a shared key counts as context.
    is_context = (first < len(words.keys)).astype(np.uint8)
    space = Space(
        keys=keys,
        idf=smallest.astype(np.float32),
        prefix_features=prefix_features,
        context_decay=settings.context_decay,
        max_context=settings.context_queries,
    )
    return Vocabulary(space, is_context)
