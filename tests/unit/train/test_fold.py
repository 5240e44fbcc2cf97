"""What the blender is asked to learn from: people an index has not seen, and their questions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import espalier
from espalier.native import NativeIndex, Source, feature_names
from espalier.querylog import QueryLog, read_log
from espalier.settings import TrainSettings
from espalier.train import train_index, train_on
from espalier.train.fold import (
    FEWEST_USERS,
    MAX_PREVIOUS,
    RUN,
    Answers,
    Asked,
    answer,
    choose_fold,
    pose,
)
from tests.unit.train.conftest import make_log

MakeLog = Callable[..., QueryLog]
SETTINGS = TrainSettings(min_users=1, threads=1, max_leaf=4, blender="fixed")


def people(count: int) -> QueryLog:
    """Return a log in which every user types one query that nobody else does."""
    return make_log([[f"lamp {user:04d}"] for user in range(count)])


def typists(log: QueryLog) -> set[int]:
    """Return the users of a log of ``people``, by what they typed."""
    return {int(query.removeprefix("lamp ")) for query in log.queries}


# ---- who is left out -----------------------------------------------------------------


@given(
    st.integers(FEWEST_USERS, 900),
    st.floats(0.01, 0.5),
    st.integers(0, 2**63 - 1),
)
def test_everybody_is_on_one_side(users: int, share: float, seed: int) -> None:
    """All users and all of their events are there, on one side each, in runs of neighbours."""
    fold = choose_fold(people(users), share, seed)
    assert fold is not None
    training, asked = typists(fold.training), typists(fold.asked)

    assert training | asked == set(range(users))
    assert not training & asked
    assert training
    run = max(1, min(RUN, users // 40))
    for first in range(0, users, run):
        neighbours = set(range(first, min(first + run, users)))
        assert neighbours <= asked or not neighbours & asked
    assert abs(len(asked) - share * users) <= 2 * run


def test_events_of_one_user_stay_together(shop_log: QueryLog) -> None:
    """Both sides are logs of their own: events, sessions and numbers of users add up."""
    fold = choose_fold(shop_log, 0.3, seed=1)
    assert fold is not None

    sides = (fold.training, fold.asked)
    assert sum(len(side.event_query) for side in sides) == len(shop_log.event_query)
    counted = dict.fromkeys(shop_log.queries, 0)
    for side in sides:
        for query, users in zip(side.queries, side.users.tolist(), strict=True):
            assert users > 0
            counted[query] += users
    assert counted == dict(zip(shop_log.queries, shop_log.users.tolist(), strict=True))


def test_the_seed_chooses_who_is_left_out() -> None:
    """The same people every time; others with another seed."""
    log = people(400)
    left_out = [choose_fold(log, 0.1, seed) for seed in (1, 1, 2)]
    same, again, other = (typists(fold.asked) for fold in left_out if fold is not None)

    assert same == again != other


@pytest.mark.parametrize(("users", "share"), [(FEWEST_USERS - 1, 0.1), (1, 0.5), (500, 0.0)])
def test_where_nobody_can_be_spared_there_is_no_fold(users: int, share: float) -> None:
    """Too few people teach nothing about other people; a share of 0 asks for nobody."""
    assert choose_fold(people(users), share, seed=1) is None


# ---- what is asked -------------------------------------------------------------------


def asked_of(log: QueryLog, asked: Asked) -> Iterator[tuple[str, int, list[str]]]:
    """Yield the query that is wanted, how much of it was typed, and what came before."""
    for event, typed, previous in zip(
        asked.event.tolist(), asked.typed.tolist(), asked.previous.tolist(), strict=True
    ):
        before = log.event_query[event - previous : event].tolist()
        yield log.queries[log.event_query[event]], typed, [log.queries[i] for i in before]


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "bé", "lamp", "lamp shade", "靴"]), min_size=1, max_size=50),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 200),
    st.integers(0, MAX_PREVIOUS),
    st.integers(0, 2**63 - 1),
)
def test_questions_are_what_a_session_poses(
    sessions: list[list[str]], limit: int, most_previous: int, seed: int
) -> None:
    """A beginning of a query, whole code points of it, after queries of the same session."""
    log = make_log(sessions)
    asked = pose(log, limit, most_previous, seed)

    assert len(asked.event) <= limit
    assert np.all(np.diff(asked.event) > 0)
    session = log.event_session.tolist()
    for event, previous in zip(asked.event.tolist(), asked.previous.tolist(), strict=True):
        assert 0 <= previous <= most_previous
        assert session[event - previous] == session[event]
    for wanted, typed, before in asked_of(log, asked):
        assert 0 <= typed < len(wanted)
        assert typed > 0 or before


def test_there_are_questions_of_every_kind(demo_log: Path) -> None:
    """With the session, with a part of it, without; and a few before anything is typed."""
    log = read_log([demo_log], SETTINGS.log)
    asked = pose(log, 4_000, MAX_PREVIOUS, seed=3)
    start = np.searchsorted(log.event_session, log.event_session[asked.event])
    whole = asked.event - start

    assert 0.4 < np.mean(asked.previous[whole > 1] == whole[whole > 1]) < 0.9
    assert 0.1 < np.mean(asked.previous[whole > 0] == 0) < 0.5
    assert 0.005 < np.mean(asked.typed == 0) < 0.03
    assert set(asked.typed.tolist()) >= set(range(12))


def test_the_seed_chooses_the_questions(shop_log: QueryLog) -> None:
    """The same every time; others with another seed."""
    same, again, other = (pose(shop_log, 100, MAX_PREVIOUS, seed) for seed in (1, 1, 2))

    for one, two in ((same.event, again.event), (same.typed, again.typed)):
        assert one.tolist() == two.tolist()
    assert same.previous.tolist() == again.previous.tolist()
    assert same.event.tolist() != other.event.tolist()


# ---- what comes back -----------------------------------------------------------------


def ask(path: Path, log: QueryLog, asked: Asked, threads: int = 1) -> Answers:
    """Ask the index in a file."""
    with NativeIndex.open(path) as index:
        return answer(index, log, asked, threads)


def test_threads_change_nothing(shop_log: QueryLog, tmp_path: Path) -> None:
    """Candidates, their features and their order are the same; every question is counted."""
    path = tmp_path / "site.esp"
    train_on(shop_log, path, SETTINGS)
    asked = pose(shop_log, 1_000, MAX_PREVIOUS, seed=1)
    done: list[int] = []
    with NativeIndex.open(path) as index:
        found = [answer(index, shop_log, asked, threads, done.append) for threads in (1, 2, 5)]

    for one, two in itertools.pairwise(found):
        assert one.x.tobytes() == two.x.tobytes()
        assert one.group.tolist() == two.group.tolist()
        assert one.relevant.tolist() == two.relevant.tolist()
        assert one.asked == two.asked == len(asked.event)
    assert sum(done) == 3 * len(asked.event)


def test_one_candidate_of_each_answer_was_wanted(shop_log: QueryLog, tmp_path: Path) -> None:
    """It is the query that was typed; the one just submitted is never asked for."""
    path = tmp_path / "site.esp"
    train_on(shop_log, path, SETTINGS)
    asked = pose(shop_log, 1_000, MAX_PREVIOUS, seed=1)
    answers = ask(path, shop_log, asked)

    assert answers.x.shape == (answers.group.sum(), len(feature_names()))
    ends = np.cumsum(answers.group)
    assert np.add.reduceat(answers.relevant, ends - answers.group).tolist() == [1] * len(ends)
    questions = list(asked_of(shop_log, asked))
    possible = [one for one in questions if not one[2] or one[2][-1] != one[0]]
    assert len(answers.group) == len(possible) < len(questions)
    # Of each answer the row that is wanted has the length of the wanted query.
    column = answers.x[answers.relevant, feature_names().index("bytes")]
    assert column.tolist() == [len(wanted.encode()) for wanted, _, _ in possible]


def test_an_answer_without_a_choice_teaches_nothing(log_of: MakeLog, tmp_path: Path) -> None:
    """Where a single query begins so, there is nothing to put in order."""
    log = log_of([["alpha"], ["beta"], ["gamma"]] * 100)
    path = tmp_path / "site.esp"
    train_on(log, path, replace(SETTINGS, tails=False))

    answers = ask(path, log, pose(log, 300, MAX_PREVIOUS, seed=1))

    assert (300, 0) == (answers.asked, len(answers.group))


def test_no_question_gives_no_answer(shop_log: QueryLog, tmp_path: Path) -> None:
    """Nothing is asked of an empty list."""
    path = tmp_path / "site.esp"
    train_on(shop_log, path, SETTINGS)
    nothing = np.zeros(0, np.int64)

    answers = ask(path, shop_log, Asked(nothing, nothing, nothing, nothing > 0), threads=2)

    assert (0, 0, 0) == (answers.asked, len(answers.group), len(answers.relevant))


@pytest.mark.parametrize("character", ["x", "靴", "👟"])
def test_queries_of_any_length_can_be_asked_about(
    log_of: MakeLog, tmp_path: Path, character: str
) -> None:
    """A thousand characters, as a log may be read with: longer than serving takes prefixes."""
    log = log_of([[f"{character * 998} {i % 7}" for i in range(40)] for _ in range(3)])
    path = tmp_path / "site.esp"
    train_on(log, path, SETTINGS)
    asked = pose(log, 1_000, MAX_PREVIOUS, seed=1)

    answers = ask(path, log, replace(asked, typed=np.maximum(asked.typed, 998)))

    assert len(answers.group) == answers.asked > 100


def test_every_source_stands_for_choice(demo_log: Path, tmp_path: Path) -> None:
    """The index that is asked has no scorer; what it generates is looked at all the same."""
    settings = TrainSettings(min_users=1, threads=1, blender="fixed")
    path = tmp_path / "unscored.esp"
    train_index([demo_log], path, settings)
    log = read_log([demo_log], settings.log)
    questions = pose(log, 500, most_previous=5, seed=1)

    answers = ask(path, log, questions)

    assert answers.relevant.sum() == len(answers.group)
    column = {name: answers.x[:, i] for i, name in enumerate(feature_names())}
    for name in ("by_model", "by_popularity", "by_tail", "edits"):
        assert (column[name] > 0).any()
    generated = column["is_label"] == 0
    assert np.isfinite(column["session_chance"][generated]).all()
    assert generated.any()
    with espalier.open(path) as index:
        found = index.complete("re", ["zzz unheard"], k=50)
        assert not any(one.source == Source.TAIL.name for one in found)


def test_most_questions_say_how_old_the_session_is(log_of: MakeLog) -> None:
    """Hosts may not know, so a scorer has to do without as well."""
    asked = pose(log_of([["alpha", "beta", "gamma"]] * 300), 900, MAX_PREVIOUS, seed=1)

    assert 0.6 < asked.aged.mean() < 0.9
