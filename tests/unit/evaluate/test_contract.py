"""Each broken promise is seen, and nothing else."""

from __future__ import annotations

from espalier.evaluate.contract import NONE, Violations, check, total
from espalier.evaluate.systems import Answer


def test_a_good_list_breaks_nothing() -> None:
    """All start with the prefix, none twice, and as many as asked for."""
    assert check(Answer(["new york", "new car"]), prefix="new ", k=2, matching=9) == NONE


def test_a_suggestion_without_the_prefix_is_counted_each_time() -> None:
    """Two strangers count twice."""
    broken = check(Answer(["new", "old", "odd"]), prefix="new", k=3, matching=None)

    assert broken == Violations(prefix=2)


def test_a_correction_need_not_start_with_the_prefix() -> None:
    """Only the flagged places are exempt."""
    answer = Answer(["shoes", "shoe rack"], exempt=frozenset({0}))

    assert check(answer, prefix="hsoe", k=10, matching=0) == Violations(prefix=1)


def test_a_short_list_counts_only_if_k_labels_match() -> None:
    """Nine of ten is broken when ten match, and right when nine do."""
    nine = Answer([f"a{i}" for i in range(9)])

    assert check(nine, prefix="a", k=10, matching=10) == Violations(k_of_k=1)
    assert check(nine, prefix="a", k=10, matching=9) == NONE
    assert check(nine, prefix="a", k=10, matching=None) == NONE


def test_repeats_are_counted_beyond_the_first() -> None:
    """Three equal suggestions are two duplicates."""
    answer = Answer(["ab", "ab", "ac", "ab"])

    assert check(answer, prefix="a", k=4, matching=4) == Violations(duplicates=2)


def test_the_query_just_submitted_is_a_violation_where_it_is_promised_away() -> None:
    """Without hygiene it may come back; with it, it may not."""
    texts = ["red", "red wine"]
    promised, other = Answer(texts, hygiene=True), Answer(texts)

    assert check(promised, prefix="r", k=2, matching=9, submitted="red") == Violations(repeats=1)
    assert check(promised, prefix="r", k=2, matching=9, submitted="rose") == NONE
    assert check(other, prefix="r", k=2, matching=9, submitted="red") == NONE


def test_a_list_short_of_what_hygiene_left_out_is_not_short() -> None:
    """Of two matching labels one was just submitted: the other is a full list."""
    one = Answer(["red wine"], hygiene=True)

    assert check(one, prefix="r", k=2, matching=2, submitted="red") == NONE
    assert check(one, prefix="r", k=2, matching=2, submitted="blue") == Violations(k_of_k=1)
    assert check(one, prefix="r", k=2, matching=3, submitted="red") == Violations(k_of_k=1)


def test_a_list_short_of_its_variants_is_not_short() -> None:
    """Nine that are ten with their plurals are right; nine of nine are not."""
    nine = [f"a{i}" for i in range(9)]

    assert check(Answer(nine, with_variants=10), prefix="a", k=10, matching=10) == NONE
    assert check(Answer(nine, with_variants=9), prefix="a", k=10, matching=10).k_of_k == 1


def test_totals_add_up_by_kind() -> None:
    """Kinds stay apart in a sum."""
    summed = total([Violations(1, 2, 3), NONE, Violations(prefix=4, repeats=7)])

    assert summed == Violations(5, 2, 3, 7)
    assert summed.total == 17
    assert summed.to_json() == {"prefix": 5, "k_of_k": 2, "duplicates": 3, "repeats": 7}
