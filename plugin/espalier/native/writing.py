"""Index files as they are made."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from espalier.native.border import U8, U32, U64, check, ffi, lib, section_id, take_buffer, view_of


def trie_build(blob: U8, offsets: NDArray[Any]) -> bytes:
    """Return the TRIE section over sorted, distinct label texts.

    Raises:
        InputError: Labels are not sorted by their bytes.
    """
    section = ffi.new("uint8_t **")
    length = ffi.new("size_t *")
    error = ffi.new("esp_error *")
    status = lib.esp_trie_build(
        view_of("uint8_t", blob),
        view_of("uint64_t", np.ascontiguousarray(offsets, np.uint64)),
        len(offsets) - 1,
        section,
        length,
        error,
    )
    check(status, error)
    return take_buffer(section, length)


def words_build(words: list[bytes]) -> bytes:
    """Return the VOCA section over sorted, distinct words."""
    section = ffi.new("uint8_t **")
    length = ffi.new("size_t *")
    error = ffi.new("esp_error *")
    blob, offsets = _joined(words)
    status = lib.esp_words_build(
        view_of("uint8_t", blob),
        view_of("uint64_t", offsets),
        len(words),
        section,
        length,
        error,
    )
    check(status, error)
    return take_buffer(section, length)


def blocklist_build(queries: list[bytes], words: list[bytes], *, numbers: bool) -> bytes:
    """Return the BLCK section: what is never put together out of words.

    Args:
        queries: Normalised queries, distinct.
        words: Normalised words, distinct; each blocks every query it stands in.
        numbers: Whether e-mail addresses and long numbers are kept out too.

    Raises:
        LimitError: More than 16,777,216 texts.
    """
    section = ffi.new("uint8_t **")
    length = ffi.new("size_t *")
    error = ffi.new("esp_error *")
    blob, offsets = _joined([*queries, *words])
    status = lib.esp_blocklist_build(
        view_of("uint8_t", blob),
        view_of("uint64_t", offsets),
        len(queries),
        len(words),
        lib.ESP_BLOCK_NUMBERS if numbers else 0,
        section,
        length,
        error,
    )
    check(status, error)
    return take_buffer(section, length)


def _joined(texts: list[bytes]) -> tuple[U8, U64]:
    """Return texts as one array, and where each begins, with the end of the last."""
    offsets = np.zeros(len(texts) + 1, np.uint64)
    np.cumsum(np.fromiter(map(len, texts), np.uint64, len(texts)), out=offsets[1:])
    return np.frombuffer(b"".join(texts), np.uint8), offsets


def maxima_build(values: U32) -> bytes:
    """Return the range maxima over one number per label: PMAX, or RMAX."""
    section = ffi.new("uint8_t **")
    length = ffi.new("size_t *")
    error = ffi.new("esp_error *")
    values = np.ascontiguousarray(values, np.uint32)
    status = lib.esp_maxima_build(view_of("uint32_t", values), len(values), section, length, error)
    check(status, error)
    return take_buffer(section, length)


class IndexWriter:
    """Writes an index file, replacing the target only when all is on disk.

    A context manager: leaving it normally publishes, leaving it by an exception
    (Ctrl-C included) removes what was written.
    """

    def __init__(self, path: Path | str, fingerprint: int) -> None:
        """Start a temporary file beside ``path``.

        Raises:
            StorageError: The folder does not exist or cannot be written.
        """
        self._path = str(path)
        self._error = ffi.new("esp_error *")
        writer = ffi.new("esp_writer **")
        status = lib.esp_writer_open(os.fsencode(path), fingerprint, writer, self._error)
        check(status, self._error, self._path)
        self._writer: Any = writer[0]

    def add(self, name: str, data: bytes | memoryview | NDArray[Any]) -> None:
        """Append the section called ``name`` (four letters).

        Raises:
            StorageError: The disk is full, or another refusal of the system.
        """
        view = ffi.from_buffer("uint8_t[]", data)
        status = lib.esp_writer_add(
            self._writer, section_id(name), view, ffi.sizeof(view), self._error
        )
        check(status, self._error, self._path)

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Publish, or clean up after an exception."""
        writer, self._writer = self._writer, None
        if kind is not None:
            lib.esp_writer_abort(writer)
            return
        check(lib.esp_writer_finish(writer, self._error), self._error, self._path)
