"""RE2 by way of DuckDB."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier import re2
from espalier.re2 import PatternSet, fault

TEXTS = st.text("abxé字 ", max_size=8)


@pytest.mark.parametrize("pattern", ["(", "[", "a**", "(?=b)", r"\1"])
def test_what_is_no_expression_has_a_fault(pattern: str) -> None:
    """Back references and looking around are not in RE2 either."""
    assert fault(pattern)


@pytest.mark.parametrize("pattern", ["", "a", "^a.*b$", r"\d+", "字", "x{2,3}", "'; DROP"])
def test_an_expression_has_none(pattern: str) -> None:
    """Quotes included: patterns are bound, not pasted."""
    assert fault(pattern) is None


@given(st.lists(TEXTS, max_size=6))
def test_each_text_gets_its_verdict(texts: list[str]) -> None:
    """In order, repeated ones as well, asked for the first time or again."""
    patterns = PatternSet(["a.*b", "^x", "字$"])
    expected = [
        ("b" in t[t.find("a") :] and "a" in t) or t[:1] == "x" or t[-1:] == "字" for t in texts
    ]

    assert patterns.match(texts) == expected
    assert patterns.match(texts[::-1]) == expected[::-1]
    assert list(patterns.matching(texts)) == [
        text for text, hit in zip(texts, expected, strict=True) if hit
    ]


@pytest.mark.parametrize(
    ("patterns", "hits"),
    [
        (["a|b", "c"], "abc"),
        (["(?i)A", "B"], "aA"),
        (["(?P<n>a)", "(?P<n>b)"], "ab"),
        ([r"\Qa", r"b\Q\E"], "ab"),
        (["^a$|^b", "(c)"], "abc"),
    ],
)
def test_patterns_do_not_change_each_other(patterns: list[str], hits: str) -> None:
    """Flags, alternatives, names and quotations end with the pattern they stand in."""
    assert [c for c in "abcA" if PatternSet(patterns).match([c])[0]] == [
        c for c in "abcA" if c in hits
    ]


def test_without_patterns_nothing_matches() -> None:
    """An empty set is a set."""
    assert PatternSet([]).match(["a", ""]) == [False, False]


def test_many_texts_go_through_in_batches() -> None:
    """Twenty-five thousand are three statements."""
    texts = [f"label {i}" for i in range(25_000)]

    found = list(PatternSet(["99$"]).matching(texts))

    assert found == [text for text in texts if text.endswith("99")]


def test_verdicts_are_right_after_the_memory_was_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is forgotten is asked again."""
    monkeypatch.setattr(re2, "_CACHED", 4)
    patterns = PatternSet(["^x"])
    texts = ["x1", "y1", "x2", "y2", "x3", "y3"]

    for start in range(20):
        some = [texts[(start + i) % 6] for i in range(3)]
        assert patterns.match(some) == [text.startswith("x") for text in some]


def test_no_expression_takes_exponential_time() -> None:
    """What stalls a backtracking engine for years is answered here."""
    begin = time.monotonic()

    assert PatternSet(["(a*)*b"]).match(["a" * 4000]) == [False]
    assert time.monotonic() - begin < 60
