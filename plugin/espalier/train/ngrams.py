"""The word model: which words follow which, counted in people.

Every word, pair and triple of words in the file was typed by at least ``min_users``
distinct people, whatever query they typed it in: a rare query cannot be put together
again from its parts.

Nothing here loops over events; words are split once per distinct query.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from espalier.native import WORD_BYTES, WORD_LIMIT
from espalier.train.lists import MOST, distinct, spread

if TYPE_CHECKING:
    from espalier.querylog import QueryLog

I64 = NDArray[np.int64]


class Grams(NamedTuple):
    """Distinct tuples of words with the people who typed them.

    Attributes:
        left: What they continue: a context number, ascending, ``(n,)``.
        word: The word that follows, ascending inside a context, ``(n,)``.
        people: Distinct users, ``(n,)``.
    """

    left: I64
    word: I64
    people: I64


@dataclass(frozen=True, slots=True)
class Tokens:
    """Queries cut into words; ``E`` is the number of words, also the end of a query.

    Attributes:
        words: The vocabulary, ascending by bytes.
        ptr: Tokens of query ``q`` are ``[ptr[q], ptr[q + 1])``.
        token: Word numbers; -1 for words not in the vocabulary.
        query, user: Distinct pairs of a query and a person who typed it.
    """

    words: list[str]
    ptr: I64
    token: I64
    query: I64
    user: I64


def tokenise(log: QueryLog, min_users: int) -> Tokens:
    """Cut the log's queries at spaces and keep the words of enough people."""
    lists = [query.split(" ") for query in log.queries]
    flat = [word for words in lists for word in words]
    vocabulary = sorted(set(flat))
    number = {word: i for i, word in enumerate(vocabulary)}
    token = np.fromiter(map(number.__getitem__, flat), np.int64, len(flat))
    ptr = np.append(0, np.cumsum(np.fromiter(map(len, lists), np.int64, len(lists))))
    people = int(log.event_user.max()) + 1 if len(log.event_user) else 1
    both = distinct(log.event_query.astype(np.int64) * people + log.event_user)
    query, user = both // people, both % people
    typed = _people(*_spread(token, ptr, query, user), people)
    usable = np.fromiter((0 < len(word.encode()) <= WORD_BYTES for word in vocabulary), bool)
    kept = np.zeros(len(vocabulary), bool)
    kept[typed.word] = typed.people >= min_users
    kept &= usable
    renumbered = np.where(kept, np.cumsum(kept) - 1, -1)
    if kept.sum() >= WORD_LIMIT:
        kept, renumbered = _most_typed(kept, typed)
    return Tokens(
        [word for word, keep in zip(vocabulary, kept.tolist(), strict=True) if keep],
        ptr,
        renumbered[token],
        query,
        user,
    )


def _most_typed(kept: NDArray[np.bool_], typed: Grams) -> tuple[NDArray[np.bool_], I64]:
    """Keep as many words as word numbers allow, those of most people."""
    people = np.zeros(len(kept), np.int64)
    people[typed.word] = typed.people
    best = np.argsort(-np.where(kept, people, 0), kind="stable")[: WORD_LIMIT - 1]
    chosen = np.zeros(len(kept), bool)
    chosen[best] = kept[best]
    return chosen, np.where(chosen, np.cumsum(chosen) - 1, -1)


def _spread(value: I64, ptr: I64, query: I64, user: I64) -> tuple[I64, I64]:
    """Repeat a query's values for each person who typed it: values and persons."""
    place, owner = spread(ptr, query)
    return value[place], user[owner]


def _people(key: I64, user: I64, n_users: int) -> Grams:
    """Return distinct keys of at least 0 and how many persons each has."""
    good = key >= 0
    key, user = key[good], user[good]
    number: I64 | None = None
    if len(key) and int(key.max()) >= MOST // n_users:
        # Key and person do not fit one number; the place of the key and the person do.
        number, key = np.unique(key, return_inverse=True)
    both = distinct(key * n_users + user)
    found, people = np.unique(both // n_users, return_counts=True)
    found = found if number is None else number[found]
    return Grams(np.zeros(len(found), np.int64), found, people)


class Counted(NamedTuple):
    """Words, pairs and triples of enough people; contexts are numbered as in the file.

    Attributes:
        word: ``left`` is 0.
        first: Words a query begins with; ``left`` is 0.
        pair: ``left`` is the word before.
        triple: ``left`` is the place of the pair before, or ``n_pairs`` plus the word
            before where that one begins the query.
    """

    word: Grams
    first: Grams
    pair: Grams
    triple: Grams
    word_total: int
    first_total: int
    pair_total: I64
    triple_total: I64


def count(tokens: Tokens, min_users: int) -> Counted:
    """Count in people. Totals are over everything typed, kept or not."""
    n = len(tokens.words)
    end = n
    people = int(tokens.user.max()) + 1 if len(tokens.user) else 1
    ptr, token = tokens.ptr, tokens.token
    # One place more per query, for its end; a missing word stays -1.
    longer = ptr + np.arange(len(ptr))
    shape = int(longer[-1])
    current = np.full(shape, end, np.int64)
    inside = np.ones(shape, bool)
    inside[longer[1:] - 1] = False
    current[inside] = token
    is_first = np.zeros(shape, bool)
    is_first[longer[:-1]] = True
    before = np.full(shape, -1, np.int64)
    before[1:] = current[:-1]
    before[is_first] = -1

    def counted(key: I64) -> Grams:
        return _people(*_spread(key, longer, tokens.query, tokens.user), people)

    word = counted(current)
    first = counted(np.where(is_first, current, -1))
    known = (current >= 0) & (before >= 0) & (before < end)
    pair_key = np.where(known, before * (n + 1) + current, -1)
    pair = counted(pair_key)
    kept_pair = pair.word[pair.people >= min_users]
    place = np.searchsorted(kept_pair, pair_key)
    place = np.where(
        (pair_key >= 0) & (kept_pair[np.minimum(place, len(kept_pair) - 1)] == pair_key)
        if len(kept_pair)
        else np.zeros(shape, bool),
        place,
        -1,
    )
    # The context of a triple is the pair before it, or the first word of the query.
    second = np.zeros(shape, bool)
    second[1:] = is_first[:-1]
    second &= ~is_first
    context = np.full(shape, -1, np.int64)
    context[1:] = place[:-1]
    context[is_first] = -1
    context = np.where(second & (before >= 0), len(kept_pair) + before, context)
    triple = counted(np.where((context >= 0) & (current >= 0), context * (n + 1) + current, -1))

    def split(grams: Grams) -> Grams:
        return Grams(grams.word // (n + 1), grams.word % (n + 1), grams.people)

    pairs, triples = split(pair), split(triple)
    return Counted(
        word=_enough(word, min_users),
        first=_enough(first, min_users),
        pair=_enough(pairs, min_users),
        triple=_enough(triples, min_users),
        word_total=int(word.people.sum()),
        first_total=int(first.people.sum()),
        pair_total=np.bincount(pairs.left, pairs.people, n).astype(np.int64),
        triple_total=np.bincount(triples.left, triples.people, len(kept_pair) + n).astype(np.int64),
    )


def _enough(grams: Grams, min_users: int) -> Grams:
    kept = grams.people >= min_users
    return Grams(grams.left[kept], grams.word[kept], grams.people[kept])
