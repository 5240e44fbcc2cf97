"""Which systems there are, and how each asks the index."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import ConfigError
from espalier.evaluate.questions import Question
from espalier.evaluate.systems import ALWAYS, BASELINE, EXTRA, select
from tests.unit.evaluate.twin import TwinIndex, most_frequent

USERS = {"ab": 3, "abc": 3, "abd": 9, "a": 1, "b": 7, "ba c": 2, "bb c": 1}
TEXT = st.text(alphabet="ab é", max_size=4)


def test_every_report_has_the_three_named_systems_first() -> None:
    """Names and order are part of the report's contract."""
    assert [system.name for system in select()] == ["all_sources", "labels_only", "most_frequent"]


def test_further_systems_are_asked_for_by_name_once() -> None:
    """A repeated name, or one that is there anyway, adds nothing."""
    chosen = select(["model_unconstrained", "labels_only", "model_unconstrained"])

    assert [system.name for system in chosen[3:]] == ["model_unconstrained"]


def test_an_unknown_system_is_refused_with_the_nearest_name() -> None:
    """The message lists what there is and guesses what was meant."""
    with pytest.raises(ConfigError, match="did you mean 'model_constrained'"):
        select(["model_constraind"])


def test_only_model_systems_promise_no_full_list() -> None:
    """A beam without popularity may come back short; everything else may not."""
    assert [system.promises_k for system in ALWAYS] == [True, True, True]
    assert [system.promises_k for system in EXTRA] == [False, False]


def test_an_old_session_is_asked_about_as_old() -> None:
    """The index hears the ages of previous queries, and may do without them."""
    fresh, old = Question("a", ("abc",), "abc", 0, 10), Question("a", ("abc",), "abc", 0, 9_999)
    index = TwinIndex(USERS)

    assert ALWAYS[0].answer(index, fresh, 1).texts == ["abc"]
    assert ALWAYS[0].answer(index, old, 1).texts == ["abd"]


def test_most_frequent_is_by_users_then_by_text() -> None:
    """9 users, then 3 and 3 in byte order, then 1."""
    answer = BASELINE.answer(TwinIndex(USERS), Question("a", (), "abc", 0), 10)

    assert answer.texts == ["abd", "ab", "abc", "a"]
    assert answer.pool is None


def test_the_unconstrained_model_filters_after_its_pool() -> None:
    """Only what the model ranked among its best, prefix or not, can come back."""
    index = TwinIndex({f"x{i:04}": 2 for i in range(1000)} | {"y": 1})
    question = Question("y", (), "y", 0)
    constrained, unconstrained = (system.answer(index, question, 10) for system in EXTRA)

    assert constrained.texts == ["y"]
    assert unconstrained.texts == []


def test_the_context_reaches_the_ranking() -> None:
    """A label that shares a word with the previous query goes first."""
    with_context, without = (
        ALWAYS[0].answer(TwinIndex(USERS), Question("b", previous, "bb c", 0), 3).texts
        for previous in (("see c",), ())
    )

    assert with_context == ["ba c", "bb c", "b"]
    assert without == ["b", "ba c", "bb c"]


@given(st.dictionaries(TEXT, st.integers(1, 5), max_size=30), TEXT, st.integers(1, 12))
def test_the_baseline_is_what_its_definition_says(
    users: dict[str, int], prefix: str, k: int
) -> None:
    """Nothing left out has more users than anything in; order is total; all match."""
    best = most_frequent(users, prefix, k)
    matching = {label for label in users if label.startswith(prefix)}
    left_out = matching - set(best)
    keys = [(-users[label], label.encode()) for label in best]

    assert len(best) == min(k, len(matching))
    assert set(best) <= matching
    assert keys == sorted(set(keys))
    assert all((-users[label], label.encode()) > keys[-1] for label in left_out)
