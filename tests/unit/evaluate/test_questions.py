"""From rows of a file to questions: normalising, skipping, counting."""

from __future__ import annotations

from dataclasses import dataclass

from espalier.evaluate.questions import Question, prepare


@dataclass(frozen=True)
class Row:
    """A row as a file has it."""

    previous_query: str
    prefix: str
    next_query: str
    user: str | None = None
    earlier: tuple[str, ...] | None = None
    gap_seconds: int | None = None


def test_texts_are_normalised_once_as_an_index_does() -> None:
    """Case, width and white space go; a prefix keeps one trailing space."""
    questions = prepare([Row("  RED ", "\uff2eew  ", "New  YORK", earlier=("", "Old"))])

    assert questions.asked == (Question("new ", ("red", "old"), "new york", 0),)


def test_a_gap_is_the_least_age_of_all_previous_queries() -> None:
    """Of those before the last no more is known; without a gap nothing is."""
    questions = prepare([Row("a", "b", "bc", None, ("d", "e"), 70), Row("a", "b", "bc")])

    assert [question.ages for question in questions.asked] == [(70, 70, 70), None]


def test_lengths_count_code_points_of_normalised_texts() -> None:
    """A ligature and a combining accent count as what they normalise to."""
    questions = prepare([Row("", "\ufb01", "fire"), Row("", "cafe\u0301", "cafe\u0301s")])

    assert questions.prefix_lengths().tolist() == [2, 4]
    assert questions.wanted_lengths().tolist() == [4, 5]


def test_a_prefix_that_is_the_whole_query_is_skipped_and_counted() -> None:
    """Nothing is left to type, also when only case or a trailing space differ."""
    questions = prepare(
        [Row("", "shoes", "shoes"), Row("", "Shoes ", "shoes"), Row("", "shoe", "shoes")]
    )

    assert len(questions.asked) == 1
    assert questions.skipped == 2
    assert dict(questions.bad) == {}


def test_rows_that_cannot_be_asked_are_counted_by_kind() -> None:
    """The reader's own counts stay; an overlong prefix and an empty query join them."""
    questions = prepare(
        [
            Row("", "a", " \t"),
            Row("", "b" * 1025, "b" * 1026),
            Row("", "c", "c\ud800"),
            Row("", "d" * 1024, "d" * 1025),
        ],
        {"missing_column": 7},
    )

    assert dict(questions.bad) == {
        "missing_column": 7,
        "empty_next_query": 1,
        "prefix_too_long": 1,
        "text_invalid": 1,
    }
    assert len(questions.asked) == 1


def test_an_empty_prefix_is_a_question() -> None:
    """Next-query suggestion is asked like everything else."""
    questions = prepare([Row("red shoes", "", "red dress")])

    assert [question.prefix for question in questions.asked] == [""]


def test_rows_of_a_user_are_one_unit_and_rows_without_one_stand_alone() -> None:
    """Units are dense; two rows without a user are two units, whatever they say."""
    questions = prepare(
        [
            Row("", "a", "ab", user="x"),
            Row("", "a", "ab"),
            Row("", "a", "ac", user="y"),
            Row("", "a", "ad", user="x"),
            Row("", "a", "ab"),
            Row("", "a", "ab", user=""),
        ]
    )

    assert questions.unit_numbers().tolist() == [0, 1, 2, 0, 3, 4]
    assert questions.units == 5
