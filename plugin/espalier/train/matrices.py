"""Between the kernels' sparse matrices and scipy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from espalier.native import Csr


def scipy_of(matrix: Csr) -> sp.csr_matrix:
    """Return the same matrix for scipy, values shared."""
    index = np.int32 if matrix.row_ptr[-1] < np.iinfo(np.int32).max else np.int64
    return sp.csr_matrix(
        (matrix.val, matrix.col.astype(index), matrix.row_ptr.astype(index)),
        shape=(len(matrix.row_ptr) - 1, matrix.n_cols),
    )


def csr_of(matrix: Any) -> Csr:
    """Return a scipy matrix for the kernels: columns of a row ascending, no zero stored."""
    rows = sp.csr_matrix(matrix, dtype=np.float32)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return Csr(
        row_ptr=rows.indptr.astype(np.uint64),
        col=rows.indices.astype(np.uint32),
        val=rows.data,
        n_cols=rows.shape[1],
    )


def normalise_rows(matrix: Any) -> sp.csr_matrix:
    """Return the matrix with rows of Euclidean length 1; empty rows stay empty."""
    rows = sp.csr_matrix(matrix, dtype=np.float32)
    # Sums in fixed order and double precision: the same bits on every run.
    squares = np.add.reduceat(
        np.append(rows.data.astype(np.float64) ** 2, 0.0), rows.indptr[:-1].astype(np.int64)
    )
    counts = np.diff(rows.indptr)
    length = np.sqrt(np.where(counts > 0, squares, 1.0))
    rows.data = (rows.data / np.repeat(np.where(length > 0, length, 1.0), counts)).astype(
        np.float32
    )
    return rows


def take_rows(matrix: Csr, rows: NDArray[np.integer[Any]]) -> Csr:
    """Return the given rows, in the given order."""
    counts = np.diff(matrix.row_ptr.astype(np.int64))[rows]
    row_ptr = np.append(0, np.cumsum(counts))
    shift = matrix.row_ptr[:-1].astype(np.int64)[rows] - row_ptr[:-1]
    place = np.arange(row_ptr[-1]) + np.repeat(shift, counts)
    return Csr(
        row_ptr=row_ptr.astype(np.uint64),
        col=matrix.col[place],
        val=matrix.val[place],
        n_cols=matrix.n_cols,
    )
