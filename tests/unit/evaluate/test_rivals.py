"""Comparing two indexes: worse is what loses more than the margin, and not by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.evaluate.intervals import Interval
from espalier.evaluate.questions import Question, Questions
from espalier.evaluate.rivals import Comparison, compare
from tests.unit.evaluate.twin import TwinIndex

GOOD = {f"lamp {letter}": 20 - place for place, letter in enumerate("abcdefghij")}


def questions_of(wanted: list[str], users: int) -> Questions:
    """Return a question for each wanted query, users taking turns."""
    asked = tuple(Question("lamp", (), text, number % users) for number, text in enumerate(wanted))
    return Questions(asked, 0, units=users)


@pytest.mark.parametrize(
    ("new", "old", "interval", "margin", "is_worse"),
    [
        (0.20, 0.30, (-0.12, -0.08), 0.01, True),
        (0.20, 0.30, (-0.22, 0.02), 0.01, False),  # chance explains it
        (0.299, 0.30, (-0.002, -0.0005), 0.01, False),  # not worth a night without an index
        (0.299, 0.30, (-0.002, -0.0005), 0.0, True),
        (0.30, 0.30, (0.0, 0.0), 0.0, False),
        (0.40, 0.30, (0.08, 0.12), 0.0, False),
        (0.0, 0.0, (0.0, 0.0), 0.01, False),
    ],
)
def test_worse_is_beyond_the_margin_and_beyond_chance(
    new: float, old: float, interval: tuple[float, float], margin: float, is_worse: bool
) -> None:
    """Either alone does not keep an index from its place."""
    found = Comparison(new, old, Interval(*interval), 100, 20, margin)

    assert is_worse == found.is_worse == found.to_json()["is_worse"]


def test_an_index_is_not_worse_than_itself() -> None:
    """Not by a hair: the same answers differ by nothing in every sample."""
    index = TwinIndex(GOOD)
    found = compare(index, index, questions_of(sorted(GOOD) * 3, 6), margin=0.0)

    assert (found.difference, found.interval) == (0.0, Interval(0.0, 0.0))
    assert not found.is_worse


@given(st.integers(0, 2**32), st.integers(2, 30))
def test_the_figures_are_those_of_the_lists(seed: int, users: int) -> None:
    """Means of reciprocal ranks over all rows, and an interval around their difference."""
    rng = np.random.default_rng(seed)
    upside_down = dict(zip(GOOD, reversed(GOOD.values()), strict=True))
    wanted = rng.choice(sorted(GOOD), size=60).tolist()
    found = compare(TwinIndex(upside_down), TwinIndex(GOOD), questions_of(wanted, users), margin=0)
    rank = {text: place for place, text in enumerate(sorted(GOOD, key=lambda t: -GOOD[t]), 1)}

    assert found.old == pytest.approx(np.mean([1 / rank[text] for text in wanted]))
    assert found.new == pytest.approx(np.mean([1 / (11 - rank[text]) for text in wanted]))
    assert found.interval.low <= found.difference <= found.interval.high
    assert (found.rows, found.users) == (60, users)


def test_the_worse_of_two_orders_is_found_out() -> None:
    """People who want what is popular are served badly by the order upside down."""
    upside_down = dict(zip(GOOD, reversed(GOOD.values()), strict=True))
    wanted = ["lamp a", "lamp a", "lamp b", "lamp c"] * 10

    found = compare(TwinIndex(upside_down), TwinIndex(GOOD), questions_of(wanted, 8), margin=0.01)

    assert found.is_worse
    assert "40 questions of 8 held-out users" in found.line()
