"""Corrected prefixes, against the distance of every beginning of every label."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import InvalidTextError
from espalier.native import FuzzyMatch
from tests.property.indexes import Pair, opened
from tests.reference import build, fuzzy

ALPHABETS = (
    "ab c",  # ASCII
    "aäoöuüß e",  # German
    "ابپتثلاکیى ",  # Arabic
    "あいうテトナ東京都",  # Japanese
    "👟👠😀☕a é",  # emoji
)
UNLIMITED = 2**32 - 1
MANY = 4096


@dataclass(frozen=True)
class Mistyped:
    """An index, and what somebody typed who meant one of its labels."""

    pair: Pair
    labels: list[str]
    popularity: list[int]
    prefix: str

    def expected(self, most: int) -> list[FuzzyMatch]:
        """Return what the definition finds."""
        return fuzzy.ranges(self.labels, self.popularity, self.prefix, most)

    def found(self, most: int, *, nodes: int = UNLIMITED, cap: int = MANY) -> list[FuzzyMatch]:
        """Return what the library finds."""
        return self.pair.native.fuzzy_ranges(
            self.prefix.encode(), max_distance=most, max_nodes=nodes, cap=cap
        )[0]


@st.composite
def _edited(draw: st.DrawFn, text: str, letters: st.SearchStrategy[str]) -> str:
    """Draw a text with up to three edits after its first code point."""
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(1, max(1, len(text) - 1)))
        before, after = text[:at], text[at:]
        text = draw(
            st.sampled_from(
                [
                    before + after[1:],
                    before + draw(letters) + after,
                    before + draw(letters) + after[1:],
                    before + after[1:2] + after[:1] + after[2:],
                ]
            )
        )
    return text


@st.composite
def mistyped(draw: st.DrawFn) -> Mistyped:
    """Draw labels in one script, many with the same beginning, and a prefix."""
    letters = st.sampled_from(draw(st.sampled_from(ALPHABETS)))
    texts = st.text(letters, min_size=1, max_size=9)
    stems = draw(st.lists(st.text(letters, min_size=1, max_size=7), min_size=1, max_size=3))
    near = st.builds(lambda stem, rest: stem + rest, st.sampled_from(stems), texts)
    drawn = draw(st.lists(st.one_of(texts, near, near), min_size=1, max_size=120))
    encoded = sorted({text.encode() for text in drawn})
    popularity = draw(st.lists(st.integers(0, 5), min_size=len(encoded), max_size=len(encoded)))
    labels = [text.decode() for text in encoded]
    meant = draw(st.sampled_from(labels))
    prefix = draw(_edited(meant[: draw(st.integers(1, len(meant)))], letters))
    made = [build.Label(text, users) for text, users in zip(encoded, popularity, strict=True)]
    return Mistyped(opened(build.sections(made)), labels, popularity, prefix)


@given(mistyped(), st.integers(1, 2))
def test_ranges_are_those_of_the_definition(case: Mistyped, most: int) -> None:
    """Without a limit on work: the same ranges, distances, lengths and order."""
    assert case.expected(most) == case.found(most)


@given(mistyped(), st.integers(1, 2), st.integers(0, 40))
def test_fewer_ranges_are_the_first_ones(case: Mistyped, most: int, cap: int) -> None:
    """The best are kept."""
    assert case.expected(most)[:cap] == case.found(most, cap=cap)


@given(mistyped(), st.integers(1, 2), st.integers(1, 300))
def test_less_work_finds_some_of_them(case: Mistyped, most: int, nodes: int) -> None:
    """Under a limit every label found is one of the definition's, at its distance."""
    near = {
        label: match.distance
        for match in case.expected(most)
        for label in range(match.lo, match.hi)
    }

    found = [
        (label, match.distance)
        for match in case.found(most, nodes=nodes)
        for label in range(match.lo, match.hi)
    ]

    assert len(found) == len(dict(found))
    assert dict(found).items() <= near.items()


@given(mistyped())
def test_what_completion_corrects_depends_on_the_length(case: Mistyped) -> None:
    """No error below four code points, one below eight, then two."""
    length = len(case.prefix)
    most = 0 if length < 4 else 1 if length < 8 else 2

    found, visited = case.pair.native.fuzzy_ranges(case.prefix.encode(), cap=MANY)

    assert (case.expected(most) if most else []) == found
    assert most > 0 or visited == 0


@given(mistyped(), st.text(max_size=90))
def test_any_text_has_an_answer(case: Mistyped, text: str) -> None:
    """Whatever is typed, ranges are disjoint and hold labels."""
    found, _ = case.pair.native.fuzzy_ranges(text.encode(), max_distance=2)

    spans = sorted((match.lo, match.hi) for match in found)
    assert all(lo < hi <= len(case.labels) for lo, hi in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert len(text) <= 64 or found == []


@given(mistyped(), st.binary(max_size=20))
def test_bytes_that_are_no_text_are_refused(case: Mistyped, typed: bytes) -> None:
    """What is not UTF-8 is an error, not a prefix without matches."""
    try:
        typed.decode()
    except UnicodeDecodeError:
        with pytest.raises(InvalidTextError):
            case.pair.native.fuzzy_ranges(typed)
    else:
        case.pair.native.fuzzy_ranges(typed)
