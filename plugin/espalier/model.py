"""Extreme multi-label ranking: an index as a model of features the caller brings.

>>> model = espalier.open_model("catalogue.esp")           # doctest: +SKIP
>>> scores = model.predict(features, k=10)                 # doctest: +SKIP

``features`` is a scipy sparse matrix, one row a question; ``scores`` is one too, one
row an answer, one column a label. Completion needs none of this, and does not load it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from espalier.errors import InputError, LimitError, MatrixError, UnsupportedError
from espalier.index import open_native
from espalier.matrices import canonical
from espalier.native import PARAMS, Csr, NativeIndex

__all__ = ["Model", "open_model"]

MAX_K = 1 << 20
"""Labels in one answer, at most."""
_MAX_THREADS = 256
_INT32_MAX = np.iinfo(np.int32).max


class Model:
    """An open ranking model. Safe to share between threads.

    Attributes:
        path: The file.
        labels: Number of labels: columns of an answer.
        features: Number of features: columns of a question.
        beam: Nodes kept per level unless a call says otherwise.
        k: Labels in an answer unless a call says otherwise.
    """

    __slots__ = ("_native", "_widest", "beam", "features", "k", "labels", "path")

    def __init__(self, native: NativeIndex, path: Path) -> None:
        """Own an open native index; use :func:`open_model` instead.

        Raises:
            UnsupportedError: The index has no ranking model.
        """
        info = native.info
        if not info.has_model:
            raise UnsupportedError(
                f"{path}: has no ranking model, only popularity; train it on more than one query"
            )
        params = np.frombuffer(native.section("PARM"), PARAMS)[0]
        self.path = path
        self.labels = info.labels
        self.features = info.features
        self.beam = max(1, int(params["default_beam"]))
        self.k = min(max(1, int(params["default_pool"])), self.labels)
        self._native = native
        self._widest = info.nodes

    def __enter__(self) -> Self:
        """Return the model."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the model."""
        self.close()

    def __repr__(self) -> str:
        """Name the file."""
        return f"<espalier.Model {self.path}>"

    def close(self) -> None:
        """Unmap the file. No call may be under way."""
        self._native.close()

    def predict(self, x: Any, *, beam: int = 0, k: int = 0, threads: int = 1) -> Any:
        """Return the ``k`` best labels of every row of ``x``, found by beam search.

        Args:
            x: Features, a scipy sparse matrix or array, ``(rows, features)``. Columns
                need not be sorted; duplicates are added up. It is not changed.
            beam: Nodes kept per level; 0 for the model's own.
            k: Labels wanted per row; 0 for the model's own. A row has fewer where the
                beam reaches fewer.
            threads: Rows are shared out among so many threads; 0 for one per processor.

        Returns:
            A ``scipy.sparse.csr_matrix`` of float32 scores, ``(rows, labels)``. The
            entries of a row stand best first, ties by label number; ``sort_indices``
            brings them into the order of columns. A score of 0 is an entry too.

        Raises:
            MatrixError: ``x`` is dense, of another width, inconsistent or not finite.
            LimitError: A number below 0, or a row of more features than memory allows for.
        """
        if threads < 0:
            raise LimitError(f"threads must be 0 or more, not {threads}")
        beam, k = self._limits(beam, k)
        if _is_plain_row(x, self.features):
            # What is wrong with a row that is refused here is said below.
            with contextlib.suppress(InputError):
                labels, scores = self._row(x.indices, x.data, beam, k)
                return self._answers(scores, labels, np.array((0, len(labels)), np.int32))
        rows = canonical(x, "csr", "features")
        if rows.shape[1] != self.features:
            raise MatrixError(
                f"features: {rows.shape[1]:,} columns, the model was trained on "
                f"{self.features:,}; build them with the vectoriser of the training data"
            )
        asked = Csr(
            rows.indptr.astype(np.uint64), rows.indices.astype(np.uint32), rows.data, self.features
        )
        labels, scores, counts = self._native.predict_top(
            asked, beam=beam, k=k, threads=min(threads or os.cpu_count() or 1, _MAX_THREADS)
        )
        found = np.arange(labels.shape[1]) < counts[:, None]
        ends = np.append(0, np.cumsum(counts, dtype=np.int64))
        return self._answers(scores[found], labels[found], ends)

    def predict_row(
        self, columns: NDArray[np.uint32], values: NDArray[np.float32], *, beam: int = 0, k: int = 0
    ) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        """Return the best labels of one row and their scores, best first.

        What :meth:`predict` gives for a matrix of this row, in a tenth of the time: a
        matrix costs more to make than a row to rank.

        Args:
            columns: Features that are not 0, in any order; those named twice add up.
            values: Their values, as many.
            beam: As in :meth:`predict`.
            k: As in :meth:`predict`.

        Returns:
            Labels and scores, ``(k,)`` or shorter.

        Raises:
            MatrixError: Columns and values differ in number, or a value is not finite.
            InputError: There is no such column.
            LimitError: A number below 0.
        """
        beam, k = self._limits(beam, k)
        columns = np.asarray(columns)
        values = np.asarray(values, np.float32)
        if columns.size and columns.dtype.kind not in "iu":
            raise MatrixError(f"features: columns of type {columns.dtype}; whole numbers name them")
        if columns.size and not 0 <= columns.min() <= columns.max() < self.features:
            raise InputError(
                f"features: columns {columns.min()} to {columns.max()}, "
                f"the model has 0 to {self.features - 1:,}"
            )
        if columns.shape != values.shape or columns.ndim != 1:
            raise MatrixError(
                f"features: columns {columns.shape} and values {values.shape}; "
                "one value for each column"
            )
        return self._row(columns, values, beam, k)

    def _row(
        self, columns: NDArray[Any], values: NDArray[np.float32], beam: int, k: int
    ) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
        if not np.isfinite(values).all():
            raise MatrixError("features: a value is not finite; leave it out or replace it")
        return self._native.predict_row(
            np.ascontiguousarray(columns, np.uint32),
            np.ascontiguousarray(values),
            beam=beam,
            k=k,
        )

    def _answers(
        self, scores: NDArray[np.float32], labels: NDArray[np.uint32], ends: NDArray[Any]
    ) -> Any:
        """Return the scores of some rows as a matrix; ``ends`` is its ``indptr``."""
        # scipy compares the types of both index arrays, and is quickest with its own.
        index = np.int32 if max(self.labels, len(labels)) <= _INT32_MAX else np.int64
        return scipy.sparse.csr_matrix(
            (scores, labels.astype(index), ends.astype(index)), shape=(len(ends) - 1, self.labels)
        )

    def _limits(self, beam: int, k: int) -> tuple[int, int]:
        """Return beam and k with defaults filled in, cut to what the tree has."""
        for name, value in (("beam", beam), ("k", k)):
            if value < 0:
                raise LimitError(f"{name} must be 0 or more, not {value}")
        # What the tree does not have is never found: more costs only memory.
        k = min(k or self.k, self.labels)
        beam = min(beam or self.beam, self._widest)
        if max(k, beam) > MAX_K:
            raise LimitError(f"k and beam can be {MAX_K:,} at most, not {k:,} and {beam:,}")
        return beam, k


def _is_plain_row(x: Any, features: int) -> bool:
    """Return whether ``x`` is one row in the form the library takes, but for its numbers.

    Making matrices of matrices takes longer than ranking a row.
    """
    return (
        scipy.sparse.issparse(x)
        and x.format == "csr"
        and x.shape == (1, features)
        and x.dtype == np.float32
        and x.indices.dtype == np.int32
        and x.indptr.tolist() == [0, len(x.data)]
        and len(x.indices) == len(x.data)
    )


def open_model(path: Path | str, *, verify: bool = True) -> Model:
    """Open an index file as a ranking model.

    Args:
        path: The ``.esp`` file, trained here or imported.
        verify: Compare all checksums first. Without it opening takes constant time.

    Raises:
        IndexFileError: As :func:`espalier.open`.
        UnsupportedError: The index has no ranking model.
    """
    native = open_native(path, verify=verify)
    try:
        return Model(native, Path(path))
    except BaseException:
        native.close()
        raise
