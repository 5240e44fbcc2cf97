"""The word model: what is counted, in people, and what is written of it."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.querylog import QueryLog
from espalier.settings import TrainSettings
from espalier.train import lists, ngrams
from espalier.train.ngram_file import STEP
from tests.reference import words as reference
from tests.unit.train.conftest import make_log
from tests.unit.train.typed import Sessions, log_of_sessions, ngram_sections, sessions

WORDS = ("a", "b", "shoe", "shoes", "red", "é", "靴", "赤い靴", "x" * 256)
Gram = TypeVar("Gram", bound=tuple[str, ...])


@dataclass
class People:
    """Who typed each n-gram: the counts by definition. The end of a query is ``""``."""

    word: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    first: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    pair: dict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    triple: dict[tuple[str, str, str], set[int]] = field(default_factory=lambda: defaultdict(set))


def people_of(typed: Sessions) -> People:
    """Count by looking at every query of everybody. The beginning of a query is ``"^"``."""
    people = People()
    for user, queries in typed:
        for query in queries:
            tokens = [*query.split(" "), ""]
            for token in tokens:
                people.word[token].add(user)
            people.first[tokens[0]].add(user)
            for pair in itertools.pairwise(tokens):
                people.pair[pair].add(user)
            for triple in zip(["^", *tokens], tokens, tokens[1:], strict=False):
                people.triple[triple].add(user)
    return people


def enough(people: dict[Gram, set[int]], known: set[str], least: int) -> set[Gram]:
    """Return the n-grams of enough people and of known words only."""
    return {
        gram for gram, users in people.items() if len(users) >= least and known.issuperset(gram)
    }


def model_of(log: QueryLog, min_users: int) -> reference.Ngrams | None:
    """Return what is written, as the second reader reads it; None for nothing."""
    made = ngram_sections(ngrams.tokenise(log, min_users), TrainSettings(min_users=min_users))
    if not made:
        return None
    assert list(made) == ["VOCA", "NGRM"]
    return reference.parse_ngrams(made["NGRM"], reference.parse_words(made["VOCA"]))


def usable(words: Iterable[str]) -> set[str]:
    """Return the words that an index can hold."""
    return {word for word in words if 0 < len(word.encode()) <= 255}


@given(sessions(WORDS), st.integers(1, 3))
def test_the_file_holds_the_ngrams_of_enough_people_and_no_other(
    typed: Sessions, least: int
) -> None:
    """Each word, pair and triple in it was typed by that many people, and none is missing."""
    people = people_of(typed)
    vocabulary = {w for w in usable(people.word) if len(people.word[w]) >= least}
    model = model_of(log_of_sessions(typed), least)

    if model is None:
        assert not vocabulary
        return
    texts = [*(word.decode() for word in model.words), ""]
    assert vocabulary == set(texts[:-1])
    pairs = {(texts[v], texts[w]) for v, entries in enumerate(model.pairs) for w in entries}
    triples = {
        ("^" if u == reference.START else texts[u], texts[v], texts[w])
        for (u, v), (entries, _) in model.triples.items()
        for w in entries
    }
    assert enough(people.pair, vocabulary | {""}, least) == pairs
    assert enough(people.triple, vocabulary | {"", "^"}, least) == triples


@given(sessions(WORDS), st.integers(1, 3))
def test_counts_are_distinct_people(typed: Sessions, least: int) -> None:
    """Words, first words, pairs and triples, each by the people who typed them."""
    people = people_of(typed)
    tokens = ngrams.tokenise(log_of_sessions(typed), least)
    counted = ngrams.count(tokens, least)
    texts = [*tokens.words, ""]
    pairs = list(zip(counted.pair.left.tolist(), counted.pair.word.tolist(), strict=True))

    def context(left: int) -> tuple[str, str]:
        if left < len(pairs):
            return texts[pairs[left][0]], texts[pairs[left][1]]
        return "^", texts[left - len(pairs)]

    for grams, twin in ((counted.word, people.word), (counted.first, people.first)):
        for word, count in zip(grams.word.tolist(), grams.people.tolist(), strict=True):
            assert len(twin[texts[word]]) == count
    for (left, word), count in zip(pairs, counted.pair.people.tolist(), strict=True):
        assert len(people.pair[texts[left], texts[word]]) == count
    for left, word, count in zip(*(column.tolist() for column in counted.triple), strict=True):
        assert len(people.triple[(*context(left), texts[word])]) == count


def followers_of(people: People, known: set[str]) -> dict[tuple[str, ...], dict[str, int]]:
    """Return how many people typed each word after one word, and after two."""
    after: dict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
    for pair, users in people.pair.items():
        if known.issuperset(pair):
            after[pair[:1]][pair[1]] = len(users)
    for triple, users in people.triple.items():
        if known.issuperset(triple):
            after[triple[:2]][triple[2]] = len(users)
    return after


def check_list(
    entries: dict[str, int], rest_q: int, counts: dict[str, int], lower: dict[str, float]
) -> None:
    """Check a list against the formula; a stored probability is right to half a step.

    ``lower`` has the probabilities without the first word, right to half a step too.
    """
    total = sum(counts.values())
    seen = {word: max(count - 0.75, 0.1) / total for word, count in counts.items()}
    rest = min(max(1 - sum(seen.values()), 1e-4), 1)
    assert abs(rest_q + math.log(rest) / STEP) <= 0.501
    assert entries.keys() == counts.keys()
    for word, q in entries.items():
        chance = seen[word] + rest * lower[word]
        assert abs(q + math.log(chance) / STEP) <= 1.001


@given(sessions(WORDS))
def test_probabilities_are_interpolated_with_absolute_discounting(typed: Sessions) -> None:
    """What is stored of pairs and triples is the formula's within rounding."""
    model = model_of(log_of_sessions(typed), 1)
    if model is None:
        return
    texts = [*(word.decode() for word in model.words), ""]
    after = followers_of(people_of(typed), {*texts, "^"})

    def named(entries: dict[int, int]) -> dict[str, int]:
        return {texts[word]: q for word, q in entries.items()}

    single = dict(zip(texts, map(model.worth, [*model.word, int(model.head["end"])]), strict=True))
    for text, entries, rest in zip(texts, model.pairs, model.rest_of_word, strict=False):
        if entries:
            check_list(named(entries), rest, after[text,], single)
    for (u, v), (entries, rest) in model.triples.items():
        before = "^" if u == reference.START else texts[u]
        lower = {word: model.worth(q) for word, q in named(model.pairs[v]).items()}
        check_list(named(entries), rest, after[before, texts[v]], lower)


@given(sessions(WORDS), st.randoms(use_true_random=False))
def test_only_who_typed_what_counts(typed: Sessions, rng: object) -> None:
    """Sessions in another order, people by other numbers and repeated queries change no byte."""
    shuffled = [(4 - user, [*queries, queries[0]]) for user, queries in typed]
    rng.shuffle(shuffled)  # type: ignore[attr-defined]

    def sections(sessions: Sessions) -> dict[str, bytes]:
        log = log_of_sessions(sessions)
        return ngram_sections(ngrams.tokenise(log, 1), TrainSettings(min_users=1))

    assert sections(typed) == sections(shuffled)


def test_an_empty_log_has_no_words() -> None:
    """Nothing typed gives no section."""
    assert model_of(make_log([]), 1) is None


def test_words_of_too_few_people_give_no_section() -> None:
    """One user is nobody where two are wanted."""
    assert model_of(make_log([["red shoe"]] * 9, users=[0] * 9), 2) is None


def test_a_log_of_one_word_knows_that_it_ends() -> None:
    """After the only word the end is likelier than the word again."""
    model = model_of(make_log([["shoe"], ["shoe"]]), 1)

    assert model is not None
    assert model.words == [b"shoe"]
    assert model.chance(reference.START, 0, 1) > 0.5 > model.chance(reference.START, 0, 0)


def test_text_without_spaces_is_words_as_it_stands() -> None:
    """Japanese queries are words of their own, cut at the spaces somebody typed."""
    model = model_of(make_log([["赤い靴"], ["赤い靴 子供用"], ["赤い靴"]]), 1)

    assert model is not None
    assert [word.decode() for word in model.words] == ["子供用", "赤い靴"]
    end, red, kids = 2, 1, 0
    after = [model.chance(reference.START, red, word) for word in (end, kids)]
    assert after[0] > after[1] > 0.1


def test_a_word_too_long_for_an_index_is_unknown() -> None:
    """Its neighbours are no pairs, and it is no word."""
    model = model_of(make_log([["red " + "x" * 256 + " shoe", "red shoe"]] * 2), 2)

    assert model is not None
    assert model.words == [b"red", b"shoe"]
    assert model.pairs == [{1: model.pairs[0][1]}, {2: model.pairs[1][2]}]


def test_the_words_of_most_people_are_kept_where_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Word numbers have an end; who typed decides, then the order of words."""
    monkeypatch.setattr(ngrams, "WORD_LIMIT", 3)
    model = model_of(make_log([["a", "b"], ["c", "d"], ["d c"], ["d"]]), 1)

    assert model is not None
    assert model.words == [b"c", b"d"]
    assert model.pairs[1].keys() == {0, 2}


@given(
    st.lists(st.tuples(st.integers(-1, 2**50), st.integers(0, 2**30)), max_size=40),
    st.booleans(),
)
def test_people_are_counted_whatever_the_size_of_the_key(
    typed: list[tuple[int, int]], repeated: bool
) -> None:
    """A key and a person that do not fit 64 bits together are counted like others."""
    both = typed * 2 if repeated else typed
    key, user = (np.array([pair[i] for pair in both], np.int64) for i in range(2))
    expected: dict[int, set[int]] = defaultdict(set)
    for k, u in typed:
        if k >= 0:
            expected[k].add(u)

    found = ngrams._people(key, user, 2**30 + 1)

    assert sorted(expected) == found.word.tolist()
    assert [len(expected[k]) for k in sorted(expected)] == found.people.tolist()


@given(st.lists(st.integers(-(2**40), 2**40)))
def test_distinct_numbers_ascend(values: Sequence[int]) -> None:
    """As a set of Python, sorted."""
    assert sorted(set(values)) == lists.distinct(np.array(values, np.int64)).tolist()


@given(st.lists(st.lists(st.integers(), max_size=3), min_size=1), st.data())
def test_lists_are_laid_behind_one_another(own: list[list[int]], data: st.DataObject) -> None:
    """Places and owners of any choice of lists, empty ones and repeated ones too."""
    chosen = data.draw(st.lists(st.integers(0, len(own) - 1)))
    ptr = np.append(0, np.cumsum([len(one) for one in own]))
    flat = [number for one in own for number in one]

    place, owner = lists.spread(ptr, np.array(chosen, np.int64))

    assert [n for i in chosen for n in own[i]] == [flat[i] for i in place]
    assert [i for i, number in enumerate(chosen) for _ in own[number]] == owner.tolist()
