"""Suggestions that are bytes of a reply already, and texts only where somebody reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, overload

from espalier.native import Encoded, Source
from espalier.serve.indexes import Suggested
from espalier.v1.completion_service_pb2 import CompleteResponse

FIELD: Final = CompleteResponse.SUGGESTIONS_FIELD_NUMBER
"""Of a reply, where its suggestions are."""

_SOURCES: Final = tuple(source.name or "" for source in Source)


class _Read(NamedTuple):
    text: str
    display_text: str
    score: float
    source: str
    matched_code_points: int
    matched_utf16: int


class EncodedSuggestions(Sequence[Suggested]):
    """The suggestions of one answer. Reading them decodes all, once."""

    __slots__ = ("_encoded", "_read")

    def __init__(self, encoded: Encoded) -> None:
        """Take what an index found."""
        self._encoded = encoded
        self._read: tuple[_Read, ...] | None = None

    @property
    def by_source(self) -> tuple[int, int, int, int]:
        """How many there are of each source, in the order of `espalier.index.Source`."""
        return self._encoded.by_source

    def put_into(self, reply: CompleteResponse) -> None:
        """Add them to a reply."""
        reply.MergeFromString(self._encoded.wire)

    def __len__(self) -> int:
        """Return how many there are, without reading them."""
        return self._encoded.total

    def __iter__(self) -> Iterator[Suggested]:
        """Yield them, best first."""
        return iter(self._texts())

    @overload
    def __getitem__(self, at: int) -> Suggested: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Suggested]: ...
    def __getitem__(self, at: int | slice) -> Suggested | Sequence[Suggested]:
        """Return one or some of them."""
        return self._texts()[at]

    def _texts(self) -> tuple[_Read, ...]:
        if self._read is None:
            self._read = tuple(
                _Read(
                    one.text,
                    one.display_text,
                    one.score,
                    _SOURCES[one.source - 1],
                    one.matched_code_points,
                    one.matched_utf16_units,
                )
                for one in CompleteResponse.FromString(self._encoded.wire).suggestions
            )
        return self._read
