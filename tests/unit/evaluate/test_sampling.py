"""Samples: stable, nested, with users counted anew."""

from __future__ import annotations

import dataclasses
import random

from espalier.evaluate.questions import Question, Questions
from espalier.evaluate.sampling import sample

ASKED = tuple(
    Question(f"p{i % 50}", (f"q{i % 7}",), f"p{i % 50} and more", i % 13) for i in range(400)
)
QUESTIONS = Questions(ASKED, 3, {"bad_gap": 2}, 13)


def said(questions: Questions) -> list[tuple[str, tuple[str, ...], str]]:
    """Return the texts of the questions, sorted."""
    return sorted((q.prefix, q.previous, q.wanted) for q in questions.asked)


def test_a_sample_has_the_size_asked_for_and_counts_the_rest() -> None:
    """What was skipped and bad before is told as before."""
    chosen = sample(QUESTIONS, 30)

    assert len(chosen.asked) == 30
    assert (chosen.left_out, chosen.skipped, chosen.bad) == (370, 3, {"bad_gap": 2})


def test_a_sample_of_everything_is_everything() -> None:
    """Nothing is left out, nothing is copied."""
    assert sample(QUESTIONS, 400) is QUESTIONS
    assert sample(QUESTIONS, 9_999) is QUESTIONS


def test_the_order_of_the_file_does_not_choose() -> None:
    """Shuffled rows give the same texts."""
    shuffled = list(ASKED)
    random.Random(5).shuffle(shuffled)  # noqa: S311 - a shuffle for a test

    assert said(sample(QUESTIONS, 100)) == said(
        sample(dataclasses.replace(QUESTIONS, asked=tuple(shuffled)), 100)
    )


def test_a_larger_sample_holds_the_smaller_one_in_the_same_order() -> None:
    """Going from 50 to 100 rows adds rows."""
    small, large = (
        [(q.prefix, q.previous, q.wanted) for q in sample(QUESTIONS, n).asked] for n in (50, 100)
    )
    rest = iter(large)

    assert all(row in rest for row in small)


def test_rows_that_say_the_same_are_not_chosen_all_or_none() -> None:
    """Of a hundred equal rows about half stand in half of the rows."""
    equal = Questions(tuple(Question("r", (), "red", i) for i in range(100)), 0, {}, 100)
    others = tuple(Question("b", (), f"b{i}", i) for i in range(100))
    chosen = sample(dataclasses.replace(equal, asked=(*equal.asked, *others)), 100)

    assert 30 < sum(q.wanted == "red" for q in chosen.asked) < 70


def test_users_are_numbered_anew_and_stay_together() -> None:
    """Units are dense from 0, rows of one user keep one number."""
    chosen = sample(QUESTIONS, 8)
    units = [q.unit for q in chosen.asked]

    assert set(units) == set(range(chosen.units))
    assert chosen.units < 13
