"""Every measure against examples computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.evaluate.measures import (
    candidate_recall,
    keystrokes_saved,
    mean,
    rank_of,
    reciprocal_rank,
    success,
)

RANKS = np.array([1, 2, 0, 10, 11, 4])


def test_rank_is_one_based_and_zero_when_absent() -> None:
    """The first suggestion has rank 1; what is not in the list has rank 0."""
    suggestions = ["red shoes", "red dress", "red wine"]

    assert rank_of("red shoes", suggestions) == 1
    assert rank_of("red wine", suggestions) == 3
    assert rank_of("red", suggestions) == 0
    assert rank_of("red", []) == 0


def test_mrr_counts_the_first_ten_places_and_nothing_after() -> None:
    """(1 + 1/2 + 0 + 1/10 + 0 + 1/4) / 6; place 11 counts as a miss."""
    per_row = reciprocal_rank(RANKS)

    assert per_row.tolist() == [1.0, 0.5, 0.0, 0.1, 0.0, 0.25]
    assert mean(per_row) == pytest.approx(1.85 / 6)


def test_success_is_one_inside_the_first_ten() -> None:
    """Four of the six rows find the wanted query among the first ten."""
    assert success(RANKS).tolist() == [1.0, 1.0, 0.0, 1.0, 0.0, 1.0]


def test_keystrokes_saved_is_the_share_not_typed() -> None:
    """Nine letters found after three save 6/9; a miss and place 11 save nothing."""
    prefix_lengths = np.array([3, 1, 3, 9, 2, 5])
    query_lengths = np.array([9, 4, 9, 10, 8, 6])
    saved = keystrokes_saved(RANKS, prefix_lengths, query_lengths)

    assert saved.tolist() == pytest.approx([6 / 9, 3 / 4, 0.0, 1 / 10, 0.0, 1 / 6])


def test_keystrokes_saved_is_never_negative() -> None:
    """A corrected prefix may be longer than the query found; that saves nothing."""
    saved = keystrokes_saved(np.array([1]), np.array([7]), np.array([5]))

    assert saved.tolist() == [0.0]


def test_candidate_recall_counts_the_pool_and_the_list() -> None:
    """In the pool, or in the list (at any place), is recalled; neither is not."""
    recalled = candidate_recall(np.array([1, 0, 0, 11]), np.array([True, True, False, False]))

    assert recalled.tolist() == [1.0, 1.0, 0.0, 1.0]


def test_the_mean_of_no_rows_is_nothing() -> None:
    """A bucket without rows has no figure, not a zero."""
    assert mean(np.array([])) is None


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1))
def test_measures_never_contradict_each_other(rows: list[tuple[int, bool]]) -> None:
    """MRR <= success <= candidate recall, and keystrokes saved <= success, row by row."""
    ranks = np.array([rank for rank, _ in rows])
    in_pool = np.array([pooled for _, pooled in rows])
    lengths = np.full(len(rows), 4)
    found = success(ranks)

    assert (reciprocal_rank(ranks) <= found).all()
    assert (found <= candidate_recall(ranks, in_pool)).all()
    assert (keystrokes_saved(ranks, lengths, lengths + 3) <= found).all()
