"""From one query to the next: what people type after what.

Three things are counted, each in distinct people, of at least ``min_users`` and never
fewer than two: words that come after queries with a word, endings and beginnings that
words gain or lose, and queries that follow queries (FORMAT.md, RELA).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from espalier.native import AFFIX_BYTES, AFFIX_RULE, RELATION_HEADER
from espalier.train.ngrams import STEP, Tokens, steps_of

if TYPE_CHECKING:
    from espalier.querylog import QueryLog
    from espalier.train.rows import Labels

I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]

BACK: Final = 2
"""Previous queries whose words count as coming before."""
LEAST: Final = 2
"""People behind every relation, whatever ``min_users``: one alone is a coincidence."""
RELATED: Final = 48
"""Words kept per word."""
DISCOUNT: Final = 0.75
RULES: Final = 16
RULE_PEOPLE: Final = 5
"""People behind a rule, at least."""
SHARED_BYTES: Final = 3
"""Bytes two forms of a word have in common, at least."""
CHUNK: Final = 200_000
"""Pairs of queries whose words are combined at a time, to bound memory."""


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


def relation_section(log: QueryLog, tokens: Tokens, labels: Labels, min_users: int) -> bytes:
    """Return RELA, empty where the log has no session of two queries."""
    least = max(LEAST, min_users)
    near = moves_of(log, 1)
    if not len(near.before):
        return b""
    pairs = _word_pairs(tokens, [near, *(moves_of(log, back) for back in range(2, BACK + 1))])
    sources, word_ptr, related = _related(pairs, len(tokens.words), least)
    rules = _rules(pairs, tokens.words, max(RULE_PEOPLE, min_users))
    heads, label_ptr, followers, users = _followers(near, labels, least)
    header = np.zeros(1, RELATION_HEADER)
    header["n_rules"] = len(rules)
    header["n_sources"] = len(sources)
    header["n_related"] = len(related)
    header["n_heads"] = len(heads)
    header["n_followers"] = len(followers)
    parts: list[NDArray[Any]] = [header, rules]
    parts += [
        part.astype("<u4")
        for part in (sources, word_ptr, related, heads, label_ptr, followers, users)
    ]
    return b"".join(part.tobytes() for part in parts)


@dataclass(frozen=True, slots=True)
class _WordPairs:
    """Words of a query and words of a query after it, with the people.

    Attributes:
        before, after, people: Distinct pairs, ordered by ``before`` then ``after``.
            Words that stand in both queries are paired with themselves only.
        asked: People who went on from a query with each word, ``(words,)``.
    """

    before: I64
    after: I64
    people: I64
    asked: I64


def _word_pairs(tokens: Tokens, moves: list[Moves]) -> _WordPairs:
    n = len(tokens.words)
    people = int(max(int(move.user.max(initial=0)) for move in moves)) + 1
    counts = np.zeros(0, np.uint64)
    asked = np.zeros(0, np.uint64)
    for move in moves:
        for begin in range(0, len(move.before), CHUNK):
            part = slice(begin, begin + CHUNK)
            left, right, user = _combine(
                tokens, move.before[part], move.after[part], move.user[part]
            )
            key = (left.astype(np.uint64) * np.uint64(n) + right.astype(np.uint64)) * np.uint64(
                people
            ) + user.astype(np.uint64)
            counts = np.union1d(counts, key)
            own = left.astype(np.uint64) * np.uint64(people) + user.astype(np.uint64)
            asked = np.union1d(asked, own)
    pair, found = np.unique(counts // np.uint64(people), return_counts=True)
    return _WordPairs(
        before=(pair // np.uint64(n)).astype(np.int64),
        after=(pair % np.uint64(n)).astype(np.int64),
        people=found,
        asked=np.bincount((asked // np.uint64(people)).astype(np.int64), minlength=n),
    )


def _combine(tokens: Tokens, before: I64, after: I64, user: I64) -> tuple[I64, I64, I64]:
    """Return every word of ``before`` with every word of ``after``, known ones only.

    A word of both queries is combined with itself and nothing else.
    """
    sizes = np.diff(tokens.ptr)
    n_left, n_right = sizes[before], sizes[after]
    total = n_left * n_right
    move = np.repeat(np.arange(len(before)), total)
    place = np.arange(len(move)) - np.repeat(np.cumsum(total) - total, total)
    left = tokens.token[tokens.ptr[before][move] + place // n_right[move]]
    right = tokens.token[tokens.ptr[after][move] + place % n_right[move]]
    known = (left >= 0) & (right >= 0)
    move, left, right = move[known], left[known], right[known]
    same = left == right
    n_words = len(tokens.words)
    shared = np.unique(move[same] * n_words + left[same])
    alone = same | ~(
        np.isin(move * n_words + left, shared, assume_unique=False)
        & np.isin(move * n_words + right, shared, assume_unique=False)
    )
    stays = same | ~np.isin(move * n_words + right, shared)
    kept = alone & stays
    return left[kept], right[kept], user[move[kept]]


def _related(pairs: _WordPairs, n_words: int, least: int) -> tuple[I64, I64, I64]:
    """Return source words, bounds of their lists, and packed entries, best first."""
    new = pairs.before != pairs.after
    anywhere = np.bincount(pairs.after[new], pairs.people[new], n_words) / max(
        1, pairs.people[new].sum()
    )
    kept = new & (pairs.people >= least)
    before, after, people = pairs.before[kept], pairs.after[kept], pairs.people[kept]
    # What comes after everything says nothing about what came before.
    chance = (people - DISCOUNT) / pairs.asked[before] - anywhere[after]
    good = chance > np.exp(-255 * STEP)
    before, after, chance = before[good], after[good], chance[good]
    order = np.lexsort((after, -chance, before))
    before, after, chance = before[order], after[order], chance[order]
    sources, first, size = np.unique(before, return_index=True, return_counts=True)
    rank = np.arange(len(before)) - np.repeat(first, size)
    best = rank < RELATED
    packed = after[best] | (steps_of(chance[best]).astype(np.int64) << 24)
    return sources, np.append(0, np.cumsum(np.minimum(size, RELATED))), packed


def _rules(pairs: _WordPairs, words: list[str], least: int) -> NDArray[np.void]:
    """Return the commonest changes at the ends of words, most people first."""
    encoded = [word.encode() for word in words]
    table = np.zeros((len(words), 2 * SHARED_BYTES), np.uint8)
    long = np.zeros(len(words), bool)
    for number, word in enumerate(encoded):
        if len(word) >= SHARED_BYTES:
            table[number] = np.frombuffer(word[:SHARED_BYTES] + word[-SHARED_BYTES:], np.uint8)
            long[number] = True
    left, right = table[pairs.before], table[pairs.after]
    alike = (
        (pairs.before != pairs.after)
        & long[pairs.before]
        & long[pairs.after]
        & (
            (left[:, :SHARED_BYTES] == right[:, :SHARED_BYTES]).all(axis=1)
            | (left[:, SHARED_BYTES:] == right[:, SHARED_BYTES:]).all(axis=1)
        )
    )
    found: Counter[tuple[bool, bytes, bytes]] = Counter()
    for before, after, people in zip(
        pairs.before[alike].tolist(),
        pairs.after[alike].tolist(),
        pairs.people[alike].tolist(),
        strict=True,
    ):
        rule = _rule(encoded[before], encoded[after])
        if rule is not None:
            found[rule] += people
    again = pairs.before == pairs.after
    reused = np.bincount(pairs.before[again], pairs.people[again], len(words))
    common = sorted(
        (item for item in found.items() if item[1] >= least), key=lambda item: (-item[1], item[0])
    )[:RULES]
    rules = np.zeros(len(common), AFFIX_RULE)
    for number, ((at_end, strip, add), people) in enumerate(common):
        fits = np.fromiter(
            (word.endswith(strip) if at_end else word.startswith(strip) for word in encoded),
            bool,
            len(encoded),
        )
        rules[number]["chance"] = min(0.5, people / max(1.0, float(reused[fits].sum())))
        rules[number]["at_end"] = at_end
        rules[number]["n_strip"], rules[number]["n_add"] = len(strip), len(add)
        rules[number]["strip"][: len(strip)] = np.frombuffer(strip, np.uint8)
        rules[number]["add"][: len(add)] = np.frombuffer(add, np.uint8)
    return rules[rules["chance"] > 0]


def _rule(before: bytes, after: bytes) -> tuple[bool, bytes, bytes] | None:
    """Return (at the end, stripped, added) if only one end of the word changed."""
    shared = 0
    while shared < min(len(before), len(after)) and before[shared] == after[shared]:
        shared += 1
    if shared >= SHARED_BYTES:
        strip, add = before[shared:], after[shared:]
        at_end = True
    else:
        shared = 0
        while shared < min(len(before), len(after)) and before[-1 - shared] == after[-1 - shared]:
            shared += 1
        if shared < SHARED_BYTES:
            return None
        strip, add = before[: len(before) - shared], after[: len(after) - shared]
        at_end = False
    short = len(strip) <= AFFIX_BYTES and len(add) <= AFFIX_BYTES
    # A rule speaks of text: what it adds must be whole code points.
    whole = _is_text(strip) and _is_text(add)
    return (at_end, strip, add) if short and whole and 2 * shared > len(before) else None


def _is_text(part: bytes) -> bool:
    try:
        part.decode()
    except UnicodeDecodeError:
        return False
    return True


def _followers(near: Moves, labels: Labels, least: int) -> tuple[I64, I64, I64, I64]:
    """Return labels that have followers, bounds, the followers, and their users."""
    before, after = labels.of_query[near.before], labels.of_query[near.after]
    both = (before >= 0) & (after >= 0)
    n = len(labels)
    pair, users = np.unique(before[both] * n + after[both], return_counts=True)
    enough = users >= least
    pair, users = pair[enough], users[enough]
    heads, size = np.unique(pair // n, return_counts=True)
    return heads, np.append(0, np.cumsum(size)), pair % n, users
