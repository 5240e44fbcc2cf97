"""What the log says about queries besides their text: columns become values."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np
import pytest

from espalier.errors import ConfigError, LogError
from espalier.querylog import QueryLog, only_people, read_log
from espalier.querylog.attributes import MAX_VALUES
from espalier.querylog.kinds import BAD_ATTRIBUTE
from espalier.settings import LogSettings, load_settings
from tests.unit.querylog.support import read, write_tsv

SETTINGS = LogSettings(attributes=("locale", "shop=Store Name"))


def values_of(log: QueryLog) -> dict[str, set[str]]:
    """Return the attribute values each query was typed with."""
    found: dict[str, set[str]] = {query: set() for query in log.queries}
    had = log.attributes
    for event, value in zip(had.event.tolist(), had.value.tolist(), strict=True):
        found[log.queries[log.event_query[event]]].add(had.values[value])
    return found


def test_a_value_is_the_name_and_the_normalised_cell(tmp_path: Path) -> None:
    """One value however it was written; several in a cell have a bar between them."""
    path = write_tsv(
        tmp_path / "log.tsv", "user,query,locale,STORE NAME",
        "a,x,EN-us,", "b,y,ｅｎ-US,Große  Straße| |west|west", "c,z,  ,",
    )  # fmt: skip
    log = read(path, settings=SETTINGS)

    assert values_of(log) == {
        "x": {"locale:en-us"},
        "y": {"locale:en-us", "shop:grosse strasse", "shop:west"},
        "z": set(),
    }
    assert sorted(log.attributes.values) == log.attributes.values
    assert {} == log.report.ignored_values


@pytest.mark.parametrize("layout", ["json", "parquet", "ubi"])
def test_lists_and_numbers_are_values_too(tmp_path: Path, layout: str) -> None:
    """Formats that know more than text say the same."""
    settings = LogSettings(attributes=("tag", "size"))
    if layout == "parquet":
        path = tmp_path / "log.parquet"
        rows_of = "(VALUES ('a', 'x', ['Red', 'warm|dry'], 9), ('b', 'y', NULL, NULL))"
        names = '"user", query, tag, size'
        duckdb.execute(f"COPY (SELECT * FROM {rows_of} AS log ({names})) TO '{path}'")
    else:
        rows = [{"user": "a", "query": "x", "tag": ["Red", "warm|dry"], "size": 9}]
        rows.append({"user": "b", "query": "y"})
        if layout == "ubi":
            rows = [
                {
                    "client_id": row.pop("user"),
                    "user_query": row.pop("query"),
                    "query_attributes": row,
                }
                for row in rows
            ]
        path = tmp_path / "log.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))

    log = read_log([path], settings, threads=1)

    assert values_of(log) == {"x": {"tag:red", "tag:warm", "tag:dry", "size:9"}, "y": set()}


def test_what_is_no_value_is_ignored_and_counted(tmp_path: Path) -> None:
    """A cell above the limit says so with its line; its row is used all the same."""
    long, most = "é" * 61, "|".join(f"v{n:03}" for n in range(MAX_VALUES + 5))
    path = write_tsv(
        tmp_path / "log.tsv", "user,query,name", f"a,x,{long}", f"b,y,{long}éé", f"c,z,{most}"
    )
    log = read(path, settings=LogSettings(attributes=("name",)))

    assert 3 == log.report.rows_used
    assert {f"name:{long}"} == values_of(log)["x"]
    assert set() == values_of(log)["y"]
    assert MAX_VALUES == len(values_of(log)["z"])
    ignored = log.report.ignored_values[BAD_ATTRIBUTE]
    assert (1, str(path), 3) == (ignored.count, ignored.file, ignored.line)


def test_a_repeat_adds_nothing_and_a_bad_row_says_nothing(tmp_path: Path) -> None:
    """Values are those of events, and only usable rows that are no repeats are events."""
    path = write_tsv(
        tmp_path / "log.tsv", "user,time,query,locale",
        "a,10,x,en", "a,11,x,de", "b,10,mail@example.com,fr", "b,never,y,it",
    )  # fmt: skip
    log = read(path, settings=LogSettings(attributes=("locale",)))

    assert ["locale:en"] == log.attributes.values


def test_some_people_keep_their_events_attributes(tmp_path: Path) -> None:
    """Leaving people out leaves out the values only they had."""
    path = write_tsv(
        tmp_path / "log.tsv", "user,query,locale",
        *(f"u{n},q{n % 3},l{n % 2}" for n in range(12)), "u12,other,only here", "u12,q0,l0",
    )  # fmt: skip
    log = read(path, settings=LogSettings(attributes=("locale",)))
    people = np.ones(13, bool)
    people[[1, 12]] = False

    some = only_people(log, people)

    assert ["locale:l0", "locale:l1"] == some.attributes.values
    typed = [some.queries[i] for i in some.event_query[some.attributes.event].tolist()]
    had = [some.attributes.values[i][-1] for i in some.attributes.value.tolist()]
    wanted = [(f"q{n % 3}", str(n % 2)) for n in range(12) if n != 1]
    assert sorted(wanted) == sorted(zip(typed, had, strict=True))


def test_a_column_that_is_named_must_be_there(tmp_path: Path) -> None:
    """A misspelled column is found now, with the setting that mends it."""
    path = write_tsv(tmp_path / "log.tsv", "user,query,lang", "a,x,en")

    with pytest.raises(LogError, match=r"no column 'locale'.*\"locale=COLUMN\"") as caught:
        read(path, settings=LogSettings(attributes=("locale",)))

    assert "columns found: user, query, lang" in str(caught.value)


@pytest.mark.parametrize(
    "names",
    [("a b",), ("a:b",), ("",), ("=x",), ("a", "a=b"), ("a", "A"), tuple("abcdefghijklmnopq")],
)
def test_names_that_cannot_be_told_apart_are_refused(names: tuple[str, ...]) -> None:
    """A name has neither space nor colon and comes once."""
    with pytest.raises(ConfigError, match=r"log\.attributes"):
        LogSettings(attributes=names)


def test_the_setting_is_a_list_wherever_it_comes_from() -> None:
    """TOML notation in flags and the environment."""
    settings = load_settings(None, "train", {"log.attributes": '["locale", "shop=store"]'}, {})

    assert {"locale": "locale", "shop": "store"} == settings.log.attribute_columns
