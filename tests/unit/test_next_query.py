"""Suggestions before anything is typed: what a session leads to, or what is popular."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import espalier
from espalier.index import Index
from espalier.native import RELATION_HEADER
from espalier.settings import TrainSettings
from espalier.text import normalise
from espalier.train import train_index


@pytest.fixture(scope="module")
def demo(demo_index: Path) -> Iterator[Index]:
    """Return the index of the demo log."""
    with espalier.open(demo_index) as index:
        yield index


def _followers(index: Index) -> dict[int, list[int]]:
    """Return the labels typed right after each label, most users first (FORMAT.md, RELA)."""
    data = index._native.section("RELA")
    head = np.frombuffer(data, RELATION_HEADER, 1)[0]
    n_heads, n_followers = int(head["n_heads"]), int(head["n_followers"])
    numbers = np.frombuffer(data[len(data) - 4 * (2 * n_heads + 1 + 2 * n_followers) :], "<u4")
    parts = np.split(numbers, np.cumsum([n_heads, n_heads + 1, n_followers]))
    heads, bounds, followers, users = (part.tolist() for part in parts)
    found = {}
    for place, label in enumerate(heads):
        inside = range(bounds[place], bounds[place + 1])
        found[label] = [followers[i] for i in sorted(inside, key=lambda i: -users[i])]
    return found


@pytest.mark.parametrize("k", [1, 10, 100])
def test_nothing_typed_and_no_session_gives_what_is_popular(demo: Index, k: int) -> None:
    """The labels of most users in their order, variants left out: the same for everybody."""
    found = demo.complete("", k=k)
    popular = demo.popular("", 2 * k + 50)

    assert len(found) == k
    assert {one.source for one in found} == {"POPULAR"}
    places = [popular.index(one.text) for one in found]
    assert sorted(places) == places
    assert places[0] == 0
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    kept = demo.complete_with_work("", k=k, keep_variants=True).suggestions
    assert [one.text for one in kept] == popular[:k]


def test_a_session_gives_as_many_as_are_wanted(demo: Index) -> None:
    """Whatever was searched for, known or not, there are k next queries."""
    sessions = [[demo.label(i)] for i in range(0, demo.info.labels, demo.info.labels // 40)]
    sessions += [["never heard of"], ["never heard of", demo.label(0)], ["x" * 10_000]]
    for session in sessions:
        for k in (1, 10, 50):
            found = demo.complete("", session, k=k)
            assert len(found) == k
            assert normalise(session[0]) not in {one.text for one in found}
            assert len({one.text for one in found}) == k
            assert all(one.matched_code_points == 0 for one in found)


def _led(index: Index) -> tuple[float, float]:
    """Return how often a follower leads the list, and how often one is in it."""
    followers = _followers(index)
    assert len(followers) >= 50
    leads = among = 0
    for label, labels in followers.items():
        after = {index.label(follower) for follower in labels}
        found = [one.text for one in index.complete("", [index.label(label)])]
        leads += found[0] in after
        among += not after.isdisjoint(found)
    return leads / len(followers), among / len(followers)


def test_what_people_typed_next_is_offered(demo: Index) -> None:
    """Of queries that others typed right after, one is in the list nearly always."""
    assert _led(demo)[1] >= 0.8


def test_without_a_scorer_what_people_typed_next_leads(demo_log: Path, tmp_path: Path) -> None:
    """Where nothing was learnt about ranking, what people typed next leads."""
    settings = TrainSettings(min_users=1, threads=1, blender="fixed")
    train_index([demo_log], tmp_path / "plain.esp", settings)
    with espalier.open(tmp_path / "plain.esp") as index:
        leads, among = _led(index)
    assert leads >= 0.5
    assert among >= 0.9


def test_a_session_leads_elsewhere_than_no_session(demo: Index) -> None:
    """The list is about what was searched for: it shares words with it more often."""
    plain = [one.text for one in demo.complete("")]
    shared = by_chance = 0
    for label in range(0, demo.info.labels, demo.info.labels // 100):
        query = demo.label(label)
        words = set(query.split())
        found = [one.text for one in demo.complete("", [query])]
        assert found != plain
        shared += sum(bool(words & set(text.split())) for text in found)
        by_chance += sum(bool(words & set(text.split())) for text in plain)
    assert shared > 3 * by_chance


def test_the_first_letter_follows_the_session(demo: Index) -> None:
    """A letter of a word of the session is enough: that word is among the first."""
    words = [word for word in demo.label(0).split() if len(word) > 3]
    assert words
    for word in words:
        first = demo.complete(word[0], [f"zzz {word}"])
        assert any(word in one.text.split() for one in first[:3])


def test_an_unknown_word_of_the_session_comes_back(demo: Index) -> None:
    """What nobody else has typed is offered to the one who did, and to no one else."""
    found = demo.complete("qu", ["quuxly lamps"])
    assert any("quuxly" in one.text.split() for one in found)
    assert {one.source for one in found if "quuxly" in one.text} == {"TAIL"}
    assert not any("quuxly" in one.text for one in demo.complete("qu"))
