"""The query log in memory: texts, display forms, counts, codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.querylog import QueryLog, read_log
from espalier.querylog.kinds import CONTROL_CHARACTERS, EMPTY_QUERY, QUERY_TOO_LONG
from espalier.querylog.privacy import load_rules
from espalier.querylog.texts import judge
from espalier.settings import LogSettings
from espalier.text import normalise
from tests.unit.querylog.support import read, write_tsv

RULES = load_rules(LogSettings())


def test_queries_stand_in_the_order_of_their_utf8_bytes(tmp_path: Path) -> None:
    """That is the order of code points, and what the label trie is built on."""
    path = write_tsv(
        tmp_path / "log.tsv", "user,query", "a,zebra", "a,é", "a,\U0001f45f", "a,ａｂｃ"
    )
    queries = read(path).queries

    assert ["abc", "zebra", "é", "\U0001f45f"] == queries
    assert sorted(queries, key=str.encode) == queries


def test_the_display_form_is_the_commonest_typed(tmp_path: Path) -> None:
    """The smallest of equals; white space is tidied."""
    path = write_tsv(
        tmp_path / "log.tsv", "user,query",
        "a,iPhone", "b,iPhone", "c,iphone", "a,  USB   c", "b,Usb C", "c,plain",
    )  # fmt: skip
    log = read(path)

    assert ["iphone", "plain", "usb c"] == log.queries
    assert ["iPhone", "plain", "USB c"] == log.display


def test_quotes_and_what_nobody_sees_make_no_other_query(tmp_path: Path) -> None:
    """A log counts as one what a prefix compares as one, and shows nothing invisible."""
    path = write_tsv(
        tmp_path / "log.tsv", "user,query",
        "a,Levi\u2019s", "b,levi\u02bcs", "c,levi's", "d,Levi\u2019s\u200b", "e,\u202aTe\u00adnt",
    )  # fmt: skip
    log = read(path)

    assert log.queries == ["levi's", "tent"]
    assert log.users.tolist() == [4, 1]
    assert log.display == ["Levi\u2019s", "Tent"]


def test_a_query_counts_once_per_person_and_once_per_time(tmp_path: Path) -> None:
    """One person typing a query a thousand times is one person."""
    path = write_tsv(tmp_path / "log.tsv", "user,query", "a,x", "a,x", "a,y", "a,X", "b,x")
    log = read(path)

    assert [2, 1] == log.users.tolist()
    assert [3, 1] == log.counts.tolist()
    assert np.uint32 == log.users.dtype == log.counts.dtype == log.event_query.dtype


def attributes_of(log: QueryLog) -> list[set[str]]:
    """Return the attribute values of every event."""
    had = log.attributes
    return [
        {had.values[i] for i in had.value[had.event == event].tolist()}
        for event in range(len(log.event_query))
    ]


def test_attributes_and_results_are_kept_where_they_are_named(tmp_path: Path) -> None:
    """Attributes per event, results per query as last seen."""
    path = write_tsv(
        tmp_path / "log.tsv", "user,time,query,lang,cat,hits",
        "a,10,x,en,shoes,5", "a,30,y,,,", "b,20,x,de,hats,0", "b,25,z,en,hats,2",
    )  # fmt: skip
    log = read(
        path,
        settings=LogSettings(attributes=("locale=lang", "category=cat"), results_column="hits"),
    )

    assert ["category:hats", "category:shoes", "locale:de", "locale:en"] == log.attributes.values
    shoes, hats = {"locale:en", "category:shoes"}, {"locale:de", "category:hats"}
    assert [shoes, set(), hats, {"locale:en", "category:hats"}] == attributes_of(log)
    assert log.results is not None
    assert [0, -1, 2] == log.results.tolist()


def test_what_the_log_does_not_say_is_absent(tmp_path: Path) -> None:
    """None is not a guess."""
    log = read(write_tsv(tmp_path / "log.tsv", "user,query", "a,x"))

    assert log.event_time is log.results is None
    assert [] == log.attributes.values


def test_lengths_are_limited_in_characters_and_bytes() -> None:
    """A label must fit into the index whatever its script."""
    assert QUERY_TOO_LONG == judge("x" * 201, RULES, 200)[2]
    assert judge("x" * 200, RULES, 200)[2] is None
    assert judge("日" * 333, RULES, 1000)[2] is None
    assert QUERY_TOO_LONG == judge("日" * 334, RULES, 1000)[2]
    # One code point that normalises to eighteen.
    assert QUERY_TOO_LONG == judge("\ufdfa" * 20, RULES, 200)[2]


@pytest.mark.parametrize("code", [0x00, 0x07, 0x1B, 0x7F, 0x80, 0x9F])
def test_control_characters_are_no_query(code: int) -> None:
    """They come from binary data and broken encodings, not from people."""
    assert CONTROL_CHARACTERS == judge(f"red{chr(code)}shoes", RULES, 200)[2]


@given(st.text(max_size=40))
def test_a_typed_form_is_judged_without_surprises(raw: str) -> None:
    """The text is normalised, the display form normalises to it, empty means empty."""
    text, display, verdict = judge(raw, RULES, 200)

    if verdict is None:
        assert normalise(raw) == text
        assert normalise(display or text) == text
        assert display is None or (display != text and "\t" not in display)
    elif verdict == EMPTY_QUERY:
        assert not normalise(raw)


@pytest.mark.data
def test_the_evaluation_log_is_read_whole(data_folder: Path) -> None:
    """Its size is known from its description."""
    log = read_log([data_folder / "aol-sessions.tsv.gz"], LogSettings())

    assert 460_940 == log.report.rows_read
    assert 4_859 == log.event_user.max() + 1
    assert 300_000 < len(log.queries) < 310_000
    assert int(log.counts.sum()) == len(log.event_query)
