"""The scorer of candidates: what its section says, and the scores it gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from espalier.errors import InputError
from espalier.native.border import F32, U8, check, ffi, lib, view_of
from espalier.native.layout import FOREST_HEADER


@dataclass(frozen=True, slots=True)
class ForestHead:
    """What a FRST section was trained for.

    Attributes:
        features_id: Fingerprint of the list of features.
        trees: Number of trees; 0: a weighted sum alone.
        names: Name of every feature.
    """

    features_id: int
    trees: int
    names: tuple[str, ...]


def forest_head(section: bytes) -> ForestHead:
    """Read the head of a section that :meth:`NativeIndex.validate` found whole.

    Raises:
        InputError: The section is too short to have one.
    """
    if len(section) < FOREST_HEADER.itemsize:
        raise InputError(
            f"a scorer of {len(section)} bytes has no head of {FOREST_HEADER.itemsize}; "
            "take the FRST section of an index that was validated"
        )
    head = np.frombuffer(section, FOREST_HEADER, 1)[0]
    names = section[len(section) - int(head["name_bytes"]) :].decode("utf-8", "replace")
    return ForestHead(int(head["features_id"]), int(head["n_trees"]), tuple(names.split("\n")[:-1]))


def forest_predict(section: bytes, x: F32) -> F32:
    """Return the score of every row of ``x``, ``(n_rows, n_features)``; NaN is "not known".

    Raises:
        InputError: Rows have fewer columns than the scorer has features.
        IndexCorruptError: The section contradicts itself.
    """
    if x.ndim != 2:
        raise InputError(f"x has {x.ndim} dimensions; give rows of features, two dimensions")
    x = np.ascontiguousarray(x, np.float32)
    score = np.empty(len(x), np.float32)
    data = _aligned(section)
    error = ffi.new("esp_error *")
    status = lib.esp_forest_predict(
        view_of("uint8_t", data),
        len(section),
        view_of("float", x),
        len(x),
        x.shape[1],
        view_of("float", score),
        error,
    )
    check(status, error)
    return score


def forest_contributions(section: bytes, row: F32) -> F32:
    """Return what each feature adds to a row's score and, last, the average score.

    Args:
        section: A FRST section.
        row: ``(n_features,)``.

    Returns:
        ``(n_features + 1,)``; the sum is the score but for rounding.

    Raises:
        InputError: The row has another number of features than the scorer.
        IndexCorruptError: The section contradicts itself.
    """
    row = np.ascontiguousarray(row, np.float32)
    contribution = np.empty(len(row) + 1, np.float32)
    data = _aligned(section)
    error = ffi.new("esp_error *")
    status = lib.esp_forest_contributions(
        view_of("uint8_t", data),
        len(section),
        view_of("float", row),
        len(row),
        view_of("float", contribution),
        error,
    )
    check(status, error)
    return contribution


def _aligned(section: bytes) -> U8:
    """Return a copy at a multiple of 64, as in an index; bytes may begin anywhere."""
    block = np.zeros(len(section) + 64, np.uint8)
    shift = -block.ctypes.data % 64
    data = block[shift : shift + len(section)]
    data[:] = np.frombuffer(section, np.uint8)
    return data
