"""Models for less memory: what goes, what it was worth, and what is left."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from espalier.native import words_build
from espalier.settings import TrainSettings
from espalier.train.ngram_file import ngram_section
from espalier.train.ngrams import count, tokenise
from espalier.train.pruning import LEAST_CHANCE, model_bytes, prune, values_of
from espalier.train.smoothing import LEAST_REST, Listed, WordModel, chances_of, smooth
from tests.unit.train.typed import Sessions, log_of_sessions, sessions

WORDS = ("red", "shoe", "shoes", "boot", "boots", "靴", "é")
START = -1
Context = tuple[int, ...]
"""The words before: one, or two of which the first may be the beginning."""


def model_of(typed: Sessions, least: int = 1) -> WordModel:
    """Return the model of what was typed."""
    tokens = tokenise(log_of_sessions(typed), least)
    return smooth(count(tokens, least), tokens.words)


def contexts_of(model: WordModel) -> list[Context]:
    """Return which words stand before, by the number of a triple's list."""
    pairs = zip(model.pair.left.tolist(), model.pair.word.tolist(), strict=True)
    return [*pairs, *((START, word) for word in range(model.n_words))]


def shares_of(model: WordModel) -> dict[Context, dict[int, float]]:
    """Return the lists of a model as a dictionary."""
    shares: dict[Context, dict[int, float]] = {}
    for listed, contexts in (
        (model.pair, [(word,) for word in range(model.n_words)]),
        (model.triple, contexts_of(model)),
    ):
        for left, word, share in zip(*(column.tolist() for column in listed), strict=True):
            shares.setdefault(contexts[left], {})[word] = share
    return shares


def chance(
    model: WordModel, shares: dict[Context, dict[int, float]], before: Context
) -> list[float]:
    """Return the probabilities of all words, the end, and an unknown word, by definition."""
    if not before:
        return [*model.word.tolist(), model.unknown]
    own = shares.get(before, {})
    rest = min(max(1 - sum(own.values()), LEAST_REST), 1)
    lower = chance(model, shares, before[1:])
    return [own.get(word, 0.0) + rest * one for word, one in enumerate(lower)]


@given(sessions(WORDS), st.integers(1, 2), st.integers(0, 1200))
def test_a_model_is_never_larger_than_its_room(typed: Sessions, least: int, room: int) -> None:
    """What is counted is what is written; where it fits already nothing changes."""
    model = model_of(typed, least)
    pruned = prune(model, room)

    if pruned.n_words:
        vocabulary = words_build([word.encode() for word in pruned.words])
        section = ngram_section(pruned, TrainSettings())
        assert len(vocabulary) + len(section) == model_bytes(pruned) <= room
    else:
        assert pruned.n_pairs == len(pruned.triple.word) == 0
    if model_bytes(model) <= room:
        assert pruned is model


@given(sessions(WORDS), st.integers(1, 2), st.integers(100, 900))
def test_what_is_left_was_there_and_sums_to_one(typed: Sessions, least: int, room: int) -> None:
    """Words, pairs and triples are some of those before; every context is a distribution."""
    model = model_of(typed, least)
    pruned = prune(model, room)

    def texts(one: WordModel) -> set[tuple[str, ...]]:
        names = [*one.words, ""]
        found = {tuple(names[i] if i != START else "^" for i in (*context, word))
                 for context, entries in shares_of(one).items() for word in entries}  # fmt: skip
        return found | {(word,) for word in one.words}

    assert texts(pruned) <= texts(model)
    shares = shares_of(pruned)
    for before in [(), *((v,) for v in range(pruned.n_words)), *shares]:
        assert math.isclose(1, sum(chance(pruned, shares, before)), abs_tol=1e-6)
    # A list of triples is found by its pair.
    assert all(v in shares.get((u,), {}) for u, v in contexts_of(pruned) if u != START)


@given(sessions(WORDS))
def test_an_entry_is_worth_what_its_absence_changes(typed: Sessions) -> None:
    """Never more than the relative entropy, and just that where its list has no other."""
    model = model_of(typed)
    shares = shares_of(model)
    values = values_of(model, chances_of(model))
    contexts = contexts_of(model)
    people = model.triple_people.tolist()
    for place, (left, word) in enumerate(
        zip(model.triple.left.tolist(), model.triple.word.tolist(), strict=True)
    ):
        before = contexts[left]
        entries = {one: share for one, share in shares[before].items() if one != word}
        old = chance(model, shares, before)
        new = chance(model, shares | {before: entries}, before)
        lost = sum(p * math.log(p / q) for p, q in zip(old, new, strict=True))
        found = values.triple[place] / people[left]
        assert 0 <= found <= lost + 1e-9
        if not entries:
            assert math.isclose(lost, found, abs_tol=1e-9)


@given(sessions(WORDS))
def test_a_pair_is_worth_at_least_what_it_changes_behind_all_contexts(typed: Sessions) -> None:
    """Where it is the only one of its list: longer lists hide some of what it says."""
    model = model_of(typed)
    shares = shares_of(model)
    values = values_of(model, chances_of(model))
    contexts = contexts_of(model)
    people = dict(zip(contexts, model.triple_people.tolist(), strict=True))
    lists = [context for context in shares if len(context) == 2]
    for place, (v, word) in enumerate(
        zip(model.pair.left.tolist(), model.pair.word.tolist(), strict=True)
    ):
        if len(shares[v,]) > 1:
            continue
        without = shares | {(v,): {}}
        lost = 0.0
        for before in (context for context in lists if context[1] == v):
            old, new = (chance(model, one, before) for one in (shares, without))
            lost += people[before] * sum(p * math.log(p / q) for p, q in zip(old, new, strict=True))
        assert lost <= values.pair[place] + 1e-9, word


def test_a_word_is_worth_its_probability() -> None:
    """Against that of a word which has gone; more where more people type it."""
    model = model_of([(user, ["red shoe", "blue"][: 1 + (user > 7)]) for user in range(9)])
    values = values_of(model, chances_of(model))

    by_text = dict(zip(model.words, values.word.tolist(), strict=True))
    assert 0 < by_text["blue"] < by_text["red"]
    assert LEAST_CHANCE < model.word.min()


def test_what_says_nothing_new_is_worth_less() -> None:
    """A pair as likely as its words are, against one that is not, of fewer people."""
    typed = [(user, ["a a", "a b", "b a", "b b"]) for user in range(40)]
    model = model_of([*typed, *((user, ["red shoe"]) for user in range(40, 50))])
    words = [*model.words, ""]
    left, right = model.pair.left.tolist(), model.pair.word.tolist()
    value = {
        f"{words[v]} {words[w]}": worth
        for v, w, worth in zip(left, right, values_of(model, chances_of(model)).pair, strict=True)
    }

    assert max(value["a a"], value["a b"], value["b a"], value["b b"]) < value["red shoe"] / 2


@given(sessions(WORDS), st.randoms(use_true_random=False), st.integers(100, 900))
def test_the_same_people_leave_the_same_bytes(typed: Sessions, rng: object, room: int) -> None:
    """In whatever order the log has them."""
    shuffled = list(typed)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]

    first, second = (prune(model_of(one), room) for one in (typed, shuffled))

    assert first.words == second.words
    settings = TrainSettings()
    assert not first.words or ngram_section(first, settings) == ngram_section(second, settings)


def test_words_that_are_left_share_what_the_others_had() -> None:
    """An unknown word stays as unlikely as one word is: misspellings must not seem likely."""
    typed = [(user, [f"red w{user}", "red shoe"]) for user in range(40)]
    model = model_of(typed)
    pruned = prune(model, model_bytes(model) // 3)

    assert 0 < pruned.n_words < model.n_words
    assert {"red", "shoe"} <= set(pruned.words)
    assert pruned.unknown < 3 * model.unknown
    assert (pruned.word >= model.word.min()).all()


def test_rounds_do_not_stop_at_what_cannot_go_alone() -> None:
    """A pair with a list of triples goes after it, a word with its entries."""
    model = model_of([(user, ["red shoe lamp", "red shoe"]) for user in range(3)])
    empty = Listed(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    bare = replace(model, pair=empty, triple=empty, triple_people=np.zeros(model.n_words, np.int64))

    assert prune(model, model_bytes(bare)).n_words > 0
    assert prune(model, model_bytes(bare)).n_pairs == 0
    assert prune(model, 0).n_words == 0
