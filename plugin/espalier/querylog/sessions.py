"""From rows to events: who typed what, in which session, in which order.

*People.* The user column says who typed. A row without a user but with a session is
somebody of its own, known by the session. Where a log has only sessions, a session is
a person; where it has neither, every row is.

*Time.* Read as seconds since 1970 UTC, fractions cut off, from 1970 to 2099:

- ISO 8601 and its usual relatives: ``2026-03-01T08:15:00Z``, ``2026-03-01 08:15:00.5+02``,
  ``2026-03-01``; without an offset it is UTC;
- numbers by their digits before the point: up to 11 are seconds, 12 to 14 milliseconds,
  15 to 17 microseconds, 18 or 19 nanoseconds. Eight digits may be a date (``20260301``)
  as well as a second of 1970, so they are refused.

*Order.* A person's rows are ordered by time and, within a second or without times, as
they stand in the files. They need not be neighbours there.

*Sessions.* Rows of one person with one session id, cut where the pause from one row to
the next is longer than ``session_gap_minutes``. Without times nothing is cut.

*Repeats.* A query typed again right after itself in a session is one event, the first.

Bad and private rows are left out before any of this.
"""

from __future__ import annotations

from typing import Final

import duckdb

from espalier.progress import Progress
from espalier.querylog.ingest import Ingested
from espalier.querylog.kinds import BAD_TIME, MISSING_QUERY, MISSING_USER
from espalier.settings import LogSettings

_LAST_SECOND: Final = 4_102_444_800
_ISO: Final = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?)?"
_OFFSET: Final = " ?[+-][0-9]{2}(:?[0-9]{2})?"

# A person known only by a session must not meet a user of the same name.
_SESSION_PERSON: Final = "session:"


def make_events(
    connection: duckdb.DuckDBPyConnection,
    ingested: Ingested,
    settings: LogSettings,
    progress: Progress,
) -> None:
    """Make the tables ``judged``, ``persons`` and ``events`` from ``log`` and ``known``.

    ``judged`` has every row: spot, person, session, second (since 1970, or NULL), form, label,
    verdict (NULL: usable). ``persons`` numbers the people of usable rows in order of
    appearance: person, member. ``events`` has the usable rows without repeats: session,
    member, second, spot, form, label; ``session`` is dense and follows member, then start.
    """
    with progress.stage("cutting sessions"):
        connection.execute(_judged(ingested))
        connection.execute(
            "CREATE TABLE persons AS "
            "SELECT person, row_number() OVER (ORDER BY min(spot)) - 1 AS member "
            "FROM judged WHERE verdict IS NULL GROUP BY person"
        )
        connection.execute(_events(settings.session_gap_minutes * 60))


def _judged(ingested: Ingested) -> str:
    session = "CAST(NULL AS VARCHAR)"
    if ingested.has_sessions:
        session = "nullif(trim(log.raw_session), '')"
    if ingested.has_users:
        user = "nullif(trim(log.raw_user), '')"
        person = f"coalesce({user}, '{_SESSION_PERSON}' || {session})"
    elif ingested.has_sessions:
        person = session
    else:
        person = "CAST(log.spot AS VARCHAR)"
    time = seconds("log.raw_time") if ingested.has_times else "CAST(NULL AS BIGINT)"
    late = f"WHEN second IS NULL THEN '{BAD_TIME}'" if ingested.has_times else ""
    return (
        "CREATE TABLE judged AS WITH read AS ("
        f"SELECT log.spot, {person} AS person, coalesce({session}, '') AS session, "
        f"{time} AS second, log.raw_query IS NULL AS silent, known.form, known.label, "
        "known.verdict AS judgement FROM log LEFT JOIN known ON known.raw = log.raw_query) "
        "SELECT spot, person, session, second, form, label, "
        f"CASE WHEN silent THEN '{MISSING_QUERY}' WHEN person IS NULL THEN '{MISSING_USER}' "
        f"{late} ELSE judgement END AS verdict FROM read"
    )


def seconds(column: str) -> str:
    """Return the SQL of a text column read as seconds since 1970 UTC, NULL if it is no time."""
    text = f"trim({column})"
    number = f"TRY_CAST(regexp_extract({text}, '^[0-9]+') AS BIGINT)"

    def digits(least: int, most: int) -> str:
        return f"regexp_full_match({text}, '[0-9]{{{least},{most}}}([.][0-9]*)?')"

    value = (
        f"CASE WHEN regexp_full_match({text}, '[0-9]{{8}}') THEN NULL "
        f"WHEN {digits(1, 11)} THEN {number} "
        f"WHEN {digits(12, 14)} THEN {number} // 1000 "
        f"WHEN {digits(15, 17)} THEN {number} // 1000000 "
        f"WHEN {digits(18, 19)} THEN {number} // 1000000000 "
        # A plain TIMESTAMP takes an offset and forgets it.
        f"WHEN regexp_full_match({text}, '{_ISO}{_OFFSET}') "
        f"THEN CAST(floor(epoch(TRY_CAST({text} AS TIMESTAMPTZ))) AS BIGINT) "
        f"WHEN regexp_full_match({text}, '{_ISO}( ?(Z|UTC))?') "
        f"THEN CAST(floor(epoch(TRY_CAST({text} AS TIMESTAMP))) AS BIGINT) END"
    )
    # Beyond this range it is a date read as a number, or a clock that was never set.
    return f"CASE WHEN {value} BETWEEN 0 AND {_LAST_SECOND} - 1 THEN {value} END"


def _events(gap: int) -> str:
    return (
        "CREATE TABLE events AS WITH usable AS ("
        "SELECT persons.member, judged.session AS name, judged.second, judged.spot, judged.form, "
        "judged.label FROM judged JOIN persons ON persons.person = judged.person "
        "WHERE judged.verdict IS NULL), "
        # NULL seconds compare to NULL, which cuts nothing.
        "marked AS (SELECT *, CASE WHEN second - lag(second) OVER in_order > "
        f"{gap} THEN 1 ELSE 0 END AS cut FROM usable "
        "WINDOW in_order AS (PARTITION BY member, name ORDER BY second, spot)), "
        "parted AS (SELECT *, sum(cut) OVER (PARTITION BY member, name ORDER BY second, spot "
        "ROWS UNBOUNDED PRECEDING) AS part FROM marked), "
        "sessions AS (SELECT member, name, part, "
        "row_number() OVER (ORDER BY member, min(second), min(spot)) - 1 AS session "
        "FROM parted GROUP BY member, name, part), "
        "placed AS (SELECT sessions.session, parted.* FROM parted JOIN sessions "
        "ON sessions.member = parted.member AND sessions.name = parted.name "
        "AND sessions.part = parted.part) "
        "SELECT session, member, second, spot, form, label FROM placed "
        "QUALIFY label IS DISTINCT FROM "
        "lag(label) OVER (PARTITION BY session ORDER BY second, spot)"
    )
