"""Sparse matrices: files that are never unpickled, arguments made canonical."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from espalier.errors import MatrixError, StorageError
from espalier.matrices import canonical, read_matrix, write_matrix

F32 = np.float32
DENSE = np.array([[0, 1.5, 0], [2, 0, -3]], F32)


def parts_of(data: object, indices: object, indptr: object, shape: tuple[int, int]) -> Any:
    """Return a ``csr_matrix`` made of these very arrays, consistent or not."""
    matrix = scipy.sparse.csr_matrix(shape, dtype=F32)
    matrix.data, matrix.indices, matrix.indptr = map(np.asarray, (data, indices, indptr))
    return matrix


# ---- files ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize("stored", ["csr", "csc"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("array", [False, True])
def test_what_scipy_saves_is_read(
    tmp_path: Path, *, kind: Any, stored: str, compressed: bool, array: bool
) -> None:
    """Rows or columns, compressed or not, matrix or array."""
    made = getattr(scipy.sparse, f"{stored}_{'array' if array else 'matrix'}")(DENSE)
    scipy.sparse.save_npz(tmp_path / "x.npz", made, compressed=compressed)
    found = read_matrix(tmp_path / "x.npz", kind)

    assert found.format == kind
    assert found.dtype == F32
    assert np.array_equal(DENSE, found.toarray())


def test_an_empty_matrix_is_read(tmp_path: Path) -> None:
    """No rows, no numbers."""
    scipy.sparse.save_npz(tmp_path / "x.npz", scipy.sparse.csr_matrix((0, 7), dtype=F32))

    assert read_matrix(tmp_path / "x.npz", "csr").shape == (0, 7)


def test_what_is_written_is_what_scipy_reads_in_the_same_order(tmp_path: Path) -> None:
    """Entries of a row stay where they are: best first."""
    matrix = parts_of(np.array([3, 2], F32), [2, 0], [0, 2], (1, 3))
    write_matrix(tmp_path / "y.npz", matrix)
    found = scipy.sparse.load_npz(tmp_path / "y.npz")

    assert found.indices.tolist() == [2, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["y.npz"]


def test_a_matrix_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """An error while writing leaves the old file and nothing else."""
    (tmp_path / "y.npz").write_bytes(b"old")
    with pytest.raises(NotImplementedError):
        write_matrix(tmp_path / "y.npz", "no matrix")

    assert (tmp_path / "y.npz").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["y.npz"]


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    """Said with the name of the file."""
    with pytest.raises(StorageError, match=r"y\.npz"):
        write_matrix(tmp_path / "missing" / "y.npz", scipy.sparse.csr_matrix(DENSE))


def test_any_cut_and_any_flipped_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    """A damaged file raises one error or gives the matrix it held; it never does worse."""
    path = tmp_path / "x.npz"
    scipy.sparse.save_npz(path, scipy.sparse.csr_matrix(DENSE), compressed=False)
    whole = path.read_bytes()
    variants = [whole[:length] for length in range(0, len(whole), 7)]
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x11
        variants.append(bytes(damaged))
    for variant in variants:
        path.write_bytes(variant)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile on damaged dates and names
            try:
                found = read_matrix(path, "csr")
            except MatrixError as error:
                assert str(path) in str(error)  # noqa: PT017 - either outcome is right
            else:
                assert np.array_equal(DENSE, found.toarray())


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"format": np.array("csr")}, "arrays without a matrix"),
        ({"format": np.array("bsr"), "shape": np.array([2, 2])}, "'bsr'"),
        ({"format": np.array(b"dia"), "shape": np.array([2, 2])}, "'dia'"),
        ({"format": np.array([], "S3"), "shape": np.array([2, 2])}, "format"),
        ({"format": np.array("csr"), "shape": np.array([2, -2])}, "shape"),
        ({"format": np.array("csr"), "shape": np.array([2, 2, 2])}, "shape"),
        ({"format": np.array("csr"), "shape": np.array([2.5, 2])}, "shape"),
        ({"format": np.array("csr"), "shape": np.array([2, 2])}, "no array 'data'"),
    ],
)
def test_an_archive_of_other_arrays_is_refused(
    tmp_path: Path, arrays: dict[str, Any], said: str
) -> None:
    """What is missing is named."""
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(MatrixError, match=said):
        read_matrix(tmp_path / "x.npz", "csr")


def test_a_header_that_claims_more_than_there_is_costs_no_memory(tmp_path: Path) -> None:
    """A terabyte is not asked for."""
    path = tmp_path / "x.npz"
    scipy.sparse.save_npz(path, scipy.sparse.csr_matrix(DENSE), compressed=False)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    claim = members["data.npy"].replace(b"(3,)", b"(9999999999999,)")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, claim if name == "data.npy" else content)
    with pytest.raises(MatrixError, match="header"):
        read_matrix(path, "csr")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Exit code 2, as for any input."""
    with pytest.raises(MatrixError, match=r"nothing\.npz") as caught:
        read_matrix(tmp_path / "nothing.npz", "csr")

    assert caught.value.exit_code == 2


# ---- arguments ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "dok", "bsr"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.bool_])
def test_any_sparse_matrix_of_real_numbers_will_do(kind: str, dtype: type) -> None:
    """Formats and types are converted."""
    found = canonical(scipy.sparse.csr_matrix(DENSE.astype(dtype)).asformat(kind), "csr", "x")

    assert found.dtype == F32
    assert np.array_equal(DENSE.astype(dtype).astype(F32), found.toarray())


def test_columns_are_sorted_and_duplicates_added_up_in_a_copy() -> None:
    """The caller's matrix stays as it is, whatever scipy believes about it."""
    given = parts_of(np.array([1, 2, 4], F32), [2, 0, 2], [0, 3], (1, 3))
    given.has_sorted_indices = given.has_canonical_format = True
    found = canonical(given, "csr", "x")

    assert found.indices.tolist() == [0, 2]
    assert found.data.tolist() == [2, 5]
    assert given.indices.tolist() == [2, 0, 2]


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        (DENSE, "dense ndarray"),
        ([[1.0]], "dense list"),
        (scipy.sparse.coo_array(np.array([1.0, 0])), "1 dimension"),
        (scipy.sparse.csr_matrix([[1j]]), "complex128"),
        (scipy.sparse.coo_matrix([[1j]]), "complex128"),
        (scipy.sparse.csr_matrix([[0, np.nan]]), "row 0, column 1"),
        (scipy.sparse.csc_matrix([[0, 0], [0, -np.inf]]), "row 1, column 1"),
        (scipy.sparse.csr_matrix([[1e300]]), "not finite in float32"),
        (parts_of(np.array([2e38, 2e38], F32), [0, 0], [0, 2], (1, 1)), "not finite"),
        (parts_of([1.0], [5], [0, 1], (1, 3)), "outside 0 to 2"),
        (parts_of([1.0], [-1], [0, 1], (1, 3)), "outside 0 to 2"),
        (parts_of([1.0], [0.5], [0, 1], (1, 3)), "whole numbers"),
        (parts_of([1.0, 2.0], [0], [0, 1], (1, 3)), "1 indices for 2"),
        (parts_of([1.0], [0], [0, 2], (1, 3)), "pointers"),
        (parts_of([1.0], [0], [0, 2, 1], (2, 3)), "descend"),
        (parts_of([[1.0]], [0], [0, 1], (1, 3)), "dimension"),
    ],
)
def test_a_matrix_that_cannot_be_used_is_refused(matrix: object, said: str) -> None:
    """What it is called, what is wrong, what to do."""
    with pytest.raises(MatrixError, match=said) as caught:
        canonical(matrix, "csr", "features")

    assert str(caught.value).startswith("features: ")
