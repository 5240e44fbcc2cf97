"""The measures of one answer."""

from __future__ import annotations

import math

import pytest

from espalier.retrieval.evaluation import measure


def test_a_perfect_answer_has_ones() -> None:
    """Graded best first, everything found."""
    assert (1.0, 1.0, 1.0, 1.0) == measure([4, 2], {4: 3.0, 2: 2.5})


def test_an_answer_with_nothing_has_zeros() -> None:
    """Also an empty one."""
    assert (0.0, 0.0, 0.0, 0.0) == measure([], {4: 3.0})
    assert (0.0, 0.0, 0.0, 0.0) == measure([1, 2], {4: 3.0})


def test_every_measure_is_as_defined() -> None:
    """Hits at places 2 and 12 of three relevant products."""
    found = [100, 1, *range(101, 110), 2]

    recall10, recall100, ndcg, mrr = measure(found, {1: 2.0, 2: 3.0, 3: 3.0})

    ideal = 3 / math.log2(2) + 3 / math.log2(3) + 2 / math.log2(4)
    assert (1 / 3, 2 / 3, 0.5) == pytest.approx((recall10, recall100, mrr))
    assert ndcg == pytest.approx(2 / math.log2(3) / ideal)


def test_only_the_first_hundred_are_looked_at() -> None:
    """Recall@100 stops there."""
    assert measure([*range(1000, 1100), 7], {7: 3.0})[1] == 0
