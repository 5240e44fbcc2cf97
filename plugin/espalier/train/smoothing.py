"""The word model: from counts to probabilities.

Interpolated with absolute discounting (Ney, Essen and Kneser 1994), so that what was
never seen together still has a probability::

    P(w | u v) = share(u v w) + rest(u v) P(w | v)
    P(w | v)   = share(v w)   + rest(v)   P(w)

A share is a discounted count over the total of its context, 0 for what is not listed,
and the rest of a context is 1 less the shares of its list. So a model stays one whatever
entries its lists lose: probabilities sum to one, what a list gives up is its rest's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from espalier.train.ngrams import Counted

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

DISCOUNT: Final = (0.6, 0.75, 0.75)
"""Taken off the count of every word, pair and triple, for what was never seen."""
LEAST_REST: Final = 1e-4


class Listed(NamedTuple):
    """Entries of lists, by context, then by word.

    Attributes:
        left: The context an entry continues, ``(n,)``.
        word: The word that follows, ``n_words`` for the end, ``(n,)``.
        share: Of the context, ``(n,)``.
    """

    left: I64
    word: I64
    share: F64


@dataclass(frozen=True, slots=True, eq=False)
class WordModel:
    """Probabilities of words, and what pairs and triples say beyond them.

    Attributes:
        words: The vocabulary, ascending by bytes.
        word: Probability of each word, then of the end, ``(n_words + 1,)``.
        unknown: Probability of a word nobody knows.
        first: The same at the beginning of a query, ``(n_words + 1,)``.
        first_people: Beginnings of queries, in people.
        pair: ``left`` is the word before.
        pair_people: Continuations of each word, in people, ``(n_words,)``.
        triple: ``left`` is the place in ``pair`` of the two words before, or ``n_pairs``
            plus the word before where that begins the query.
        triple_people: Continuations of each of these, ``(n_pairs + n_words,)``.
    """

    words: list[str]
    word: F64
    unknown: float
    first: F64
    first_people: int
    pair: Listed
    pair_people: I64
    triple: Listed
    triple_people: I64

    @property
    def n_words(self) -> int:
        """Words known."""
        return len(self.words)

    @property
    def n_pairs(self) -> int:
        """Entries of all lists of pairs."""
        return len(self.pair.word)


def smooth(counted: Counted, words: list[str]) -> WordModel:
    """Return the model of what was counted over a vocabulary."""
    n = len(words)
    one = np.zeros(n + 1)
    one[counted.word.word] = counted.word.people - DISCOUNT[0]
    floor = DISCOUNT[0] * len(counted.word.word) / (n + 2)
    unknown = max(counted.word_total - counted.word.people.sum(), 1) + floor
    total = one.sum() + floor * (n + 1) + unknown
    one = (one + floor) / total

    first = np.zeros(n + 1)
    first[counted.first.word] = counted.first.people - DISCOUNT[1]
    first /= max(1, counted.first_total)
    first += (1 - first.sum()) * one
    first[n] = one[n]

    pair, triple = counted.pair, counted.triple
    of_pair = np.maximum(pair.people - DISCOUNT[1], 0.1)
    of_triple = np.maximum(triple.people - DISCOUNT[2], 0.1)
    return WordModel(
        words=words,
        word=one,
        unknown=float(unknown / total),
        first=first,
        first_people=counted.first_total,
        pair=Listed(pair.left, pair.word, of_pair / np.maximum(counted.pair_total, 1)[pair.left]),
        pair_people=counted.pair_total,
        triple=Listed(
            triple.left,
            triple.word,
            of_triple / np.maximum(counted.triple_total, 1)[triple.left],
        ),
        triple_people=counted.triple_total,
    )


class Chances(NamedTuple):
    """Probabilities of the entries of a model, and of what its lists leave.

    Attributes:
        pair: Of every pair, ``(n_pairs,)``.
        pair_rest: What the list of each word leaves, ``(n_words,)``.
        triple: Of every triple, ``(n_triples,)``.
        triple_lower: The same without the first word, ``(n_triples,)``.
        triple_rest: What the list of each context leaves, ``(n_pairs + n_words,)``.
        last: The word before, of each of these contexts.
    """

    pair: F64
    pair_rest: F64
    triple: F64
    triple_lower: F64
    triple_rest: F64
    last: I64


def chances_of(model: WordModel) -> Chances:
    """Return the probabilities of a model's entries."""
    n = model.n_words
    pair, triple = model.pair, model.triple
    pair_rest = _rest(pair, n)
    pair_chance = pair.share + pair_rest[pair.left] * model.word[pair.word]
    n_contexts = model.n_pairs + n
    triple_rest = _rest(triple, n_contexts)
    # Of the beginning of a query it is the first word itself.
    last = np.append(pair.word, np.arange(n))
    before = last[triple.left]
    key = pair.left * (n + 1) + pair.word
    wanted = before * (n + 1) + triple.word
    # Nothing follows the end, so every context ends with a word.
    lower = pair_rest[before] * model.word[triple.word]
    if len(key):
        at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        lower = np.where(key[at] == wanted, pair_chance[at], lower)
    triple_chance = triple.share + triple_rest[triple.left] * lower
    return Chances(pair_chance, pair_rest, triple_chance, lower, triple_rest, last)


def _rest(listed: Listed, n_lists: int) -> F64:
    rest: F64 = np.clip(1 - np.bincount(listed.left, listed.share, n_lists), LEAST_REST, 1)
    return rest
