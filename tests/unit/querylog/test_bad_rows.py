"""A bad row is counted under its kind, with its line, and never stops the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import LogError
from espalier.querylog import kinds
from espalier.querylog.lines import MAX_LINE_BYTES
from espalier.settings import LogSettings
from tests.unit.querylog.support import read, write_tsv

GOOD = b"ann\t2026-01-01T10:00:00Z\tred shoes"

TSV = {
    kinds.NOT_UTF8: b"ann\t2026-01-01T10:00:01Z\tcaf\xe9",
    kinds.LINE_TOO_LONG: b"ann\t2026-01-01T10:00:01Z\t" + b"x" * MAX_LINE_BYTES,
    kinds.BLANK_LINE: b"",
    kinds.WRONG_FIELD_COUNT: b"ann\tred shoes",
    kinds.MISSING_USER: b" \t2026-01-01T10:00:01Z\tred shoes",
    kinds.BAD_TIME: b"ann\tyesterday\tred shoes",
    kinds.CONTROL_CHARACTERS: b"ann\t2026-01-01T10:00:01Z\tred\x00shoes",
    kinds.EMPTY_QUERY: b"ann\t2026-01-01T10:00:01Z\t \xc2\xa0 ",
    kinds.QUERY_TOO_LONG: b"ann\t2026-01-01T10:00:01Z\t" + b"x" * 201,
}

JSON = {
    kinds.NOT_UTF8: b'{"user": "ann", "query": "caf\xe9"}',
    kinds.BAD_JSON: b'{"user": "ann", "query": "red',
    kinds.NOT_AN_OBJECT: b'["ann", "red shoes"]',
    kinds.MISSING_QUERY: b'{"user": "ann"}',
    kinds.QUERY_NOT_TEXT: b'{"user": "ann", "query": 2026}',
    kinds.NOT_UNICODE: b'{"user": "ann", "query": "\\ud800"}',
    kinds.MISSING_USER: b'{"query": "red shoes"}',
    kinds.CONTROL_CHARACTERS: b'{"user": "ann", "query": "red\\u0007shoes"}',
}

UBI = {
    kinds.NOT_A_QUERY: b'{"action_name": "click", "client_id": "ann", "user_query": "red shoes"}',
    kinds.TYPE_AHEAD: b'{"application": "type-ahead", "client_id": "ann", "user_query": "re"}',
    kinds.MISSING_QUERY: b'{"client_id": "ann"}',
}


@pytest.mark.parametrize("kind", TSV)
def test_a_bad_tsv_row_is_counted_with_its_line(tmp_path: Path, kind: str) -> None:
    """The second of two bad rows only counts; the good rows around them are used."""
    path = tmp_path / "log.tsv"
    rows = [b"user\ttime\tquery", GOOD, TSV[kind], GOOD + b" new", TSV[kind], GOOD]
    path.write_bytes(b"\n".join(rows) + b"\n")
    log = read(path)

    assert {kind: kinds.Bad(2, str(path), 3)} == log.report.bad_rows
    assert (5, 3) == (log.report.rows_read, log.report.rows_used)
    assert ["red shoes", "red shoes new"] == log.queries


@pytest.mark.parametrize("kind", JSON)
def test_a_bad_json_row_is_counted_with_its_line(tmp_path: Path, kind: str) -> None:
    """JSON lines have no header, so the first row is line 1."""
    path = tmp_path / "log.jsonl"
    good = b'{"user": "ann", "query": "red shoes"}'
    path.write_bytes(b"\n".join([good, JSON[kind], good]) + b"\n")
    log = read(path)

    assert {kind: kinds.Bad(1, str(path), 2)} == log.report.bad_rows
    assert (3, 2) == (log.report.rows_read, log.report.rows_used)


@pytest.mark.parametrize("kind", UBI)
def test_a_ubi_document_that_is_no_submitted_query_is_counted(tmp_path: Path, kind: str) -> None:
    """Clicks and keystrokes stand beside queries in UBI stores and teach nothing here."""
    path = tmp_path / "ubi.ndjson"
    good = b'{"client_id": "ann", "user_query": "red shoes"}'
    path.write_bytes(b"\n".join([good, UBI[kind], good]))
    log = read(path)

    assert {kind: kinds.Bad(1, str(path), 2)} == log.report.bad_rows
    assert ["red shoes"] == log.queries


def test_a_csv_quote_that_is_never_closed_costs_one_row(tmp_path: Path) -> None:
    """The rows it swallowed are read again from the line after."""
    path = tmp_path / "log.csv"
    rows = ["user,query", "ann,red", 'ann,"blue', *(f"ann,green {i}" for i in range(50))]
    path.write_text("\n".join(rows) + "\n")
    log = read(path)

    assert {kinds.BAD_QUOTES: kinds.Bad(1, str(path), 3)} == log.report.bad_rows
    assert 51 == log.report.rows_used


def test_a_csv_quote_open_at_the_end_of_the_file_costs_one_row(tmp_path: Path) -> None:
    """There is no line left that could close it."""
    path = tmp_path / "log.csv"
    path.write_text('user,query\nann,"red\nann,blue\nann,green')
    log = read(path)

    assert {kinds.BAD_QUOTES: kinds.Bad(1, str(path), 2)} == log.report.bad_rows
    assert ["blue", "green"] == log.queries


def test_text_after_a_csv_quote_costs_one_row(tmp_path: Path) -> None:
    """``"red" shoes`` is not CSV; guessing what it means would change queries."""
    path = tmp_path / "log.csv"
    path.write_text('user,query\nann,"red" shoes\nann,"blue, wide"\nann,24" screen\n')
    log = read(path)

    assert {kinds.BAD_QUOTES: kinds.Bad(1, str(path), 2)} == log.report.bad_rows
    assert ['24" screen', "blue, wide"] == log.queries


def test_a_csv_row_is_reported_with_the_line_it_begins_on(tmp_path: Path) -> None:
    """A quoted field may hold line ends, so rows and lines differ."""
    path = tmp_path / "log.csv"
    path.write_text('user,query\nann,"red\nshoes"\nann,blue,3\n')
    log = read(path)

    assert {kinds.WRONG_FIELD_COUNT: kinds.Bad(1, str(path), 4)} == log.report.bad_rows
    assert ["red shoes"] == log.queries


def test_a_number_of_results_that_is_none_is_ignored_and_told(tmp_path: Path) -> None:
    """The query is good all the same."""
    path = write_tsv(tmp_path / "log.tsv", "user,query,hits", "a,x,3", "a,y,many", "a,z,")
    log = read(path, settings=LogSettings(results_column="hits"))

    assert {kinds.BAD_RESULTS: kinds.Bad(1, str(path), 3)} == log.report.ignored_values
    assert log.results is not None
    assert [3, -1, -1] == log.results.tolist()
    assert "values ignored: 1 bad_results" in log.report.summary()


def test_bytes_that_are_not_utf8_in_parquet_are_counted(tmp_path: Path) -> None:
    """A column of raw bytes is checked row by row; rows count from 1."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pa.table({"user": ["a"] * 3, "query": pa.array([b"red", b"caf\xe9", b"blue"])})
    path = tmp_path / "log.parquet"
    parquet.write_table(table, path)
    log = read(path)

    assert {kinds.NOT_UTF8: kinds.Bad(1, str(path), 2)} == log.report.bad_rows
    assert (3, 2) == (log.report.rows_read, log.report.rows_used)


def test_a_file_without_a_usable_row_is_an_error_that_says_why(tmp_path: Path) -> None:
    """Every kind is named with the line to look at; no query is."""
    path = write_tsv(tmp_path / "log.tsv", "user,query", "ann,secret@example.com", ",blue", "x")
    with pytest.raises(LogError, match="no usable row") as caught:
        read(path)

    assert 2 == caught.value.exit_code
    for part in ("missing_user", "line 3", "wrong_field_count", "1 kept out as email"):
        assert part in str(caught.value)
    assert "secret" not in str(caught.value)


def test_one_useless_file_among_good_ones_is_named(tmp_path: Path) -> None:
    """A log that silently adds nothing is found too late."""
    good = write_tsv(tmp_path / "good.tsv", "user,query", "ann,red")
    bare = write_tsv(tmp_path / "bare.tsv", "user,query")
    with pytest.raises(LogError, match=r"bare\.tsv: no usable row: it has a header and nothing"):
        read(good, bare)


@given(rows=st.lists(st.sampled_from([*TSV.values(), GOOD, GOOD + b" x"]), max_size=12))
def test_every_row_is_used_or_counted(
    tmp_path_factory: pytest.TempPathFactory, rows: list[bytes]
) -> None:
    """Rows read are rows used and bad rows, whatever the mixture."""
    path = tmp_path_factory.mktemp("mixed") / "log.tsv"
    path.write_bytes(b"\r\n".join([b"user\ttime\tquery", GOOD, *rows]) + b"\r\n")
    report = read(path).report
    bad = {kind: sum(row == text for row in rows) for kind, text in TSV.items()}

    assert len(rows) + 1 == report.rows_read
    assert {k: n for k, n in bad.items() if n} == {k: b.count for k, b in report.bad_rows.items()}
    assert report.rows_read == report.rows_used + sum(bad.values())


def test_the_report_is_json_and_shows_no_query(tmp_path: Path) -> None:
    """It is written beside the index and into logs."""
    path = write_tsv(tmp_path / "log.tsv", "user,query", "ann,canary", "ann,canary", ",canary")
    report = read(path).report
    text = json.dumps(report.to_json()) + report.summary()

    assert "canary" not in text
    assert 1 == report.repeats
    assert "3 rows read, 2 used (1 of them repeats)" in text
