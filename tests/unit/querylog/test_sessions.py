"""Sessions, order, people and times, against a twin in plain Python."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import LogError
from espalier.querylog import pairs_of, read_log
from espalier.querylog.sessions import seconds
from espalier.settings import LogSettings
from tests.unit.querylog.support import Typed, as_twin, read, twin_of, write_tsv

USERS = st.sampled_from(["ann", "bob", "c é"])
QUERIES = st.sampled_from(
    ["red", "Red", " RED  ", "red shoes", "Ｒｅｄ", "b", "ÉTÉ", "été", "日本", "👟"]
)
SESSIONS = st.sampled_from(["s1", "s2"])
# Seconds near each other and near the gap: ties and cuts are what can go wrong.
SECONDS = st.sampled_from([0, 1, 59, 1799, 1800, 1801, 3600, 3601, 5401, 90_000])


@given(
    rows=st.lists(st.builds(Typed, USERS, QUERIES, SESSIONS, SECONDS), min_size=1, max_size=25),
    named=st.booleans(),
    timed=st.booleans(),
)
def test_a_log_comes_to_what_its_twin_comes_to(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Typed], named: bool, timed: bool
) -> None:
    """Order, cuts, repeats, counts, display forms and numbers of people and sessions."""
    path = tmp_path_factory.mktemp("twin") / "log.tsv"
    kept = [
        Typed(row.user, row.query, row.session if named else "", row.second if timed else None)
        for row in rows
    ]
    columns = {"user": True, "session": named, "time": timed, "query": True}
    lines = ["\t".join(name for name, used in columns.items() if used)]
    for row in kept:
        values = (row.user, row.session, str(row.second), row.query)
        lines.append("\t".join(v for v, used in zip(values, columns.values(), strict=True) if used))
    path.write_text("\n".join(lines), encoding="utf-8")
    log = read(path)

    assert twin_of(kept) == as_twin(log)
    assert (named, True) == (log.has_sessions, log.has_users)
    assert timed == (log.event_time is not None)


def test_a_pause_of_exactly_the_gap_does_not_cut(tmp_path: Path) -> None:
    """A longer one does; the gap is a setting."""
    path = write_tsv(tmp_path / "log.tsv", "user,time,query", "a,0,x", "a,1800,y", "a,3601,z")

    assert [["x", "y"], ["z"]] == as_twin(read(path)).sessions
    assert [["x", "y", "z"]] == as_twin(
        read(path, settings=LogSettings(session_gap_minutes=31))
    ).sessions


def test_a_repeat_keeps_the_session_alive(tmp_path: Path) -> None:
    """Reading the second page is still the same visit."""
    path = write_tsv(tmp_path / "log.tsv", "user,time,query", "a,0,x", "a,1500,x", "a,3000,y")
    log = read(path)

    assert [["x", "y"]] == as_twin(log).sessions
    assert log.event_time is not None
    assert [0, 3000] == log.event_time.tolist()


def test_rows_of_a_person_need_not_stand_together(tmp_path: Path) -> None:
    """A log of a site is ordered by time, not by person."""
    path = write_tsv(tmp_path / "log.tsv", "user,query", "a,1", "b,2", "a,3", "b,4")
    log = read(path)
    before, after = pairs_of(log)

    assert [["1", "3"], ["2", "4"]] == as_twin(log).sessions
    assert [(0, 2), (1, 3)] == [
        (int(log.event_query[i]), int(log.event_query[j]))
        for i, j in zip(before, after, strict=True)
    ]


def test_a_session_stands_for_a_person_where_there_are_no_users(tmp_path: Path) -> None:
    """``users`` counts sessions then."""
    path = write_tsv(tmp_path / "log.tsv", "session,query", "s,x", "t,x", "s,y", "s,x")
    log = read(path)

    assert (False, True) == (log.has_users, log.has_sessions)
    assert [2, 1] == log.users.tolist()
    assert [3, 1] == log.counts.tolist()


def test_without_users_and_sessions_every_row_is_alone(tmp_path: Path) -> None:
    """No query follows another, repeats count, and ``users`` counts rows."""
    path = write_tsv(tmp_path / "log.tsv", "query", "x", "x", "y")
    log = read(path)

    assert (False, False) == (log.has_users, log.has_sessions)
    assert [2, 1] == log.users.tolist()
    assert 0 == len(pairs_of(log)[0])


def test_a_row_without_user_is_known_by_its_session(tmp_path: Path) -> None:
    """Visitors who never logged in still teach, and are nobody else."""
    path = write_tsv(tmp_path / "log.tsv", "user,session,query", "s,1,x", ",s,x", ",s,y", ",,z")
    log = read(path)

    assert [2, 1] == log.users.tolist()
    assert 1 == log.report.bad_rows["missing_user"].count


def test_a_private_row_between_two_queries_does_not_part_them(tmp_path: Path) -> None:
    """It is left out before sessions are cut and repeats collapsed."""
    path = write_tsv(tmp_path / "log.tsv", "user,query", "a,x", "a,me@example.com", "a,x", "a,y")

    assert [["x", "y"]] == as_twin(read(path)).sessions


def test_the_same_person_in_two_files_is_one_person(tmp_path: Path) -> None:
    """Files are read in the order given; times put rows of both in order."""
    late = write_tsv(tmp_path / "late.tsv", "user,time,query", "a,100,y")
    early = write_tsv(tmp_path / "early.tsv", "user,time,query", "a,50,x", "b,50,x")

    assert [["x", "y"], ["x"]] == as_twin(read(late, early)).sessions


TIMES = {
    "2026-03-01T08:15:00Z": 1_772_352_900,
    "2026-03-01 08:15:00": 1_772_352_900,
    " 2026-03-01T08:15:00.999999Z ": 1_772_352_900,
    "2026-03-01T10:15:00+02:00": 1_772_352_900,
    "2026-03-01T03:15:00-05": 1_772_352_900,
    "2026-03-01 08:15": 1_772_352_900,
    "2026-03-01": 1_772_323_200,
    "0": 0,
    "1772352900": 1_772_352_900,
    "1772352900.75": 1_772_352_900,
    "1772352900999": 1_772_352_900,
    "1772352900999999": 1_772_352_900,
    "1772352900999999999": 1_772_352_900,
    "20260301": None,
    "20260301081500": None,
    "-5": None,
    "1e9": None,
    "": None,
    "01/03/2026": None,
    "2026-02-30": None,
    "2150-01-01": None,
    "infinity": None,
    "nan": None,
    "yesterday": None,
}


@pytest.mark.parametrize("text", TIMES)
def test_times_are_read_as_documented(text: str) -> None:
    """ISO 8601 and numbers by their digits; what may mean two things is refused."""
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT {seconds('t')} FROM (SELECT CAST(? AS VARCHAR) AS t)", [text]
        ).fetchall()

    assert [(TIMES[text],)] == found


@given(
    st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2099, 12, 31)),  # noqa: DTZ001 - zoned below
    st.integers(-14, 14),
)
def test_any_iso_time_is_read_to_the_second(moment: dt.datetime, offset: int) -> None:
    """Whatever its offset."""
    zone = dt.timezone(dt.timedelta(hours=offset))
    there = moment.replace(tzinfo=zone)
    expected = int(there.timestamp() // 1)
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT {seconds('t')} FROM (SELECT CAST(? AS VARCHAR) AS t)", [there.isoformat()]
        ).fetchall()

    assert [(expected if expected >= 0 else None,)] == found


def test_threads_and_memory_change_nothing(tmp_path: Path) -> None:
    """Equal logs on one thread and four, and when everything spills to disk."""
    path = tmp_path / "log.tsv"
    rows = [f"{i * 7919 % 97}\t{i * 31 % 5000}\tquery {i * 104_729 % 613}" for i in range(20_000)]
    path.write_text("user\ttime\tquery\n" + "\n".join(rows))
    plain = read_log([path], LogSettings(), threads=1)
    tight = read_log([path], LogSettings(), threads=4, memory=128)

    assert as_twin(plain) == as_twin(tight)
    assert plain.report == tight.report


def test_an_empty_list_of_sessions_is_an_error(tmp_path: Path) -> None:
    """A log whose users are all missing has nothing to learn from."""
    path = write_tsv(tmp_path / "log.tsv", "user,query", ",x", ",y")
    with pytest.raises(LogError, match="2 missing_user"):
        read(path)
