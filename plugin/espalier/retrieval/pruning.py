"""Smaller indexes: features that say least about products for the room they take go.

What takes room is a feature's weights, one in each product that has it. What it says is
told by the pairs: how much more often it stands in a query *and* in the product that was
wanted than it would by chance, times what a match adds to a score::

    worth = idf * (share of pairs that have it on both sides
                   - share of pairs that have it in the query * share of products that have it)
            / products that have it

Most features stand in no pair at all, so each is drawn towards the mean of the features of
its kind that stand in about as many products. That alone tells phrases, which hardly any
query repeats, from words, and n-grams that stand everywhere from those that tell apart.

A feature goes as a whole, from products and queries alike. Dropping single small weights
instead (``threshold``) takes them from long titles first, and these are then found less.
Words stay: what orders the candidates reads them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

PRIOR: Final = 3.0
"""Weight of the mean of features like it, against what is known of a feature itself.

On four parts of the training queries, each left out once, indexes of half the size lose as
much recall@100 with 1, 3 and 10, up to chance (0.013 of 0.80): what matters is that there is
one.
"""


def worth_of(
    titles: sp.csr_matrix,
    typed: sp.csr_matrix,
    query: NDArray[np.int64],
    label: NDArray[np.int64],
    *,
    weight: NDArray[np.float32],
    kind: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return what each feature is worth for the room of one weight, ``(n_features,)``.

    Args:
        titles: Features of products, ``(n_products, n_features)``.
        typed: Features of queries, ``(n_queries, n_features)``.
        query: Which query each pair has, ``(n_pairs,)``.
        label: Which product, ``(n_pairs,)``.
        weight: What a match of each feature adds to a score, ``(n_features,)``.
        kind: The kind of each feature, ``(n_features,)``.
    """
    n_products, n_features = titles.shape
    products = np.bincount(titles.indices, minlength=n_features).astype(np.float64)
    asked, wanted = _ones(typed[query]), _ones(titles[label])
    n_pairs = max(len(query), 1)
    both = np.asarray(asked.multiply(wanted).sum(axis=0), np.float64).ravel() / n_pairs
    in_query = np.asarray(asked.sum(axis=0), np.float64).ravel() / n_pairs
    gain = both - in_query * products / max(n_products, 1)
    like = kind * 64 + np.frexp(products)[1]
    total, room = np.bincount(like, gain), np.bincount(like, products)
    mean = (total / np.maximum(room, 1))[like]
    own = gain / np.maximum(products, 1)
    return np.asarray(weight * (np.maximum(own, 0) + PRIOR * mean) / (1 + PRIOR), np.float64)


def features_kept(
    worth: NDArray[np.float64],
    room: NDArray[np.int64],
    *,
    keep: float,
    always: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Return which features stay when those worth most fill a share of the room.

    Args:
        worth: Of each feature, ``(n_features,)``.
        room: Weights of each, ``(n_features,)``.
        keep: Share of all weights that stay.
        always: Features that stay whatever they are worth.
    """
    order = np.lexsort((np.arange(len(worth)), -worth, ~always))
    taken = np.cumsum(room[order])
    kept = always.copy()
    kept[order[taken <= keep * room.sum()]] = True
    return kept


def _ones(matrix: sp.csr_matrix) -> sp.csr_matrix:
    made = matrix.copy()
    made.data = (made.data > 0).astype(np.float32)
    return made
