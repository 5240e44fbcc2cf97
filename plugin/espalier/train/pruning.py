"""Word models for less memory: what matters least goes.

An entry of a list is worth what leaving it out changes: the relative entropy between
the probabilities after its context with and without it, times how often the context is
met (Stolcke 1998, "Entropy-based pruning of backoff language models"; weighting by
counts goes back to Seymore and Rosenfeld 1996). A word is worth what it takes to make its
probability the least there is, besides its entries.

Divided by the bytes it takes, this makes an order; where the room ends, there is a price
of a byte. Entries below it go; words go if they with those of their entries that are
above it are not worth their bytes.

What an entry gives up goes to the rest of its list (``smoothing``), so the other words
of the list gain a little too. They are taken as one class here, which makes the value
a lower bound of the divergence, exact where they gain alike, and never negative.

A list of pairs is met where a triple does not say better: what is counted is how
often, times what the longer lists leave. By the convexity of the divergence this is
at least what a missing pair changes after all longer contexts together.

Entries are not independent, so they go a few at a time and are valued anew.
"""

from __future__ import annotations

import dataclasses
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from espalier.train.ngram_file import STEP, ngram_bytes, vocabulary_bytes
from espalier.train.smoothing import Chances, Listed, WordModel, chances_of

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

ROUND: Final = 0.1
"""Share of words and entries that go before the others are valued anew, at most."""
ENTRY_BYTES: Final = 4.0
LIST_BYTES: Final = 5.0
"""What the last triple of a list takes besides: the list's end, and its rest."""
BARE_WORD_BYTES: Final = 17.0
"""What a word takes besides its text and its entries: offset, slot, list and chances."""
LEAST_CHANCE: Final = float(np.exp(-255 * STEP))
"""The least probability a file can tell, that of a word which has gone."""


def model_bytes(model: WordModel) -> int:
    """Return how long the two sections of a model are."""
    size = _Size.of(model)
    return size.bytes_of(*(np.ones(n, bool) for n in size.shape))


def prune(model: WordModel, limit: int) -> WordModel:
    """Return the model without what matters least, in at most ``limit`` bytes.

    Where not even one word fits, it has none.
    """
    while model.n_words > 0 and model_bytes(model) > limit:
        model = _round(model, limit)
    return model


class _Size(NamedTuple):
    """What the bytes of a model depend on."""

    model: WordModel
    text: I64

    @classmethod
    def of(cls, model: WordModel) -> _Size:
        words = model.words
        return cls(model, np.fromiter((len(w.encode()) for w in words), np.int64, len(words)))

    @property
    def shape(self) -> tuple[int, int, int]:
        model = self.model
        return model.n_words, model.n_pairs, len(model.triple.word)

    def bytes_of(self, word: Mask, pair: Mask, triple: Mask) -> int:
        """Return how long the sections are with these words, pairs and triples."""
        lists = np.zeros(len(self.model.triple_people), bool)
        lists[self.model.triple.left[triple]] = True
        n = int(word.sum())
        return vocabulary_bytes(n, int(self.text[word].sum())) + ngram_bytes(
            n, int(pair.sum()), int(lists.sum()), int(triple.sum())
        )


def _round(model: WordModel, limit: int) -> WordModel:
    size = _Size.of(model)
    n, pairs, triples = size.shape
    in_list = np.bincount(model.triple.left, minlength=pairs + n)
    value = values_of(model, chances_of(model))
    triple_bytes = ENTRY_BYTES + np.where(in_list[model.triple.left] == 1, LIST_BYTES, 0.0)
    word_bytes = BARE_WORD_BYTES + size.text
    # A pair that has a list of triples is where that list is found.
    bare = np.flatnonzero(in_list[:pairs] == 0)
    worth = np.concatenate(
        [value.triple / triple_bytes, value.pair[bare] / ENTRY_BYTES, value.word / word_bytes]
    )
    item = np.concatenate([np.arange(triples), triples + bare, triples + pairs + np.arange(n)])
    # Stable: what is worth the same goes in the order of the lists, words last.
    order = np.argsort(worth, kind="stable")
    item, worth = item[order], worth[order]

    def kept(n_gone: int) -> tuple[Mask, Mask, Mask]:
        mask = np.ones(triples + pairs + n, bool)
        mask[item[:n_gone]] = False
        price = worth[n_gone - 1] if n_gone > 0 else 0.0
        more = _by_word(
            model,
            np.maximum(value.pair - price * ENTRY_BYTES, 0),
            np.maximum(value.triple - price * triple_bytes, 0),
        )
        # With its entries a word may be worth more than its bytes, or not even then.
        poor = value.word + more < price * word_bytes
        word = (mask[triples + pairs :] | (more > 0)) & ~poor
        return _consistent(model, word, mask[triples : triples + pairs], mask[:triples])

    # The fewest that are enough, or a round of them where those are not.
    low, high = 0, min(len(item), 1 + int(ROUND * len(item)))
    while all(mask.all() for mask in kept(high)):
        high = min(len(item), 2 * high)  # words that their entries hold came first
    if size.bytes_of(*kept(high)) > limit:
        low = high
    while low < high:
        middle = (low + high) // 2
        fits = size.bytes_of(*kept(middle)) <= limit
        low, high = (low, middle) if fits else (middle + 1, high)
    return _only(model, *kept(high))


def _by_word(model: WordModel, pair: F64, triple: F64) -> F64:
    """Add up numbers of pairs and triples for every word they have."""
    n, pairs = model.n_words, model.n_pairs
    left = model.triple.left
    last = np.append(model.pair.word, np.arange(n))[left]
    # Where the first word begins the query, it is the last as well, and counts once.
    longer = left < pairs
    first = model.pair.left[left[longer]]
    # Without an entry, numpy counts in integers.
    total = np.zeros(n + 1)
    for word, number in (
        (model.pair.left, pair),
        (model.pair.word, pair),
        (first, triple[longer]),
        (last, triple),
        (model.triple.word, triple),
    ):
        total += np.bincount(word, number, n + 1)
    of_words: F64 = total[:n]
    return of_words


def _consistent(model: WordModel, word: Mask, pair: Mask, triple: Mask) -> tuple[Mask, Mask, Mask]:
    """Drop the entries of words and pairs that are dropped."""
    known = np.append(word, True)  # the end stays
    pair = pair & word[model.pair.left] & known[model.pair.word]
    triple = triple & np.append(pair, word)[model.triple.left] & known[model.triple.word]
    return word, pair, triple


def _only(model: WordModel, word: Mask, pair: Mask, triple: Mask) -> WordModel:
    """Return a model of some words, pairs and triples, in which nobody types another word.

    The probability of an unknown word is that of one such word. Were it to have what all
    the words that go had, whatever is misspelled would seem likely.
    """
    known = np.append(word, True)  # the end stays
    number = np.cumsum(known) - 1
    left = 1 - float(model.word[~known].sum())
    first = model.first[known]
    first[:-1] *= model.first[:-1].sum() / max(first[:-1].sum(), np.finfo(np.float64).tiny)
    first[-1] /= left
    pairs = _conditioned(model.pair, known, model.n_words, pair)
    triples = _conditioned(model.triple, known, len(model.triple_people), triple)
    moved = np.append(np.cumsum(pair) - 1, int(pair.sum()) + number[:-1])
    return dataclasses.replace(
        model,
        words=[text for text, keep in zip(model.words, word.tolist(), strict=True) if keep],
        word=model.word[known] / left,
        unknown=model.unknown / left,
        first=first,
        pair=pairs._replace(left=number[pairs.left], word=number[pairs.word]),
        pair_people=model.pair_people[word],
        triple=triples._replace(left=moved[triples.left], word=number[triples.word]),
        triple_people=model.triple_people[np.append(pair, word)],
    )


def _conditioned(listed: Listed, known: Mask, n_lists: int, kept: Mask) -> Listed:
    """Return some entries, with their shares of what is left to known words."""
    gone = ~known[listed.word]
    lost = np.bincount(listed.left[gone], listed.share[gone], n_lists)
    left = listed.left[kept]
    return Listed(left, listed.word[kept], listed.share[kept] / (1 - lost[left]))


class Values(NamedTuple):
    """What words, pairs and triples are worth, in people times nats; each alone."""

    word: F64
    pair: F64
    triple: F64


def values_of(model: WordModel, chances: Chances) -> Values:
    """Return what everything in a model is worth; a word without its entries."""
    n = model.n_words
    pair = _divergence(model.pair, chances.pair, model.word[model.pair.word], chances.pair_rest)
    triple = _divergence(model.triple, chances.triple, chances.triple_lower, chances.triple_rest)
    reach = reach_of(model, chances)
    people = model.triple_people.astype(np.float64)
    word = _lost(model.word[:n]) * float(reach @ chances.pair_rest)
    word += _lost(model.first[:n]) * model.first_people
    return Values(word, reach[model.pair.left] * pair, people[model.triple.left] * triple)


def reach_of(model: WordModel, chances: Chances) -> F64:
    """Return how often what the list of a word says is asked for, ``(n_words,)``."""
    n = model.n_words
    listed = np.zeros(len(model.triple_people), bool)
    listed[model.triple.left] = True
    people = np.where(listed, model.triple_people, 0).astype(np.float64)
    longer = np.bincount(chances.last, people, n + 1)[:n]
    left = np.bincount(chances.last, people * chances.triple_rest, n + 1)[:n]
    reach: F64 = left + np.maximum(model.pair_people - longer, 0)
    return reach


def _lost(chance: F64) -> F64:
    """Return the relative entropy of making a probability the least."""
    return chance * np.log(np.maximum(chance / LEAST_CHANCE, 1))


def _divergence(listed: Listed, chance: F64, lower: F64, rest: F64) -> F64:
    """Return the relative entropy that leaving out each entry makes, alone."""
    left, share = listed.left, listed.share
    all_chance = np.bincount(left, chance, len(rest))
    all_lower = np.bincount(left, lower, len(rest))
    others = np.maximum(all_chance[left] - chance, 0)
    gain = share * np.maximum(all_lower[left] - lower, 0)
    unlisted = (rest * np.maximum(1 - all_lower, 0))[left]
    new_rest = rest[left] + share
    made = chance * np.log(chance / (new_rest * lower))
    made += unlisted * np.log(rest[left] / new_rest)
    made -= others * np.log1p(gain / np.maximum(others, np.finfo(np.float64).tiny))
    return np.maximum(made, 0)
