"""Normalisation: laws over all of Unicode, and cases worth naming."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import espalier
from espalier.errors import InvalidTextError
from espalier.text import Query, normalise, normalise_prefix, utf16_length, visible

ANY = st.text(st.characters(exclude_categories=["Cs"]))
"""All of Unicode but surrogates, unassigned code points included."""
TRICKY = st.text(
    "aA \u0345\u0301\u0300\u03b1\u1fcc\u1f88\u0130\u00df\ufb03\u2126\u0132\uaab8\u00a8\x00"
)
"""Characters whose folding, composition and order of marks meet."""


@cache
def _composing() -> frozenset[str]:
    """Return characters that change what stands before them: marks, jamo, second halves."""
    second = set()
    for point in range(sys.maxunicode + 1):
        parts = unicodedata.decomposition(chr(point)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            second.add(chr(int(parts[1], 16)))
    jamo = {chr(point) for point in (*range(0x1160, 0x1200), *range(0xD7B0, 0xD800))}
    return frozenset(second | jamo)


def _stands_alone(character: str) -> bool:
    folded = unicodedata.normalize("NFKC", character).casefold()
    return all(
        not unicodedata.combining(c) and c not in _composing()
        for c in unicodedata.normalize("NFKD", folded)[:1] + folded
    )


ALONE = st.text(st.characters(exclude_categories=["Cs", "Mn", "Mc", "Me"]).filter(_stands_alone))
"""Texts in which no character composes with the one before."""


@given(st.one_of(ANY, TRICKY))
@example("\u0345\u0301\u03b1")
@example("\u1e9e\u0130\ufb03")
@example("\u03a9\u0345\u0300 \u2126")
def test_normalising_twice_changes_nothing(text: str) -> None:
    """Labels made from normalised text are what a query for them becomes."""
    once = normalise(text)

    assert once == normalise(once)


@given(st.one_of(ANY, TRICKY))
def test_prefixes_are_normalised_once_too(text: str) -> None:
    """A normalised prefix stays as it is, its trailing space included."""
    once = normalise_prefix(text)

    assert once == normalise_prefix(once)
    assert normalise(text) == once.removesuffix(" ")


@given(st.one_of(ANY, TRICKY))
def test_equivalent_texts_are_equal(text: str) -> None:
    """Composed or decomposed, upper or lower case, text is the same query."""
    once = normalise(text)

    assert once == normalise(unicodedata.normalize("NFD", text))
    assert once == normalise(unicodedata.normalize("NFC", text))


@given(st.one_of(ANY, TRICKY))
@example("\u1fcc\u0301\uaab8")
def test_lower_case_is_the_same_query(text: str) -> None:
    """Capitals make no difference, whatever marks they carry."""
    assert normalise(text) == normalise(text.lower())


@given(ANY)
def test_normalised_text_has_single_inner_spaces(text: str) -> None:
    """No control characters, no white space but single spaces between other characters."""
    once = normalise(text)

    assert once == " ".join(once.split())
    assert not any(unicodedata.category(c) == "Cc" for c in once)
    once.encode()


@given(ALONE)
@example("Straße İstanbul  x")
@example("  two\t words \x00 three ")
@example("ﬁne ½ ㎏")
def test_a_label_typed_letter_by_letter_stays_a_prefix(text: str) -> None:
    """Every beginning of a text, normalised as a prefix, begins the normalised text."""
    # The space typed last is only lost at the very end.
    label = normalise(text) + " "
    for cut in range(len(text) + 1):
        assert label.startswith(normalise_prefix(text[:cut]))


@given(ALONE, ALONE)
def test_what_is_typed_next_changes_nothing_before(text: str, more: str) -> None:
    """Typing on only adds to a normalised prefix."""
    assert (normalise_prefix(text + more) + " ").startswith(normalise_prefix(text))


@given(ANY, st.integers(0xD800, 0xDFFF), ANY)
def test_lone_surrogates_are_refused(before: str, surrogate: int, after: str) -> None:
    """Half of a pair is no text; the message tells where it is and holds none of it."""
    for function in (normalise, normalise_prefix):
        with pytest.raises(InvalidTextError, match="lone surrogate") as caught:
            function(before + chr(surrogate) + after)
        assert f"position {len(before)};" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("   ", ""),
        (" \t\r\n\x0b\x0c ", ""),
        ("\u00a0\u2003\u3000", ""),
        ("\x00\x1f\x7f\x85", ""),
        ("a\x00b", "a b"),
        ("Nike  AIR\tMax ", "nike air max"),
        ("ＮＩＫＥ　１２", "nike 12"),
        ("Straße", "strasse"),
        ("ΟΔΟΣ", "οδοσ"),
        ("Cafe\u0301", "café"),
        ("ﬁ ½ ℡", "fi 1⁄2 tel"),
        ("İ", "i\u0307"),
        ("שָׁלוֹם", "שָׁלוֹם"),
        ("مَرْحَبًا", "مَرْحَبًا"),
        ("\u0301x", "\u0301x"),
        ("👩‍💻", "👩‍💻"),
        ("Levi\u2019s \u2018501\u2019", "levi's '501'"),
        ("Hawai\u02bbi rock \u02bcn\u02bc roll \u0149", "hawai'i rock 'n' roll 'n"),
        ("\u201eTee\u201c \u201ccup\u201d \u00abthé\u00bb", '"tee" "cup" "thé"'),
        ("5\u2032 6\u2033", "5' 6\""),
        ("sneak\u00aders\u200b \u2060\ufeffxl\u200e\u200f\u061c", "sneakers xl"),
        ("\u202atent\u202c \u2066\u202ered\u2069", "tent red"),
        ("e\u00ad\u0301", "é"),
        ("\u200b\u00ad", ""),
        ("می\u200cخواهم क्\u200dष", "می\u200cخواهم क्\u200dष"),
    ],
)
def test_named_cases(text: str, expected: str) -> None:
    """White space, control characters, width, case, composition, right-to-left, marks."""
    assert expected == normalise(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" ", ""),
        ("new", "new"),
        ("new ", "new "),
        ("new   ", "new "),
        ("new\t", "new "),
        ("new\x00", "new "),
        ("new\u3000", "new "),
        (" new", "new"),
        ("new \u200b", "new "),
        ("new\u00ad", "new"),
        ("new\u200b \ufeff", "new "),
        ("\u200b ", ""),
    ],
)
def test_a_prefix_keeps_one_trailing_space(text: str, expected: str) -> None:
    """With and without a space behind it a word asks for different completions."""
    assert expected == normalise_prefix(text)


INVISIBLE = st.sampled_from(
    "\u00ad\u200b\u2060\ufeff\u200e\u200f\u061c"
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


@given(st.one_of(ANY, TRICKY), INVISIBLE, st.integers(0, 50))
def test_what_nobody_sees_makes_no_difference(text: str, character: str, at: int) -> None:
    """Wherever it stands, it is another way to write the same query; so is it in a prefix."""
    written = text[:at] + character + text[at:]

    assert normalise(written) == normalise(text)
    assert normalise_prefix(written) == normalise_prefix(text)
    assert visible(written) == visible(text)
    assert character not in normalise(written)


def test_texts_are_folded_in_one_place() -> None:
    """What a log is read with is what a prefix is: nobody else folds or composes text."""
    package = Path(espalier.__file__).parent
    folding = re.compile(r"unicodedata\.normalize|nfc_normalize|strip_accents")
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if path.parent.name != "v1" and folding.search(path.read_text(encoding="utf-8"))
    }

    assert found == {"text.py"}


@given(ANY)
def test_utf16_length_is_what_browsers_count(text: str) -> None:
    """Characters outside the basic plane count two."""
    assert len(text.encode("utf-16-le")) // 2 == utf16_length(text)


@given(st.text("abcdefgh", min_size=8))
def test_a_query_hides_its_text(text: str) -> None:
    """The representation tells length and a hash, however it is asked for."""
    query = Query(text)

    for shown in (repr(query), f"{query!r}", f"{[query]}"):
        assert text not in shown
        assert f"{len(text)} characters" in shown
    assert query == text
    assert text == str(query)
