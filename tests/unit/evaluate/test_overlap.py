"""Each row is in exactly one kind of overlap, the first that applies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.evaluate.overlap import OVERLAPS, overlap_masks, overlap_of
from espalier.evaluate.questions import Question

QUERY = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(" ".join)


def question(wanted: str, *previous: str) -> Question:
    """Return a question whose prefix does not matter."""
    return Question("", previous, wanted, 0)


@pytest.mark.parametrize(
    ("kind", "wanted", "previous"),
    [
        ("repeat_earlier", "red shoes", ["red shoes"]),
        ("repeat_earlier", "red shoes", ["red", "red shoes"]),
        ("extends", "red shoes men", ["red shoes"]),
        ("truncates", "red", ["red shoes"]),
        ("same_first_word", "red hat", ["red shoes"]),
        ("same_first_word", "red hat small", ["red shoes"]),
        ("shares_word", "blue shoes", ["red shoes"]),
        ("nothing_shared", "blue hat", ["red shoes"]),
        ("nothing_shared", "red", ["blue hat", "red shoes"]),
        ("nothing_shared", "shoe", ["shoes"]),
        ("no_previous", "red", []),
    ],
)
def test_kinds_by_hand(kind: str, wanted: str, previous: list[str]) -> None:
    """Whole words of the newest query count; only repeats look further back."""
    assert kind == overlap_of(question(wanted, *previous))


@given(QUERY, st.lists(QUERY, max_size=3))
def test_the_definitions_in_other_words(wanted: str, previous: list[str]) -> None:
    """Written with strings instead of lists of words, the kinds are the same."""
    newest = previous[0] if previous else ""
    holds = {
        "no_previous": not previous,
        "repeat_earlier": wanted in previous,
        "extends": bool(previous) and f"{wanted} ".startswith(f"{newest} "),
        "truncates": bool(previous) and f"{newest} ".startswith(f"{wanted} "),
        "same_first_word": wanted[:1] == newest[:1],
        "shares_word": bool(set(wanted) & set(newest) - {" "}),
        "nothing_shared": True,
    }

    assert overlap_of(question(wanted, *previous)) == next(
        kind for kind in ("no_previous", *OVERLAPS[:-1]) if holds[kind]
    )


@given(st.lists(st.tuples(QUERY, st.lists(QUERY, max_size=2)), max_size=20))
def test_every_row_has_one_kind(rows: list[tuple[str, list[str]]]) -> None:
    """The masks cut the rows into parts."""
    masks = overlap_masks([question(wanted, *previous) for wanted, previous in rows])

    assert tuple(masks) == OVERLAPS
    assert [sum(bool(mask[i]) for mask in masks.values()) for i in range(len(rows))] == [1] * len(
        rows
    )
