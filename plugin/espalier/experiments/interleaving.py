"""One list of two, so that what people take from it tells which of the two is better.

Team draft (Radlinski, Kurup and Joachims, CIKM 2008, section 5.2), with two changes. What
both lists have is shown and credited to nobody, since taking it says nothing; and it does
not use up a turn, or the list that has it further up would be left with fewer places for
what only it has: over all coins and 400 random pairs of lists of four, the difference of the
credits that somebody earns who takes any place is 2 % of the places instead of 13 %.
Every round a coin says which list picks first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import count
from typing import Final, Generic, NamedTuple, TypeVar

from espalier.experiments.assignment import fnv1a32

_T = TypeVar("_T")
_K = TypeVar("_K", bound=Hashable)

# FNV-1a moves its low bits least when the last character changes; two rounds of the
# finaliser of MurmurHash3 (public domain) spread them.
_MIX: Final = (0x85EBCA6B, 0xC2B2AE35)
_MASK: Final = 0xFFFFFFFF


class Draft(NamedTuple, Generic[_T]):
    """A list drafted from two.

    Attributes:
        items: In order.
        teams: For each, 0 or 1 for the list that gave it, ``None`` where both have it.
    """

    items: tuple[_T, ...]
    teams: tuple[int | None, ...]


def coins(seed: str, unit: str, intent: str) -> Callable[[int], int]:
    """Return which list picks first in a round: the same for a unit and an intent, ever."""
    begin = fnv1a32(f"{seed}\x00{unit}\x00{intent}\x00")

    def toss(round_number: int) -> int:
        state = fnv1a32(str(round_number), begin)
        state = ((state ^ (state >> 16)) * _MIX[0]) & _MASK
        state = ((state ^ (state >> 13)) * _MIX[1]) & _MASK
        return (state ^ (state >> 16)) & 1

    return toss


def draft(
    lists: tuple[Sequence[_T], Sequence[_T]],
    limit: int,
    toss: Callable[[int], int],
    *,
    key: Callable[[_T], _K],
    tier: Callable[[_T], int],
) -> Draft[_T]:
    """Return at most ``limit`` items of two lists.

    Args:
        limit: At most as many items.
        lists: Best first, tiers in order, no item twice in one.
        toss: Which list picks first, 0 or 1, in each round from 0 on.
        key: What makes two items the same.
        tier: Items of a lower one stand before those of a higher one. One that both lists
            have counts as of the lower of its two.
    """
    names = tuple({key(one) for one in items} for items in lists)
    shared = names[0] & names[1]
    tiers: dict[_K, int] = {}
    for one in (*lists[0], *lists[1]):
        tiers[key(one)] = min(tier(one), tiers.get(key(one), tier(one)))
    rounds = count()
    drafted: list[tuple[_T, int | None]] = []
    taken: set[_K] = set()
    for level in sorted(set(tiers.values())):
        queues = [deque(one for one in side if tiers[key(one)] == level) for side in lists]
        while len(drafted) < limit and any(_left(queue, taken, key) for queue in queues):
            first = toss(next(rounds))
            for team in (first, 1 - first):
                picked = _picked(queues[team], shared, taken, key)
                drafted += [(one, None if key(one) in shared else team) for one in picked]
    del drafted[limit:]
    return Draft(tuple(one for one, _ in drafted), tuple(team for _, team in drafted))


def _picked(
    queue: deque[_T], shared: AbstractSet[_K], taken: set[_K], key: Callable[[_T], _K]
) -> Iterator[_T]:
    """Yield what a list picks in its turn: what both have, and the first that is its own."""
    while _left(queue, taken, key):
        one = queue.popleft()
        taken.add(key(one))
        yield one
        if key(one) not in shared:
            return


def _left(queue: deque[_T], taken: AbstractSet[_K], key: Callable[[_T], _K]) -> bool:
    """Return whether anything is left, with what the other list took out of the way."""
    while queue and key(queue[0]) in taken:
        queue.popleft()
    return bool(queue)
