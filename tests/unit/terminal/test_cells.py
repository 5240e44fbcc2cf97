"""Text on a grid: cut where a terminal can show it, never in the middle of a character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.console import cells, printable
from espalier.terminal.cells import fit, fit_end, without_last

TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("aé東\u0301\u200d\u200c👩🏽ا\u3000"),
    ),
    max_size=40,
)


@pytest.mark.parametrize(
    ("text", "width", "beginning", "end"),
    [
        ("tent", 4, "tent", "tent"),
        ("tents", 4, "ten…", "…nts"),
        ("tents", 1, "…", "…"),
        ("tents", 0, "", ""),
        ("", 0, "", ""),
        ("東京タワー", 10, "東京タワー", "東京タワー"),
        ("東京タワー", 6, "東京…", "…ワー"),
        ("東京タワー", 9, "東京タワ…", "…京タワー"),
        ("cafe\u0301s", 4, "caf…", "…fe\u0301s"),
        ("cafe\u0301s", 2, "c…", "…s"),
        ("a\u3000b\tc", 5, "a b c", "a b c"),
        ("a\u202eb", 8, "a\\u202eb", "a\\u202eb"),
    ],
)
def test_text_that_is_too_wide_is_cut_and_says_so(
    text: str, width: int, beginning: str, end: str
) -> None:
    """The beginning of a suggestion is kept, of a typed line the end."""
    assert fit(text, width) == beginning
    assert fit_end(text, width) == end


@given(TEXTS, st.integers(0, 30))
def test_what_was_cut_fits_and_is_part_of_the_text(text: str, width: int) -> None:
    """No width is exceeded, by any script, and nothing is made up."""
    shown = printable("".join(" " if c.isspace() else c for c in text))

    for cut, whole in ((fit(text, width), shown), (fit_end(text, width), shown)):
        assert cells(cut) <= width
        assert cut == whole or cut.replace("…", "") in whole
    if cells(shown) <= width:
        assert fit(text, width) == fit_end(text, width) == shown
    elif width:
        assert cells(fit(text, width)) >= width - 1
        assert fit(text, width).startswith(shown[: len(fit(text, width)) - 1])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("", ""),
        ("a", ""),
        ("ab", "a"),
        ("e\u0301", ""),
        ("ae\u0301\u0323", "a"),
        ("a\u0301", ""),
        ("\u0301", ""),
        ("ホテル", "ホテ"),
        ("हि", ""),
        ("a👩\u200d👩\u200d👧", "a"),
        ("a👍🏽", "a"),
        ("می\u200cخ", "می\u200c"),
    ],
)
def test_deleting_takes_what_a_reader_calls_a_character(text: str, left: str) -> None:
    """A letter goes with its marks, a family with all its members."""
    assert without_last(text) == left


@given(TEXTS)
def test_deleting_ends(text: str) -> None:
    """Each time something goes, from the end, until nothing is left."""
    while text:
        shorter = without_last(text)
        assert text.startswith(shorter)
        assert len(shorter) < len(text)
        text = shorter
