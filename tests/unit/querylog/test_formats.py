"""Every layout of a log gives the same query log; a wrong one says how to mend it."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from espalier.errors import LogError
from espalier.settings import LogSettings
from tests.unit.querylog.support import as_twin, read, write_tsv

ROWS = [
    ("ann", "s1", "2026-01-01T10:00:00Z", 'Red "wide" Shoes', 12),
    ("ann", "s1", "2026-01-01T10:01:00Z", "naïve, plain", 0),
    ("bob", "s2", "2026-01-01T09:00:00Z", "red shoes", 7),
    ("ann", "s1", "2026-01-01T11:00:00Z", "日本語 テスト", 3),
    ("bob", "s3", "2026-01-01T09:10:00Z", "it's 24\"", 4),
]
COLUMNS = ("user", "session", "time", "query", "results")
SETTINGS = LogSettings(results_column="results")


def as_tsv() -> bytes:
    """Return the rows as TSV."""
    lines = ["\t".join(COLUMNS), *("\t".join(map(str, row)) for row in ROWS)]
    return "\n".join(lines).encode() + b"\n"


def as_csv(delimiter: str = ",") -> bytes:
    """Return the rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows([COLUMNS, *ROWS])
    return text.getvalue().encode()


def as_json_lines() -> bytes:
    """Return the rows as JSON lines."""
    rows = [json.dumps(dict(zip(COLUMNS, row, strict=True))) for row in ROWS]
    return "\n".join(rows).encode()


def as_ubi() -> bytes:
    """Return the rows as UBI query documents."""
    documents = [
        {
            "application": "shop",
            "query_id": f"q{place}",
            "client_id": user,
            "session_id": session,
            "timestamp": time,
            "user_query": query,
            "query_response_hit_ids": ["x"] * results,
        }
        for place, (user, session, time, query, results) in enumerate(ROWS)
    ]
    return "\n".join(map(json.dumps, documents)).encode()


def as_wrapped_ubi() -> bytes:
    """Return the same as an export of the index wraps them."""
    documents = [{"_index": "ubi_queries", "_source": json.loads(x)} for x in as_ubi().split(b"\n")]
    return "\n".join(map(json.dumps, documents)).encode()


FILES: dict[str, Callable[[], bytes]] = {
    "log.tsv": as_tsv,
    "log.tab": lambda: as_tsv().replace(b"\n", b"\r\n"),
    "log.txt": lambda: b"\xef\xbb\xbf" + as_tsv(),
    "log.csv": as_csv,
    "log.log": as_csv,
    "log.jsonl": as_json_lines,
    "log": lambda: b"\xef\xbb\xbf" + as_json_lines(),
    "ubi.ndjson": as_ubi,
    "ubi.json": as_wrapped_ubi,
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Return the log as TSV has it."""
    path = tmp_path_factory.mktemp("formats") / "log.tsv"
    path.write_bytes(as_tsv())
    return as_twin(read(path, settings=SETTINGS))


@pytest.mark.parametrize("name", FILES)
def test_every_layout_gives_the_same_log(tmp_path: Path, expected: object, name: str) -> None:
    """Told by its name or by how it begins; quotes and commas survive where they mean nothing."""
    path = tmp_path / name
    path.write_bytes(FILES[name]())
    log = read(path, settings=SETTINGS)

    assert expected == as_twin(log)
    assert log.results is not None
    assert [4, 0, 12, 7, 3] == log.results.tolist()
    assert (True, True) == (log.has_users, log.has_sessions)
    assert {} == log.report.bad_rows


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_compression_is_told_by_the_bytes_not_the_name(
    tmp_path: Path, expected: object, compress: Callable[[bytes], bytes]
) -> None:
    """A log renamed by somebody is the same log; two parts joined are one file."""
    path = tmp_path / "log.tsv"
    head, rest = as_tsv()[:40], as_tsv()[40:]
    path.write_bytes(compress(head) + compress(rest))

    assert expected == as_twin(read(path, settings=SETTINGS))


def test_parquet_gives_the_same_log(tmp_path: Path, expected: object) -> None:
    """Times and numbers come as what they are, not as text."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    compute = pytest.importorskip("pyarrow.compute")
    table = pa.table(dict(zip(COLUMNS, map(list, zip(*ROWS, strict=True)), strict=True)))
    for name, kind in (("a", pa.timestamp("us")), ("b", pa.timestamp("ms", tz="Europe/Berlin"))):
        times = compute.strptime(table["time"], "%Y-%m-%dT%H:%M:%SZ", "us").cast(kind)
        path = tmp_path / f"{name}.parquet"
        parquet.write_table(table.set_column(2, "time", times), path)

        assert expected == as_twin(read(path, settings=SETTINGS))


def test_files_of_all_layouts_can_be_read_together(tmp_path: Path) -> None:
    """A user id means the same person in all of them."""
    paths = []
    for name, make in FILES.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(make())
    log = read(*paths, settings=SETTINGS)

    assert 2 == log.event_user.max() + 1
    assert len(ROWS) * len(FILES) == log.report.rows_used
    assert [1, 1, 1, 1, 1] == log.users.tolist()


def test_a_row_may_span_blocks_of_input(tmp_path: Path) -> None:
    """Files are read two mebibytes at a time; rows do not know."""
    path = tmp_path / "log.csv"
    row = 'ann,"query {}\n{}"\n'
    path.write_text("user,query\n" + "".join(row.format(i, "x" * 150) for i in range(30_000)))
    log = read(path)

    assert 30_000 == log.report.rows_used == len(log.queries)
    assert {} == log.report.bad_rows


def test_column_names_match_but_for_case(tmp_path: Path) -> None:
    """Logs of other tools write ``Query`` and ``USER``."""
    path = write_tsv(tmp_path / "log.tsv", "USER,Query", "ann,red")
    log = read(path)

    assert log.has_users
    assert ["red"] == log.queries


def test_a_column_can_be_left_out_by_the_settings(tmp_path: Path) -> None:
    """None means that the log has no such column, whatever its header says."""
    path = write_tsv(tmp_path / "log.tsv", "user,time,query", "ann,never,red", "ann,x,blue")
    log = read(path, settings=LogSettings(time_column=None))

    assert log.event_time is None
    assert 2 == log.report.rows_used


ERRORS = {
    "no header": (
        "log.tsv", b"1234\tred shoes\n99\tblue shoes\n", LogSettings(),
        "2 fields and does not look like a header",
    ),
    "other names": (
        "log.tsv", b"who\tsearch_term\nann\tred\n", LogSettings(),
        "columns found: who, search_term. Name the right one: --set log.query_column=NAME",
    ),
    "tsv with commas": (
        "log.tsv", b"user,query\nann,red\n", LogSettings(),
        "separated by commas; set --set log.format=csv",
    ),
    "csv with tabs": (
        "log.csv", b"user\tquery\nann\tred\n", LogSettings(),
        "separated by tabs; set --set log.format=tsv",
    ),
    "csv with semicolons": (
        "log.csv", b"user;query\nann;red\n", LogSettings(), "separated by semicolons",
    ),
    "semicolons and other names": (
        "log.csv", b"who;search_term\nann;red\n", LogSettings(), "separated by semicolons",
    ),
    "json called tsv": (
        "log.tsv", b'{"user": "ann", "query": "red"}\n', LogSettings(), "looks like JSON lines",
    ),
    "json without the key": (
        "log.jsonl", b'{"user": "ann", "q": "red"}\n', LogSettings(), "columns found: user, q",
    ),
    "a named column is missing": (
        "log.tsv", b"user\tquery\nann\tred\n", LogSettings(time_column="when"),
        "no column 'when' for the time; columns found: user, query",
    ),
    "a named key is missing": (
        "log.jsonl", b'{"user": "ann", "query": "red"}\n', LogSettings(time_column="when"),
        "no column 'when' for the time; no row has a value for it",
    ),
    "two columns fit": (
        "log.tsv", b"user\tquery\tquery\nann\tred\tblue\n", LogSettings(), "2 columns fit 'query'",
    ),
    "empty": ("log.tsv", b"", LogSettings(), "is empty"),
    "only line ends": ("log.csv", b"\n\n\n", LogSettings(), "is empty"),
    "header not first": ("log.tsv", b"\nuser\tquery\nann\tred\n", LogSettings(), "line 1 is not a"),
    "header not UTF-8": (
        "log.tsv", b"us\xe9r\tquery\nann\tred\n", LogSettings(), "line 1 is not a",
    ),
    "UTF-16": ("log.tsv", "user\tquery\nann\tred\n".encode("utf-16"), LogSettings(), "is UTF-16"),
    "cut gzip": ("log.tsv.gz", gzip.compress(as_tsv())[:-12], LogSettings(), "cut short"),
    "cut zstd": ("log.tsv.zst", zstandard.compress(as_tsv())[:-9], LogSettings(), "cut short"),
    "spoilt zstd": (
        "log.tsv.zst", zstandard.compress(as_tsv())[:9] + b"\xff" * 20, LogSettings(), "damaged",
    ),
    "spoilt parquet": ("log.parquet", b"PAR1 but no more", LogSettings(), "read as Parquet"),
    "not parquet": ("log.parquet", as_tsv(), LogSettings(), "cannot be read as Parquet"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_a_file_that_cannot_be_used_says_how_to_mend_it(tmp_path: Path, case: str) -> None:
    """Each is a ``LogError``: exit code 2, the file and the fix in its text, no query."""
    name, content, settings, message = ERRORS[case]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(LogError) as caught:
        read(path, settings=settings)

    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "red" not in str(caught.value).replace("cannot be read", "")


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """So is a folder in which nothing is a log."""
    with pytest.raises(LogError, match=r"none\.tsv: cannot be read \(No such file"):
        read(tmp_path / "none.tsv")
    with pytest.raises(LogError, match="is a folder without event files"):
        read(tmp_path)


def test_semicolons_are_read_when_the_settings_say_so(tmp_path: Path) -> None:
    """The error about them names this setting."""
    path = tmp_path / "log.csv"
    path.write_bytes(as_csv(";"))

    assert 5 == read(path, settings=LogSettings(delimiter=";")).report.rows_used


def test_a_layout_that_was_set_is_not_guessed(tmp_path: Path) -> None:
    """``log.format=csv`` reads a file called ``.tsv`` as CSV."""
    path = tmp_path / "log.tsv"
    path.write_bytes(as_csv())

    assert 5 == read(path, settings=LogSettings(format="csv")).report.rows_used


def test_logs_that_disagree_on_users_or_times_are_refused(tmp_path: Path) -> None:
    """People of one log could not be told from nobody in the other."""
    ann = write_tsv(tmp_path / "a.tsv", "user,query", "ann,red")
    nobody = write_tsv(tmp_path / "b.tsv", "query", "red")
    timed = write_tsv(tmp_path / "c.tsv", "user,time,query", "ann,1700000000,red")
    with pytest.raises(LogError, match=r"a\.tsv has a column for the user and .*b\.tsv has none"):
        read(ann, nobody)
    with pytest.raises(LogError, match=r"c\.tsv has a column for the time and .*a\.tsv has none"):
        read(timed, ann)


def test_no_file_at_all_is_an_error() -> None:
    """There is nothing to learn from nothing."""
    with pytest.raises(LogError, match="no log given"):
        read()
