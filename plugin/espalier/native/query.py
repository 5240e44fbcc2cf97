"""One thread's queries on one index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from espalier.errors import IndexCorruptError, InputError, LimitError
from espalier.native.attributes import NativeFilter
from espalier.native.border import F32, U32, check, ffi, lib, make_error, view_of
from espalier.native.overlay import NativeOverlay

FEATURE_GROUPS: Final = ("popularity", "model", "language", "context", "text", "source")
"""Groups of the blender's features; the name at place g is bit g of ``groups_off``."""
KEEP_VARIANTS: Final = int(lib.ESP_QUERY_KEEP_VARIANTS)
"""Bit of ``flags``: suggestions may differ from a better one only by plural or spacing."""
FEATURES: Final = int(lib.ESP_QUERY_FEATURES)
"""Bit of ``flags``: candidates get their features even where no forest needs them."""
NO_LABEL: Final = int(lib.ESP_NO_LABEL)
"""``label`` of a suggestion that is not in the index."""

_WIRE_BYTES: Final = 16_384
"""An answer takes about 70 bytes a suggestion; room is made where one takes more."""

_CORRECTED = int(lib.ESP_SOURCE_CORRECTED)
_NOT_FOUND = 2 ** (8 * ffi.sizeof("size_t")) - 1


class Work(NamedTuple):
    """What one completion did."""

    range_labels: int
    n_features: int
    nodes_scored: int
    candidates: int


class Encoded(NamedTuple):
    """Suggestions as a repeated field of a Protocol Buffers message.

    Attributes:
        wire: The field, with its tags.
        total: How many there are.
        by_source: How many there are of each source, in the order of `Source`.
    """

    wire: bytes
    total: int
    by_source: tuple[int, int, int, int]


class RawSuggestion(NamedTuple):
    """A suggestion as the C library gives it, texts decoded."""

    text: str
    display: str
    label: int
    source: int
    score: float
    model: float
    popularity: float
    matched: str | None = None
    """What the prefix accounts for where it was corrected; else that is the prefix."""
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Caps:
    """Largest values one query may have; 0 for the library's default."""

    k: int = 100
    beam: int = 100
    pool: int = 2048
    prefix_bytes: int = 1024
    context_bytes: int = 32 * 2048
    previous: int = 32


def feature_names() -> tuple[str, ...]:
    """Return the names of a candidate's features, in order."""
    return tuple(
        ffi.string(lib.esp_feature_name(i)).decode() for i in range(lib.esp_feature_count())
    )


def features_id() -> int:
    """Return the fingerprint of the list of features."""
    return int(lib.esp_features_id())


def feature_groups() -> tuple[str, ...]:
    """Return the group of each feature, in the same order."""
    return tuple(FEATURE_GROUPS[lib.esp_feature_group(i)] for i in range(lib.esp_feature_count()))


class Scratch:
    """What one thread needs for queries on one index; made by ``NativeIndex.scratch``."""

    __slots__ = (
        "_age",
        "_by_source",
        "_count",
        "_error",
        "_index",
        "_ints",
        "_out",
        "_previous",
        "_query",
        "_row",
        "_row_ptr",
        "_scores",
        "_scratch",
        "_size",
        "_wire",
        "_work",
        "caps",
    )

    def __init__(self, index: Callable[[], Any], caps: Caps) -> None:
        """Allocate everything queries need, once.

        ``index`` gives the ``esp_index *``, or raises once that is closed. Held here it
        keeps the index, and bytes it may lie in, alive as long as the scratch.
        """
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
        check(lib.esp_scratch_new(index(), options, scratch, self._error), self._error)
        self._scratch = ffi.gc(scratch[0], lib.esp_scratch_free)
        self._query = ffi.new("esp_query *")
        self._query.struct_size = ffi.sizeof("esp_query")
        self._previous = ffi.new("esp_text[]", caps.previous)
        self._age = ffi.new("uint32_t[]", caps.previous)
        self._out = ffi.new("esp_suggestion[]", caps.k)
        self._ints = ffi.new("uint32_t[]", caps.pool + caps.k)
        self._count = ffi.new("size_t *")
        self._size = ffi.new("size_t *")
        self._work = ffi.new("esp_work *")
        self._by_source = ffi.new("uint32_t[4]")
        self._wire = ffi.new("uint8_t[]", _WIRE_BYTES)
        self._scores = ffi.new("float[]", caps.pool + caps.k)
        self._row_ptr = ffi.new("uint64_t[2]")
        self._row = ffi.new("esp_csr *")
        self._row.row_ptr = self._row_ptr
        self._row.n_rows = 1

    @property
    def handle(self) -> Any:
        """The ``esp_scratch *``, for callers that drive the C API themselves."""
        return self._scratch

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
        flags: int = 0,
        groups_off: int = 0,
        overlay: NativeOverlay | None = None,
        age: Sequence[int] | None = None,
        chosen: NativeFilter | None = None,
    ) -> list[RawSuggestion]:
        """Return at most ``k`` suggestions, best first. Texts are normalised UTF-8.

        Raises:
            IndexCorruptError: The index is damaged where the query met it.
        """
        self._ask(
            prefix,
            previous,
            k,
            beam,
            pool,
            sources,
            matcher,
            flags,
            groups_off,
            overlay,
            age,
            chosen,
        )
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
                    _beginning(plain, one.matched) if one.source == _CORRECTED else None,
                    bool(one.pinned),
                )
            )
        return found

    def encoded(self, prefix: bytes, field: int) -> Encoded:
        """Return what `ask` found for ``prefix`` as field number ``field`` of a message.

        Raises:
            IndexCorruptError: The index is damaged where a suggestion met it.
        """
        out, by_source = self._out, self._by_source
        view = ffi.from_buffer("uint8_t[]", prefix)
        found, n = self._count[0], len(self._wire)
        status = lib.esp_suggestions_encode(
            out, found, view, len(prefix), field, self._wire, n, self._size, by_source, self._error
        )
        if not status and self._size[0] > n:
            self._wire = ffi.new("uint8_t[]", 2 * self._size[0])
            return self.encoded(prefix, field)
        del view
        if status:
            raise make_error(status, self._error)
        return Encoded(ffi.buffer(self._wire, self._size[0])[:], found, tuple(by_source))

    def ask(
        self,
        prefix: bytes,
        previous: Sequence[bytes],
        k: int,
        *,
        sources: int = 0,
        flags: int = 0,
        overlay: NativeOverlay | None = None,
        age: Sequence[int] | None = None,
        chosen: NativeFilter | None = None,
    ) -> None:
        """Complete without fetching the answer: ``encoded`` and ``ranked_features`` have it."""
        self._ask(prefix, previous, k, 0, 0, sources, 0, flags, 0, overlay, age, chosen)

    def _ask(
        self,
        prefix: bytes,
        previous: Sequence[bytes],
        k: int,
        beam: int,
        pool: int,
        sources: int,
        matcher: int,
        flags: int,
        groups_off: int,
        overlay: NativeOverlay | None,
        age: Sequence[int] | None,
        chosen: NativeFilter | None,
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
        if age is None:
            query.previous_age = ffi.NULL
        else:
            self._age[0 : len(age)] = age
            query.previous_age = self._age
        query.n_previous = len(previous)
        query.k = k
        query.beam = beam
        query.pool = pool
        query.sources = sources
        query.matcher = matcher
        query.flags = flags
        query.groups_off = groups_off
        query.overlay = ffi.NULL if overlay is None else overlay.handle
        query.filter = ffi.NULL if chosen is None else chosen.handle
        status = lib.esp_complete(
            self._index(), self._scratch, query, self._out, self.caps.k, self._count, self._error
        )
        del views, view
        if status:
            raise make_error(status, self._error)

    def time_complete(
        self, prefix: bytes, previous: Sequence[bytes], k: int, *, sources: int = 0
    ) -> None:
        """Complete and drop the answer: the C call and its arguments, for benchmarks."""
        self._ask(prefix, previous, k, 0, 0, sources, 0, 0, 0, None, None, None)

    def work(self) -> Work:
        """Return what the last completion did."""
        lib.esp_scratch_get_work(self._scratch, self._work)
        work = self._work
        return Work(work.range_labels, work.n_features, work.nodes_scored, work.candidates)

    def candidates(self) -> tuple[U32, list[str]]:
        """Return what the last completion considered, unordered: labels, and other texts.

        Raises:
            IndexCorruptError: A text of a damaged index is not UTF-8.
        """
        n = lib.esp_scratch_get_candidates(self._scratch, ffi.NULL, 0)
        ids = np.zeros(n, np.uint32)
        lib.esp_scratch_get_candidates(self._scratch, view_of("uint32_t", ids), n)
        others = np.flatnonzero(ids == NO_LABEL).tolist()
        text = ffi.new("esp_text *")
        texts = []
        for number in others:
            status = lib.esp_scratch_get_candidate_text(self._scratch, number, text, self._error)
            check(status, self._error)
            texts.append(ffi.buffer(text.data, text.length)[:].decode())
        return ids[ids != NO_LABEL], texts

    def ranked_features(self) -> F32:
        """Return the features of the candidates the last completion ranked, ``(n, features)``."""
        pointer = ffi.new("float const **")
        n = lib.esp_scratch_get_ranked(self._scratch, pointer)
        width = lib.esp_feature_count()
        raw = ffi.buffer(pointer[0], n * width * 4)[:] if n else b""
        return np.frombuffer(raw, np.float32).reshape(n, width)

    def ranked_row(self, text: bytes) -> int | None:
        """Return the row of the candidate with this text, None if it was not ranked."""
        row: int = lib.esp_scratch_find_ranked(
            self._scratch, ffi.from_buffer("uint8_t[]", text), len(text)
        )
        return None if row == _NOT_FOUND else row

    def ranked_texts(self) -> list[str]:
        """Return the texts of the candidates the last completion ranked.

        Raises:
            IndexCorruptError: A text of a damaged index is not UTF-8.
        """
        pointer = ffi.new("float const **")
        one = ffi.new("esp_ranked *")
        texts = []
        for i in range(lib.esp_scratch_get_ranked(self._scratch, pointer)):
            status = lib.esp_scratch_get_ranked_candidate(self._scratch, i, one, self._error)
            check(status, self._error)
            texts.append(ffi.buffer(one.text.data, one.text.length)[:].decode())
        return texts

    def explain(self, row: int) -> F32:
        """Return what each feature adds to the score of a ranked row, and the average score."""
        out = np.zeros(lib.esp_feature_count() + 1, np.float32)
        check(
            lib.esp_scratch_explain(self._scratch, row, view_of("float", out), self._error),
            self._error,
        )
        return out

    def popular(self, prefix: bytes, k: int) -> list[int]:
        """Return the labels with most users, best first."""
        status = lib.esp_popular(
            self._index(),
            self._scratch,
            ffi.from_buffer("uint8_t[]", prefix),
            len(prefix),
            self._ints,
            k,
            self._count,
            self._error,
        )
        check(status, self._error)
        return list(self._ints[0 : self._count[0]])

    def predict(
        self, x: Any, rows: range, beam: int, k: int, labels: U32, scores: F32, counts: U32
    ) -> None:
        """Fill the rows of a range; ``x`` is an ``esp_csr *``; arrays are ``(n, k)``, ``(n,)``."""
        status = lib.esp_predict_batch(
            self._index(),
            self._scratch,
            x,
            rows.start,
            rows.stop,
            beam,
            k,
            view_of("uint32_t", labels) + rows.start * k,
            view_of("float", scores) + rows.start * k,
            view_of("uint32_t", counts) + rows.start,
            self._error,
        )
        if status:
            raise make_error(status, self._error)

    def predict_row(
        self, columns: U32, values: F32, n_columns: int, beam: int, k: int
    ) -> tuple[U32, F32]:
        """Return the best labels of one row and their scores, ``(k,)`` or shorter.

        ``columns`` (ascending) and ``values`` are contiguous. It takes a few
        microseconds besides the search, where a matrix takes a hundred.
        """
        if len(columns) != len(values):
            raise InputError(f"{len(columns)} columns with {len(values)} values; one value each")
        if k > self.caps.pool:
            raise LimitError(f"{k} labels wanted, at most {self.caps.pool}")
        row = self._row
        held = ffi.from_buffer("uint32_t[]", columns), ffi.from_buffer("float[]", values)
        row.col, row.val = held
        row.n_cols = n_columns
        self._row_ptr[1] = len(columns)
        status = lib.esp_predict(
            self._index(),
            self._scratch,
            row,
            0,
            beam,
            k,
            self._ints,
            self._scores,
            self._count,
            self._error,
        )
        if status:
            raise make_error(status, self._error)
        size = 4 * self._count[0]
        return (
            np.frombuffer(ffi.buffer(self._ints, size)[:], np.uint32),
            np.frombuffer(ffi.buffer(self._scores, size)[:], np.float32),
        )


def _beginning(text: str, length: int) -> str:
    """Return the first bytes of a text, which a damaged trie may have cut inside a character."""
    try:
        return text.encode()[:length].decode()
    except UnicodeDecodeError:
        raise IndexCorruptError(
            "the index is damaged (check T4); restore it from a copy or train it again",
            check="T4",
            section="TRIE",
            offset=0,
        ) from None
