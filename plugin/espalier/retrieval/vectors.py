"""What a product is known by: its text as a sparse vector, and its title's words.

BM25 as an inner product (Robertson, Zaragoza 2009): a feature of a product weighs::

    weight(kind) * ln(1 + (n - df + 0.5) / (df + 0.5)) * tf (k1 + 1) / (tf + k1 (1 - b + b len))

with ``len`` against the average of its kind; without ``idf`` the logarithm is 1. Half of
the first two factors' product, its root, is the feature's idf in the index, so that a
query's vector, counts times idf, has the same form as a product's, and the inner product
is the sum over all kinds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from espalier.errors import LimitError
from espalier.native import CATALOGUE_HEADER, FeatureKind, Space, TextTable, features_hash
from espalier.settings import RetrievalSettings
from espalier.stems import Stemmer
from espalier.text import normalise

F32 = NDArray[np.float32]
U32 = NDArray[np.uint32]

_PHRASES = (FeatureKind.WORDS, FeatureKind.WORD_PAIRS, FeatureKind.WORD_TRIPLES)
_GRAMS = {
    3: FeatureKind.WORD_CHARS_3,
    4: FeatureKind.WORD_CHARS_4,
    5: FeatureKind.WORD_CHARS_5,
}
MAX_FEATURES = 1 << 28
"""The file stores a feature number in 28 bits."""


def word_kinds(settings: RetrievalSettings) -> tuple[FeatureKind, ...]:
    """Return the kinds of features that are made of stems."""
    return _PHRASES[: settings.word_ngrams if settings.phrase_weight else 1]


def text_kinds(settings: RetrievalSettings) -> tuple[FeatureKind, ...]:
    """Return the kinds of features that are made of the text itself."""
    used = settings.char_ngrams and settings.char_weight
    return (_GRAMS[settings.char_ngrams],) if used else ()


@dataclass(frozen=True, slots=True)
class Documents:
    """Texts as the features are made of them: normalised, and as stems with a space between."""

    texts: tuple[str, ...]
    words: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str], stemmer: Stemmer) -> Documents:
        """Normalise and stem."""
        plain = tuple(normalise(text) for text in texts)
        return cls(plain, tuple(" ".join(stemmer.words(text)) for text in plain))

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of features: which there are, what they weigh, how long a product is."""

    kind: FeatureKind
    keys: U32
    root: F32
    average: float


@dataclass(frozen=True, slots=True)
class Vectoriser:
    """Turns texts into vectors over the features of a catalogue.

    Attributes:
        space: Features of the index, roots of weights as their idf.
        settings: How they are counted.
        kinds: What the space is made of.
    """

    space: Space
    settings: RetrievalSettings
    kinds: tuple[_Kind, ...]

    def kind_of_features(self) -> NDArray[np.int64]:
        """Return which of ``kinds`` each feature of the space is, ``(n_features,)``."""
        found = np.full(len(self.space.keys), -1, np.int64)
        for number, kind in reversed(list(enumerate(self.kinds))):
            found[np.isin(self.space.keys, kind.keys)] = number
        return found

    def only(self, kept: NDArray[np.bool_]) -> Vectoriser:
        """Return one that knows some of the features, which are numbered anew."""
        space = dataclasses.replace(
            self.space, keys=self.space.keys[kept], idf=self.space.idf[kept]
        )
        return dataclasses.replace(self, space=space)

    def documents(self, titles: Documents, more: Documents | None = None) -> sp.csr_matrix:
        """Return what products weigh, ``(n, n_features)``."""
        parts = []
        for kind in self.kinds:
            counts, length = _counts(titles, kind.kind, self.space)
            if more is not None:
                other, other_length = _counts(more, kind.kind, self.space)
                counts = sp.csr_matrix(counts + other * np.float32(self.settings.text_weight))
                length = length + self.settings.text_weight * other_length
            parts.append(_saturated(counts, length / max(kind.average, 1e-9), self.settings))
        return _scaled(sp.csr_matrix(sum(parts)), self.space)

    def queries(self, queries: Documents) -> sp.csr_matrix:
        """Return what queries weigh as products of average length, ``(n, n_features)``."""
        parts = [_counts(queries, kind.kind, self.space)[0] for kind in self.kinds]
        whole = sp.csr_matrix(sum(parts))
        whole.data[:] = np.minimum(whole.data, 1)
        return _scaled(whole, self.space)


def learn_space(
    titles: Documents, settings: RetrievalSettings, more: Documents | None = None
) -> Vectoriser:
    """Return the features that ``titles`` have, or ``more`` text of the same products.

    Raises:
        LimitError: More than an index can know.
    """
    phrase, gram = settings.phrase_weight, settings.char_weight
    weights = {
        **dict.fromkeys(word_kinds(settings), phrase),
        FeatureKind.WORDS: 1.0,
        **dict.fromkeys(text_kinds(settings), gram),
    }
    more = more if settings.text_weight else None
    kinds = [_learn_kind(titles, more, kind, weight, settings) for kind, weight in weights.items()]
    keys = np.concatenate([kind.keys for kind in kinds])
    root = np.concatenate([kind.root for kind in kinds])
    # Kinds are hashed apart; of two n-grams with one key the heavier stays.
    order = np.lexsort((-root, keys))
    keys, root = keys[order], root[order]
    first = np.append(True, keys[1:] != keys[:-1])[: len(keys)]
    if first.sum() >= MAX_FEATURES:
        raise LimitError(f"{int(first.sum()):,} features; lower word_ngrams or char_ngrams")
    return Vectoriser(Space(keys[first], root[first], 0, 1.0, 0), settings, tuple(kinds))


def catalogue_section(vectoriser: Vectoriser, titles: Documents) -> bytes:
    """Return the CATA section: the words of every title, in order."""
    settings = vectoriser.settings
    words = sorted(set(chain.from_iterable(text.split(" ") for text in titles.words)) - {""})
    keys, _, ptr = features_hash(TextTable.from_strings(words), FeatureKind.WORDS)
    numbers = np.searchsorted(vectoriser.space.keys, keys)
    bounds = ptr.astype(np.int64).tolist()
    of_word = {
        word: numbers[begin:end]
        for word, begin, end in zip(words, bounds[:-1], bounds[1:], strict=True)
    }
    narrow = len(vectoriser.space.keys) <= 1 << 16
    nothing = np.zeros(0, "<u2" if narrow else "<u4")
    lists = [
        np.concatenate([nothing, *(of_word[word] for word in text.split(" ") if word)]).astype(
            nothing.dtype
        )
        for text in titles.words
    ]
    begin = np.append(0, np.cumsum([len(one) for one in lists])).astype("<u4")
    head = np.zeros(1, CATALOGUE_HEADER)
    head["word_bytes"] = nothing.itemsize
    head["n_labels"], head["n_words"] = len(lists), begin[-1]
    head["word_kinds"] = sum(1 << kind for kind in word_kinds(settings))
    head["text_kinds"] = sum(1 << kind for kind in text_kinds(settings))
    head["k1"], head["b"], head["pool"] = settings.k1, settings.b, settings.pool
    head["average"] = begin[-1] / max(len(lists), 1)
    head["stemmer"] = np.frombuffer(settings.stemmer.encode().ljust(16, b"\0")[:16], np.uint8)
    return b"".join([head.tobytes(), begin.tobytes(), *(one.tobytes() for one in lists)])


def _texts(documents: Documents, kind: FeatureKind) -> Sequence[str]:
    return documents.words if kind in _PHRASES else documents.texts


def _learn_kind(
    titles: Documents,
    more: Documents | None,
    kind: FeatureKind,
    weight: float,
    settings: RetrievalSettings,
) -> _Kind:
    n = len(titles)
    average = 0.0
    seen = []
    for documents, share in ((titles, 1.0), (more, settings.text_weight)):
        if documents is not None:
            found, counts, ptr = features_hash(
                TextTable.from_strings(_texts(documents, kind)), kind
            )
            row = np.repeat(np.arange(n, dtype=np.uint64), np.diff(ptr).astype(np.int64))
            seen.append(found.astype(np.uint64) * n + row)
            average += share * float(counts.sum(dtype=np.float64)) / max(n, 1)
    # A product that has a feature in both counts once.
    keys, df = np.unique(np.unique(np.concatenate(seen)) // max(n, 1), return_counts=True)
    rare = np.log(1 + (n - df + 0.5) / (df + 0.5)) if settings.idf else np.ones(len(df))
    return _Kind(kind, keys.astype(np.uint32), np.sqrt(weight * rare).astype(np.float32), average)


def _counts(
    documents: Documents, kind: FeatureKind, space: Space
) -> tuple[sp.csr_matrix, NDArray[np.float64]]:
    """Return how often each text has each feature, and how many n-grams it has in all."""
    found, counts, ptr = features_hash(TextTable.from_strings(_texts(documents, kind)), kind)
    row = np.repeat(np.arange(len(documents)), np.diff(ptr).astype(np.int64))
    length = np.bincount(row, counts, minlength=len(documents)).astype(np.float64)
    place = np.minimum(np.searchsorted(space.keys, found), max(len(space.keys) - 1, 0))
    known = space.keys[place] == found if len(space.keys) else np.zeros(len(found), bool)
    shape = (len(documents), len(space.keys))
    return sp.csr_matrix((counts[known], (row[known], place[known])), shape=shape), length


def _saturated(
    counts: sp.csr_matrix, length: NDArray[np.float64], settings: RetrievalSettings
) -> sp.csr_matrix:
    slow = settings.k1 * (1 - settings.b + settings.b * length)
    slow = np.repeat(slow, np.diff(counts.indptr)).astype(np.float32)
    counts.data = counts.data * np.float32(settings.k1 + 1) / (counts.data + slow)
    return counts


def _scaled(matrix: sp.csr_matrix, space: Space) -> sp.csr_matrix:
    matrix.sort_indices()
    matrix.data = (matrix.data * space.idf[matrix.indices]).astype(np.float32)
    return matrix
