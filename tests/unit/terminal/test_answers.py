"""Asking a real index: the same answers, and what stands beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import espalier
from espalier.index import Index, Source
from espalier.terminal.answers import IndexAsker, Question


@pytest.fixture(scope="module")
def index(demo_index: Path) -> Iterator[Index]:
    """Return an index trained on the synthetic log."""
    with espalier.open(demo_index) as opened:
        yield opened


@pytest.fixture(scope="module")
def previous(index: Index) -> tuple[str, ...]:
    """Return a session that changes what is suggested for the first letter."""
    plain = [one.text for one in index.complete("c")]
    for label in index.popular("", 200):
        if [one.text for one in index.complete("c", [label])] != plain:
            return (label,)
    pytest.fail("no context changes any list: the index is of no use here")


def test_the_answer_is_that_of_the_index(index: Index, previous: tuple[str, ...]) -> None:
    """The same suggestions in the same order, for as many as wanted."""
    answer = IndexAsker(index, k=7).ask(Question("c", previous))

    assert [row.suggestion for row in answer.rows] == index.complete("c", previous, k=7)
    assert answer.candidates >= len(answer.rows) == 7
    assert answer.refusal == ""


def test_ranks_are_compared_with_the_list_without_the_session(
    index: Index, previous: tuple[str, ...]
) -> None:
    """``before`` is the place on the plain list; what was not on it has none."""
    answer = IndexAsker(index, k=7).ask(Question("c", previous))
    plain = [one.text for one in index.complete("c", k=7)]

    assert answer.compared
    for row in answer.rows:
        text = row.suggestion.text
        assert row.before == (plain.index(text) + 1 if text in plain else None)
    assert [row.before for row in answer.rows] != list(range(1, 8))


def test_without_a_session_nothing_is_compared(index: Index) -> None:
    """And nothing is asked twice."""
    answer = IndexAsker(index).ask(Question("c"))

    assert not answer.compared
    assert {row.before for row in answer.rows} == {None}


def test_users_are_those_of_the_label(index: Index) -> None:
    """As the log had them."""
    for row in IndexAsker(index, sources=Source.POPULAR).ask(Question("c")).rows:
        label = index.find(row.suggestion.text)
        assert label is not None
        assert row.users == index.users(label)


def test_only_the_sources_wanted_answer(index: Index, previous: tuple[str, ...]) -> None:
    """With and without the session."""
    answer = IndexAsker(index, sources=Source.POPULAR).ask(Question("c", previous))

    assert {row.suggestion.source for row in answer.rows} == {"POPULAR"}


def test_the_time_is_that_of_one_completion(index: Index, previous: tuple[str, ...]) -> None:
    """The comparison beside it does not count."""
    ticks = iter([1_000, 85_000])

    answer = IndexAsker(index, clock=lambda: next(ticks)).ask(Question("c", previous))

    assert answer.microseconds == 84


def test_what_the_index_refuses_becomes_a_refusal(index: Index) -> None:
    """The text says what is wrong and never what was typed."""
    refusal = IndexAsker(index).ask(Question("secret" * 200)).refusal

    assert "1024" in refusal
    assert "secret" not in refusal


def test_figures_are_what_features_added_to_the_score(
    index: Index, previous: tuple[str, ...]
) -> None:
    """The largest first, whatever their sign, as ``Index.explain`` has them."""
    answer = IndexAsker(index, explain=True).ask(Question("c", previous))
    explained = {one.suggestion.text: one for one in index.explain("c", previous)}

    assert any(row.added for row in answer.rows), "nothing was ordered by a forest"
    for row in answer.rows:
        features = explained[row.suggestion.text].features
        parts = {name: part.contribution for name, part in features.items() if part.contribution}
        assert row.added == bool(parts)
        if parts:
            assert dict(row.figures).items() <= parts.items()
            sizes = [abs(value) for _, value in row.figures]
            assert sizes == sorted(map(abs, parts.values()), reverse=True)[: len(sizes)]
            assert len(sizes) == min(6, len(parts))


def test_without_a_forest_the_figures_are_those_of_the_blend(index: Index) -> None:
    """One source alone orders by itself, and features add nothing to that."""
    one_source = IndexAsker(index, explain=True, sources=Source.POPULAR)
    for asker in (one_source, IndexAsker(index)):
        for row in asker.ask(Question("c")).rows:
            one = row.suggestion
            assert row.figures == (("model", one.model), ("popularity", one.popularity))
            assert not row.added
