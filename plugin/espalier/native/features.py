"""Texts and sparse matrices, and the features the C library makes of texts."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from espalier.native.border import F32, U8, U32, U64, FeatureKind, check, ffi, lib, view_of


@dataclass(frozen=True, slots=True)
class Csr:
    """A sparse matrix in rows; columns of a row are strictly ascending.

    Attributes:
        row_ptr: uint64, ``(n_rows + 1,)``.
        col: uint32, ``(nnz,)``.
        val: float32, ``(nnz,)``.
        n_cols: Number of columns.
    """

    row_ptr: U64
    col: U32
    val: F32
    n_cols: int

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.row_ptr) - 1


def csr_view(matrix: Csr) -> tuple[Any, Any]:
    """Return an ``esp_csr *`` and what must stay alive with it."""
    keep = (
        np.ascontiguousarray(matrix.row_ptr, np.uint64),
        np.ascontiguousarray(matrix.col, np.uint32),
        np.ascontiguousarray(matrix.val, np.float32),
    )
    view = ffi.new("esp_csr *")
    buffers = (
        view_of("uint64_t", keep[0]),
        view_of("uint32_t", keep[1]),
        view_of("float", keep[2]),
    )
    view.row_ptr, view.col, view.val = buffers
    view.n_rows = matrix.n_rows
    view.n_cols = matrix.n_cols
    return view, (keep, buffers)


@dataclass(frozen=True, slots=True)
class TextTable:
    """Many UTF-8 texts in one block: text i is ``blob[offsets[i]:][:lengths[i]]``."""

    blob: U8
    offsets: U64
    lengths: U32

    @classmethod
    def from_strings(cls, texts: Sequence[str]) -> TextTable:
        """Encode and lay out ``texts``."""
        encoded = [text.encode() for text in texts]
        lengths = np.fromiter(map(len, encoded), np.uint32, len(encoded))
        ends = np.cumsum(lengths, dtype=np.uint64)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), ends - lengths, lengths)

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.lengths)


@dataclass(frozen=True, slots=True)
class Space:
    """A feature space: hashed n-grams, ascending, and their idf."""

    keys: U32
    idf: F32
    prefix_features: int
    context_decay: float
    max_context: int


def features_hash(texts: TextTable, kind: FeatureKind) -> tuple[U32, F32, U64]:
    """Hash the features of every text.

    Returns:
        Keys and weights of all texts, keys of a text ascending and distinct, and
        where each text's begin, ``(n + 1,)``.

    Raises:
        InvalidTextError: A text is not UTF-8.
    """
    n = len(texts)
    room = 3 * int(texts.lengths.sum(dtype=np.uint64)) + 1
    keys = np.empty(room, np.uint32)
    weights = np.empty(room, np.float32)
    ptr = np.empty(n + 1, np.uint64)
    offsets = np.ascontiguousarray(texts.offsets, np.uint64)
    lengths = np.ascontiguousarray(texts.lengths, np.uint32)
    error = ffi.new("esp_error *")
    status = lib.esp_features_hash(
        view_of("uint8_t", texts.blob),
        view_of("uint64_t", offsets),
        view_of("uint32_t", lengths),
        n,
        int(kind),
        view_of("uint32_t", keys),
        view_of("float", weights),
        view_of("uint64_t", ptr),
        room,
        error,
    )
    check(status, error)
    used = int(ptr[-1])
    return keys[:used].copy(), weights[:used].copy(), ptr


def features_vectorise(
    space: Space,
    texts: TextTable,
    context_ptr: U64,
    context: U32,
    prefix_text: U32,
    prefix_bytes: U32,
    threads: int = 1,
) -> Csr:
    """Return the vectors the query path computes for the same texts, row by row.

    Args:
        space: Known features.
        texts: All texts that rows refer to.
        context_ptr: Where each row's previous queries begin in ``context``, ``(n + 1,)``.
        context: Text numbers, most recent first.
        prefix_text: The prefix of a row is the beginning of this text, ``(n,)``.
        prefix_bytes: So many bytes of it, ``(n,)``.
        threads: Rows are cut into so many blocks worked on at once.
    """
    n = len(prefix_text)
    edges = np.linspace(0, n, max(1, min(threads, n)) + 1).astype(np.int64)
    context_ptr = np.ascontiguousarray(context_ptr, np.uint64)
    context = np.ascontiguousarray(context, np.uint32)

    def block(number: int) -> Csr:
        rows = slice(edges[number], edges[number + 1])
        return _vectorise_block(
            space,
            texts,
            context_ptr[edges[number] : edges[number + 1] + 1],
            context,
            np.ascontiguousarray(prefix_text[rows], np.uint32),
            np.ascontiguousarray(prefix_bytes[rows], np.uint32),
        )

    with ThreadPoolExecutor(len(edges) - 1) as pool:
        blocks = list(pool.map(block, range(len(edges) - 1)))
    ends = np.cumsum([int(part.row_ptr[-1]) for part in blocks])
    row_ptr = np.concatenate(
        [blocks[0].row_ptr]
        + [
            part.row_ptr[1:] + np.uint64(end)
            for part, end in zip(blocks[1:], ends[:-1], strict=True)
        ]
    )
    return Csr(
        row_ptr,
        np.concatenate([part.col for part in blocks]),
        np.concatenate([part.val for part in blocks]),
        len(space.keys),
    )


def _vectorise_block(
    space: Space,
    texts: TextTable,
    context_ptr: U64,
    context: U32,
    prefix_text: U32,
    prefix_bytes: U32,
) -> Csr:
    n = len(prefix_text)
    begin, end = int(context_ptr[0]), int(context_ptr[-1])
    context_bytes = int(texts.lengths[context[begin:end]].sum(dtype=np.uint64))
    room = 3 * (context_bytes + int(prefix_bytes.sum(dtype=np.uint64))) + n + 1
    ptr = np.empty(n + 1, np.uint64)
    col = np.empty(room, np.uint32)
    val = np.empty(room, np.float32)
    keep: list[Any] = [
        np.ascontiguousarray(space.keys, np.uint32),
        np.ascontiguousarray(space.idf, np.float32),
        np.ascontiguousarray(texts.offsets, np.uint64),
        np.ascontiguousarray(texts.lengths, np.uint32),
    ]
    c_space = ffi.new("esp_space *")
    views = [view_of("uint32_t", keep[0]), view_of("float", keep[1])]
    c_space.keys, c_space.idf = views
    c_space.n_features = len(space.keys)
    c_space.prefix_features = int(space.prefix_features)
    c_space.context_decay = space.context_decay
    c_space.max_context = space.max_context
    rows = ffi.new("esp_rows *")
    fields = {
        "blob": view_of("uint8_t", texts.blob),
        "offsets": view_of("uint64_t", keep[2]),
        "lengths": view_of("uint32_t", keep[3]),
        "context_ptr": view_of("uint64_t", context_ptr),
        "context": view_of("uint32_t", context),
        "prefix_text": view_of("uint32_t", prefix_text),
        "prefix_bytes": view_of("uint32_t", prefix_bytes),
    }
    for name, view in fields.items():
        setattr(rows, name, view)
    rows.n_texts = len(texts)
    rows.n_rows = n
    error = ffi.new("esp_error *")
    status = lib.esp_features_vectorise(
        c_space,
        rows,
        view_of("uint64_t", ptr),
        view_of("uint32_t", col),
        view_of("float", val),
        room,
        error,
    )
    check(status, error)
    used = int(ptr[-1])
    return Csr(ptr, col[:used].copy(), val[:used].copy(), len(space.keys))
