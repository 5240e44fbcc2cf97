"""From events to typing episodes, and from these to the totals of each unit.

A *unit* is who was assigned: a session, a user. It counts from its first exposure on, in
the variant it was exposed to; a unit that saw two variants says nothing about either and
is left out, as is one whose exposure is not in the files.

An *episode* is one search intent: the keystrokes from an empty box to a query submitted
or given up. It is what the client calls an intent; where it says nothing, an episode goes
on until a submission, an abandonment, or 30 minutes of silence. What a list of
suggestions led to counts where the list was shown, however late it is reported; what
names no list belongs to the unit that its session is, or else to the unit it names.

What does not fit is counted:

``unknown_list``    refers to a list of suggestions that is in none of the files; what it
                    says is believed, but for the acceptance of who knows what
``late``            comes more than a day after the list it refers to, and is left out
``out_of_order``    bears a time before that of the list it refers to; counts all the same
``without_unit``    nobody knows whose it is; left out
``before_exposure`` an episode that was over before its unit was exposed; left out
``after_end``       an episode begun when the experiment was over; left out
``without_exposure``a unit in a variant without an exposure; left out
``two_variants``    a unit that saw two variants; left out
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import duckdb

from espalier.analysis.reading import (
    ABANDONMENT,
    ACCEPTANCE,
    EXPOSURE,
    IMPRESSION,
    SUBMISSION,
    microseconds,
)
from espalier.evaluate.measures import CUT

SILENCE_MINUTES: Final = 30
"""Silence that ends an episode where the client does not name episodes."""
LATE_HOURS: Final = 24
"""After so long, what refers to a list is no answer to it."""

PREFIXES: Final[Mapping[str, tuple[int, int]]] = {
    "prefix_0": (0, 0),
    "prefix_1": (1, 1),
    "prefix_2": (2, 2),
    "prefix_3": (3, 3),
    "prefix_4_6": (4, 6),
    "prefix_7_10": (7, 10),
    "prefix_11_plus": (11, 32_000),
}
"""Segments by code points typed: the first and the last length."""
CONTEXTS: Final[Mapping[str, str]] = {
    "context_none": "context = 0",
    "context_1": "context = 1",
    "context_2_plus": "context >= 2",
}
"""Segments by the number of previous queries that the first list of an episode knew."""

WHOLE: Final = 1_000_000
"""Shares are added up in millionths: sums of integers do not depend on their order."""

# A multiple of every rank up to ten: reciprocal ranks become integers.
_RANKS: Final = 2520
_MINUTE: Final = 60_000_000
# The exposure is written with the first answer it affects, on the same clock or nearly.
_EXPOSURE_SLACK: Final = 1_000_000


def find_units(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Make the table ``units`` (unit, variant, exposed); return counts of who is left out."""
    connection.execute(
        f"""
        CREATE TABLE seen AS
        SELECT unit, min(variant) AS variant, min(variant) <> max(variant) AS mixed,
               min(moment) FILTER (kind = {EXPOSURE}) AS exposed,
               count(*) FILTER (kind = {EXPOSURE}) AS exposures
        FROM events WHERE variant IS NOT NULL AND unit IS NOT NULL
          AND kind IN ({EXPOSURE}, {IMPRESSION})
        GROUP BY unit;
        CREATE TABLE units AS SELECT unit, variant, exposed FROM seen
        WHERE NOT mixed AND exposed IS NOT NULL
        """
    )
    mixed, unexposed, exposures = connection.execute(
        "SELECT count(*) FILTER (mixed), count(*) FILTER (NOT mixed AND exposed IS NULL), "
        "coalesce(sum(exposures), 0) FROM seen"
    ).fetchall()[0]
    return {
        "two_variants": int(mixed),
        "without_exposure": int(unexposed),
        "exposures": int(exposures),
    }


def find_episodes(
    connection: duckdb.DuckDBPyConnection, until: datetime | None = None
) -> dict[str, int]:
    """Make the table ``episodes``, one row each, of the units in ``units``; return counts.

    Columns: ``unit``, ``variant``, ``begun``; ``lists`` shown and ``latency_us`` of them
    with a known one (``timed``); ``context``; whether it was ``accepted``, ``submitted``,
    ``abandoned``, its last list ``empty``; ``rr`` the mean reciprocal rank of the
    submitted query in the ``ranked`` lists shown before it was typed in full; ``known``
    whether its length is, and ``saved``, the share of it that was not typed; for each of
    PREFIXES, whether a list was shown at this length and accepted from.
    """
    connection.execute(
        f"""
        CREATE TABLE lists AS
        SELECT list, unit, intent, moment, prefix_length FROM events
        WHERE kind = {IMPRESSION} AND list IS NOT NULL;

        -- What a client reports without a list may name another kind of unit, or none.
        CREATE TABLE sat AS
        SELECT session, any_value(unit) AS unit FROM events
        WHERE kind = {IMPRESSION} AND variant IS NOT NULL AND session IS NOT NULL
        GROUP BY session HAVING count(DISTINCT unit) = 1;

        CREATE TABLE answers AS
        SELECT e.kind, coalesce(l.unit, s.unit, e.unit) AS unit,
               coalesce(l.intent, e.intent) AS intent,
               e.moment, l.moment AS shown_at, e.list,
               e.list IS NOT NULL AND l.list IS NULL AS unknown,
               e.moment > l.moment + {LATE_HOURS * 60 * _MINUTE} AS late,
               e.query, e.query_length, e.ordinal,
               coalesce(l.prefix_length, e.prefix_length) AS prefix_length
        FROM events e LEFT JOIN lists l ON l.list = e.list
        LEFT JOIN sat s ON l.list IS NULL AND s.session = e.session
        WHERE e.kind IN ({ACCEPTANCE}, {SUBMISSION}, {ABANDONMENT});

        CREATE TABLE acts AS
        SELECT unit, intent, moment, kind, variant, exposed, list, query, query_length,
               prefix_length, suggestions, context, latency_us
        FROM (
            SELECT unit, intent, moment, kind, list, NULL AS query, NULL AS query_length,
                   prefix_length, suggestions, context, latency_us
            FROM events WHERE kind = {IMPRESSION}
            UNION ALL
            -- An acceptance stands where its list stood, before whatever followed.
            SELECT unit, intent,
                   CASE WHEN kind = {ACCEPTANCE} THEN coalesce(shown_at, moment) ELSE moment END,
                   kind, list, query, query_length, prefix_length, NULL, NULL, NULL
            FROM answers
            WHERE NOT coalesce(late, false) AND NOT (kind = {ACCEPTANCE} AND unknown)
        ) JOIN (SELECT unit, units.variant, exposed FROM units) USING (unit);
        """
    )
    counts = connection.execute(
        """
        SELECT count(*) FILTER (unknown), count(*) FILTER (late),
               count(*) FILTER (moment < shown_at), count(*) FILTER (unit IS NULL)
        FROM answers
        """
    ).fetchall()[0]
    _name_intents(connection)
    connection.execute(_episodes_sql())
    (early,) = connection.execute("SELECT count(*) FROM episodes WHERE NOT counts").fetchall()[0]
    connection.execute("DELETE FROM episodes WHERE NOT counts")
    over = 0
    if until is not None:
        # What people do then no variant has a part in, and it blurs the difference.
        (over,) = connection.execute(
            "DELETE FROM episodes WHERE begun >= $1", [microseconds(until)]
        ).fetchall()[0]
    names = ("unknown_list", "late", "out_of_order", "without_unit")
    return {
        **dict(zip(names, map(int, counts), strict=True)),
        "before_exposure": int(early),
        "after_end": int(over),
    }


def _name_intents(connection: duckdb.DuckDBPyConnection) -> None:
    """Give every act of ``acts`` an intent: view ``named``.

    Only units with an act that names none are sorted.
    """
    connection.execute(
        f"""
        CREATE TABLE loose AS SELECT DISTINCT unit FROM acts WHERE intent IS NULL;
        CREATE TABLE cut AS
        SELECT * REPLACE (coalesce(
            intent,
            last_value(intent IGNORE NULLS) OVER (
                PARTITION BY unit, run ORDER BY moment, kind
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
            hash(run)) AS intent) FROM (
            SELECT *, sum(begins::INTEGER) OVER (
                PARTITION BY unit ORDER BY moment, kind
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS run
            FROM (
                SELECT *, coalesce(
                    lag(kind) OVER places IN ({SUBMISSION}, {ABANDONMENT})
                    OR moment - lag(moment) OVER places > {SILENCE_MINUTES * _MINUTE}, true)
                    AS begins
                FROM acts WHERE unit IN (FROM loose)
                WINDOW places AS (PARTITION BY unit ORDER BY moment, kind)));
        CREATE VIEW named AS
        SELECT * FROM acts WHERE unit NOT IN (FROM loose)
        UNION ALL SELECT * EXCLUDE (begins, run) FROM cut
        """
    )


def _episodes_sql() -> str:
    shown = f"kind = {IMPRESSION}"
    segments = "".join(
        f""",
               bool_or({shown} AND prefix_length BETWEEN {low} AND {high}) AS {name},
               bool_or(kind = {ACCEPTANCE} AND prefix_length BETWEEN {low} AND {high})
                   AS {name}_accepted"""
        for name, (low, high) in PREFIXES.items()
    )
    return f"""
        CREATE TABLE drafts AS
        SELECT unit, intent, any_value(variant) AS variant, min(moment) AS begun,
               max(moment) >= any_value(exposed) - {_EXPOSURE_SLACK} AS counts,
               count(*) FILTER ({shown}) AS lists,
               sum(latency_us) AS latency_us, count(latency_us) AS timed,
               arg_min(context, moment) FILTER ({shown}) AS context,
               arg_max(suggestions, moment) FILTER ({shown}) = 0 AS empty,
               bool_or(kind = {ACCEPTANCE}) AS accepted,
               bool_or(kind IN ({SUBMISSION}, {ACCEPTANCE})) AS submitted,
               bool_or(kind = {ABANDONMENT}) AS abandoned,
               max(moment) FILTER (kind IN ({SUBMISSION}, {ACCEPTANCE})) AS done,
               arg_max(query, (moment, kind)) FILTER (kind IN ({SUBMISSION}, {ACCEPTANCE}))
                   AS query,
               arg_max(query_length, (moment, kind))
                   FILTER (kind IN ({SUBMISSION}, {ACCEPTANCE})) AS query_length,
               arg_max(prefix_length, moment) FILTER (kind = {ACCEPTANCE}) AS accepted_at{segments}
        FROM named GROUP BY unit, intent;

        -- Lists of who typed the whole query offer nothing any more.
        CREATE TABLE ranks AS
        SELECT d.unit, d.intent, count(*) AS ranked,
               sum(CASE WHEN rank BETWEEN 1 AND {CUT} THEN {_RANKS} // rank ELSE 0 END) AS rr
        FROM (
            SELECT n.unit, n.intent, list_position(e.shown, d.query) AS rank
            FROM named n JOIN drafts d USING (unit, intent)
            JOIN events e ON e.list = n.list AND e.kind = {IMPRESSION}
            WHERE n.kind = {IMPRESSION} AND d.query IS NOT NULL AND n.moment <= d.done
              AND e.shown IS NOT NULL
              AND NOT coalesce(n.prefix_length >= d.query_length, e.query = d.query, false)) d
        GROUP BY d.unit, d.intent;

        CREATE TABLE episodes AS
        SELECT d.*, coalesce(r.ranked, 0) AS ranked,
               coalesce(({WHOLE} * r.rr) // ({_RANKS} * r.ranked), 0)::BIGINT AS rr,
               submitted AND coalesce(query_length > 0, false) AS known,
               CASE WHEN accepted AND query_length > 0 AND accepted_at < query_length
                    THEN ({WHOLE} * (query_length - accepted_at)) // query_length
                    ELSE 0 END::BIGINT AS saved
        FROM drafts d LEFT JOIN ranks r USING (unit, intent)
        WHERE d.lists > 0;
        """
