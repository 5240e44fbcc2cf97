"""Sparse matrices as files and as arguments.

The files are those of ``scipy.sparse.save_npz``: a zip archive of plain arrays. They
are read member by member and nothing in them is ever unpickled: an array of Python
objects, or a pickle in place of the archive, is refused before its content is looked
at. What comes out is canonical: float32, finite, columns (or rows) of each row (or
column) ascending and distinct.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, Final, Literal

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from espalier.errors import MatrixError
from espalier.files import new_file

Format = Literal["csr", "csc"]

_ZIP: Final = b"PK\x03\x04"
_NUMPY: Final = b"\x93NUMPY"
# What scipy can index; one row of file offsets would not fit memory long before.
_MOST_ROWS: Final = 2**62
_SAVE: Final = "write it with scipy.sparse.save_npz"
# What a damaged archive makes the zip and array readers raise.
_DAMAGED: Final = (
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def read_matrix(path: Path, kind: Format) -> Any:
    """Return the matrix in a file of ``scipy.sparse.save_npz``.

    Args:
        path: The file; it holds a CSR or a CSC matrix.
        kind: Format to return it in.

    Returns:
        A canonical ``scipy.sparse.csr_matrix`` or ``csc_matrix`` of float32.

    Raises:
        MatrixError: No such file, not such a file, damaged, or not finite.
    """
    try:
        with path.open("rb") as file:
            _check_signature(path, file)
            arrays = _read_arrays(path, file)
    except OSError as error:
        raise MatrixError(
            f"{path}: cannot be read ({error.strerror or error}); check its name and permissions"
        ) from None
    stored, shape = _header(path, arrays)
    missing = {"data", "indices", "indptr"} - arrays.keys()
    if missing:
        raise MatrixError(f"{path}: has no array {min(missing)!r}; {_SAVE}")
    parts = (arrays["data"], arrays["indices"], arrays["indptr"])
    _check_parts(parts, shape if stored == "csr" else shape[::-1], str(path))
    made = scipy.sparse.csr_matrix if stored == "csr" else scipy.sparse.csc_matrix
    return canonical(made(parts, shape=shape), kind, str(path))


def canonical(matrix: Any, kind: Format, name: str) -> Any:
    """Return ``matrix`` as float32, finite, in ``kind`` format, ascending and distinct.

    The argument stays as it is, and comes back if it is all that already; duplicate
    entries are added up.

    Args:
        matrix: Any scipy sparse matrix or array.
        kind: Format wanted.
        name: What errors call it.

    Raises:
        MatrixError: It is not sparse, not of real numbers, inconsistent, or not finite.
    """
    if not scipy.sparse.issparse(matrix):
        raise MatrixError(
            f"{name}: a dense {type(matrix).__name__}, not a sparse matrix; "
            "wrap it in scipy.sparse.csr_matrix"
        )
    if len(matrix.shape) != 2:
        raise MatrixError(f"{name}: has {len(matrix.shape)} dimension(s); a matrix has two")
    if matrix.format in {"csr", "csc"}:
        major = matrix.shape if matrix.format == "csr" else matrix.shape[::-1]
        _check_parts((matrix.data, matrix.indices, matrix.indptr), major, name)
    elif matrix.dtype.kind not in "biuf":
        raise MatrixError(f"{name}: numbers of type {matrix.dtype}; convert them to float32")
    found = matrix.asformat(kind)
    with np.errstate(over="ignore"):
        data = found.data.astype(np.float32, copy=False)
    _check_finite(data, found, kind, name)
    made = scipy.sparse.csr_matrix if kind == "csr" else scipy.sparse.csc_matrix
    if _is_ascending(found):
        if found.dtype == np.float32:
            return found
        return made((data, found.indices, found.indptr), shape=found.shape)
    copies = (data.copy(), found.indices.copy(), found.indptr.copy())
    result = made(copies, shape=found.shape)
    # scipy believes a flag; what is known here is what the indices say.
    result.has_canonical_format = result.has_sorted_indices = False
    with np.errstate(over="ignore"):
        result.sum_duplicates()
    _check_finite(result.data, result, kind, name)
    return result


def write_matrix(path: Path, matrix: Any) -> None:
    """Write ``matrix`` as ``scipy.sparse.save_npz`` does, whole or not at all.

    The order of entries inside a row is kept.

    Raises:
        StorageError: The file cannot be written.
    """
    with new_file(path) as file:
        scipy.sparse.save_npz(file, matrix, compressed=False)


# ---- reading --------------------------------------------------------------------


def _check_signature(path: Path, file: IO[bytes]) -> None:
    start = file.read(len(_NUMPY))
    file.seek(0)
    if start.startswith(_NUMPY):
        raise MatrixError(
            f"{path}: a dense array, not a sparse matrix; "
            "write scipy.sparse.csr_matrix(array) with scipy.sparse.save_npz"
        )
    if not start.startswith(_ZIP):
        raise MatrixError(
            f"{path}: no .npz file (a pickle or text is never opened as one); {_SAVE}"
        )


def _read_arrays(path: Path, file: IO[bytes]) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(file) as archive:
            arrays = {}
            for info in archive.infolist():
                with archive.open(info) as member:
                    name = info.filename.removesuffix(".npy")
                    arrays[name] = _read_array(path, name, member, info.file_size)
            return arrays
    except _DAMAGED as error:
        if isinstance(error, MatrixError):
            raise
        raise MatrixError(
            f"{path}: cut short or damaged ({_reason(error)}); copy it again, or {_SAVE}"
        ) from None


def _read_array(path: Path, name: str, member: IO[bytes], member_bytes: int) -> NDArray[Any]:
    version = np.lib.format.read_magic(member)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, kind = read_header(member)
    if kind.hasobject:
        raise MatrixError(
            f"{path}: array {name!r} holds pickled Python objects, which are never opened; {_SAVE}"
        )
    # Compared before memory is asked for: a header may claim anything.
    if math.prod(shape) * kind.itemsize != member_bytes - member.tell():
        raise ValueError(f"array {name!r} is not as long as its header says")
    array = np.empty(math.prod(shape), kind)
    if array.nbytes:
        member.readinto(array.view(np.uint8))  # type: ignore[attr-defined]
    # The end of a member is where its checksum is compared.
    member.read(1)
    return array.reshape(shape)


def _reason(error: Exception) -> str:
    text = str(error.args[0]) if error.args else ""
    return text.splitlines()[0] if text else type(error).__name__


def _header(path: Path, arrays: dict[str, NDArray[Any]]) -> tuple[str, tuple[int, int]]:
    """Return format and shape."""
    if "format" not in arrays or "shape" not in arrays:
        raise MatrixError(f"{path}: arrays without a matrix; {_SAVE}")
    stored = arrays["format"].reshape(-1)[:1].tolist()
    kind = stored[0].decode("ascii", "replace") if stored and isinstance(stored[0], bytes) else ""
    kind = kind or str(*stored)
    if kind not in {"csr", "csc"}:
        raise MatrixError(
            f"{path}: a matrix of format {kind!r}; write matrix.tocsr() with scipy.sparse.save_npz"
        )
    shape = arrays["shape"]
    if shape.shape != (2,) or shape.dtype.kind not in "iu" or int(shape.min()) < 0:
        raise MatrixError(f"{path}: its shape is not two numbers; {_SAVE}")
    if int(shape.max()) > _MOST_ROWS:
        raise MatrixError(f"{path}: {int(shape.max()):,} rows or columns are too many; {_SAVE}")
    return kind, (int(shape[0]), int(shape[1]))


# ---- checking -------------------------------------------------------------------


def _check_parts(
    parts: tuple[NDArray[Any], NDArray[Any], NDArray[Any]], shape: tuple[int, int], name: str
) -> None:
    """Check that the three arrays are a matrix of ``shape``, rows first."""
    data, indices, pointers = parts
    major, minor = shape
    if data.dtype.kind not in "biuf":
        raise MatrixError(f"{name}: numbers of type {data.dtype}; convert them to float32")
    problem = None
    if any(part.ndim != 1 for part in parts):
        problem = "an array has more than one dimension"
    elif indices.dtype.kind not in "iu" or pointers.dtype.kind not in "iu":
        problem = "indices are not whole numbers"
    elif len(indices) != len(data):
        problem = f"{len(indices):,} indices for {len(data):,} numbers"
    elif len(pointers) != major + 1 or pointers[0] != 0 or pointers[-1] != len(indices):
        problem = "its pointers do not fit its shape and its numbers"
    elif (pointers[1:] < pointers[:-1]).any():
        problem = "its pointers descend"
    elif len(indices) and (int(indices.min()) < 0 or int(indices.max()) >= minor):
        problem = f"an index is outside 0 to {minor - 1:,}"
    if problem is not None:
        raise MatrixError(f"{name}: not a consistent sparse matrix ({problem}); build it again")


def _is_ascending(matrix: Any) -> bool:
    rises = matrix.indices[1:] > matrix.indices[:-1]
    starts = matrix.indptr[1:-1]
    rises[starts[(starts > 0) & (starts < len(matrix.indices))] - 1] = True
    return bool(rises.all())


def _check_finite(data: NDArray[np.float32], matrix: Any, kind: Format, name: str) -> None:
    bad = np.flatnonzero(~np.isfinite(data))
    if not len(bad):
        return
    major = int(np.searchsorted(matrix.indptr, bad[0], "right")) - 1
    minor = int(matrix.indices[bad[0]])
    row, column = (major, minor) if kind == "csr" else (minor, major)
    raise MatrixError(
        f"{name}: {len(bad):,} number(s) are not finite in float32, the first in row {row}, "
        f"column {column}; remove them"
    )
