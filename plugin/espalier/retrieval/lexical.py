"""Lexical baselines: BM25 over a whole catalogue, scanned without any index.

What an index is compared with. Scores are exact sums over every product, ties by label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Analyser = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class Field:
    """One way to cut texts into terms, and what it counts beside others.

    Attributes:
        analyser: From a normalised text to its terms, repeated as often as they stand there.
        weight: Factor on its scores.
        k1: Where repeating a term stops to count.
        b: How much a long text is held against it.
    """

    analyser: Analyser
    weight: float = 1.0
    k1: float = 1.2
    b: float = 0.75


class Bm25:
    """BM25 (Robertson, Zaragoza 2009), with Lucene's idf, over one or more fields."""

    def __init__(self, titles: Sequence[str], fields: Sequence[Field]) -> None:
        """Index the normalised ``titles``."""
        self._n = len(titles)
        self._fields = [(field, *_weights(titles, field)) for field in fields]

    def top(self, query: str, k: int) -> NDArray[np.int64]:
        """Return the ``k`` best products of a normalised query, best first, ``(k,)`` or fewer.

        What shares no term with the query is not found.
        """
        score = np.zeros(self._n)
        for field, terms, weights in self._fields:
            rows = [terms[term] for term in field.analyser(query) if term in terms]
            for row in rows:
                span = slice(weights.indptr[row], weights.indptr[row + 1])
                score[weights.indices[span]] += weights.data[span]
        found = np.flatnonzero(score > 0)
        if len(found) > k:
            least = np.partition(score[found], len(found) - k)[len(found) - k]
            found = found[score[found] >= least]
        return found[np.lexsort((found, -score[found]))][:k]

    def knows(self, query: str) -> bool:
        """Return whether some product has every term of the query that the first field sees."""
        field, terms, _ = self._fields[0]
        return all(term in terms for term in field.analyser(query))


def _weights(titles: Sequence[str], field: Field) -> tuple[dict[str, int], sp.csr_matrix]:
    """Return the terms, and what each adds to a product's score, ``(n_terms, n_titles)``."""
    terms: dict[str, int] = {}
    found = [
        [terms.setdefault(term, len(terms)) for term in field.analyser(title)] for title in titles
    ]
    sizes = np.array([len(one) for one in found], np.int64)
    row = np.fromiter((term for one in found for term in one), np.int64, int(sizes.sum()))
    column = np.repeat(np.arange(len(titles)), sizes)
    shape = (len(terms), len(titles))
    counts = sp.csr_matrix((np.ones(len(row)), (row, column)), shape=shape)
    counts.sum_duplicates()
    df = np.diff(counts.indptr)
    idf = np.log(1 + (len(titles) - df + 0.5) / (df + 0.5))
    length = sizes / max(float(sizes.mean()), 1e-9) if len(sizes) else sizes.astype(np.float64)
    slow = field.k1 * (1 - field.b + field.b * length)
    factor = field.weight * np.repeat(idf, df) * (field.k1 + 1)
    counts.data = factor * counts.data / (counts.data + slow[counts.indices])
    return terms, counts


def character_ngrams(words: Sequence[str], n: int) -> list[str]:
    """Return runs of ``n`` characters of words with their ends marked, short words whole."""
    marked = [f"_{word}_" for word in words]
    return [word[i : i + n] for word in marked for i in range(max(1, len(word) - n + 1))]
