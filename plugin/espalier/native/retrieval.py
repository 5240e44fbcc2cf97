"""One thread's queries for products on one index."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from espalier.errors import LimitError
from espalier.native.attributes import NativeFilter
from espalier.native.border import F32, U32, check, ffi, lib
from espalier.native.query import Caps, Scratch
from espalier.native.reading import NativeIndex

_MODEL_ONLY = int(lib.ESP_RETRIEVAL_MODEL_ONLY)
_FEATURES = int(lib.ESP_RETRIEVAL_FEATURES)
_POPULAR = int(lib.ESP_RETRIEVAL_POPULAR)

Analysed = tuple[bytes, bytes]
"""A query as the library takes it: its stems, one space between two, and its normalised
text, both UTF-8."""


class RawProduct(NamedTuple):
    """A product as the C library gives it.

    Attributes:
        label: Its number.
        score: What orders.
        model: Score of the tree.
        host_rank: Place in the other engine's list from 1, 0: not in it.
    """

    label: int
    score: float
    model: float
    host_rank: int


def retrieval_feature_names() -> tuple[str, ...]:
    """Return the names of a product's features, in order."""
    return tuple(
        ffi.string(lib.esp_retrieval_feature_name(i)).decode()
        for i in range(lib.esp_retrieval_feature_count())
    )


def retrieval_features_id() -> int:
    """Return the fingerprint of the list of features."""
    return int(lib.esp_retrieval_features_id())


class Retrieval:
    """What one thread needs to ask an index for products. Not shared between threads."""

    __slots__ = ("_count", "_error", "_index", "_out", "_previous", "_query", "_scratch", "caps")

    def __init__(self, index: NativeIndex, caps: Caps) -> None:
        """Allocate everything queries need, once."""
        self.caps = caps
        self._index = index
        self._scratch: Scratch = index.scratch(caps)
        self._query = ffi.new("esp_retrieval *")
        self._query.struct_size = ffi.sizeof("esp_retrieval")
        self._previous = ffi.new("esp_text[]", 2 * caps.previous)
        self._query.previous = self._previous
        self._out = ffi.new("esp_product[]", caps.k)
        self._count = ffi.new("size_t *")
        self._error = ffi.new("esp_error *")

    def ask(
        self,
        asked: Analysed,
        k: int,
        *,
        beam: int = 0,
        pool: int = 0,
        host: Sequence[int] = (),
        model_only: bool = False,
        features: bool = False,
        popular: bool = False,
        previous: Sequence[Analysed] = (),
        previous_weight: float = 0.0,
        chosen: NativeFilter | None = None,
    ) -> list[RawProduct]:
        """Return at most ``k`` products, best first.

        Args:
            asked: The query.
            k: Products wanted.
            beam: Nodes kept per level; 0: the index's own.
            pool: Products the tree hands on; 0: the index's own.
            host: Labels another engine found, distinct, best first.
            model_only: Order by the tree even where there is a scorer.
            features: Give candidates their features whatever orders them.
            popular: Where nothing is found, what most queries were paired with.
            previous: Queries before this one, most recent first.
            previous_weight: Of the first of them against this one; each next has half.
            chosen: What products must have.

        Raises:
            LimitError: A number above what this object was made for.
            UnsupportedError: The index has no products, or no attributes to filter by.
            IndexCorruptError: The index is damaged where the query met it.
        """
        query = self._query
        if len(previous) > self.caps.previous:
            raise LimitError(
                f"{len(previous)} previous queries, at most {self.caps.previous}; send the newest"
            )
        # Buffers given to C are kept alive by this list until the call is over.
        views: list[Any] = []
        targets = [query.words, query.text, *self._previous[0 : 2 * len(previous)]]
        for target, data in zip(targets, chain(asked, *previous), strict=True):
            views.append(ffi.from_buffer("uint8_t[]", data))
            target.data, target.length = views[-1], len(data)
        query.n_previous, query.previous_weight = len(previous), previous_weight
        query.filter = ffi.NULL if chosen is None else chosen.handle
        listed = ffi.new("uint32_t[]", list(host)) if host else ffi.NULL
        query.host, query.n_host = listed, len(host)
        query.k, query.beam, query.pool = k, beam, pool
        query.flags = _MODEL_ONLY * model_only | _FEATURES * features | _POPULAR * popular
        status = lib.esp_retrieve(
            self._index.handle,
            self._scratch.handle,
            query,
            self._out,
            self.caps.k,
            self._count,
            self._error,
        )
        del views
        check(status, self._error)
        return [
            RawProduct(one.label, one.score, one.model, one.host_rank)
            for one in self._out[0 : self._count[0]]
        ]

    def described(self) -> tuple[U32, F32]:
        """Return labels and features of what the last query ranked: ``(n,)``, ``(n, features)``."""
        labels = ffi.new("uint32_t **")
        rows = ffi.new("float **")
        n = int(lib.esp_scratch_get_retrieved(self._scratch.handle, labels, rows))
        width = int(lib.esp_retrieval_feature_count())
        if not n:
            return np.zeros(0, np.uint32), np.zeros((0, width), np.float32)
        return (
            np.frombuffer(ffi.buffer(labels[0], 4 * n), np.uint32).copy(),
            np.frombuffer(ffi.buffer(rows[0], 4 * n * width), np.float32).reshape(n, width).copy(),
        )
