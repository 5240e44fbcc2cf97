"""Rules: what is kept of them, and what they are told when they cannot be kept."""

from __future__ import annotations

from typing import Any

import pytest

from espalier.errors import InputError, InvalidTextError
from espalier.overlay import Block, BlockPattern, BlockWord, Boost, BoostWord, Overlay, Pin, Rule
from espalier.overlay.rules import MAX_TEXT_BYTES


def test_texts_are_normalised_like_queries() -> None:
    """Capitals, width and spaces of a rule do not decide what it is about."""
    overlay = Overlay([Block("  Rolex\tREPLICA "), BlockWord("ＦＡＫＥ"), Boost("Straße", 1)])

    assert overlay.rules == (Block("rolex replica"), BlockWord("fake"), Boost("strasse", 1))


def test_a_pin_is_shown_as_it_was_written() -> None:
    """The display text is the text before normalisation, unless one is given."""
    written = Overlay([Pin("Summer  Sale")]).rules[0]
    given = Overlay([Pin("summer sale", display="SALE!")]).rules[0]
    plain = Overlay([Pin("summer sale")]).rules[0]

    assert written == Pin("summer sale", display="Summer Sale")
    assert given == Pin("summer sale", display="SALE!")
    assert plain == Pin("summer sale")


def test_of_two_rules_about_the_same_the_later_counts() -> None:
    """Kind and normalised text make two rules the same."""
    overlay = Overlay([Boost("tent", 1), BoostWord("tent", 2), Boost("Tent", 3)])

    assert overlay.rules == (Boost("tent", 3), BoostWord("tent", 2))


# What a file or an untyped caller may hand over.
loose_block: Any = Block
loose_boost: Any = Boost
loose_pin: Any = Pin
BAD: list[tuple[Any, str]] = [
    ("block this", r"rule 2: a str; give a rule of espalier\.overlay"),
    (Block(" \t"), r"rule 2 \(block\): its text is empty"),
    (loose_block(7), r"rule 2 \(block\): its text must be a string"),
    (Block("x" * (MAX_TEXT_BYTES + 1)), r"above 4,096 bytes; shorten it"),
    (Block("ﷺ" * 400), r"above 4,096 bytes; shorten it"),  # grows when normalised
    (BlockWord("two words"), r"rule 2 \(block_word\): a word has no space in it"),
    (BoostWord("two words", 1), r"rule 2 \(boost_word\): a word has no space in it"),
    (Boost("tent", float("nan")), r"by must be a number within 1,000,000 of 0"),
    (Boost("tent", float("inf")), r"by must be a number within 1,000,000 of 0"),
    (Boost("tent", -(10**400)), r"by must be a number within 1,000,000 of 0"),
    (loose_boost("tent", "1"), r"by must be a number"),
    (Boost("tent", True), r"by must be a number"),
    (Pin("tent", position=0), r"position must be a whole number from 1 to 100"),
    (Pin("tent", position=101), r"position must be a whole number from 1 to 100"),
    (loose_pin("tent", position=1.0), r"position must be a whole number"),
    (Pin("tent", min_prefix=-1), r"min_prefix must be a whole number from 0 to 1,024"),
    (Pin("tent", min_prefix=True), r"min_prefix must be a whole number"),
    (Pin("tent", display="x" * (MAX_TEXT_BYTES + 1)), r"its display is above 4,096 bytes"),
    (loose_pin("tent", display=None), r"its display must be a string"),
    (BlockPattern("(unclosed"), r"rule 2 \(block_pattern\): not an RE2 expression"),
    (BlockPattern("(?=ahead)"), r"not an RE2 expression"),
    (BlockPattern(""), r"its pattern must be a string of 1 to 1000 characters"),
    (BlockPattern("x" * 1001), r"its pattern must be a string of 1 to 1000 characters"),
]


@pytest.mark.parametrize(("rule", "says"), BAD)
def test_a_bad_rule_is_named_with_its_number_and_the_fix(rule: Any, says: str) -> None:
    """Rules are counted from 1."""
    with pytest.raises(InputError, match=says):
        Overlay([Block("fine"), rule])


@pytest.mark.parametrize("kind", [Block, BlockWord, BlockPattern, Pin])
def test_a_lone_surrogate_is_no_text(kind: type[Any]) -> None:
    """It could be in no query."""
    with pytest.raises(InvalidTextError, match=r"rule 1 .*lone surrogate"):
        Overlay([kind("a\ud800")])


@pytest.mark.parametrize(
    "rule", [Block("secret  " * 999), BlockWord("secret word"), Boost("secret", float("nan"))]
)
def test_messages_hold_no_query_text(rule: Rule) -> None:
    """Errors reach logs; what is blocked should not."""
    with pytest.raises(InputError) as caught:
        Overlay([rule])

    assert "secret" not in str(caught.value)
