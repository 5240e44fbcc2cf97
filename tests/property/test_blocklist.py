"""What an index keeps out, against its definition and against the rules of a log."""

from __future__ import annotations

import unicodedata
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import InputError
from espalier.native import NativeIndex, blocklist_build
from espalier.querylog.privacy import PII, KeptOut, Rules, has_card_number
from espalier.re2 import PatternSet
from espalier.text import normalise
from tests.property.indexes import SETTLED
from tests.reference import build
from tests.reference.blocklist import parse

# Few texts, so that lists and questions meet; then any.
PIECES = st.sampled_from(
    ["a", "b", "ab", "a-b", "(a)", "a_b", "é", "e\u0301", "字", "हिन्दी", "'", "-", "b's", "x" * 9]
)
WORDS = st.one_of(
    PIECES, st.lists(PIECES, min_size=1, max_size=3).map("".join), st.text(SETTLED, max_size=20)
).map(lambda word: "".join(normalise(word).split()) or "a")
TEXTS = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
DIGITS = st.sampled_from(["0", "00", "12", "3", "020", "212", "1234", "555", "٣", "٤٥٦", "९"])
BETWEEN = st.sampled_from(
    ["", "", " ", "-", ".", "/", "(", ") ", " (", "  ", " - ", "+", "+ ", ",", "x", "de", "@", "."]
)
NUMBERS = st.lists(st.tuples(BETWEEN, DIGITS), min_size=1, max_size=9).map(
    lambda parts: "".join(between + digits for between, digits in parts).strip()
)
ADDRESSES = st.text(st.sampled_from("ab1@@.. -é"), min_size=1, max_size=9)
LABELS = [build.Label(b"a")]


@cache
def _patterns() -> PatternSet:
    return PatternSet(pattern for _, pattern in PII)


def _with_ascii_digits(text: str) -> str:
    return "".join(c if (d := unicodedata.decimal(c, None)) is None else str(d) for c in text)


def _opened(section: bytes) -> NativeIndex:
    return NativeIndex.from_bytes(build.assemble(build.sections(LABELS) | {"BLCK": section}))


@given(
    st.lists(TEXTS, unique=True, max_size=6),
    st.lists(WORDS, unique=True, max_size=6),
    st.booleans(),
    st.lists(st.one_of(TEXTS, NUMBERS, ADDRESSES), max_size=8),
)
def test_blocked_is_what_the_definition_says(
    queries: list[str], words: list[str], numbers: bool, asked: list[str]
) -> None:
    """Of the texts of the list, of some made of their parts, and of any others."""
    encoded = [text.encode() for text in queries], [word.encode() for word in words]
    section = blocklist_build(*encoded, numbers=numbers)
    twin = parse(section)

    with _opened(section) as index:
        index.validate()
        for text in [*queries, *words, *(f"{word}, {word}s" for word in words), *asked]:
            assert twin.blocks(text) == index.blocks(text.encode()), text.encode("unicode_escape")
        assert all(index.blocks(text) for text in encoded[0] + encoded[1])


@given(
    st.lists(TEXTS, unique=True, max_size=4),
    st.lists(WORDS, unique=True, max_size=4),
    st.lists(TEXTS, max_size=8),
)
def test_no_list_of_a_log_blocks_more(
    queries: list[str], words: list[str], asked: list[str]
) -> None:
    """A text is kept out of an index by its lists exactly where a log keeps it out."""
    rules = Rules(frozenset(queries), frozenset(words), (), cards=False)
    kept_out = rules.kept_out
    section = blocklist_build(
        [text.encode() for text in kept_out.queries],
        [word.encode() for word in kept_out.words],
        numbers=kept_out.numbers,
    )

    with _opened(section) as index:
        for text in [*queries, *words, *(f"({word})" for word in words), *asked]:
            assert (rules.blocked(text) is not None) == index.blocks(text.encode())


@given(st.lists(st.one_of(NUMBERS, ADDRESSES, NUMBERS.map("de{} nr".format)), max_size=30))
def test_what_a_log_drops_as_personal_is_never_put_together(drawn: list[str]) -> None:
    """No pattern for addresses, telephones, cards or other long numbers finds more."""
    texts = [text for text in map(normalise, drawn) if text]
    digits = [_with_ascii_digits(text) for text in texts]
    personal = [
        found or has_card_number(text)
        for text, found in zip(digits, _patterns().match(digits), strict=True)
    ]

    with _opened(blocklist_build([], [], numbers=True)) as index:
        for text, is_personal in zip(texts, personal, strict=True):
            assert index.blocks(text.encode()) or not is_personal, text


def test_digits_of_every_script_count() -> None:
    """Nine of them are a long number, eight are not."""
    with _opened(blocklist_build([], [], numbers=True)) as index:
        for point in range(0x110000):
            digit = chr(point)
            # Those that are decimal digits in any version of Unicode since.
            if unicodedata.ucd_3_2_0.category(digit) == "Nd" == unicodedata.category(digit):
                assert index.blocks((digit * 9).encode())
                assert not index.blocks((digit * 8).encode())


def test_the_index_of_a_log_without_rules_blocks_nothing() -> None:
    """There is no section then, and every text may be put together."""
    assert not KeptOut()
    with NativeIndex.from_bytes(build.assemble(build.sections(LABELS))) as index:
        assert not any(index.blocks(text) for text in (b"a", b"123456789", b"a@b.example", b""))


@pytest.mark.parametrize(("queries", "words"), [([b"a", b"a"], []), ([], [b"b", b"b"])])
def test_a_text_that_is_there_twice_is_refused(queries: list[bytes], words: list[bytes]) -> None:
    """A list is of distinct texts; a query may be a word as well."""
    with pytest.raises(InputError, match="twice"):
        blocklist_build(queries, words, numbers=False)
    with _opened(blocklist_build([b"a"], [b"a"], numbers=False)) as index:
        assert index.blocks(b"a b")
