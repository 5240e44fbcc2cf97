"""Endings and beginnings that words gain or lose from one query to the next."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from espalier.native import AFFIX_BYTES, AFFIX_RULE
from espalier.train.lists import distinct
from espalier.train.moves import WordPairs

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

RULES: Final = 16
SHARED_BYTES: Final = 3
"""Bytes two forms of a word have in common, at least."""
MOST_CHANCE: Final = 0.5

Affix = tuple[bool, bytes, bytes]
"""Whether at the end, what goes, and what takes its place."""


class AffixCounter:
    """Counts what words become, and the people who make it of them, share by share."""

    def __init__(self, words: list[str]) -> None:
        """Count changes of the words of a vocabulary."""
        self._words = [word.encode() for word in words]
        self._length = np.fromiter(map(len, self._words), np.int64, len(words))
        self._head = _table(self._words, self._length, at_end=False)
        self._tail = _table(self._words, self._length, at_end=True)
        self._reused = np.zeros(len(words), np.int64)
        self._found: Counter[Affix] = Counter()
        self._number: dict[Affix, int] = {}
        self._people: list[I64] = [np.zeros((2, 0), np.int64)]

    def add(self, pairs: WordPairs) -> None:
        """Count the pairs of some words."""
        before, after, people = pairs.before, pairs.after, pairs.people
        again = before == after
        self._reused[before[again]] = people[again]
        long = self._length >= SHARED_BYTES
        head, tail = self._head[:, :SHARED_BYTES], self._tail[:, -SHARED_BYTES:]
        alike = ~again & long[before] & long[after]
        before, after, people = before[alike], after[alike], people[alike]
        same = (head[before] == head[after]).all(axis=1)
        same |= (tail[before] == tail[after]).all(axis=1)
        alike[alike] = same
        number = np.full(len(pairs.before), -1)
        number[alike] = [
            self._count(self._words[left], self._words[right], count)
            for left, right, count in zip(
                before[same].tolist(), after[same].tolist(), people[same].tolist(), strict=True
            )
        ]
        by_person = np.repeat(number, pairs.people)
        counted = by_person >= 0
        self._people.append(np.stack([by_person[counted], pairs.user[counted]]))

    def _count(self, before: bytes, after: bytes, people: int) -> int:
        affix = affix_of(before, after)
        if affix is None:
            return -1
        self._found[affix] += people
        return self._number.setdefault(affix, len(self._number))

    def rules(self, least: int) -> NDArray[np.void]:
        """Return the commonest changes that ``least`` people made, the commonest first."""
        number, user = np.concatenate(self._people, axis=1)
        n_users = int(user.max(initial=0)) + 1
        people = np.bincount(
            distinct(number * n_users + user) // n_users, minlength=len(self._number)
        )
        common = sorted(
            (item for item in self._found.items() if people[self._number[item[0]]] >= least),
            key=lambda item: (-item[1], item[0]),
        )[:RULES]
        rules = np.zeros(len(common), AFFIX_RULE)
        for rule, ((at_end, strip, add), count) in zip(rules, common, strict=True):
            reused = self._reused[self._have(strip, at_end=at_end)].sum()
            rule["chance"] = min(MOST_CHANCE, count / max(1.0, float(reused)))
            rule["at_end"] = at_end
            rule["n_strip"], rule["n_add"] = len(strip), len(add)
            rule["strip"][: len(strip)] = np.frombuffer(strip, np.uint8)
            rule["add"][: len(add)] = np.frombuffer(add, np.uint8)
        return rules

    def _have(self, part: bytes, *, at_end: bool) -> NDArray[np.bool_]:
        """Return which words end, or begin, with a part."""
        wanted = np.frombuffer(part, np.uint8)
        table = self._tail[:, AFFIX_BYTES - len(part) :] if at_end else self._head[:, : len(part)]
        fits: NDArray[np.bool_] = (table == wanted).all(axis=1) & (self._length >= len(part))
        return fits


def _table(words: list[bytes], length: I64, *, at_end: bool) -> U8:
    """Return the first or last bytes of every word, ``(words, AFFIX_BYTES)``."""
    blob = np.frombuffer(b"".join(words), np.uint8)
    ends = np.cumsum(length)
    if at_end:
        place = (ends - AFFIX_BYTES)[:, None] + np.arange(AFFIX_BYTES)
    else:
        place = (ends - length)[:, None] + np.arange(AFFIX_BYTES)
    # Bytes of other words are there too; who looks knows the length.
    table: U8 = blob[np.clip(place, 0, max(len(blob) - 1, 0))]
    return table


def affix_of(before: bytes, after: bytes) -> Affix | None:
    """Return the change if only one end of the word changed, and most of it stayed."""
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
