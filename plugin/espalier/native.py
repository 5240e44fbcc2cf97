"""The border to the C library: the only module that imports the extension.

Numpy arrays and strings go in and come out, statuses become exceptions, owned
memory gets an owner. Calls release the interpreter lock. What each function does,
costs and fails with stands in ``native/include/espalier.h``; here is only how it
looks from Python.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from espalier._native import ffi, lib
from espalier.errors import (
    EspalierError,
    IndexCorruptError,
    IndexFileError,
    IndexFormatError,
    IndexMissingError,
    IndexVersionError,
    InputError,
    InvalidTextError,
    LimitError,
    ResourceError,
    StorageError,
    UnsupportedError,
)

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


# ---- errors ---------------------------------------------------------------

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


def _error(status: int, error: Any, what: str = "") -> EspalierError:
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


def _check(status: int, error: Any, what: str = "") -> None:
    if status != lib.ESP_OK:
        raise _error(status, error, what)


def _array(kind: str, array: NDArray[Any]) -> Any:
    """Return a C view of an array, which must stay alive during the call."""
    return ffi.from_buffer(f"{kind}[]", array)


def _take_buffer(pointer: Any, length: Any) -> bytes:
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


# ---- matrices and texts ---------------------------------------------------


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


def _csr(matrix: Csr) -> tuple[Any, Any]:
    """Return an ``esp_csr *`` and what must stay alive with it."""
    keep = (
        np.ascontiguousarray(matrix.row_ptr, np.uint64),
        np.ascontiguousarray(matrix.col, np.uint32),
        np.ascontiguousarray(matrix.val, np.float32),
    )
    view = ffi.new("esp_csr *")
    buffers = (_array("uint64_t", keep[0]), _array("uint32_t", keep[1]), _array("float", keep[2]))
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
        _array("uint8_t", texts.blob),
        _array("uint64_t", offsets),
        _array("uint32_t", lengths),
        n,
        int(kind),
        _array("uint32_t", keys),
        _array("float", weights),
        _array("uint64_t", ptr),
        room,
        error,
    )
    _check(status, error)
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
    views = [_array("uint32_t", keep[0]), _array("float", keep[1])]
    c_space.keys, c_space.idf = views
    c_space.n_features = len(space.keys)
    c_space.prefix_features = int(space.prefix_features)
    c_space.context_decay = space.context_decay
    c_space.max_context = space.max_context
    rows = ffi.new("esp_rows *")
    fields = {
        "blob": _array("uint8_t", texts.blob),
        "offsets": _array("uint64_t", keep[2]),
        "lengths": _array("uint32_t", keep[3]),
        "context_ptr": _array("uint64_t", context_ptr),
        "context": _array("uint32_t", context),
        "prefix_text": _array("uint32_t", prefix_text),
        "prefix_bytes": _array("uint32_t", prefix_bytes),
    }
    for name, view in fields.items():
        setattr(rows, name, view)
    rows.n_texts = len(texts)
    rows.n_rows = n
    error = ffi.new("esp_error *")
    status = lib.esp_features_vectorise(
        c_space,
        rows,
        _array("uint64_t", ptr),
        _array("uint32_t", col),
        _array("float", val),
        room,
        error,
    )
    _check(status, error)
    used = int(ptr[-1])
    return Csr(ptr, col[:used].copy(), val[:used].copy(), len(space.keys))


# ---- training kernels -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class RankTask:
    """The rows one node is trained on, and which belong to which child.

    Attributes:
        rows: Row numbers of ``x``, distinct, ascending.
        n_children: Number of classifiers.
        positive_ptr: ``(n_children + 1,)``, into ``positive``.
        positive: Places in ``rows``, ascending per child.
        cost: Factor on the cost of each place in ``rows``, or None for 1.
        user: User of each row of ``x``, or None to keep every weight.
        is_context: Per feature, 1 where the support rule holds.
    """

    rows: U32
    n_children: int
    positive_ptr: U32
    positive: U32
    cost: F32 | None = None
    user: U32 | None = None
    is_context: U8 | None = None


@dataclass(frozen=True, slots=True)
class RankOptions:
    """How one-vs-rest classifiers are trained; ``esp_rank_options`` field by field."""

    max_iterations: int = 100
    cp: float = 1.0
    cn: float = 1.0
    epsilon: float = 0.1
    bias: float = 1.0
    threshold: float = 0.1
    max_nonzeros: int = 0
    min_support: int = 1
    weight_bits: int = 16
    seed: int = 0


class Trainer:
    """Buffers of one thread for clustering and ranking. Not shared between threads."""

    def __init__(self, n_features: int) -> None:
        """Prepare for matrices of ``n_features`` columns."""
        error = ffi.new("esp_error *")
        trainer = ffi.new("esp_trainer **")
        _check(lib.esp_trainer_new(n_features, trainer, error), error)
        self._trainer = ffi.gc(trainer[0], lib.esp_trainer_free)

    def split(
        self,
        points: Csr,
        members: U32,
        weights: U32 | None,
        *,
        parts: int,
        iterations: int,
        seed: int,
    ) -> U32:
        """Permute ``members`` into ``parts`` balanced groups.

        Returns:
            Bounds of the groups in ``members``, ``(parts + 1,)``.
        """
        view, _keep = _csr(points)
        options = ffi.new("esp_split_options *")
        options.struct_size = ffi.sizeof("esp_split_options")
        options.parts = parts
        options.iterations = iterations
        options.seed = seed
        bounds = np.zeros(parts + 1, np.uint32)
        if weights is not None:
            weights = np.ascontiguousarray(weights, np.uint32)
        error = ffi.new("esp_error *")
        status = lib.esp_cluster_split(
            self._trainer,
            view,
            _array("uint32_t", members),
            ffi.NULL if weights is None else _array("uint32_t", weights),
            len(members),
            options,
            _array("uint32_t", bounds),
            error,
        )
        _check(status, error)
        return bounds

    def rank(self, x: Csr, task: RankTask, options: RankOptions) -> bytes:
        """Train the children of one node and return their encoded chunks."""
        view, _keep_x = _csr(x)
        c_options = ffi.new("esp_rank_options *")
        c_options.struct_size = ffi.sizeof("esp_rank_options")
        c_options.max_iterations = options.max_iterations
        c_options.cp = options.cp
        c_options.cn = options.cn
        c_options.epsilon = options.epsilon
        c_options.bias = options.bias
        c_options.threshold = options.threshold
        c_options.max_nonzeros = options.max_nonzeros
        c_options.min_support = options.min_support
        c_options.weight_bits = options.weight_bits
        c_options.seed = options.seed
        arrays: dict[str, tuple[str, NDArray[Any] | None]] = {
            "rows": ("uint32_t", np.ascontiguousarray(task.rows, np.uint32)),
            "positive_ptr": ("uint32_t", np.ascontiguousarray(task.positive_ptr, np.uint32)),
            "positive": ("uint32_t", np.ascontiguousarray(task.positive, np.uint32)),
            "cost": ("float", _optional(task.cost, np.float32)),
            "user": ("uint32_t", _optional(task.user, np.uint32)),
            "is_context": ("uint8_t", _optional(task.is_context, np.uint8)),
        }
        c_task = ffi.new("esp_rank_task *")
        views = {
            name: ffi.NULL if array is None else _array(kind, array)
            for name, (kind, array) in arrays.items()
        }
        for name, pointer in views.items():
            setattr(c_task, name, pointer)
        c_task.n_rows = len(task.rows)
        c_task.n_children = task.n_children
        chunk = ffi.new("uint8_t **")
        length = ffi.new("size_t *")
        error = ffi.new("esp_error *")
        status = lib.esp_rank_node(self._trainer, view, c_task, c_options, chunk, length, error)
        _check(status, error)
        return _take_buffer(chunk, length)


def _optional(array: NDArray[Any] | None, kind: type[np.generic]) -> NDArray[Any] | None:
    return None if array is None else np.ascontiguousarray(array, kind)


def chunk_encode(
    n_children: int,
    n_features: int,
    col_ptr: U64,
    row: U32,
    val: F32,
    bias: F32,
    *,
    weight_bits: int,
) -> bytes:
    """Encode given weights as the chunks of one node.

    Raises:
        InputError: Rows are not ascending, or a number is not finite.
    """
    chunk = ffi.new("uint8_t **")
    length = ffi.new("size_t *")
    error = ffi.new("esp_error *")
    status = lib.esp_chunk_encode(
        n_children,
        n_features,
        _array("uint64_t", np.ascontiguousarray(col_ptr, np.uint64)),
        _array("uint32_t", np.ascontiguousarray(row, np.uint32)),
        _array("float", np.ascontiguousarray(val, np.float32)),
        _array("float", np.ascontiguousarray(bias, np.float32)),
        weight_bits,
        chunk,
        length,
        error,
    )
    _check(status, error)
    return _take_buffer(chunk, length)


# ---- writing --------------------------------------------------------------


def trie_build(blob: U8, offsets: NDArray[Any]) -> bytes:
    """Return the TRIE section over sorted, distinct label texts.

    Raises:
        InputError: Labels are not sorted by their bytes.
    """
    section = ffi.new("uint8_t **")
    length = ffi.new("size_t *")
    error = ffi.new("esp_error *")
    status = lib.esp_trie_build(
        _array("uint8_t", blob),
        _array("uint64_t", np.ascontiguousarray(offsets, np.uint64)),
        len(offsets) - 1,
        section,
        length,
        error,
    )
    _check(status, error)
    return _take_buffer(section, length)


def maxima_build(values: U32) -> bytes:
    """Return the PMAX section over one number per label."""
    section = ffi.new("uint8_t **")
    length = ffi.new("size_t *")
    error = ffi.new("esp_error *")
    values = np.ascontiguousarray(values, np.uint32)
    status = lib.esp_maxima_build(_array("uint32_t", values), len(values), section, length, error)
    _check(status, error)
    return _take_buffer(section, length)


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
        _check(status, self._error, self._path)
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
        _check(status, self._error, self._path)

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
        _check(lib.esp_writer_finish(writer, self._error), self._error, self._path)


# ---- index ----------------------------------------------------------------


class SectionInfo(NamedTuple):
    """One section of an index file."""

    name: str
    offset: int
    length: int
    crc32c: int


@dataclass(frozen=True, slots=True)
class NativeInfo:
    """Numbers of an open index; sizes in bytes."""

    bytes: int
    format_version: str
    labels: int
    nodes: int
    features: int
    depth: int
    max_children: int
    fingerprint: int
    has_labels: bool
    has_features: bool
    has_model: bool
    post_processor: int


class Work(NamedTuple):
    """What one completion did."""

    range_labels: int
    n_features: int
    nodes_scored: int
    candidates: int


class RawSuggestion(NamedTuple):
    """A suggestion as the C library gives it, texts decoded."""

    text: str
    display: str
    label: int
    source: int
    score: float
    model: float
    popularity: float


@dataclass(frozen=True, slots=True)
class Caps:
    """Largest values one query may have; 0 for the library's default."""

    k: int = 100
    beam: int = 100
    pool: int = 2048
    prefix_bytes: int = 1024
    context_bytes: int = 32 * 2048
    previous: int = 32


class Scratch:
    """What one thread needs for queries on one index; made by ``NativeIndex.scratch``."""

    __slots__ = (
        "_count",
        "_error",
        "_index",
        "_ints",
        "_out",
        "_previous",
        "_query",
        "_scratch",
        "_work",
        "caps",
    )

    def __init__(self, index: Any, caps: Caps) -> None:
        """Allocate everything queries need, once."""
        self.caps = caps
        self._index = index
        self._error = ffi.new("esp_error *")
        options = ffi.new("esp_scratch_options *")
        options.struct_size = ffi.sizeof("esp_scratch_options")
        options.max_k = caps.k
        options.max_beam = caps.beam
        options.max_pool = caps.pool
        options.max_prefix_bytes = caps.prefix_bytes
        options.max_context_bytes = caps.context_bytes
        options.max_previous = caps.previous
        scratch = ffi.new("esp_scratch **")
        _check(lib.esp_scratch_new(index, options, scratch, self._error), self._error)
        self._scratch = ffi.gc(scratch[0], lib.esp_scratch_free)
        self._query = ffi.new("esp_query *")
        self._query.struct_size = ffi.sizeof("esp_query")
        self._previous = ffi.new("esp_text[]", caps.previous)
        self._out = ffi.new("esp_suggestion[]", caps.k)
        self._ints = ffi.new("uint32_t[]", caps.pool + caps.k)
        self._count = ffi.new("size_t *")
        self._work = ffi.new("esp_work *")

    def complete(
        self,
        prefix: bytes,
        previous: Sequence[bytes],
        k: int,
        *,
        beam: int = 0,
        pool: int = 0,
        sources: int = 0,
        matcher: int = 0,
    ) -> list[RawSuggestion]:
        """Return at most ``k`` suggestions, best first. Texts are normalised UTF-8."""
        self._ask(prefix, previous, k, beam, pool, sources, matcher)
        out = self._out
        buffer = ffi.buffer
        found = []
        for i in range(self._count[0]):
            one = out[i]
            text = one.text
            shown = one.display
            plain = buffer(text.data, text.length)[:].decode()
            found.append(
                RawSuggestion(
                    plain,
                    plain
                    if shown.data == text.data
                    else buffer(shown.data, shown.length)[:].decode(),
                    one.label,
                    one.source,
                    one.score,
                    one.model,
                    one.popularity,
                )
            )
        return found

    def _ask(
        self,
        prefix: bytes,
        previous: Sequence[bytes],
        k: int,
        beam: int,
        pool: int,
        sources: int,
        matcher: int,
    ) -> None:
        query = self._query
        # Buffers given to C are kept alive by these names until the call is over.
        view = ffi.from_buffer("uint8_t[]", prefix)
        query.prefix.data = view
        query.prefix.length = len(prefix)
        views = []
        if len(previous) > self.caps.previous:
            raise LimitError(
                f"{len(previous)} previous queries, at most {self.caps.previous}; send the newest"
            )
        for i, text in enumerate(previous):
            views.append(ffi.from_buffer("uint8_t[]", text))
            self._previous[i].data = views[i]
            self._previous[i].length = len(text)
        query.previous = self._previous
        query.n_previous = len(previous)
        query.k = k
        query.beam = beam
        query.pool = pool
        query.sources = sources
        query.matcher = matcher
        status = lib.esp_complete(
            self._index, self._scratch, query, self._out, self.caps.k, self._count, self._error
        )
        del views, view
        if status:
            raise _error(status, self._error)

    def time_complete(
        self, prefix: bytes, previous: Sequence[bytes], k: int, *, sources: int = 0
    ) -> None:
        """Complete and drop the answer: the C call and its arguments, for benchmarks."""
        self._ask(prefix, previous, k, 0, 0, sources, 0)

    def work(self) -> Work:
        """Return what the last completion did."""
        lib.esp_scratch_get_work(self._scratch, self._work)
        work = self._work
        return Work(work.range_labels, work.n_features, work.nodes_scored, work.candidates)

    def candidates(self) -> U32:
        """Return the labels the last completion considered, unordered."""
        n = lib.esp_scratch_get_candidates(self._scratch, ffi.NULL, 0)
        ids = np.zeros(n, np.uint32)
        lib.esp_scratch_get_candidates(self._scratch, _array("uint32_t", ids), n)
        return ids

    def popular(self, prefix: bytes, k: int) -> list[int]:
        """Return the labels with most users, best first."""
        status = lib.esp_popular(
            self._index,
            self._scratch,
            ffi.from_buffer("uint8_t[]", prefix),
            len(prefix),
            self._ints,
            k,
            self._count,
            self._error,
        )
        _check(status, self._error)
        return list(self._ints[0 : self._count[0]])

    def predict(
        self, x: Any, rows: range, beam: int, k: int, labels: U32, scores: F32, counts: U32
    ) -> None:
        """Fill row by row; ``x`` is an ``esp_csr *``; arrays are ``(n, k)``, ``(n,)``."""
        c_labels, c_scores = _array("uint32_t", labels), _array("float", scores)
        for row in rows:
            status = lib.esp_predict(
                self._index,
                self._scratch,
                x,
                row,
                beam,
                k,
                c_labels + row * k,
                c_scores + row * k,
                self._count,
                self._error,
            )
            if status:
                raise _error(status, self._error)
            counts[row] = self._count[0]


class NativeIndex:
    """An open index file. Shared by threads; each has a scratch object of its own."""

    def __init__(self, index: Any, keep: Any = None, *, name: str = "") -> None:
        """Own ``index``, an ``esp_index *``; ``keep`` stays alive as long.

        Errors about the file begin with ``name``.
        """
        self._index: Any = index
        self._name = name
        self._keep = keep
        self._error = threading.local()

    @classmethod
    def open(cls, path: Path | str) -> NativeIndex:
        """Map the file at ``path``: constant time.

        Raises:
            IndexMissingError: It cannot be opened.
            IndexFormatError: It is not an index.
            IndexVersionError: It is of a version this library does not read.
            IndexCorruptError: Its header contradicts the file.
        """
        error = ffi.new("esp_error *")
        index = ffi.new("esp_index **")
        status = lib.esp_index_open(os.fsencode(path), index, error)
        if status == lib.ESP_E_IO:
            message = ffi.string(error.message).decode("utf-8", "replace")
            raise IndexMissingError(f"{path}: {message}; train one with `espalier train`")
        _check(status, error, str(path))
        return cls(index[0], name=str(path))

    @classmethod
    def from_bytes(cls, data: bytes) -> NativeIndex:
        """Open an index held in memory; the bytes are copied once, to align them."""
        block = np.zeros(len(data) + 64, np.uint8)
        shift = -block.ctypes.data % 64
        aligned = block[shift : shift + len(data)]
        aligned[:] = np.frombuffer(data, np.uint8)
        error = ffi.new("esp_error *")
        index = ffi.new("esp_index **")
        view = ffi.from_buffer("uint8_t[]", aligned)
        _check(lib.esp_index_open_memory(view, len(data), index, error), error)
        return cls(index[0], (block, view))

    def __enter__(self) -> Self:
        """Return the index."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the index."""
        self.close()

    def close(self) -> None:
        """Unmap the file. No call may be under way; a second close does nothing."""
        index, self._index = self._index, None
        if index is not None:
            lib.esp_index_close(index)

    def _open(self) -> Any:
        if self._index is None:
            raise UnsupportedError("the index is closed")
        return self._index

    def verify(self) -> None:
        """Compare every checksum.

        Raises:
            IndexCorruptError: One does not match.
        """
        error = ffi.new("esp_error *")
        _check(lib.esp_index_verify(self._open(), error), error, self._name)

    def validate(self) -> None:
        """Check every invariant of the format.

        Raises:
            IndexCorruptError: One does not hold.
        """
        error = ffi.new("esp_error *")
        _check(lib.esp_index_validate(self._open(), error), error, self._name)

    @property
    def info(self) -> NativeInfo:
        """Numbers of the index."""
        info = ffi.new("esp_index_info *")
        lib.esp_index_get_info(self._open(), info)
        return NativeInfo(
            bytes=info.bytes,
            format_version=f"{info.format_major}.{info.format_minor}",
            labels=info.n_labels,
            nodes=info.n_nodes,
            features=info.n_features,
            depth=info.tree_depth,
            max_children=info.max_children,
            fingerprint=info.fingerprint,
            has_labels=bool(info.has_labels),
            has_features=bool(info.has_features),
            has_model=bool(info.has_model),
            post_processor=info.post_processor,
        )

    def sections(self) -> list[SectionInfo]:
        """Return the sections in file order."""
        info = ffi.new("esp_index_info *")
        lib.esp_index_get_info(self._open(), info)
        section = ffi.new("esp_section_info *")
        error = ffi.new("esp_error *")
        found = []
        for i in range(info.n_sections):
            _check(lib.esp_index_get_section(self._open(), i, section, error), error)
            name = section_name(section.id)
            found.append(SectionInfo(name, section.offset, section.length, section.crc32c))
        return found

    def section(self, name: str) -> bytes:
        """Return a copy of a section's bytes, empty where the index has none."""
        length = ffi.new("uint64_t *")
        data = lib.esp_index_section(self._open(), section_id(name), length)
        return bytes(ffi.buffer(data, length[0])) if data != ffi.NULL else b""

    def scratch(self, caps: Caps | None = None) -> Scratch:
        """Return a scratch object for the calling thread."""
        return Scratch(self._open(), caps or Caps())

    def label_texts(self, label: int) -> tuple[str, str]:
        """Return normalised text and display text of a label.

        Raises:
            InputError: There is no such label.
        """
        text = ffi.new("esp_text *")
        display = ffi.new("esp_text *")
        error = ffi.new("esp_error *")
        _check(lib.esp_label_text(self._open(), label, text, display, error), error)
        return (
            ffi.buffer(text.data, text.length)[:].decode(),
            ffi.buffer(display.data, display.length)[:].decode(),
        )

    def label_users(self, label: int) -> int:
        """Return how many distinct users typed a label."""
        return int(lib.esp_label_users(self._open(), label))

    def prefix_range(self, prefix: bytes) -> tuple[int, int]:
        """Return the labels ``[lo, hi)`` that start with ``prefix``."""
        lo = ffi.new("uint32_t *")
        hi = ffi.new("uint32_t *")
        error = ffi.new("esp_error *")
        view = ffi.from_buffer("uint8_t[]", prefix)
        _check(lib.esp_prefix_range(self._open(), view, len(prefix), lo, hi, error), error)
        return lo[0], hi[0]

    def predict_top(
        self, x: Csr, *, beam: int, k: int, threads: int = 1
    ) -> tuple[U32, F32, U32]:
        """Rank labels for every row of ``x`` without a prefix.

        Returns:
            Labels and scores, best first, ``(n_rows, k)``, and how many of the k
            each row has, ``(n_rows,)``.
        """
        view, _keep = _csr(x)
        longest = int(np.diff(x.row_ptr).max()) if x.n_rows else 0
        caps = Caps(
            beam=max(beam, 1), pool=max(k, 1), prefix_bytes=max(1024, longest // 3 + 1)
        )
        labels = np.zeros((x.n_rows, k), np.uint32)
        scores = np.zeros((x.n_rows, k), np.float32)
        counts = np.zeros(x.n_rows, np.uint32)
        edges = np.linspace(0, x.n_rows, max(1, min(threads, x.n_rows)) + 1).astype(int).tolist()

        def block(number: int) -> None:
            rows = range(edges[number], edges[number + 1])
            self.scratch(caps).predict(view, rows, beam, k, labels, scores, counts)

        with ThreadPoolExecutor(len(edges) - 1) as pool:
            list(pool.map(block, range(len(edges) - 1)))
        return labels, scores, counts

    def predict(self, x: Csr, *, beam: int, threads: int = 1) -> tuple[U32, U32]:
        """Return the best ``beam`` labels of every row as two arrays: row, label."""
        labels, _, counts = self.predict_top(x, beam=beam, k=beam, threads=threads)
        filled = np.arange(beam) < counts[:, None]
        rows = np.repeat(np.arange(x.n_rows, dtype=np.uint32), counts)
        return rows, labels[filled]
