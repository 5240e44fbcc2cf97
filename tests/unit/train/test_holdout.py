"""Held-out users: the index has never seen them, and says how many there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import espalier
from espalier.querylog import QueryLog, hold_out
from espalier.settings import TrainSettings
from espalier.train import train_on, train_split

MakeLog = Callable[..., QueryLog]
SETTINGS = TrainSettings(min_users=1, threads=1, max_leaf=4, holdout=0.1, blender="fixed")
USERS = 600


def crowd(log_of: MakeLog) -> QueryLog:
    """Return a log of people who share a query and have one of their own."""
    log = log_of([["lamp", f"lamp {user}"] for user in range(USERS)])
    return replace(log, user_point=(2 * np.arange(USERS) + 1) * (2**51 // USERS))


def test_what_only_held_out_users_typed_is_not_in_the_index(
    log_of: MakeLog, tmp_path: Path
) -> None:
    """Their queries are no labels and their number is on record."""
    path = tmp_path / "site.esp"
    log = crowd(log_of)
    report = train_on(log, path, SETTINGS)

    assert {"share": 0.1, "rule": 1, "users": 60} == report.holdout == report.to_json()["holdout"]
    with espalier.open(path) as index:
        assert report.holdout == index.info.meta["holdout"]
        found = [user for user in range(USERS) if index.find(f"lamp {user}") is not None]
        assert list(range(540)) == found
        label = index.find("lamp")
        assert label is not None
    assert 540 * 2 == report.counts["events"]


def test_a_training_side_is_trained_on_as_it_is(log_of: MakeLog, tmp_path: Path) -> None:
    """Splitting before or inside makes the same bytes."""
    one, two = tmp_path / "one.esp", tmp_path / "two.esp"
    log = crowd(log_of)
    train_on(log, one, SETTINGS)
    train_split(hold_out(log, SETTINGS.holdout), two, SETTINGS)

    assert one.read_bytes() == two.read_bytes()


def test_a_small_log_is_trained_on_whole(shop_log: QueryLog, tmp_path: Path) -> None:
    """No user of a small log is spared, and the index says so."""
    path = tmp_path / "site.esp"
    report = train_on(shop_log, path, SETTINGS)

    assert 0 == report.holdout["users"]
    with espalier.open(path) as index:
        assert index.info.labels == len(shop_log.queries)
        assert index.info.meta["holdout"]["users"] == 0
