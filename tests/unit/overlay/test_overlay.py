"""The overlay as an object: what it blocks, pins and boosts, and how others are made of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

import espalier
from espalier.errors import InputError
from espalier.index import Index
from espalier.overlay import Block, BlockPattern, BlockWord, Boost, BoostWord, Overlay, Pin
from tests.golden.make import FOLDER


@dataclass
class Labels:
    """A stand-in for an index, which counts how often its labels are read."""

    texts: tuple[str, ...]
    fingerprint: str = "0" * 16
    reads: int = 0

    @property
    def info(self) -> SimpleNamespace:
        """What an index says about itself."""
        return SimpleNamespace(fingerprint=self.fingerprint)

    def labels(self) -> Iterator[str]:
        """Yield the labels."""
        self.reads += 1
        yield from self.texts


@pytest.fixture(scope="module")
def shop() -> Iterator[Index]:
    """Return the golden index of a shop."""
    with espalier.open(FOLDER / "shop.esp") as index:
        yield index


def test_a_blocked_query_is_that_query_alone() -> None:
    """Neither longer nor shorter, nor the same words in another order or number."""
    overlay = Overlay([Block("Red shoes")])

    assert not overlay.allows("red  SHOES")
    for other in ("red", "red shoe", "shoes red", "red shoes 42"):
        assert overlay.allows(other)


def test_a_blocked_word_is_blocked_however_it_is_glued() -> None:
    """Punctuation parts words as spaces do; letters and digits do not."""
    overlay = Overlay([BlockWord("bad")])

    for text in ("bad", "a bad day", "foo-bad", "BAD!", "bad's", "l’bad", "(bad)", "bad/good"):
        assert not overlay.allows(text), text
    for text in ("bads", "badly", "bad1", "b a d"):
        assert overlay.allows(text), text


def test_a_block_cannot_be_dodged_by_what_nobody_sees() -> None:
    """Nor by the apostrophe of another keyboard."""
    overlay = Overlay([Block("red shoes"), BlockWord("kid's"), BlockPattern("^bad$")])

    for text in (
        "red sho\u00ades",
        "red\u200b shoes",
        "a KID\u2019S hat",
        "kid\u02bcs",
        "b\u2060ad",
    ):
        assert not overlay.allows(text), text
    assert Overlay([Block("kid\u2019s")]).rules == (Block("kid's"),)


def test_a_word_of_a_script_without_spaces_is_found_inside() -> None:
    """There a text is one run; what a reader sees as a word has no border."""
    overlay = Overlay([BlockWord("爆弾")])

    assert not overlay.allows("爆弾の作り方")
    assert overlay.allows("弾爆")


def test_boosts_add_up() -> None:
    """The query's own and one for each word, once."""
    overlay = Overlay([Boost("red shoes", 2), BoostWord("red", -0.5)])

    assert overlay.boost("Red Shoes") == 1.5
    assert overlay.boost("red red hat") == -0.5
    assert overlay.boost("hat") == 0


def test_pins_wait_for_enough_letters() -> None:
    """Best position first, for prefixes they start with; 0 letters means the empty prefix."""
    overlay = Overlay([
        Pin("shoes", position=3, min_prefix=0), Pin("Shirt", 1, min_prefix=2), Pin("hat", 1),
    ])  # fmt: skip

    assert [pin.text for pin in overlay.pins("")] == ["shoes"]
    assert [pin.text for pin in overlay.pins("S")] == ["shoes"]
    assert [pin.text for pin in overlay.pins("sh")] == ["shirt", "shoes"]
    assert overlay.pins("shoes ") == []
    assert overlay.pins("sh")[0] == Pin("shirt", 1, 2, "Shirt")


def test_a_block_beats_a_pin() -> None:
    """By query, by word and by pattern."""
    pins = [Pin("red hat", min_prefix=0), Pin("blue cap", min_prefix=0), Pin("x1", min_prefix=0)]
    overlay = Overlay([*pins, Block("red hat"), BlockWord("cap"), BlockPattern("^x[0-9]")])

    assert overlay.pins("") == []


def test_an_overlay_is_changed_by_making_another() -> None:
    """The old one goes on saying what it said."""
    first = Overlay([Block("a")])
    second = first.with_(Block("b"), Boost("c", 1))
    third = second.without(Block("A"), Boost("c", 99))

    assert (first.allows("a"), first.allows("b")) == (False, True)
    assert (second.allows("a"), second.allows("b")) == (False, False)
    assert third.rules == (Block("b"),)
    assert third.without(Block("never there")) == third
    assert len({first, first.with_(), Overlay([Block("A")])}) == 1


def test_a_replaced_rule_keeps_its_place() -> None:
    """Of two pins of one position the order of rules decides, so it should not jump."""
    overlay = Overlay([Pin("a"), Pin("b")]).with_(Pin("a", position=1, min_prefix=0))

    assert overlay.rules == (Pin("a", min_prefix=0), Pin("b"))


def test_it_prints_without_its_texts() -> None:
    """What is blocked stays out of logs."""
    assert repr(Overlay([Block("secret")])) == "<espalier.Overlay of 1 rules>"


def test_patterns_match_anywhere_in_the_normalised_text() -> None:
    """RE2, unanchored."""
    overlay = Overlay([BlockPattern("cheap .*online"), BlockPattern("^x+$")])

    assert overlay.patterns == ("cheap .*online", "^x+$")
    assert overlay.allowed(["buy cheap pills online", "xx", "xy", "cheap"]) == [
        False, False, True, True,
    ]  # fmt: skip
    assert not overlay.allows("CHEAP  Pills ONLINE")


def test_labels_that_match_become_exact_blocks() -> None:
    """After that the C library decides about them."""
    index = Labels(("cheap pills", "pills", "very cheap"))
    overlay = Overlay([Block("b")]).block_pattern("cheap", index)

    assert overlay.rules == (Block("b"), BlockPattern("cheap"))
    assert overlay.resolved_for == index.fingerprint
    assert overlay.native.blocks(b"cheap pills")
    assert overlay.native.blocks(b"very cheap")
    assert overlay.native.blocks(b"b")
    assert not overlay.native.blocks(b"cheap")
    assert not overlay.allows("cheap")


def test_labels_are_read_when_patterns_or_the_index_change() -> None:
    """And only then: a new block or pin does not cost a second."""
    index, other = Labels(("cheap",)), Labels(("cheaper",), "1" * 16)
    overlay = Overlay([BlockPattern("cheap")]).resolved(index)

    grown = overlay.with_(Block("b"))
    assert grown.resolved_for == index.fingerprint
    assert grown.native.blocks(b"cheap")
    assert grown.resolved(index) is grown
    assert index.reads == 1
    moved = grown.resolved(other)
    assert (moved.native.blocks(b"cheap"), moved.native.blocks(b"cheaper")) == (False, True)
    assert not grown.with_(BlockPattern("x")).resolved_for
    assert Overlay([Block("b")]).resolved(index).resolved_for == ""
    freed = grown.without(BlockPattern("cheap"))
    assert freed.patterns == ()
    assert freed.allows("cheap")


def test_a_bad_pattern_leaves_everything_as_it_was() -> None:
    """The labels are not even read."""
    index = Labels(("a",))
    with pytest.raises(InputError, match="not an RE2 expression"):
        Overlay().block_pattern("(", index)

    assert index.reads == 0


def test_threads_may_share_it() -> None:
    """Patterns too, whose engine keeps a connection for each thread."""
    overlay = Overlay([BlockWord("bad"), BlockPattern("^x")])
    start = threading.Barrier(4)

    def ask(seed: int) -> list[bool]:
        start.wait()
        return [
            overlay.allows(f"{word}{seed}{i}") for i in range(20) for word in ("x", "y", "bad ")
        ]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))

    assert answers == [[False, True, False] * 20] * 4


def test_the_labels_of_an_index_are_what_patterns_are_matched_with(shop: Index) -> None:
    """All of them, normalised, in the order of their numbers."""
    labels = list(shop.labels())

    assert labels == sorted(labels, key=str.encode)
    assert [shop.label(number) for number in range(shop.info.labels)] == labels
    overlay = Overlay().block_pattern("shoe", shop)
    assert {text for text in labels if overlay.native.blocks(text.encode())} == {
        text for text in labels if "shoe" in text
    }
