"""Pairs and the split of users."""

from __future__ import annotations

import gzip
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import ConfigError, LogError, StorageError
from espalier.querylog import PairsReport, is_training_user, read_pairs, write_pairs
from espalier.querylog.pairs import prefix_lengths
from espalier.querylog.pairs_file import MAX_EARLIER
from espalier.settings import LogSettings
from tests.unit.querylog.support import Typed, as_twin, read, twin_of, write_tsv

SETTINGS = LogSettings()


def write(
    log: Path,
    out: Path,
    *,
    split: float | None = None,
    train_log: Path | None = None,
    seed: int = 1,
    settings: LogSettings = SETTINGS,
) -> PairsReport:
    """Write pairs with one thread."""
    return write_pairs(
        [log], out, settings=settings, split=split, train_log=train_log, seed=seed, threads=1
    )


def many_users(path: Path, users: int = 200) -> Path:
    """Write a log in which user ``u<n>`` types three queries."""
    rows = [f"u{n},{n * 60 + i},query {n} {i}" for i in range(3) for n in range(users)]
    return write_tsv(path, "user,time,query", *rows)


def test_pairs_are_neighbours_in_a_session(tmp_path: Path) -> None:
    """Texts normalised, earlier queries most recent first, the gap in seconds."""
    log = write_tsv(
        tmp_path / "log.tsv", "user,time,query",
        "ann,0,Red  Shoes", "ann,60,blue shoes", "ann,61,BLUE shoes", "ann,100,hat",
        "ann,9999,coat",
        "bob,0,x", "bob,10,y", "bob,20,scarf",
    )  # fmt: skip
    report = write(log, tmp_path / "pairs.tsv")
    rows = read_pairs(tmp_path / "pairs.tsv").rows

    assert [
        ("red shoes", "blue shoes", "ann", (), 60),
        ("blue shoes", "hat", "ann", ("red shoes",), 40),
        ("y", "scarf", "bob", ("x",), 10),
    ] == [(r.previous_query, r.next_query, r.user, r.earlier, r.gap_seconds) for r in rows]
    assert (3, 1, 2, 0) == (report.pairs, report.too_short, report.users, report.train_users)
    assert "3 pairs of 2 users (1 more" in report.summary()


@given(
    st.lists(
        st.builds(
            Typed,
            st.sampled_from(["ann", "bob"]),
            st.sampled_from(["red", "RED", "blue", "q", 'say "hi"', "日本語", "new york"]),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_pairs_are_those_of_the_twin(
    tmp_path_factory: pytest.TempPathFactory, typed: list[Typed]
) -> None:
    """All neighbours in all sessions, with what stood before them."""
    folder = tmp_path_factory.mktemp("pairs")
    log = write_tsv(folder / "log.tsv", "user,query", *(f"{t.user},{t.query}" for t in typed))
    expected = [
        (before, after, tuple(session[max(0, at - MAX_EARLIER) : at][::-1]))
        for session in twin_of(typed).sessions
        for at, (before, after) in enumerate(pairwise(session))
        if len(after) > 1
    ]
    if not expected:
        with pytest.raises(LogError, match="no pair to write"):
            write(log, folder / "pairs.tsv")
        return
    write(log, folder / "pairs.tsv")
    file = read_pairs(folder / "pairs.tsv")

    assert expected == [(r.previous_query, r.next_query, r.earlier) for r in file.rows]
    assert all(
        r.next_query.startswith(r.prefix) and 1 <= len(r.prefix) < len(r.next_query)
        for r in file.rows
    )
    assert {} == file.rows_bad


def test_whole_users_are_held_out_the_same_for_every_seed(tmp_path: Path) -> None:
    """Nobody is on both sides and nobody is lost; the seed moves the prefixes only."""
    log = many_users(tmp_path / "log.tsv")
    report = write(log, tmp_path / "a.tsv", split=0.8, train_log=tmp_path / "train.tsv", seed=1)
    write(log, tmp_path / "b.tsv", split=0.8, seed=2)
    first, second = (read_pairs(tmp_path / name).rows for name in ("a.tsv", "b.tsv"))
    held_out = {row.user for row in first}
    training = {line.split("\t")[0] for line in (tmp_path / "train.tsv").read_text().splitlines()}
    training.discard("user")

    assert held_out == {row.user for row in second}
    assert [row.prefix for row in first] != [row.prefix for row in second]
    assert not held_out & training
    assert {f"u{n}" for n in range(200)} == held_out | training
    assert training == {f"u{n}" for n in range(200) if is_training_user(f"u{n}", 0.8)}
    assert 140 < len(training) < 180
    assert (len(held_out), len(training)) == (report.users, report.train_users)
    assert 3 * len(training) == report.train_rows
    assert "other users to train on" in report.summary()


def test_a_larger_share_keeps_every_training_user() -> None:
    """Only then can runs with different shares be compared."""
    users = [f"user {n}" for n in range(2000)]
    some = {user for user in users if is_training_user(user, 0.5)}
    more = {user for user in users if is_training_user(user, 0.9)}

    assert some < more
    assert 900 < len(some) < 1100
    assert 1750 < len(more) < 1850
    assert [False, True, False] == [is_training_user(f"user {n}", 0.5) for n in range(3)]


def test_the_training_log_reads_as_the_training_half_of_the_log(tmp_path: Path) -> None:
    """The same column names, the same texts as typed, the same order."""
    settings = LogSettings(user_column="who", query_column="q", attributes=("category=dept",))
    log = write_tsv(
        tmp_path / "log.tsv", "dept,q,junk,time,who",
        *(f"d{n % 3},QUERY  {n} {i},x,{n * 60 + i},u{n}" for i in range(3) for n in range(50)),
        "d,mail@example.com,x,5,u1", "d,late,x,never,u2",
    )  # fmt: skip
    train = tmp_path / "train.tsv.gz"
    write(log, tmp_path / "pairs.tsv", split=0.5, train_log=train, settings=settings)
    lines = gzip.decompress(train.read_bytes()).decode().splitlines()
    kept = [f"u{n}" for n in range(50) if is_training_user(f"u{n}", 0.5)]
    rows = [
        f"u{n}\t{n * 60 + i}\tQUERY  {n} {i}\td{n % 3}"
        for i in range(3)
        for n in range(50)
        if f"u{n}" in kept
    ]

    assert ["who\ttime\tq\tdept", *rows] == lines
    assert len(rows) == read(train, settings=settings).report.rows_used


def test_a_training_log_of_json_lines_is_tsv_whatever_the_queries_hold(tmp_path: Path) -> None:
    """Tabs and line ends inside a query become spaces, which normalise to the same text."""
    log = tmp_path / "log.jsonl"
    log.write_text(
        "\n".join(
            f'{{"user": "u{n}", "query": "a\\tb\\r\\nc{i} \\"x"}}' for n in range(20) for i in "12"
        )
    )
    write(log, tmp_path / "pairs.tsv", split=0.5, train_log=tmp_path / "train.tsv")
    train = read(tmp_path / "train.tsv")

    assert {} == train.report.bad_rows
    assert as_twin(train).queries == as_twin(read(log)).queries == ['a b c1 "x', 'a b c2 "x']


def test_equal_arguments_give_equal_bytes(tmp_path: Path) -> None:
    """Compressed files too: they carry no time stamp."""
    log = many_users(tmp_path / "log.tsv", 30)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(
            log,
            tmp_path / name / "pairs.tsv.gz",
            split=0.5,
            train_log=tmp_path / name / "t.tsv.zst",
        )

    for name in ("pairs.tsv.gz", "t.tsv.zst"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_prefix_lengths_are_uniform_and_do_not_depend_on_batches() -> None:
    """Every length from 1 to all but one character comes up about as often."""
    lengths = np.full(70_000, 8)
    drawn = prefix_lengths(lengths, seed=5)
    counts = Counter(drawn.tolist())

    assert list(range(1, 8)) == sorted(counts)
    assert max(abs(count - 10_000) for count in counts.values()) < 500
    assert np.array_equal(
        drawn,
        np.concatenate([prefix_lengths(lengths[:123], 5), prefix_lengths(lengths[123:], 5, 123)]),
    )
    assert not np.array_equal(drawn, prefix_lengths(lengths, seed=6))
    # Neighbouring seeds share nothing but chance.
    assert 0.13 < np.mean(drawn == prefix_lengths(lengths, seed=6)) < 0.16
    assert [1, 1] == prefix_lengths(np.array([2, 2]), seed=0).tolist()


def test_prefix_lengths_never_change_between_versions() -> None:
    """Scores of different weeks are compared on the same questions."""
    assert [1, 7, 10, 18, 8] == prefix_lengths(np.array([5, 9, 14, 20, 31]), seed=1).tolist()


def test_a_log_of_sessions_is_split_by_session(tmp_path: Path) -> None:
    """A session stands for a person where there are no users."""
    rows = [f"s{n},q{n} {i}" for n in range(40) for i in range(2)]
    log = write_tsv(tmp_path / "log.tsv", "session,query", *rows)
    report = write(log, tmp_path / "pairs.tsv", split=0.5)

    assert 40 == report.users + report.train_users
    assert all(
        row.user and not is_training_user(row.user, 0.5)
        for row in read_pairs(tmp_path / "pairs.tsv").rows
    )


def test_a_log_without_users_and_sessions_has_no_pairs(tmp_path: Path) -> None:
    """The error names the settings that would give it some."""
    log = write_tsv(tmp_path / "log.tsv", "query", "red", "blue")
    with pytest.raises(LogError, match=r"neither users nor sessions.*log\.user_column=NAME"):
        write(log, tmp_path / "pairs.tsv")

    assert not (tmp_path / "pairs.tsv").exists()


@pytest.mark.parametrize("split", [0.0, 1.0, -1.0, 90.0, float("nan")])
def test_a_share_outside_0_to_1_is_refused(tmp_path: Path, split: float) -> None:
    """``90`` is not 90 %."""
    with pytest.raises(ConfigError, match=r"0\.9 trains on 90 %"):
        write(many_users(tmp_path / "log.tsv", 2), tmp_path / "pairs.tsv", split=split)


def test_a_training_log_needs_a_share_and_a_name_of_its_own(tmp_path: Path) -> None:
    """Neither output may be an input or the other output."""
    log = many_users(tmp_path / "log.tsv", 2)
    before = log.read_bytes()
    out = tmp_path / "pairs.tsv"
    with pytest.raises(ConfigError, match="needs a split"):
        write(log, out, train_log=tmp_path / "train.tsv")
    with pytest.raises(ConfigError, match="would overwrite"):
        write(log, log)
    with pytest.raises(ConfigError, match="would overwrite"):
        write(log, out, split=0.5, train_log=tmp_path / "." / "pairs.tsv")

    assert before == log.read_bytes()


def test_an_error_leaves_the_old_files_as_they_were(tmp_path: Path) -> None:
    """Here nobody is held out, which shows only after the training log is written."""
    log = write_tsv(tmp_path / "log.tsv", "user,query", "ann,red", "ann,blue")
    out, train = tmp_path / "pairs.tsv", tmp_path / "train.tsv"
    out.write_text("old")
    train.write_text("old")
    with pytest.raises(LogError, match="no pair to write"):
        write(log, out, split=0.9999999, train_log=train)

    assert "old" == out.read_text() == train.read_text()
    assert ["log.tsv", "pairs.tsv", "train.tsv"] == sorted(p.name for p in tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    """The text says what to check."""
    with pytest.raises(StorageError, match="cannot be written"):
        write(many_users(tmp_path / "log.tsv", 2), tmp_path / "none" / "pairs.tsv")
