"""From one query to the next: what people type after what.

Three things are counted, each in distinct people, of at least ``min_users`` and never
fewer than two: words that come after queries with a word, endings and beginnings that
words gain or lose, and queries that follow queries (FORMAT.md, RELA).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from espalier.native import RELATION_HEADER, WORD_LIMIT
from espalier.train.affixes import AffixCounter
from espalier.train.moves import Moves, WordPairs, moves_of, word_pairs
from espalier.train.ngram_file import STEP, steps_of
from espalier.train.ngrams import Tokens

if TYPE_CHECKING:
    from espalier.querylog import QueryLog
    from espalier.train.rows import Labels

I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

BACK: Final = 2
"""Previous queries whose words count as coming before."""
LEAST: Final = 2
"""People behind every relation, whatever ``min_users``: one alone is a coincidence."""
RELATED: Final = 48
"""Words kept per word."""
DISCOUNT: Final = 0.75
RULE_PEOPLE: Final = 5
"""People behind a rule, at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Relations:
    """What comes after what, and the people behind it.

    Attributes:
        rules: What words become, as in the file.
        before, packed, people: Words, and words that come after them with how likely
            they do, as in the file; by ``before``, best first.
        head, follower, users: Labels and labels typed right after them; ordered.
    """

    rules: NDArray[np.void]
    before: I64
    packed: I64
    people: I64
    head: I64
    follower: I64
    users: I64

    def section(self) -> bytes:
        """Return RELA."""
        sources, word_ptr = _lists_of(self.before)
        heads, label_ptr = _lists_of(self.head)
        header = np.zeros(1, RELATION_HEADER)
        header["n_rules"] = len(self.rules)
        header["n_sources"] = len(sources)
        header["n_related"] = len(self.packed)
        header["n_heads"] = len(heads)
        header["n_followers"] = len(self.follower)
        parts: list[NDArray[Any]] = [header, self.rules]
        parts += [
            part.astype("<u4")
            for part in (
                sources, word_ptr, self.packed, heads, label_ptr, self.follower, self.users,
            )
        ]  # fmt: skip
        return b"".join(part.tobytes() for part in parts)

    def within(self, limit: int) -> Relations | None:
        """Return the relations of most people that ``limit`` bytes hold; None for not even rules.

        Of as many people, words come before labels, and each in their order here.
        """
        order = np.argsort(-np.concatenate([self.people, self.users]), kind="stable")

        def best(kept: int) -> Relations:
            mask = np.zeros(len(order), bool)
            mask[order[:kept]] = True
            return self._only(mask[: len(self.before)], mask[len(self.before) :])

        # The first number of relations that is one too many.
        low, high = 0, len(order) + 1
        while low < high:
            middle = (low + high) // 2
            fits = len(best(middle).section()) <= limit
            low, high = (middle + 1, high) if fits else (low, middle)
        return best(low - 1) if low > 0 else None

    def among(self, words: list[str], kept: list[str]) -> Relations:
        """Return the relations between ``kept`` words, numbered among those; both ascend."""
        place = {word: i for i, word in enumerate(kept)}
        number = np.fromiter((place.get(word, -1) for word in words), np.int64, len(words))
        after = number[self.packed & (WORD_LIMIT - 1)]
        both = (number[self.before] >= 0) & (after >= 0)
        made = self._only(both, np.ones(len(self.head), bool))
        packed = made.packed >> 24 << 24 | after[both]
        return replace(made, before=number[made.before], packed=packed)

    def _only(self, words: Mask, labels: Mask) -> Relations:
        return Relations(
            self.rules,
            self.before[words],
            self.packed[words],
            self.people[words],
            self.head[labels],
            self.follower[labels],
            self.users[labels],
        )

    def __len__(self) -> int:
        return len(self.before) + len(self.head)


def _lists_of(owner: I64) -> tuple[I64, I64]:
    """Return who has lists, and their bounds; ``owner`` ascends."""
    owners, size = np.unique(owner, return_counts=True)
    return owners, np.append(0, np.cumsum(size))


def relations_of(log: QueryLog, tokens: Tokens, labels: Labels, min_users: int) -> Relations | None:
    """Return the relations, None where the log has no word, or no session of two queries."""
    least = max(LEAST, min_users)
    near = moves_of(log, 1)
    if not tokens.words or not len(near.before):
        return None
    topics = _Topics(len(tokens.words), least)
    affixes = AffixCounter(tokens.words)
    for pairs in word_pairs(tokens, [near, *(moves_of(log, back) for back in range(2, BACK + 1))]):
        topics.add(pairs)
        affixes.add(pairs)
    return Relations(
        affixes.rules(max(RULE_PEOPLE, min_users)),
        *topics.lists(),
        *_followers(near, labels, least),
    )


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
        """Return source words, packed entries, and their people; best first of each."""
        before, after, people = np.concatenate(self._kept, axis=1)
        # What comes after everything says nothing about what came before.
        anywhere = self._came / max(1, int(self._came.sum()))
        chance = (people - DISCOUNT) / self._asked[before] - anywhere[after]
        good = chance > np.exp(-255 * STEP)
        before, after, chance, people = before[good], after[good], chance[good], people[good]
        order = np.lexsort((after, -chance, before))
        before, after, chance = before[order], after[order], chance[order]
        _, first, size = np.unique(before, return_index=True, return_counts=True)
        rank = np.arange(len(before)) - np.repeat(first, size)
        best = rank < RELATED
        packed = after[best] | (steps_of(chance[best]).astype(np.int64) << 24)
        return before[best], packed, people[order][best]


def _followers(near: Moves, labels: Labels, least: int) -> tuple[I64, I64, I64]:
    """Return labels that have followers, the followers, and their users."""
    before, after = labels.of_query[near.before], labels.of_query[near.after]
    both = (before >= 0) & (after >= 0)
    n = len(labels)
    pair, users = np.unique(before[both] * n + after[both], return_counts=True)
    enough = users >= least
    pair, users = pair[enough], users[enough]
    return pair // n, pair % n, users
