"""Answers that are bytes already are the same answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import espalier
from espalier.index import Index
from espalier.native import query
from espalier.overlay import Block, Overlay, Pin
from espalier.serve.encoded import FIELD, EncodedSuggestions
from espalier.v1.completion_service_pb2 import CompleteResponse
from espalier.v1.core_pb2 import SuggestionSource
from tests.golden.make import FOLDER

INDEXES = {name: espalier.open(FOLDER / f"{name}.esp") for name in ("shop", "scripts", "session")}
PREFIXES = st.text(max_size=6) | st.sampled_from(["", "n", "ne", "niek", "é", "日", "new y"])


def message_of(found: Sequence[espalier.Suggestion]) -> CompleteResponse:
    """Return a reply with these suggestions, put together field by field."""
    reply = CompleteResponse()
    for one in found:
        reply.suggestions.add(
            text=one.text,
            display_text=one.display_text,
            score=one.score,
            source=SuggestionSource.Value(f"SUGGESTION_SOURCE_{one.source}"),
            matched_code_points=one.matched_code_points,
            matched_utf16_units=one.matched_utf16,
        )
    return reply


def encoded_by(index: Index, prefix: str, previous: Sequence[str] = (), k: int = 10) -> bytes:
    """Return what the index writes itself."""
    found = index.complete_encoded(prefix, previous, field=FIELD, k=k)
    assert found is not None
    return found.wire


@given(
    name=st.sampled_from(sorted(INDEXES)),
    prefix=PREFIXES,
    previous=st.lists(PREFIXES, max_size=3),
    k=st.integers(1, 100),
)
def test_the_bytes_are_those_of_the_message(
    name: str, prefix: str, previous: list[str], k: int
) -> None:
    """Every field of every suggestion, in the one form that encoders write."""
    index = INDEXES[name]

    expected = message_of(index.complete(prefix, previous, k=k)).SerializeToString()

    assert encoded_by(index, prefix, previous, k) == expected


def test_generated_and_corrected_ones_as_well(demo_index: Path) -> None:
    """What is no label, and what does not begin as typed."""
    seen = set()
    with espalier.open(demo_index) as index:
        for prefix in ("", "c", "camping te", "camipng", "tent f", "xqz"):
            found = index.complete(prefix, ["camping tent"])
            seen |= {one.source for one in found}
            expected = message_of(found).SerializeToString()

            assert encoded_by(index, prefix, ["camping tent"]) == expected
    assert seen == {"MODEL", "POPULAR", "TAIL", "CORRECTED"}


def test_pins_and_blocks_hold() -> None:
    """Rules are applied before anything is written."""
    index = INDEXES["shop"]
    popular = index.complete("n")[0].text
    overlay = Overlay([Pin("nq pinned", 1), Block(popular)])

    found = index.complete_encoded("n", field=FIELD, overlay=overlay)

    assert found is not None
    expected = index.complete("n", overlay=overlay)
    assert found.wire == message_of(expected).SerializeToString()
    assert expected[0].text == "nq pinned"


def test_reading_gives_the_suggestions_back() -> None:
    """Length and sources without reading, texts by reading."""
    index = INDEXES["shop"]
    expected = index.complete("n", ["nike"])
    encoded = index.complete_encoded("n", ["nike"], field=FIELD)
    assert encoded is not None

    found = EncodedSuggestions(encoded)

    assert len(found) == len(expected) == sum(found.by_source)
    fields = ("text", "display_text", "score", "source", "matched_code_points", "matched_utf16")
    for one, other in zip(found, expected, strict=True):
        assert [getattr(one, name) for name in fields] == [getattr(other, name) for name in fields]
    assert found[0].text == expected[0].text
    assert [one.text for one in found[1:3]] == [one.text for one in expected[1:3]]


def test_room_is_made_for_long_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first guess of how much an answer takes need not hold."""
    monkeypatch.setattr(query, "_WIRE_BYTES", 16)
    with espalier.open(FOLDER / "shop.esp") as index:
        expected = message_of(index.complete("n", k=50)).SerializeToString()

        assert encoded_by(index, "n", k=50) == expected
