"""Team draft: held to a plain twin, and to what makes it fair."""

from __future__ import annotations

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from espalier.experiments import Draft, draft
from espalier.experiments.interleaving import coins

# An item is a number; those from 100 on are corrected, and stand below all others.
ITEMS = st.lists(st.integers(0, 9) | st.integers(100, 104), unique=True, max_size=8).map(
    lambda items: sorted(items, key=lambda item: item >= 100)
)
COINS = st.lists(st.integers(0, 1), min_size=16, max_size=16)


def drafted(left: list[int], right: list[int], limit: int, toss: list[int]) -> Draft[int]:
    """Return the list drafted with given coins."""
    return draft(
        (left, right),
        limit,
        lambda number: toss[number],
        key=lambda item: item,
        tier=lambda item: item // 100,
    )


def by_hand(
    left: list[int], right: list[int], limit: int, toss: list[int]
) -> list[tuple[int, int | None]]:
    """Return items and teams, the long way round."""
    out: list[tuple[int, int | None]] = []
    number = 0
    for corrected in (False, True):
        lists = [[one for one in side if (one >= 100) == corrected] for side in (left, right)]
        while lists[0] or lists[1]:
            if len(out) >= limit:
                break
            order = [0, 1] if toss[number] == 0 else [1, 0]
            number += 1
            for team in order:
                while lists[team]:
                    one = lists[team][0]
                    in_both = one in left and one in right
                    out.append((one, None if in_both else team))
                    for side in lists:
                        if one in side:
                            side.remove(one)
                    if not in_both:
                        break
    return out[:limit]


@given(ITEMS, ITEMS, st.integers(1, 10), COINS)
def test_a_list_is_drafted_as_by_hand(
    left: list[int], right: list[int], limit: int, toss: list[int]
) -> None:
    """Round by round; what both have comes for free, and counts for nobody."""
    found = drafted(left, right, limit, toss)

    assert by_hand(left, right, limit, toss) == list(zip(found.items, found.teams, strict=True))


@given(ITEMS, ITEMS, st.integers(1, 10), COINS)
def test_a_draft_keeps_what_a_list_promises(
    left: list[int], right: list[int], limit: int, toss: list[int]
) -> None:
    """As many as there are, none twice, exact before corrected, each list in its order."""
    found = drafted(left, right, limit, toss)

    assert len(found.items) == min(limit, len({*left, *right}))
    assert len(set(found.items)) == len(found.items)
    assert sorted(found.items, key=lambda item: item >= 100) == list(found.items)
    for team, own, other in ((0, left, right), (1, right, left)):
        given_ = [one for one, by in zip(found.items, found.teams, strict=True) if by == team]
        assert given_ == [one for one in own if one not in other][: len(given_)]
    for one, by in zip(found.items, found.teams, strict=True):
        assert (by is None) == (one in left and one in right)


@given(ITEMS, st.integers(1, 10), COINS)
def test_equal_lists_are_left_as_they_are(items: list[int], limit: int, toss: list[int]) -> None:
    """Nobody gets credit where there is no difference."""
    found = drafted(items, items, limit, toss)

    assert list(found.items) == items[:limit]
    assert set(found.teams) <= {None}


@given(ITEMS, ITEMS, st.integers(1, 10), COINS)
def test_the_two_lists_are_treated_alike(
    left: list[int], right: list[int], limit: int, toss: list[int]
) -> None:
    """With lists and coins exchanged the same list comes out, credits exchanged."""
    found = drafted(left, right, limit, toss)
    mirrored = drafted(right, left, limit, [1 - side for side in toss])

    assert mirrored.items == found.items
    assert mirrored.teams == tuple(None if by is None else 1 - by for by in found.teams)


@given(st.lists(st.integers(0, 9), unique=True, min_size=4, max_size=4))
def test_lists_without_a_common_item_get_the_same_places(items: list[int]) -> None:
    """Over all coins each list gives as many items, and each place as often to either."""
    others = [item + 20 for item in items]
    places = Counter[tuple[int, int | None]]()
    for toss in itertools.product((0, 1), repeat=4):
        found = drafted(items, others, 4, [*toss, 0, 0, 0, 0])
        places.update(enumerate(found.teams))

    assert all(places[place, 0] == places[place, 1] for place in range(4))


def test_coins_stay_through_a_typing_episode_and_are_fair_over_many() -> None:
    """The same for experiment, unit and intent; others are independent of each other."""
    assert [coins("e", "u", "i")(n) for n in range(9)] == [
        coins("e", "u", "i")(n) for n in range(9)
    ]

    first = [coins("e", "u", str(number))(0) for number in range(4_000)]
    second = [coins("e", "u", str(number))(1) for number in range(4_000)]
    units = [coins("e", str(number), "")(0) for number in range(4_000)]
    pairs: Counter[tuple[int, ...]] = Counter(zip(first, second, strict=True))
    neighbours: Counter[tuple[int, ...]] = Counter(itertools.pairwise(first))
    # Each is a fixed number; five standard deviations of a fair coin are 158 and 137.
    assert abs(sum(first) - 2_000) < 158
    assert abs(sum(units) - 2_000) < 158
    for counted in (pairs, neighbours):
        assert all(abs(counted[two] - 1_000) < 137 for two in itertools.product((0, 1), repeat=2))
