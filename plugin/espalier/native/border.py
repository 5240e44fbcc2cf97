"""What every wrapper needs: the extension itself, statuses as exceptions, views of arrays."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espalier._native import ffi, lib
from espalier.errors import (
    EspalierError,
    IndexCorruptError,
    IndexFileError,
    IndexFormatError,
    IndexVersionError,
    InputError,
    InvalidTextError,
    LimitError,
    ResourceError,
    StorageError,
    UnsupportedError,
)

__all__ = [
    "F32",
    "U8",
    "U32",
    "U64",
    "FeatureKind",
    "Matcher",
    "PostProcessor",
    "PrefixFeatures",
    "Source",
    "check",
    "crc32c",
    "ffi",
    "lib",
    "make_error",
    "section_id",
    "section_name",
    "take_buffer",
    "version",
    "view_of",
]

U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
F32 = NDArray[np.float32]


class Source(IntFlag):
    """Where a suggestion may come from, and which source found it first."""

    MODEL = 1
    POPULAR = 2
    TAIL = 4
    CORRECTED = 8


class Matcher(IntEnum):
    """How the beam meets the prefix."""

    DEFAULT = 0
    CONSTRAINED = 1
    UNCONSTRAINED = 2


class PostProcessor(IntEnum):
    """How margins become scores."""

    NOOP = 0
    SIGMOID = 1
    LOG_SIGMOID = 2
    L1_HINGE = 11
    L2_HINGE = 12
    L3_HINGE = 13
    LOG_L1_HINGE = 21
    LOG_L2_HINGE = 22
    LOG_L3_HINGE = 23


class PrefixFeatures(IntEnum):
    """Features of the typed prefix."""

    NONE = 0
    CHAR_TFIDF = 1
    POSITION_WEIGHTED = 2


class FeatureKind(IntEnum):
    """What :func:`features_hash` counts."""

    WORDS = 0
    CHARS = 1
    CHARS_POSITION = 2
    WORD_PAIRS = 3
    WORD_TRIPLES = 4
    WORD_CHARS_3 = 5
    WORD_CHARS_4 = 6
    WORD_CHARS_5 = 7


_INDEX_ERRORS: dict[int, type[IndexFileError]] = {
    lib.ESP_E_FORMAT: IndexFormatError,
    lib.ESP_E_VERSION: IndexVersionError,
    lib.ESP_E_CORRUPT: IndexCorruptError,
}
_ERRORS: dict[int, type[EspalierError]] = {
    lib.ESP_E_ARGUMENT: InputError,
    lib.ESP_E_LIMIT: LimitError,
    lib.ESP_E_UTF8: InvalidTextError,
    lib.ESP_E_MEMORY: ResourceError,
    lib.ESP_E_IO: StorageError,
    lib.ESP_E_UNSUPPORTED: UnsupportedError,
}


def section_name(number: int) -> str:
    """Return the four letters of a section id, "" for 0."""
    return number.to_bytes(4, "little").decode("ascii", "replace") if number else ""


def section_id(name: str) -> int:
    """Return the number of a section id of four letters."""
    return int.from_bytes(name.encode("ascii"), "little")


def make_error(status: int, error: Any, what: str = "") -> EspalierError:
    """Return the exception for a failed call, with the evidence the C side left."""
    message = ffi.string(error.message).decode("utf-8", "replace")
    text = f"{what}: {message}" if what else message
    if status in _INDEX_ERRORS:
        return _INDEX_ERRORS[status](
            text,
            check=ffi.string(error.check).decode("ascii", "replace"),
            section=section_name(error.section),
            offset=error.offset,
        )
    return _ERRORS.get(status, EspalierError)(text)


def check(status: int, error: Any, what: str = "") -> None:
    """Raise what a failed call means; ``what`` names the thing it was about."""
    if status != lib.ESP_OK:
        raise make_error(status, error, what)


def view_of(kind: str, array: NDArray[Any]) -> Any:
    """Return a C view of an array, which must stay alive during the call."""
    return ffi.from_buffer(f"{kind}[]", array)


def take_buffer(pointer: Any, length: Any) -> bytes:
    """Copy and free a buffer the C side allocated."""
    try:
        return bytes(ffi.buffer(pointer[0], length[0]))
    finally:
        lib.esp_buffer_free(pointer[0])


def version() -> str:
    """Return the version of the C library."""
    return str(ffi.string(lib.esp_version()).decode())


def crc32c(data: bytes, crc: int = 0) -> int:
    """Return the CRC-32C of ``data``, continuing from ``crc``."""
    return int(lib.esp_crc32c(crc, ffi.from_buffer("uint8_t[]", data), len(data)))
