"""Extreme multi-label tasks made of the files of the data folder.

Both sides of the comparison read the same matrices. They are made here, with this
project's n-gram hashing, and written as scipy npz files, so the other side needs
no code of ours.

    sessions    words of a query -> the query typed next (some hundred thousand labels,
                a handful of features a row)
    products    words and character 1- to 3-grams of a title or query -> the product
                (some ten thousand labels, a hundred features a row)
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from espalier.native import FeatureKind, TextTable, features_hash
from espalier.querylog import read_log
from espalier.settings import LogSettings
from espalier.text import normalise
from espalier.train.matrices import normalise_rows

SESSIONS_LOG: Final = "aol-sessions.tsv.gz"
PRODUCTS: Final = "products.tsv.gz"
JUDGEMENTS: Final = "product-judgements.tsv.gz"

# One user or query in so many is held out.
HELD_OUT: Final = 10
# The lowest grade that counts as relevant, of 1 to 3.
RELEVANT: Final = 2.5


@dataclass(frozen=True, slots=True)
class Task:
    """Matrices of one task.

    Attributes:
        name: Key of ``TASKS``.
        x, y: To train on: features ``(n, n_features)`` and labels ``(n, n_labels)``.
        x_test, y_test: Held out.
    """

    name: str
    x: sp.csr_matrix
    y: sp.csr_matrix
    x_test: sp.csr_matrix
    y_test: sp.csr_matrix

    def save(self, folder: Path) -> None:
        """Write the four matrices as npz files into ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("x", "y", "x_test", "y_test"):
            sp.save_npz(folder / f"{name}.npz", getattr(self, name), compressed=False)

    @classmethod
    def load(cls, folder: Path) -> Task:
        """Read what ``save`` wrote."""
        x, y, x_test, y_test = (
            sp.csr_matrix(sp.load_npz(folder / f"{name}.npz"))
            for name in ("x", "y", "x_test", "y_test")
        )
        return cls(folder.name, x, y, x_test, y_test)


def sessions(data: Path, share: float) -> Task:
    """Return previous query -> next query; ``share`` of the users are used."""
    log = read_log([data / SESSIONS_LOG], LogSettings())
    same = (log.event_session[1:] == log.event_session[:-1]) & (
        log.event_query[1:] != log.event_query[:-1]
    )
    user = log.event_user[1:]
    kept = same & (user < share * (int(user.max()) + 1))
    before, after, user = log.event_query[:-1][kept], log.event_query[1:][kept], user[kept]
    held_out = user % HELD_OUT == 0
    labels, after_train = np.unique(after[~held_out], return_inverse=True)
    rows, before_train = np.unique(before[~held_out], return_inverse=True)
    y = _binary(before_train, after_train, (len(rows), len(labels)))
    place = np.searchsorted(labels, after[held_out])
    known = labels[np.minimum(place, len(labels) - 1)] == after[held_out]
    rows_test, before_test = np.unique(before[held_out][known], return_inverse=True)
    y_test = _binary(before_test, place[known], (len(rows_test), len(labels)))
    features = _Features([FeatureKind.WORDS])
    x = features.fit([log.queries[i] for i in rows])
    return Task("sessions", x, y, features.transform([log.queries[i] for i in rows_test]), y_test)


def products(data: Path, share: float) -> Task:
    """Return title or query -> product; ``share`` of the products are used."""
    titles = {row["product_id"]: normalise(row["title"]) for row in _table(data / PRODUCTS)}
    ids = sorted(titles)[: max(1, int(share * len(titles)))]
    number = {product: i for i, product in enumerate(ids)}
    wanted: dict[str, list[int]] = {}
    for row in _table(data / JUDGEMENTS):
        if float(row["relevance"]) >= RELEVANT and row["product_id"] in number:
            wanted.setdefault(normalise(row["query"]), []).append(number[row["product_id"]])
    queries = sorted(wanted)
    test = queries[::HELD_OUT]
    train = [query for i, query in enumerate(queries) if i % HELD_OUT]
    features = _Features([FeatureKind.WORDS, FeatureKind.CHARS])
    x = features.fit([titles[i] for i in ids] + train)
    y = sp.vstack([sp.identity(len(ids), np.float32), _rows(train, wanted, len(ids))]).tocsr()
    return Task("products", x, y, features.transform(test), _rows(test, wanted, len(ids)))


TASKS: Final[dict[str, Callable[[Path, float], Task]]] = {
    "sessions": sessions,
    "products": products,
}


def _table(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def _binary(row: NDArray[Any], column: NDArray[Any], shape: tuple[int, int]) -> sp.csr_matrix:
    matrix = sp.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def _rows(queries: Sequence[str], wanted: dict[str, list[int]], n_labels: int) -> sp.csr_matrix:
    row = np.repeat(np.arange(len(queries)), [len(wanted[query]) for query in queries])
    column = np.array([label for query in queries for label in wanted[query]], np.int64)
    return _binary(row, column, (len(queries), n_labels))


class _Features:
    """TF-IDF over hashed n-grams; every kind is scaled to unit length, then the whole."""

    def __init__(self, kinds: Sequence[FeatureKind]) -> None:
        self._kinds = kinds
        self._keys: list[NDArray[np.uint32]] = []
        self._idf: list[NDArray[np.float32]] = []

    def fit(self, texts: Sequence[str]) -> sp.csr_matrix:
        """Learn which n-grams there are, and return the rows of ``texts``."""
        table = TextTable.from_strings(texts)
        for kind in self._kinds:
            found, _, _ = features_hash(table, kind)
            keys, counts = np.unique(found, return_counts=True)
            self._keys.append(keys)
            self._idf.append(np.log((1 + len(texts)) / (1 + counts)).astype(np.float32) + 1)
        return self.transform(texts)

    def transform(self, texts: Sequence[str]) -> sp.csr_matrix:
        """Return the rows of ``texts``; n-grams not seen before are left out."""
        table = TextTable.from_strings(texts)
        blocks = []
        for kind, keys, idf in zip(self._kinds, self._keys, self._idf, strict=True):
            found, weight, ptr = features_hash(table, kind)
            place = np.minimum(np.searchsorted(keys, found), len(keys) - 1)
            known = keys[place] == found
            row = np.repeat(
                np.arange(len(texts)), ptr[1:].astype(np.int64) - ptr[:-1].astype(np.int64)
            )[known]
            value = (weight * idf[place])[known]
            shape = (len(texts), len(keys))
            blocks.append(normalise_rows(sp.csr_matrix((value, (row, place[known])), shape=shape)))
        whole = normalise_rows(sp.hstack(blocks, format="csr"))
        whole.sort_indices()
        return whole
