"""What follows what from query to query, against a count by definition."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.settings import TrainSettings
from espalier.train import moves, ngrams, relations
from espalier.train.affixes import RULES, affix_of
from espalier.train.ngram_file import STEP
from espalier.train.rows import Labels, choose_labels
from tests.reference import words as reference
from tests.unit.train.conftest import make_log
from tests.unit.train.typed import Sessions, log_of_sessions, sessions

WORDS = ("red", "shoe", "shoes", "boot", "boots", "boat", "靴", "靴下", "x" * 256, "boots.com")
Pair = tuple[str, str]


def steps_of(typed: Sessions, back: int) -> Iterator[tuple[int, str, str]]:
    """Yield who went from which query to which, over ``back`` queries of a session."""
    for user, queries in typed:
        for before, after in zip(queries, queries[back:], strict=False):
            if before != after:
                yield user, before, after


def word_people(typed: Sessions, known: set[str]) -> dict[Pair, set[int]]:
    """Return who typed a word after a query with a word, by looking at everything."""
    people: dict[Pair, set[int]] = defaultdict(set)
    for back in (1, 2):
        for user, before, after in steps_of(typed, back):
            first = known.intersection(before.split(" "))
            for right in known.intersection(after.split(" ")):
                for left in {right} if right in first else first:
                    people[left, right].add(user)
    return people


def rule_people(people: dict[Pair, set[int]]) -> dict[tuple[bool, bytes, bytes], set[int]]:
    """Return who changed a word as each rule does."""
    found: dict[tuple[bool, bytes, bytes], set[int]] = defaultdict(set)
    for (left, right), users in people.items():
        affix = affix_of(left.encode(), right.encode()) if left != right else None
        if affix is not None:
            found[affix] |= users
    return found


def followers_of(typed: Sessions, labels: Labels) -> dict[tuple[int, int], set[int]]:
    """Return who typed a label right after a label."""
    number = {text: i for i, text in enumerate(labels.texts)}
    people: dict[tuple[int, int], set[int]] = defaultdict(set)
    for user, before, after in steps_of(typed, 1):
        if before in number and after in number:
            people[number[before], number[after]].add(user)
    return people


def section_of(typed: Sessions, least: int) -> tuple[ngrams.Tokens, Labels | None, bytes]:
    """Return the vocabulary, the labels and the section of a log."""
    log = log_of_sessions(typed)
    tokens = ngrams.tokenise(log, least)
    if not (log.users >= least).any():
        return tokens, None, b""
    labels = choose_labels(log, TrainSettings(min_users=least))
    found = relations.relations_of(log, tokens, labels, least)
    return tokens, labels, b"" if found is None else found.section()


@given(sessions(WORDS, longest=5), st.integers(1, 3), st.sampled_from([1, 5, 40, 1 << 20]))
def test_pairs_of_words_are_counted_in_people(typed: Sessions, least: int, share: int) -> None:
    """Whatever number of words is dealt with at a time: pairs, their people, who asked."""
    tokens = ngrams.tokenise(log_of_sessions(typed), least)
    people = word_people(typed, set(tokens.words))
    both = [moves.moves_of(log_of_sessions(typed), back) for back in (1, 2)]
    text = tokens.words
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moves, "SHARE", share)
        shares = list(moves.word_pairs(tokens, both)) if text else []

    assert list(range(len(text))) == [word for one in shares for word in one.words]
    found: dict[Pair, set[int]] = {}
    for one in shares:
        ends = np.cumsum(one.people)
        order = list(zip(one.before.tolist(), one.after.tolist(), strict=True))
        assert sorted(order) == order
        for (left, right), size, end in zip(order, one.people, ends, strict=True):
            found[text[left], text[right]] = set(one.user[end - size : end].tolist())
        for word, asked in zip(one.words, one.asked.tolist(), strict=True):
            users = set().union(*(who for pair, who in people.items() if pair[0] == text[word]))
            assert len(users) == asked
    assert people == found


@given(sessions(WORDS, longest=5), st.integers(1, 3))
def test_nothing_in_the_file_was_typed_by_fewer_people(typed: Sessions, least: int) -> None:
    """Related words, rules and followers: each has its people, and all that have are there."""
    tokens, labels, section = section_of(typed, least)
    if not section or labels is None:
        return
    found = reference.parse_relations(section, len(tokens.words), len(labels))
    people = word_people(typed, set(tokens.words))
    enough = max(2, least)

    for left, entries in found.related.items():
        for right, _ in entries:
            assert len(people[tokens.words[left], tokens.words[right]]) >= enough
    for rule in found.rules:
        affix = (rule.at_end, rule.strip, rule.add)
        assert len(rule_people(people)[affix]) >= max(5, least)
    expected = {
        pair: len(users)
        for pair, users in followers_of(typed, labels).items()
        if len(users) >= enough
    }
    assert expected == {
        (head, label): users
        for head, entries in found.followers.items()
        for label, users in entries
    }


@given(sessions(WORDS, longest=5))
def test_related_words_come_by_how_much_oftener_they_follow(typed: Sessions) -> None:
    """A word's number is its share after the source, less its share anywhere."""
    tokens, labels, section = section_of(typed, 1)
    if not section or labels is None:
        return
    found = reference.parse_relations(section, len(tokens.words), len(labels))
    people = word_people(typed, set(tokens.words))
    new = {pair: users for pair, users in people.items() if pair[0] != pair[1]}
    asked: dict[str, set[int]] = defaultdict(set)
    for (left, _), users in people.items():
        asked[left] |= users
    came: Counter[str] = Counter()
    for (_, right), users in new.items():
        came[right] += len(users)
    expected: dict[Pair, float] = {}
    for (left, right), users in new.items():
        chance = (len(users) - 0.75) / len(asked[left]) - came[right] / came.total()
        if len(users) >= 2 and chance > math.exp(-255 * STEP):
            expected[left, right] = -math.log(chance) / STEP

    got = {
        (tokens.words[left], tokens.words[right]): q
        for left, entries in found.related.items()
        for right, q in entries
    }
    assert expected.keys() == got.keys()
    assert all(abs(expected[pair] - q) <= 0.501 for pair, q in got.items())


@given(sessions(WORDS, longest=4), st.randoms(use_true_random=False))
def test_the_order_of_sessions_and_people_changes_no_byte(
    typed: Sessions, rng: random.Random
) -> None:
    """Only who went from what to what counts."""
    shuffled = [(4 - user, queries) for user, queries in typed]
    rng.shuffle(shuffled)

    assert section_of(typed, 1)[2] == section_of(shuffled, 1)[2]


def test_a_log_without_sessions_of_two_queries_has_no_relations() -> None:
    """Nothing follows anything."""
    assert section_of([(0, ["red shoe"]), (1, ["red shoe"])], 1)[2] == b""
    assert section_of([(0, ["red shoe", "red shoe"])], 1)[2] == b""


def test_a_log_without_words_has_no_relations() -> None:
    """Where every word is too long there is no vocabulary to relate."""
    long = ["x" * 256, "y" * 256]

    assert section_of([(0, long), (1, long)], 1)[2] == b""


def test_one_person_relates_nothing() -> None:
    """Whatever one person did nine times, it is a coincidence, even where one user is enough."""
    tokens, labels, section = section_of([(0, ["red shoe", "blue boot"])] * 9, 1)
    assert labels is not None
    found = reference.parse_relations(section, len(tokens.words), len(labels))

    assert (found.rules, found.related, found.followers) == ([], {}, {})


def test_words_without_spaces_are_related_as_they_stand() -> None:
    """In Japanese a whole query follows a whole query."""
    typed: Sessions = [(user, ["赤い靴", "青い靴"]) for user in range(3)]
    # Others go elsewhere, so that the one is not what follows everything.
    typed += [(user, ["時計", "電池"]) for user in range(3)]
    tokens, labels, section = section_of(typed, 2)
    assert labels is not None
    found = reference.parse_relations(section, len(tokens.words), len(labels))
    at = {word: number for number, word in enumerate(tokens.words)}

    assert [word for word, _ in found.related[at["赤い靴"]]] == [at["青い靴"]]
    assert found.followers[labels.texts.index("赤い靴")] == [(labels.texts.index("青い靴"), 3)]


def test_a_rule_is_learned_from_people_not_from_words() -> None:
    """Five people make a rule of one change; one who changes five words does not."""
    plurals = [(f"word{letter}", f"word{letter}s") for letter in "abcde"]
    by_one: Sessions = [(0, list(pair)) for pair in plurals]
    by_five: Sessions = [(user, list(pair)) for user, pair in enumerate(plurals)]

    def rules(typed: Sessions) -> list[reference.Rule]:
        tokens, labels, section = section_of(typed, 1)
        assert labels is not None
        return reference.parse_relations(section, len(tokens.words), len(labels)).rules

    assert rules(by_one) == []
    assert rules(by_five) == [reference.Rule(0.5, at_end=True, strip=b"", add=b"s")]


def test_a_rule_counts_against_the_words_it_could_have_changed() -> None:
    """Ten people typed such a word again, five changed it."""
    typed: Sessions = [(user, ["shoe", "shoes"]) for user in range(5)]
    typed += [(user, ["shoe", "red shoe"]) for user in range(10)]
    tokens, labels, section = section_of(typed, 1)
    assert labels is not None
    (rule,) = reference.parse_relations(section, len(tokens.words), len(labels)).rules

    assert (rule.add, rule.chance) == (b"s", 0.5)
    assert rule.apply(b"boot") == b"boots"


def test_there_are_no_more_rules_than_an_index_holds() -> None:
    """The commonest are kept, equals in order of their text."""
    typed: Sessions = [
        (user, ["word", f"word{chr(97 + letter)}"]) for letter in range(20) for user in range(5)
    ]
    typed += [(9, ["word", "wordt"])]
    tokens, labels, section = section_of(typed, 1)
    assert labels is not None
    found = reference.parse_relations(section, len(tokens.words), len(labels))

    assert RULES == len(found.rules)
    assert [rule.add for rule in found.rules] == [b"t", *(bytes([97 + i]) for i in range(15))]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("shoe", "shoes", (True, "", "s")),
        ("shoes", "shoe", (True, "s", "")),
        ("baby", "babies", (True, "y", "ies")),
        ("target", "target.com", (True, "", ".com")),
        ("www.target", "target", (False, "www.", "")),
        ("靴下", "靴", None),  # most of the word went
        ("靴", "靴下", (True, "", "下")),
        ("caféa", "caféè", (True, "a", "è")),
        ("cafè", "café", None),  # the two differ inside a code point
        ("red", "rod", None),
        ("cat", "categorisation", None),  # what comes is longer than a rule holds
        ("shoe", "boot", None),
    ],
)
def test_a_change_is_at_one_end_and_of_whole_characters(
    before: str, after: str, expected: tuple[bool, str, str] | None
) -> None:
    """At least three bytes and more than half of the word stay."""
    wanted = expected and (expected[0], expected[1].encode(), expected[2].encode())

    assert wanted == affix_of(before.encode(), after.encode())


def test_moves_stay_inside_sessions_and_change_the_query() -> None:
    """Distinct steps of distinct people, in order."""
    log = make_log([["b", "a", "a", "b"], ["b", "a"], ["a"]], users=[1, 1, 0])

    near, far = moves.moves_of(log, 1), moves.moves_of(log, 2)

    for found in (near, far):
        steps = zip(found.before.tolist(), found.after.tolist(), found.user.tolist(), strict=True)
        assert [(0, 1, 1), (1, 0, 1)] == list(steps)
