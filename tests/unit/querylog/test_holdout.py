"""Held-out users: the same people as `espalier pairs --split`, and a log without them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.querylog import (
    PairRow,
    QueryLog,
    hold_out,
    is_training_user,
    pairs_of_held_out,
    read_pairs,
    write_pairs,
)
from espalier.querylog.split import RULE, first_held_out, point_of
from espalier.settings import LogSettings
from tests.unit.querylog.support import as_twin, read, write_tsv

SHARE = 0.1


def log_file(path: Path, users: int, *, header: str = "user,time,query") -> Path:
    """Write a log of users who type two to five queries, some of them popular."""
    rows = [
        f"u{n},{n * 9 + i * (2000 if i == 3 else 7)},{'Lamp' if (n + i) % 3 else f'lamp {n} {i}'}"
        for n in range(users)
        for i in range(2 + n % 4)
    ]
    return write_tsv(path, header, *rows)


def anonymous(rows: list[PairRow]) -> list[PairRow]:
    """Return the rows with users numbered by appearance."""
    number: dict[str | None, str] = {}
    return [
        dataclasses.replace(row, user=number.setdefault(row.user, str(len(number)))) for row in rows
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log large enough to hold people out."""
    return log_file(tmp_path_factory.mktemp("holdout") / "log.tsv", 600)


def test_held_out_pairs_are_those_of_the_pairs_command(whole: Path, tmp_path: Path) -> None:
    """Who evaluates by hand on the same split asks the same questions."""
    write_pairs(
        [whole], tmp_path / "pairs.tsv", settings=LogSettings(), split=1 - SHARE, seed=5, threads=1
    )
    split = hold_out(read(whole), SHARE)
    expected = list(read_pairs(tmp_path / "pairs.tsv").rows)
    found = list(pairs_of_held_out(split, seed=5))

    assert len(expected) > 50
    assert anonymous(expected) == anonymous(found)
    assert split.to_json() == {"share": SHARE, "rule": RULE, "users": split.users}
    assert split.nobody is None


def test_the_training_side_is_the_log_of_the_other_users(whole: Path, tmp_path: Path) -> None:
    """As if the held-out users had never been there: queries, counts, sessions, people."""
    train = tmp_path / "train.tsv"
    write_pairs(
        [whole],
        tmp_path / "pairs.tsv",
        settings=LogSettings(),
        split=1 - SHARE,
        train_log=train,
        threads=1,
    )
    expected, found = read(train), hold_out(read(whole), SHARE).training

    assert as_twin(expected) == as_twin(found)
    assert expected.event_time is not None
    assert found.event_time is not None
    assert expected.event_time.tolist() == found.event_time.tolist()
    assert expected.user_point is not None
    assert found.user_point is not None
    assert expected.user_point.tolist() == found.user_point.tolist()


def test_nobody_and_nothing_is_lost_or_on_both_sides(whole: Path) -> None:
    """Events and users of the two sides add up to the log."""
    log = read(whole)
    split = hold_out(log, 0.3)
    sides = [side for side in (split.training, split.held_out) if side is not None]

    def rows(*logs: QueryLog) -> list[tuple[int, str]]:
        return sorted(
            (int(one.user_point[user]), one.queries[query])
            for one in logs
            if one.user_point is not None
            for user, query in zip(one.event_user, one.event_query, strict=True)
        )

    assert rows(log) == rows(*sides)
    assert split.users == len({point for point, _ in rows(sides[1])})
    assert all(point >= first_held_out(0.7) for point, _ in rows(sides[1]))
    assert all(point < first_held_out(0.7) for point, _ in rows(sides[0]))


def test_the_same_users_stay_out_when_the_log_grows(tmp_path: Path) -> None:
    """Tomorrow's log holds out today's people and a share of the new ones."""
    today = read(log_file(tmp_path / "today.tsv", 500))
    tomorrow = read(log_file(tmp_path / "tomorrow.tsv", 700))
    out = [
        {int(point) for point in split.held_out.user_point}
        for split in (hold_out(today, SHARE), hold_out(tomorrow, SHARE))
        if split.held_out is not None and split.held_out.user_point is not None
    ]

    assert out[0] < out[1]
    assert out[0] == {
        point_of(f"u{n}") for n in range(500) if not is_training_user(f"u{n}", 1 - SHARE)
    }


@pytest.mark.parametrize(
    ("users", "header", "share", "nobody"),
    [
        (600, "user,time,query", 0.0, "share is 0"),
        (499, "user,time,query", SHARE, "few users"),
        (600, "who,time,query", SHARE, "no users"),
        (500, "user,time,query", SHARE, None),
        (500, "session,time,query", SHARE, None),
    ],
)
def test_small_and_anonymous_logs_keep_everybody(
    tmp_path: Path, users: int, header: str, share: float, nobody: str | None
) -> None:
    """With the reason; sessions act as users where there are none."""
    log = read(log_file(tmp_path / "log.tsv", users, header=header))
    split = hold_out(log, share)

    assert nobody == split.nobody
    assert (nobody is None) == bool(split.users)
    if nobody is not None:
        assert split.training is log
        assert split.held_out is None
        assert list(pairs_of_held_out(split)) == []


def test_a_log_that_was_split_before_loses_nobody_more(whole: Path, tmp_path: Path) -> None:
    """The users of a training log all train, so a smaller share holds out none of them."""
    train = tmp_path / "train.tsv"
    write_pairs(
        [whole],
        tmp_path / "pairs.tsv",
        settings=LogSettings(),
        split=0.9,
        train_log=train,
        threads=1,
    )

    assert "all train" == hold_out(read(train), 0.02).nobody


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=1))
def test_the_database_and_the_rule_agree_on_every_id(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str]
) -> None:
    """A point is a property of the id, whoever computes it."""
    usable = sorted({one for one in ids if one == one.strip() and one.isprintable()})
    usable = [one for one in usable if not set(one) & set('",')] or ["é"]
    path = write_tsv(
        tmp_path_factory.mktemp("ids") / "log.tsv", "user,query", *(f"{one},x" for one in usable)
    )
    log = read(path)

    assert log.user_point is not None
    assert np.array([point_of(one) for one in usable]).tolist() == log.user_point.tolist()
