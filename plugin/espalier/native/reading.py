"""An open index file."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from espalier.errors import IndexMissingError, UnsupportedError
from espalier.native.border import F32, U32, check, ffi, lib, section_id, section_name
from espalier.native.features import Csr, csr_view
from espalier.native.query import Caps, Scratch


class SectionInfo(NamedTuple):
    """One section of an index file."""

    name: str
    offset: int
    length: int
    crc32c: int


class FuzzyMatch(NamedTuple):
    """Labels ``[lo, hi)`` that start almost as somebody typed.

    ``popularity`` is that of the most popular of them, ``matched`` the bytes that
    all share and that differ from the prefix by ``distance`` errors.
    """

    lo: int
    hi: int
    popularity: int
    matched: int
    distance: int


class LikelyWord(NamedTuple):
    """A word that may come next, and its probability; ``None`` is the end of the query."""

    text: str | None
    chance: float


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


def _texts(words: Sequence[bytes]) -> tuple[Any, list[Any]]:
    """Return words as an ``esp_text[]``, and what must stay alive as long as it is used."""
    views = [ffi.from_buffer("uint8_t[]", word) for word in words]
    texts = ffi.new("esp_text[]", max(len(words), 1))
    for i, view in enumerate(views):
        texts[i].data, texts[i].length = view, len(words[i])
    return texts, views


class NativeIndex:
    """An open index file. Shared by threads; each has a scratch object of its own.

    It is unmapped when it is closed, or when nothing refers to it any more: not before
    the last call that uses it is over, since a call holds its scratch, and that this.
    """

    def __init__(self, index: Any, keep: Any = None, *, name: str = "") -> None:
        """Own ``index``, an ``esp_index *``; ``keep`` stays alive as long.

        Errors about the file begin with ``name``.
        """
        self._index: Any = ffi.gc(index, lib.esp_index_close)
        self._name = name
        self._keep = keep
        self._local = threading.local()
        self._n_features = self.info.features

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
        check(status, error, str(path))
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
        check(lib.esp_index_open_memory(view, len(data), index, error), error)
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
        self._local = threading.local()
        if index is not None:
            ffi.release(index)

    def _open(self) -> Any:
        if self._index is None:
            raise UnsupportedError("the index is closed")
        return self._index

    @property
    def handle(self) -> Any:
        """The ``esp_index *``, for callers that drive the C API themselves."""
        return self._open()

    def verify(self) -> None:
        """Compare every checksum.

        Raises:
            IndexCorruptError: One does not match.
        """
        error = ffi.new("esp_error *")
        check(lib.esp_index_verify(self._open(), error), error, self._name)

    def validate(self) -> None:
        """Check every invariant of the format.

        Raises:
            IndexCorruptError: One does not hold.
        """
        error = ffi.new("esp_error *")
        check(lib.esp_index_validate(self._open(), error), error, self._name)

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
            check(lib.esp_index_get_section(self._open(), i, section, error), error)
            name = section_name(section.id)
            found.append(SectionInfo(name, section.offset, section.length, section.crc32c))
        return found

    def section(self, name: str, most: int | None = None) -> bytes:
        """Return a copy of a section's bytes, or its first ``most``; empty where there is none."""
        length = ffi.new("uint64_t *")
        data = lib.esp_index_section(self._open(), section_id(name), length)
        if data == ffi.NULL:
            return b""
        return bytes(ffi.buffer(data, length[0] if most is None else min(most, length[0])))

    def scratch(self, caps: Caps | None = None) -> Scratch:
        """Return a scratch object for the calling thread."""
        return Scratch(self._open, caps or Caps())

    def label_texts(self, label: int) -> tuple[str, str]:
        """Return normalised text and display text of a label.

        Raises:
            InputError: There is no such label.
        """
        return self.texts_of((label,))[0]

    def texts_of(self, labels: Iterable[int]) -> list[tuple[str, str]]:
        """Return what `label_texts` does, for many labels in a third of the time.

        Raises:
            InputError: There is no such label.
        """
        index, ask, buffer = self._open(), lib.esp_label_text, ffi.buffer
        text, display, error = ffi.new("esp_text *"), ffi.new("esp_text *"), ffi.new("esp_error *")
        found = []
        for label in labels:
            status = ask(index, label, text, display, error)
            if status:
                check(status, error)
            found.append(
                (
                    buffer(text.data, text.length)[:].decode(),
                    buffer(display.data, display.length)[:].decode(),
                )
            )
        return found

    def label_users(self, label: int) -> int:
        """Return how many distinct users typed a label."""
        return int(lib.esp_label_users(self._open(), label))

    def prefix_range(self, prefix: bytes) -> tuple[int, int]:
        """Return the labels ``[lo, hi)`` that start with ``prefix``."""
        lo = ffi.new("uint32_t *")
        hi = ffi.new("uint32_t *")
        error = ffi.new("esp_error *")
        view = ffi.from_buffer("uint8_t[]", prefix)
        check(lib.esp_prefix_range(self._open(), view, len(prefix), lo, hi, error), error)
        return lo[0], hi[0]

    def blocks(self, text: bytes) -> bool:
        """Return whether the index keeps a normalised text from being put together."""
        view = ffi.from_buffer("uint8_t[]", text)
        return bool(lib.esp_index_blocks(self._open(), view, len(text)))

    def word_chance(self, before: Sequence[bytes], word: bytes) -> float:
        """Return the probability that ``word`` comes next after the words ``before``.

        Args:
            before: Words of the query so far, in order; the last two count.
            word: Without a space; empty for the end of the query.

        Raises:
            UnsupportedError: The index has no word model.
        """
        texts, _keep = _texts(before)
        chance = ffi.new("float *")
        error = ffi.new("esp_error *")
        view = ffi.from_buffer("uint8_t[]", word)
        status = lib.esp_word_chance(
            self._open(), texts, len(before), view, len(word), chance, error
        )
        check(status, error, self._name)
        return float(chance[0])

    def likely_words(
        self, before: Sequence[bytes], prefix: bytes = b"", k: int = 10
    ) -> list[LikelyWord]:
        """Return likely words after the words ``before`` that begin with ``prefix``, best first.

        Raises:
            UnsupportedError: The index has no word model.
            LimitError: ``k`` is above 64.
        """
        texts, _keep = _texts(before)
        out = ffi.new("esp_word[]", max(k, 1))
        count = ffi.new("size_t *")
        error = ffi.new("esp_error *")
        status = lib.esp_word_likely(
            self._open(),
            texts,
            len(before),
            ffi.from_buffer("uint8_t[]", prefix),
            len(prefix),
            out,
            k,
            count,
            error,
        )
        check(status, error, self._name)
        return [
            LikelyWord(
                ffi.buffer(one.text.data, one.text.length)[:].decode() if one.text.length else None,
                one.chance,
            )
            for one in out[0 : count[0]]
        ]

    def fuzzy_ranges(
        self, prefix: bytes, *, max_distance: int = 0, max_nodes: int = 0, cap: int = 32
    ) -> tuple[list[FuzzyMatch], int]:
        """Return where labels start with something like ``prefix``, closest first.

        ``max_distance`` and ``max_nodes`` 0 are what completion corrects and how far
        it looks; at most ``cap`` ranges come back.

        Returns:
            Disjoint ranges, and how many nodes and labels were looked at.

        Raises:
            InvalidTextError: The prefix is not UTF-8.
        """
        out = ffi.new("esp_fuzzy_match[]", max(cap, 1))
        count = ffi.new("size_t *")
        visited = ffi.new("uint32_t *")
        error = ffi.new("esp_error *")
        status = lib.esp_fuzzy_ranges(
            self._open(),
            ffi.from_buffer("uint8_t[]", prefix),
            len(prefix),
            max_distance,
            max_nodes,
            out,
            cap,
            count,
            visited,
            error,
        )
        check(status, error, self._name)
        found = [
            FuzzyMatch(match.lo, match.hi, match.popularity, match.length, match.distance)
            for match in out[0 : count[0]]
        ]
        return found, visited[0]

    def predict_top(self, x: Csr, *, beam: int, k: int, threads: int = 1) -> tuple[U32, F32, U32]:
        """Rank labels for every row of ``x`` without a prefix.

        Returns:
            Labels and scores, best first, ``(n_rows, k)``, and how many of the k
            each row has, ``(n_rows,)``.
        """
        view, _keep = csr_view(x)
        longest = int(np.diff(x.row_ptr).max()) if x.n_rows else 0
        labels = np.zeros((x.n_rows, k), np.uint32)
        scores = np.zeros((x.n_rows, k), np.float32)
        counts = np.zeros(x.n_rows, np.uint32)
        edges = np.linspace(0, x.n_rows, max(1, min(threads, x.n_rows)) + 1).astype(int).tolist()

        def block(number: int) -> None:
            rows = range(edges[number], edges[number + 1])
            self._own_scratch(beam, k, longest).predict(view, rows, beam, k, labels, scores, counts)

        if len(edges) == 2:
            block(0)  # a single row takes less time than starting a thread
        else:
            with ThreadPoolExecutor(len(edges) - 1) as pool:
                list(pool.map(block, range(len(edges) - 1)))
        return labels, scores, counts

    def predict_row(self, columns: U32, values: F32, *, beam: int, k: int) -> tuple[U32, F32]:
        """Rank labels for one row: ascending ``columns`` and their ``values``.

        Returns:
            Labels and scores, best first, ``(k,)`` or shorter.
        """
        scratch = self._own_scratch(beam, k, len(columns))
        return scratch.predict_row(columns, values, self._n_features, beam, k)

    def _own_scratch(self, beam: int, k: int, features: int) -> Scratch:
        """Return the calling thread's scratch for ranking, a larger one where need be."""
        kept: Scratch | None = getattr(self._local, "ranking", None)
        if (
            kept is None
            or kept.caps.beam < beam
            or kept.caps.pool < k
            or 3 * kept.caps.prefix_bytes < features
        ):
            had = Caps(beam=1, pool=1) if kept is None else kept.caps
            caps = Caps(
                beam=max(beam, had.beam),
                pool=max(k, had.pool),
                prefix_bytes=max(features // 3 + 1, had.prefix_bytes),
            )
            kept = self._local.ranking = self.scratch(caps)
        return kept

    def predict(self, x: Csr, *, beam: int, threads: int = 1) -> tuple[U32, U32]:
        """Return the best ``beam`` labels of every row as two arrays: row, label."""
        labels, _, counts = self.predict_top(x, beam=beam, k=beam, threads=threads)
        filled = np.arange(beam) < counts[:, None]
        rows = np.repeat(np.arange(x.n_rows, dtype=np.uint32), counts)
        return rows, labels[filled]
