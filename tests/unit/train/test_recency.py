"""Decayed popularity: what is popular now stands above what was popular once."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import espalier
from espalier.index import Source
from espalier.native import NativeIndex
from espalier.querylog import QueryLog, read_log
from espalier.settings import LogSettings, TrainSettings
from espalier.train import train_on
from espalier.train.recency import ONE_BITS, decay, decayed_popularity
from espalier.train.rows import choose_labels
from tests.unit.train.conftest import make_log

MakeLog = Callable[..., QueryLog]
DAY = 86_400
SETTINGS = TrainSettings(min_users=1, threads=1, max_leaf=4, blender="fixed")


def twin_of(log: QueryLog, half_life_days: float) -> dict[str, float]:
    """Return every query's decayed users, the obvious way and in floating point."""
    assert log.event_time is not None
    latest: dict[tuple[int, int], int] = {}
    newest = max(log.event_time.tolist())
    for query, user, time in zip(
        log.event_query.tolist(), log.event_user.tolist(), log.event_time.tolist(), strict=True
    ):
        latest[query, user] = max(time, latest.get((query, user), 0))
    sums: dict[str, float] = defaultdict(float)
    for (query, _), time in latest.items():
        sums[log.queries[query]] += 2.0 ** -((newest - time) / (half_life_days * DAY))
    return sums


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["lamp", "lane", "shoe", "shop"]),
            st.integers(0, 4),
            st.integers(0, 2_000_000_000),
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([0.001, 0.5, 7, 30, 365, 36_500]),
)
def test_each_user_counts_once_by_the_age_of_the_last_use(
    typed: list[tuple[str, int, int]], half_life: float
) -> None:
    """Sums are those of the twin, to the precision of the unit."""
    log = make_log(
        [[query] for query, _, _ in typed],
        users=[user for _, user, _ in typed],
        times=[time for *_, time in typed],
    )
    labels = choose_labels(log, SETTINGS)
    recency = decayed_popularity(log, labels, half_life)

    assert recency is not None
    expected = twin_of(log, half_life)
    unit = 2.0**-recency.unit_bits
    for text, value in zip(labels.texts, recency.values.tolist(), strict=True):
        assert value * unit == pytest.approx(expected[text], rel=1e-4, abs=6 * unit)
    # The finest unit in which the largest value fits.
    assert recency.unit_bits <= ONE_BITS
    if recency.unit_bits < ONE_BITS:
        assert int(recency.values.max()).bit_length() == 32


@given(
    st.lists(st.integers(0, 4_102_444_800), min_size=1, max_size=50), st.integers(1, 3_153_600_000)
)
def test_decay_halves_with_every_half_life(ages: list[int], half_life: int) -> None:
    """Never more for a greater age, exactly a half after one half-life, whole at once."""
    age = np.sort(np.array(ages, np.int64))
    weight = decay(age, half_life).astype(np.int64)

    assert (np.diff(weight) <= 0).all()
    assert decay(np.array([0]), half_life).tolist() == [1 << ONE_BITS]
    assert decay(age + half_life, half_life).tolist() == (weight >> 1).tolist()
    expected = 2.0 ** (ONE_BITS - age / half_life)
    assert np.abs(weight - expected).max() <= 1 + 2.0**-15 * expected.max()


def test_a_fashion_of_last_year_falls_below_that_of_today(log_of: MakeLog, tmp_path: Path) -> None:
    """Ten users a year ago are less than three of this week; without decay they are more."""
    sessions = [["lamp oil"]] * 10 + [["lamp led"]] * 3
    log = log_of(sessions, times=[0] * 10 + [365 * DAY] * 3)
    tops = {}
    for half_life in (0, 30, 36_500):
        path = tmp_path / f"{half_life}.esp"
        train_on(log, path, replace(SETTINGS, popularity_half_life_days=half_life))
        with espalier.open(path) as index:
            index.validate(deep=True)
            found = index.complete("lamp", sources=Source.POPULAR)
            tops[half_life] = found[0].text
            assert found[0].popularity == 1.0
            assert "lamp oil" == index.popular("lamp")[0]

    assert {0: "lamp oil", 30: "lamp led", 36_500: "lamp oil"} == tops


def test_the_demo_log_is_weighed_by_what_is_used_now(demo_log: Path, tmp_path: Path) -> None:
    """Popularity is that of the twin for every first letter, and not the order of users."""
    log = read_log([demo_log], LogSettings())
    half_life = 2.0
    assert log.event_time is not None
    days = np.ptp(log.event_time) / DAY
    assert days > 2 * half_life
    path = tmp_path / "demo.esp"
    settings = replace(SETTINGS, popularity_half_life_days=half_life)
    report = train_on(log, path, settings)
    expected = twin_of(log, half_life)
    users = dict(zip(log.queries, log.users.tolist(), strict=True))
    fallen = 0
    unit = 2.0 ** -report.recency["unit_bits"]

    with espalier.open(path) as index:
        assert index.info.meta["recency"] == report.recency
        assert half_life == report.recency["half_life_days"]
        for letter in sorted({query[0] for query in log.queries}):
            found = index.complete(letter, k=20, sources=Source.POPULAR)
            most = max(expected[query] for query in expected if query.startswith(letter))
            for one in found:
                wanted = expected[one.text]
                assert one.popularity * most == pytest.approx(wanted, rel=1e-3, abs=9 * unit)
            now = sorted(found, key=lambda one: -one.popularity)
            fallen += sum(users[a.text] < users[b.text] for a, b in itertools.pairwise(now))
            by_users = [users[text] for text in index.popular(letter)]
            assert sorted(by_users, reverse=True) == by_users
    assert fallen > 10


def _sections(path: Path) -> dict[str, bytes]:
    with NativeIndex.open(path) as index:
        return {one.name: index.section(one.name) for one in index.sections()}


def test_without_decay_nothing_else_changes(demo_log: Path, tmp_path: Path) -> None:
    """A half-life adds two sections and touches no other but the record of the settings."""
    log = read_log([demo_log], LogSettings())
    plain, faded = tmp_path / "plain.esp", tmp_path / "faded.esp"
    train_on(log, plain, SETTINGS)
    report = train_on(log, faded, replace(SETTINGS, popularity_half_life_days=30))
    before, after = _sections(plain), _sections(faded)

    assert {"RCNT", "RMAX"} == after.keys() - before.keys()
    assert [name for name in before if before[name] != after[name]] == ["META"]
    assert report.section_bytes["RCNT"] == 4 * report.counts["labels"]


def test_a_log_without_times_does_not_fade_and_says_so(shop_log: QueryLog, tmp_path: Path) -> None:
    """Trained all the same, with a line in the report that names the way out."""
    path = tmp_path / "site.esp"
    report = train_on(shop_log, path, replace(SETTINGS, popularity_half_life_days=30))

    assert "RCNT" not in _sections(path)
    assert {} == report.recency
    assert "log.time_column" in report.warnings[0]
    assert f"warning: {report.warnings[0]}" in report.table()
    assert list(report.warnings) == report.to_json()["warnings"]
    assert () == train_on(shop_log, path, SETTINGS).warnings
