"""Measures of rankings, and whether two rankings are the same."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

RANKS = 10


def ranked(answers: sp.csr_matrix, k: int) -> NDArray[np.int64]:
    """Return the labels of every row, best first, ties by label, -1 behind the last: ``(n, k)``."""
    row = np.repeat(np.arange(answers.shape[0]), np.diff(answers.indptr))
    order = np.lexsort((answers.indices, -answers.data, row))
    place = np.arange(len(row)) - answers.indptr[:-1][row]
    found = np.full((answers.shape[0], k), -1, np.int64)
    kept = place < k
    found[row[kept], place[kept]] = answers.indices[order][kept]
    return found


def measures(answers: sp.csr_matrix, wanted: sp.csr_matrix) -> dict[str, float]:
    """Return P@1, P@5 and R@10, means over the rows that want something."""
    labels = ranked(answers, RANKS)
    truth = wanted.tocsr()
    row = np.repeat(np.arange(len(labels)), RANKS)
    column = np.maximum(labels, 0).ravel()
    hit = np.asarray(truth[row, column]).reshape(labels.shape) * (labels >= 0)
    size = np.diff(truth.indptr)
    asked = size > 0
    return {
        "p1": float(hit[asked, 0].mean()),
        "p5": float(hit[asked, :5].mean()),
        "r10": float((hit[asked].sum(1) / size[asked]).mean()),
    }


def agreement(ours: sp.csr_matrix, theirs: sp.csr_matrix, k: int) -> tuple[float, float]:
    """Return how equal two sets of answers are.

    Returns:
        The share of rows with equal labels in equal order, and the largest difference
        between two scores of a label.
    """
    same = (ranked(ours, k) == ranked(theirs, k)).all(1)
    difference = abs(ours - theirs)
    return float(same.mean()), float(difference.data.max()) if difference.nnz else 0.0
