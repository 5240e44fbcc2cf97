"""The word model: which words follow which, counted in people.

Every word, pair and triple of words in the file was typed by at least ``min_users``
distinct people, whatever query they typed it in: a rare query cannot be put together
again from its parts. Probabilities are interpolated with absolute discounting (Ney,
Essen and Kneser 1994), so that what was never seen together still has a probability,
and stored as eighths of a byte's logarithm (FORMAT.md, NGRM).

Nothing here loops over events; words are split once per distinct query.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from espalier.native import (
    LIST_HEAD,
    LIST_LONG,
    NGRAM_HEADER,
    WORD_BLOCK,
    WORD_BYTES,
    WORD_LIMIT,
    words_build,
)
from espalier.train.lists import MOST, distinct, spread

if TYPE_CHECKING:
    from espalier.querylog import QueryLog
    from espalier.settings import TrainSettings

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]
F64 = NDArray[np.float64]

STEP: Final = 0.075
"""Natural logarithm per step of a stored probability: 255 steps reach exp(-19)."""

DISCOUNT: Final = (0.6, 0.75, 0.75)
"""Taken off the count of every word, pair and triple, for what was never seen."""


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


def steps_of(chance: F64) -> U8:
    """Return the step nearest to a probability's logarithm."""
    return np.clip(np.rint(-np.log(np.maximum(chance, 1e-12)) / STEP), 0, 255).astype(np.uint8)


def _ordered(left: I64, word: I64, q: U8, n_left: int) -> tuple[I64, I64, U8]:
    """Bring every list into the order of the file; return its bounds, words and steps.

    Lists are ordered by word, long ones begin with their best.
    """
    ptr = np.searchsorted(left, np.arange(n_left + 1))
    order = np.arange(len(left))
    for long in np.flatnonzero(np.diff(ptr) > LIST_LONG).tolist():
        begin, end = int(ptr[long]), int(ptr[long + 1])
        best = np.lexsort((word[begin:end], q[begin:end]))[:LIST_HEAD]
        others = np.ones(end - begin, bool)
        others[best] = False
        order[begin:end] = begin + np.concatenate([best, np.flatnonzero(others)])
    return ptr, word[order], q[order]


def _packed(word: I64, q: U8) -> U32:
    return (word | (q.astype(np.int64) << 24)).astype(np.uint32)


def _block_best(q: U8) -> U8:
    blocks = -(-len(q) // WORD_BLOCK)
    padded = np.full(blocks * WORD_BLOCK, 255, np.uint8)
    padded[: len(q)] = q
    best: U8 = padded.reshape(blocks, WORD_BLOCK).min(axis=1)
    return best


def ngram_sections(tokens: Tokens, settings: TrainSettings) -> dict[str, bytes]:
    """Return VOCA and NGRM; none if no word has enough people."""
    if not tokens.words:
        return {}
    counted = count(tokens, settings.min_users)
    return {
        "VOCA": words_build([word.encode() for word in tokens.words]),
        "NGRM": _section(len(tokens.words), counted, settings),
    }


def _section(n: int, counted: Counted, settings: TrainSettings) -> bytes:
    one = np.zeros(n + 1)
    one[counted.word.word] = counted.word.people - DISCOUNT[0]
    floor = DISCOUNT[0] * len(counted.word.word) / (n + 2)
    unknown = max(counted.word_total - counted.word.people.sum(), 1) + floor
    total_one = one.sum() + floor * (n + 1) + unknown
    one = (one + floor) / total_one
    chance_unknown = unknown / total_one

    first = np.zeros(n + 1)
    first[counted.first.word] = counted.first.people - DISCOUNT[1]
    first /= max(1, counted.first_total)
    first += (1 - first.sum()) * one
    first[n] = one[n]

    pair = counted.pair
    total = np.maximum(counted.pair_total, 1)
    seen = np.maximum(pair.people - DISCOUNT[1], 0.1) / total[pair.left]
    rest_pair: F64 = np.clip(1 - np.bincount(pair.left, seen, n), 1e-4, 1)
    pair_chance = seen + rest_pair[pair.left] * one[pair.word]

    triple = counted.triple
    n_contexts = len(pair.word) + n
    total = np.maximum(counted.triple_total, 1)
    seen = np.maximum(triple.people - DISCOUNT[2], 0.1) / total[triple.left]
    rest_triple: F64 = np.clip(1 - np.bincount(triple.left, seen, n_contexts), 1e-4, 1)
    # P(w | v): v is the second word of the pair, or the first word itself.
    last = np.where(
        triple.left < len(pair.word),
        pair.word[np.minimum(triple.left, len(pair.word) - 1)] if len(pair.word) else 0,
        triple.left - len(pair.word),
    )
    key = pair.left * (n + 1) + pair.word
    at = np.searchsorted(key, last * (n + 1) + triple.word)
    lower = np.zeros(len(at))
    if len(key):
        at = np.minimum(at, len(key) - 1)
        found = key[at] == last * (n + 1) + triple.word
        lower = np.where(
            found, pair_chance[at], rest_pair[np.minimum(last, n - 1)] * one[triple.word]
        )
    triple_chance = seen + rest_triple[triple.left] * lower

    pair_ptr, pair_word, pair_q = _ordered(pair.left, pair.word, steps_of(pair_chance), n)
    # The lists of triples follow the order in which their pairs now stand.
    moved = np.empty(len(pair.word), np.int64)
    moved[
        np.searchsorted(key, np.repeat(np.arange(n), np.diff(pair_ptr)) * (n + 1) + pair_word)
    ] = np.arange(len(pair.word))
    left = np.where(
        triple.left < len(pair.word),
        moved[np.minimum(triple.left, len(pair.word) - 1)] if len(pair.word) else 0,
        triple.left,
    )
    order = np.lexsort((triple.word, left))
    contexts, number = np.unique(left[order], return_inverse=True)
    triple_ptr, triple_word, triple_q = _ordered(
        number, triple.word[order], steps_of(triple_chance[order]), len(contexts)
    )
    old_left = np.empty(len(contexts), np.int64)
    old_left[number] = triple.left[order]

    masks = -(-(len(pair.word) + n) // 64)
    bits = np.zeros(masks * 64, np.uint8)
    bits[contexts] = 1
    has_next = np.packbits(bits, bitorder="little").view("<u8")
    rank = np.append(0, np.cumsum(bits.reshape(masks, 64).sum(axis=1, dtype=np.int64)))

    word_q, first_q = steps_of(one[:n]), steps_of(first[:n])
    parts: list[NDArray[Any]] = [
        has_next,
        rank.astype("<u4"),
        pair_ptr.astype("<u4"),
        _packed(pair_word, pair_q),
        triple_ptr.astype("<u4"),
        _packed(triple_word, triple_q),
        word_q,
        first_q,
        _block_best(word_q),
        _block_best(first_q),
        steps_of(rest_pair),
        steps_of(rest_triple[old_left]),
    ]
    header = _header(
        n_words=n,
        n_bigrams=len(pair.word),
        n_contexts=len(contexts),
        n_trigrams=len(triple.word),
        step=STEP,
        mix_context=settings.tail_context,
        mix_follow=settings.tail_follow,
        decay=settings.tail_decay,
        mix_related=settings.tail_related,
        half_life=settings.context_half_life_minutes * 60,
        end=int(steps_of(one[n:])[0]),
        unknown=int(steps_of(np.array([chance_unknown]))[0]),
    )
    return header.tobytes() + b"".join(part.tobytes() for part in parts)


def _header(**fields: float) -> NDArray[np.void]:
    header = np.zeros(1, NGRAM_HEADER)
    for name, value in fields.items():
        header[name] = value
    return header
