"""Steps from query to query inside sessions, and the words of both ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from espalier.train.lists import MOST, distinct, spread
from espalier.train.ngrams import Tokens

if TYPE_CHECKING:
    from espalier.querylog import QueryLog

I64 = NDArray[np.int64]

SHARE: Final = 1 << 20
"""Pairs of words that are combined at a time, more only for a single word: bounds memory."""


@dataclass(frozen=True, slots=True)
class Moves:
    """Distinct steps from query to query: who went from ``before`` to ``after``."""

    before: I64
    after: I64
    user: I64


def moves_of(log: QueryLog, back: int) -> Moves:
    """Return the distinct moves over ``back`` queries inside sessions."""
    query = log.event_query.astype(np.int64)
    same = log.event_session[back:] == log.event_session[:-back]
    before, after = query[:-back][same], query[back:][same]
    user = log.event_user[back:][same].astype(np.int64)
    changed = before != after
    before, after, user = before[changed], after[changed], user[changed]
    order = np.lexsort((user, after, before))
    before, after, user = before[order], after[order], user[order]
    new = np.ones(len(order), bool)
    new[1:] = (before[1:] != before[:-1]) | (after[1:] != after[:-1]) | (user[1:] != user[:-1])
    return Moves(before[new], after[new], user[new])


@dataclass(frozen=True, slots=True)
class WordPairs:
    """Words of queries, each with all the words of queries after them.

    A word that both queries have comes after itself, and after no other word.

    Attributes:
        words: The words that are dealt with here.
        before, after, people: Distinct pairs and how many people made them, ordered by
            ``before``, which is one of ``words``, then ``after``.
        user: Those people, pair by pair, ``(people.sum(),)``.
        asked: People who went on from a query with each of ``words``.
    """

    words: range
    before: I64
    after: I64
    people: I64
    user: I64
    asked: I64


def word_pairs(tokens: Tokens, moves: Sequence[Moves]) -> Iterator[WordPairs]:
    """Yield the pairs of all words, some words at a time, in order."""
    n, n_queries = len(tokens.words), len(tokens.ptr) - 1
    query_of = np.repeat(np.arange(n_queries), np.diff(tokens.ptr))
    known = tokens.token >= 0
    # The words of each query, and the queries of each word.
    has = distinct(query_of[known] * n + tokens.token[known])
    word, word_ptr = has % n, np.searchsorted(has, np.arange(n_queries + 1) * n)
    in_query = distinct(word * n_queries + has // n)
    query = in_query % n_queries
    query_ptr = np.searchsorted(in_query, np.arange(n + 1) * n_queries)

    move = _Steps.of(moves, n_queries, word_ptr)
    shared = _shared(move, has, word, word_ptr, n)
    # How many pairs the words before each word make.
    made = np.append(0, np.cumsum(np.diff(move.right_ptr[move.ptr])[query]))[query_ptr]
    most_words = MOST // (n * move.people)
    start = 0
    while start < n:
        stop = int(np.searchsorted(made, made[start] + SHARE, "right")) - 1
        stop = min(max(stop, start + 1), start + most_words)
        held = np.arange(query_ptr[start], query_ptr[stop])
        left = np.repeat(np.arange(stop - start), np.diff(query_ptr[start : stop + 1]))
        step, owner = spread(move.ptr, query[held])
        right, of_step = spread(move.right_ptr, step)
        left, step = left[owner][of_step], step[of_step]
        after = word[right + (word_ptr[move.after] - move.right_ptr[:-1])[step]]
        kept = ~shared[right] | (left + start == after)
        key = ((left * n + after) * move.people + move.user[step])[kept]
        yield _counted(distinct(key), range(start, stop), n, move.people)
        start = stop


@dataclass(frozen=True, slots=True)
class _Steps:
    """Moves ordered by the query before.

    Attributes:
        ptr: Those from query ``q`` are ``[ptr[q], ptr[q + 1])``.
        right_ptr: Each has a list of its own of the words it leads to; list ``i`` is
            ``[right_ptr[i], right_ptr[i + 1])``.
        people: Above every number in ``user``.
    """

    before: I64
    after: I64
    user: I64
    ptr: I64
    right_ptr: I64
    people: int

    @classmethod
    def of(cls, moves: Sequence[Moves], n_queries: int, word_ptr: I64) -> _Steps:
        before = np.concatenate([move.before for move in moves])
        order = np.argsort(before, kind="stable")
        before = before[order]
        after = np.concatenate([move.after for move in moves])[order]
        user = np.concatenate([move.user for move in moves])[order]
        return cls(
            before=before,
            after=after,
            user=user,
            ptr=np.searchsorted(before, np.arange(n_queries + 1)),
            right_ptr=np.append(0, np.cumsum(np.diff(word_ptr)[after])),
            people=int(user.max(initial=0)) + 1,
        )


def _shared(move: _Steps, has: I64, word: I64, word_ptr: I64, n: int) -> NDArray[np.bool_]:
    """Return of every word a move leads to whether the query before has it too.

    ``has`` are the words of queries, ``query * n + word``, ascending.
    """
    shared = np.zeros(int(move.right_ptr[-1]), bool)
    for begin in range(0, len(move.before), SHARE):
        part = slice(begin, begin + SHARE)
        place, owner = spread(word_ptr, move.after[part])
        key = move.before[part][owner] * n + word[place]
        at = np.minimum(np.searchsorted(has, key), len(has) - 1)
        first = int(move.right_ptr[begin])
        shared[first : first + len(key)] = has[at] == key
    return shared


def _counted(key: I64, words: range, n: int, people: int) -> WordPairs:
    """Count the people of each pair; ``key`` is ``(left * n + after) * people + user``."""
    pair, found = np.unique(key // people, return_counts=True)
    askers = distinct(key // (n * people) * people + key % people)
    return WordPairs(
        words=words,
        before=pair // n + words.start,
        after=pair % n,
        people=found,
        user=key % people,
        asked=np.bincount(askers // people, minlength=len(words)),
    )
