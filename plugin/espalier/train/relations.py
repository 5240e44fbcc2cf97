"""From one query to the next: what people type after what.

Three things are counted, each in distinct people, of at least ``min_users`` and never
fewer than two: words that come after queries with a word, endings and beginnings that
words gain or lose, and queries that follow queries (FORMAT.md, RELA).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from espalier.native import RELATION_HEADER
from espalier.train.affixes import AffixCounter
from espalier.train.moves import Moves, WordPairs, moves_of, word_pairs
from espalier.train.ngrams import STEP, Tokens, steps_of

if TYPE_CHECKING:
    from espalier.querylog import QueryLog
    from espalier.train.rows import Labels

I64 = NDArray[np.int64]

BACK: Final = 2
"""Previous queries whose words count as coming before."""
LEAST: Final = 2
"""People behind every relation, whatever ``min_users``: one alone is a coincidence."""
RELATED: Final = 48
"""Words kept per word."""
DISCOUNT: Final = 0.75
RULE_PEOPLE: Final = 5
"""People behind a rule, at least."""


def relation_section(log: QueryLog, tokens: Tokens, labels: Labels, min_users: int) -> bytes:
    """Return RELA, empty where the log has no word, or no session of two queries."""
    least = max(LEAST, min_users)
    near = moves_of(log, 1)
    if not tokens.words or not len(near.before):
        return b""
    topics = _Topics(len(tokens.words), least)
    affixes = AffixCounter(tokens.words)
    for pairs in word_pairs(tokens, [near, *(moves_of(log, back) for back in range(2, BACK + 1))]):
        topics.add(pairs)
        affixes.add(pairs)
    sources, word_ptr, related = topics.lists()
    rules = affixes.rules(max(RULE_PEOPLE, min_users))
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


class _Topics:
    """Words that come after a word, gathered share by share."""

    def __init__(self, n_words: int, least: int) -> None:
        self._least = least
        self._asked = np.zeros(n_words, np.int64)
        self._came = np.zeros(n_words, np.int64)
        self._kept: list[I64] = [np.zeros((3, 0), np.int64)]

    def add(self, pairs: WordPairs) -> None:
        new = pairs.before != pairs.after
        kept = new & (pairs.people >= self._least)
        self._asked[pairs.words.start : pairs.words.stop] = pairs.asked
        np.add.at(self._came, pairs.after[new], pairs.people[new])
        self._kept.append(np.stack([pairs.before[kept], pairs.after[kept], pairs.people[kept]]))

    def lists(self) -> tuple[I64, I64, I64]:
        """Return source words, bounds of their lists, and packed entries, best first."""
        before, after, people = np.concatenate(self._kept, axis=1)
        # What comes after everything says nothing about what came before.
        anywhere = self._came / max(1, int(self._came.sum()))
        chance = (people - DISCOUNT) / self._asked[before] - anywhere[after]
        good = chance > np.exp(-255 * STEP)
        before, after, chance = before[good], after[good], chance[good]
        order = np.lexsort((after, -chance, before))
        before, after, chance = before[order], after[order], chance[order]
        sources, first, size = np.unique(before, return_index=True, return_counts=True)
        rank = np.arange(len(before)) - np.repeat(first, size)
        best = rank < RELATED
        packed = after[best] | (steps_of(chance[best]).astype(np.int64) << 24)
        return sources, np.append(0, np.cumsum(np.minimum(size, RELATED))), packed


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
