"""The synthetic log: believable, repeatable, and good for the quick start."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from espalier.querylog import QueryLog, pairs_of, read_log, write_demo_log
from espalier.settings import LogSettings

SETTINGS = LogSettings(attributes=("locale", "category"), results_column="results")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the log and catalogue of 400 people."""
    folder = tmp_path_factory.mktemp("demo")
    write_demo_log(folder / "log.tsv", catalogue=folder / "catalogue.tsv", users=400)
    return folder


@pytest.fixture(scope="module")
def log(folder: Path) -> QueryLog:
    """Return the log, read with every column."""
    return read_log([folder / "log.tsv"], SETTINGS, threads=1)


def categories_of(log: QueryLog) -> set[str]:
    """Return the categories people searched in."""
    named = (value.partition(":") for value in log.attributes.values)
    return {value for name, _, value in named if name == "category"}


def test_every_column_is_used_and_no_row_is_bad(log: QueryLog) -> None:
    """People, sessions, times, locales, categories, results."""
    assert {} == log.report.bad_rows
    assert (True, True) == (log.has_users, log.has_sessions)
    assert log.event_time is not None
    assert {"locale:en-gb", "locale:en-us"} <= set(log.attributes.values)
    assert 12 == len(categories_of(log))
    assert log.results is not None
    assert 0.2 < np.mean(log.results > 0) < 0.8
    assert 360 < log.event_user.max() + 1 <= 400
    assert 15 * 400 < log.report.rows_read < 30 * 400


def test_privacy_rules_find_what_was_typed_into_the_wrong_box(log: QueryLog) -> None:
    """Order numbers, addresses and telephone numbers of nobody."""
    assert log.report.private_rows
    assert not any("@" in query for query in log.queries)


def test_popularity_falls_off_and_most_queries_are_rare(log: QueryLog) -> None:
    """As in any log: a few are typed by many, most by one."""
    users = np.sort(log.users)[::-1]

    assert users[0] > 20
    assert np.mean(users == 1) > 0.5
    assert np.sum(users >= 3) > 200


def test_the_next_query_often_shares_a_word_with_the_one_before(log: QueryLog) -> None:
    """Sessions are there to be learnt from: queries are extended, cut and varied."""
    before, after = pairs_of(log)
    shared = [
        bool(set(log.queries[a].split()) & set(log.queries[b].split()))
        for a, b in zip(log.event_query[before], log.event_query[after], strict=True)
    ]

    assert len(shared) > 2000
    assert 0.4 < np.mean(shared) < 0.9


def test_the_log_is_consistent_with_the_catalogue(folder: Path, log: QueryLog) -> None:
    """A query has as many results as titles with all its words."""
    products = [line.split("\t") for line in (folder / "catalogue.tsv").read_text().splitlines()]
    titles = [set(row[1].lower().split()) for row in products[1:]]

    assert ["product_id", "title", "category", "brand", "colour", "price"] == products[0]
    assert len(products) - 1 == len({row[0] for row in products[1:]})
    assert {row[2] for row in products[1:]} == categories_of(log)
    assert log.results is not None
    shop_words = {"cheap", "best", "new", "sale", "deals", "reviews"}
    for number in np.argsort(log.counts)[-50:]:
        words = set(log.queries[number].split()) - shop_words
        assert sum(words <= title for title in titles) == log.results[number]


def test_pairs_are_what_a_query_finds(tmp_path: Path) -> None:
    """Up to three products each, with every word of the query in their titles."""
    write_demo_log(
        tmp_path / "log.tsv", catalogue=tmp_path / "c.tsv", pairs=tmp_path / "p.tsv", users=40
    )
    rows = [line.split("\t") for line in (tmp_path / "c.tsv").read_text().splitlines()[1:]]
    titles = {row[0]: set(row[1].lower().split()) for row in rows}
    pairs = [line.split("\t") for line in (tmp_path / "p.tsv").read_text().splitlines()[1:]]

    shop_words = {"cheap", "best", "new", "sale", "deals", "reviews"}
    assert all(set(query.lower().split()) - shop_words <= titles[one] for query, one, _ in pairs)
    counts = Counter(query for query, _, _ in pairs)
    assert len(counts) > 50
    assert max(counts.values()) == 3


def test_equal_arguments_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    """The quick start shows the same on every machine."""
    write_demo_log(tmp_path / "log.tsv", catalogue=tmp_path / "catalogue.tsv", users=400)
    write_demo_log(tmp_path / "other.tsv", users=400, seed=2)

    for name in ("log.tsv", "catalogue.tsv"):
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()
    assert (folder / "log.tsv").read_bytes() != (tmp_path / "other.tsv").read_bytes()


def test_it_is_called_synthetic_in_the_file_itself(folder: Path) -> None:
    """Every user is, so nobody takes it for people."""
    rows = (folder / "log.tsv").read_text().splitlines()[1:]

    assert all(row.split("\t")[1].startswith("synthetic-") for row in rows)
    assert rows == sorted(rows, key=lambda row: row.split("\t")[0])


def test_one_person_is_enough(tmp_path: Path) -> None:
    """The smallest log is still a log."""
    write_demo_log(tmp_path / "log.tsv.gz", users=1)

    assert read_log([tmp_path / "log.tsv.gz"], LogSettings(), threads=1).queries
