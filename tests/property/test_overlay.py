"""Overlays against a twin of sets and dictionaries."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from espalier.native import NativeOverlay, RawRule, RuleKind
from espalier.overlay import Block, BlockWord, Boost, BoostWord, Overlay, Pin, Rule
from espalier.text import normalise
from tests.property.indexes import SETTLED
from tests.reference.query import kind_of

# Few texts, so that rules and questions meet; then any.
PIECES = st.sampled_from(
    ["a", "b", "ab", "a-b", "(a)", "é", "字", "漢字", "字a", "👟", "'", "-", "b's"]
)
WORDS = st.one_of(
    PIECES, st.lists(PIECES, min_size=1, max_size=3).map("".join), st.text(SETTLED, max_size=4)
).map(lambda word: "".join(c for c in word if not c.isspace()) or "a")
TEXTS = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
BOOSTS = st.integers(-8, 8).map(lambda eighth: eighth / 8)
POSITIONS, LEAST = st.integers(1, 4), st.integers(0, 3)
SHOWN = st.sampled_from([b"", b"Shown"])


def raw(
    kind: RuleKind,
    texts: st.SearchStrategy[str],
    boosts: st.SearchStrategy[float] = st.just(0.0),  # noqa: B008 - strategies are values
    pins: st.SearchStrategy[tuple[int, int, bytes]] = st.just((0, 0, b"")),  # noqa: B008
) -> st.SearchStrategy[RawRule]:
    """Draw a rule of one kind."""
    return st.tuples(texts, boosts, pins).map(
        lambda drawn: RawRule(kind, drawn[0].encode(), drawn[1], *drawn[2])
    )


RAW_RULES = st.one_of(
    raw(RuleKind.BLOCK_QUERY, TEXTS),
    raw(RuleKind.BLOCK_WORD, WORDS),
    raw(RuleKind.BOOST_QUERY, TEXTS, BOOSTS),
    raw(RuleKind.BOOST_WORD, WORDS, BOOSTS),
    raw(RuleKind.PIN_QUERY, TEXTS, pins=st.tuples(POSITIONS, LEAST, SHOWN)),
)


def words_of(text: str) -> set[str]:
    """Return everything in ``text`` that a rule for a word can be about."""
    found = set()
    for token in text.split(" "):
        found.add(token)
        kinds = [kind_of(character) for character in token]
        letters = [i for i, kind in enumerate(kinds) if kind != "separator"]
        if letters:
            found.add(token[letters[0] : letters[-1] + 1])
        for run in runs(token, [kind != "separator" for kind in kinds]):
            found.add(run)
        for part in runs(token, kinds):
            found.add(part)
            if kind_of(part[0]) == "unspaced":
                ends = itertools.combinations(range(len(part) + 1), 2)
                found |= {part[begin:end] for begin, end in ends if end - begin <= 64}
    return found - {""}


def runs(text: str, kinds: Sequence[str | bool]) -> Iterator[str]:
    """Yield the longest pieces of letters whose ``kinds`` are equal."""
    at = 0
    for kind, group in itertools.groupby(kinds):
        length = len(list(group))
        if kind not in {"separator", False}:
            yield text[at : at + length]
        at += length


@dataclass
class Twin:
    """What rules mean, by definition."""

    blocked: set[str] = field(default_factory=set)
    blocked_words: set[str] = field(default_factory=set)
    boosts: dict[str, float] = field(default_factory=dict)
    word_boosts: dict[str, float] = field(default_factory=dict)
    pinned: dict[str, tuple[int, int, int, str]] = field(default_factory=dict)

    def add(self, rule: RawRule, number: int) -> None:
        """Take one more rule."""
        text = rule.text.decode()
        match rule.kind:
            case RuleKind.BLOCK_QUERY:
                self.blocked.add(text)
            case RuleKind.BLOCK_WORD:
                self.blocked_words.add(text)
            case RuleKind.BOOST_QUERY:
                self.boosts[text] = rule.boost
            case RuleKind.BOOST_WORD:
                self.word_boosts[text] = rule.boost
            case RuleKind.PIN_QUERY:
                shown = rule.display.decode() or text
                self.pinned[text] = (rule.position, number, rule.min_prefix, shown)

    def blocks(self, text: str) -> bool:
        """Return whether ``text`` is blocked."""
        return text in self.blocked or not words_of(text).isdisjoint(self.blocked_words)

    def boost(self, text: str) -> float:
        """Return what is added to the score of ``text``."""
        words = (self.word_boosts.get(word, 0.0) for word in words_of(text))
        return self.boosts.get(text, 0.0) + sum(words)

    def pins(self, prefix: str) -> list[tuple[str, str, int]]:
        """Return the pins for ``prefix``: text, display, position."""
        found = [
            (position, number, text, shown)
            for text, (position, number, least, shown) in self.pinned.items()
            if text.startswith(prefix) and least <= len(prefix) and not self.blocks(text)
        ]
        return [(text, shown, position) for position, _, text, shown in sorted(found)]


def twin_of(rules: Sequence[RawRule]) -> Twin:
    """Return the twin of an overlay of these rules."""
    twin = Twin()
    for number, rule in enumerate(rules):
        twin.add(rule, number)
    return twin


@given(st.lists(RAW_RULES, max_size=12), st.lists(TEXTS, max_size=8), st.data())
def test_an_overlay_says_what_its_rules_say(
    rules: list[RawRule], texts: list[str], data: st.DataObject
) -> None:
    """Blocks, boosts and pins are those of the definition, for texts of rules and others."""
    overlay, twin = NativeOverlay(rules), twin_of(rules)

    for text in [*texts, *(rule.text.decode() for rule in rules), ""]:
        assert overlay.blocks(text.encode()) == twin.blocks(text), text
        assert overlay.boost(text.encode()) == twin.boost(text), text
        prefix = text[: data.draw(st.integers(0, 4))]
        cap = data.draw(st.integers(0, 5))
        assert overlay.pins(prefix.encode(), cap) == twin.pins(prefix)[:cap], prefix


@given(st.lists(RAW_RULES, max_size=8), st.lists(RAW_RULES, max_size=3), TEXTS)
def test_more_rules_never_unblock(rules: list[RawRule], more: list[RawRule], text: str) -> None:
    """What is blocked stays blocked whatever else is said."""
    if NativeOverlay(rules).blocks(text.encode()):
        assert NativeOverlay([*rules, *more]).blocks(text.encode())


# Normalising makes spaces of some characters, and nothing of others.
SETTLED_WORDS = WORDS.filter(lambda word: normalise(word) and " " not in normalise(word))
CHECKED_RULES = st.one_of(
    st.builds(Block, TEXTS.filter(normalise)),
    st.builds(BlockWord, SETTLED_WORDS),
    st.builds(
        Pin,
        TEXTS.filter(normalise),
        st.integers(1, 100),
        st.integers(0, 5),
        st.sampled_from(["", "Shown"]),
    ),
    st.builds(Boost, TEXTS.filter(normalise), BOOSTS),
    st.builds(BoostWord, SETTLED_WORDS, BOOSTS),
)


@given(st.lists(CHECKED_RULES, max_size=10), st.lists(CHECKED_RULES, max_size=4))
def test_rules_added_one_by_one_are_rules_added_together(
    rules: list[Rule], more: list[Rule]
) -> None:
    """``with_`` is a longer list, and ``without`` takes back what it brought."""
    grown = Overlay(rules).with_(*more)

    assert grown == Overlay([*rules, *more])
    assert grown == Overlay(grown.rules), "settled rules are settled"
    left = {(type(rule), rule.text) for rule in grown.without(*more).rules}
    brought = {(type(rule), rule.text) for rule in Overlay(more).rules}
    assert left == {(type(rule), rule.text) for rule in grown.rules} - brought
