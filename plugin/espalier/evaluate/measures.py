"""The four measures, row by row; the figure of a bucket is the mean over its rows.

Every function takes one number per evaluated row and returns one number per
row, so that buckets, resampling and ratios are all plain means of the same
arrays. Shapes are ``(rows,)`` throughout.

A *rank* is the 1-based place of the wanted query in the list of suggestions and
0 where the list does not hold it. A match is exact: both texts normalised.
MRR@10 as in Yadav et al. 2021, section 5, with queries never seen in training
kept in as misses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer]
BoolArray = NDArray[np.bool_]

CUT = 10
"""Places of the list that count, in every measure that names a 10."""


def rank_of(wanted: str, suggestions: Sequence[str]) -> int:
    """Return the 1-based place of ``wanted`` in ``suggestions``, 0 if it is not there.

    Of several equal suggestions the first counts.
    """
    for place, text in enumerate(suggestions, start=1):
        if text == wanted:
            return place
    return 0


def reciprocal_rank(ranks: IntArray, cut: int = CUT) -> FloatArray:
    """Return 1/rank where 1 <= rank <= ``cut``, else 0. The mean is MRR@``cut``."""
    found = (ranks >= 1) & (ranks <= cut)
    return np.where(found, 1.0 / np.maximum(ranks, 1), 0.0)


def success(ranks: IntArray, cut: int = CUT) -> FloatArray:
    """Return 1 where the wanted query is among the first ``cut``, else 0.

    The mean is success@``cut``.
    """
    return ((ranks >= 1) & (ranks <= cut)).astype(np.float64)


def keystrokes_saved(
    ranks: IntArray, prefix_lengths: IntArray, query_lengths: IntArray, cut: int = CUT
) -> FloatArray:
    """Return the share of the wanted query that need not be typed.

    (len(next) - len(prefix)) / len(next) where the wanted query is among the
    first ``cut``, else 0; never below 0, for a prefix that was corrected may be
    longer than what it leads to. Lengths are code points of normalised texts,
    ``query_lengths`` above 0.
    """
    share = (query_lengths - prefix_lengths.astype(np.float64)) / query_lengths
    return success(ranks, cut) * np.maximum(share, 0.0)


def candidate_recall(ranks: IntArray, in_pool: BoolArray) -> FloatArray:
    """Return 1 where the wanted query was in the pool before ranking, else 0.

    The pool is everything the sources handed to the ranker, however low it then
    fell. What stands in the list was in the pool, whatever the index says of it.
    """
    return (in_pool | (ranks >= 1)).astype(np.float64)


def mean(values: FloatArray) -> float | None:
    """Return the mean, ``None`` over no rows: nothing measured is not a zero."""
    return float(values.mean()) if values.size else None
