"""Event files into a database: one row an event, numbers and hashes in place of texts.

The files are what `espalier serve` writes (`events/`): UBI 1.3 event objects, one a line,
plain, gzip or zstd. DuckDB parses them in parallel and out of core. Only the first of
equal event ids counts, and the first impression of a list, in whatever order the files
come. What cannot be used is left out and counted by kind:

``unreadable``      not a JSON object, or one without an action
``truncated``       the unfinished last line of a file that a crash ended
``foreign``         an action no event of ours has
``without_time``    no timestamp, or one that is no time
``future``          later than the clock of this machine by more than five minutes
``duplicate``       an event id, or the impression of a list, that was there before
``forgotten``       of a session that was deleted later on

Texts are kept as 64-bit hashes: of ten million texts, two are taken for one with a
probability of 3 in a million.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import duckdb

from espalier.errors import LogError

EXPOSURE: Final = 1
IMPRESSION: Final = 2
ACCEPTANCE: Final = 3
SUBMISSION: Final = 4
ABANDONMENT: Final = 5
SHADOW: Final = 6
FORGOTTEN: Final = 7

_KINDS: Final[Mapping[str, int]] = {
    "exposure": EXPOSURE,
    "impression": IMPRESSION,
    "acceptance": ACCEPTANCE,
    "submission": SUBMISSION,
    "abandonment": ABANDONMENT,
    "shadow": SHADOW,
    "forgotten": FORGOTTEN,
}

FUTURE_TOLERANCE: Final = timedelta(minutes=5)
"""How far the clocks of two machines may be apart."""

_COLUMNS: Final = """{
    action_name: 'VARCHAR', query_id: 'VARCHAR', client_id: 'VARCHAR', timestamp: 'VARCHAR',
    session_id: 'VARCHAR', user_query: 'VARCHAR',
    event_attributes: 'STRUCT(
        "position" STRUCT(ordinal BIGINT),
        "object" STRUCT(object_id VARCHAR),
        espalier STRUCT(
            event_id VARCHAR, query VARCHAR, intent_id VARCHAR, unit VARCHAR,
            units MAP(VARCHAR, VARCHAR), experiments MAP(VARCHAR, VARCHAR),
            prefix_length BIGINT, suggestions BIGINT, context BIGINT, shown VARCHAR[],
            credits VARCHAR[], latency_us BIGINT,
            shadow STRUCT(experiment VARCHAR, variant VARCHAR, places INTEGER[], live INTEGER,
                          latency_us BIGINT, failed BOOLEAN)))'}"""
_TAIL_BYTES: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


def stage(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], experiment: str, now: datetime
) -> dict[str, int]:
    """Read event files into the table ``events``; return how many lines were of each bad kind.

    The count of all lines is there too, under ``lines``. Columns of the table:
    ``kind``, ``list`` (of suggestions), ``unit``, ``intent`` (hashes, null if absent),
    ``moment`` (microseconds since 1970), ``variant`` (of ``experiment``, in force for this
    event), ``query`` and ``query_length`` (what was typed, submitted or accepted),
    ``ordinal``, ``prefix_length``, ``suggestions``, ``context``, ``shown`` (hashes),
    ``credits``, ``latency_us``, ``shadow`` (what was compared beside an answer).

    Raises:
        LogError: There is no file, or one cannot be read or decompressed.
    """
    if not paths:
        raise LogError("no event files: the folder has none; name the right one, or the files")
    cut = sum(_ends_in_mid_line(path) for path in paths)
    sources = " UNION ALL ".join(
        f"SELECT * FROM read_json({_quoted(str(path))}, format='newline_delimited', "
        f"compression='{_compression(path)}', ignore_errors=true, columns={_COLUMNS})"
        for path in paths
    )
    cases = " ".join(f"WHEN '{name}' THEN {kind}" for name, kind in _KINDS.items())
    latest = microseconds(now + FUTURE_TOLERANCE)
    # A time that does not say its zone is UTC on every machine.
    connection.execute("SET TimeZone = 'UTC'")
    text = "coalesce(e.query, user_query, o.object_id)"
    unit = "coalesce(e.units[$experiment], nullif(e.unit, ''), client_id)"
    try:
        connection.execute(
            f"""
            CREATE TABLE staged AS
            SELECT CASE a {cases} ELSE 0 END::TINYINT AS kind,
                   a IS NULL AS unreadable,
                   {_hashed("e.event_id")} AS id,
                   {_hashed("query_id")} AS list,
                   {_hashed(unit)} AS unit,
                   {_hashed("session_id")} AS session,
                   {_hashed("e.intent_id")} AS intent,
                   epoch_us(try_cast(timestamp AS TIMESTAMPTZ)) AS moment,
                   e.experiments[$experiment] AS variant,
                   {_hashed(text)} AS query, {_length(text)}::INTEGER AS query_length,
                   {_bounded("p.ordinal", 1_000)}::SMALLINT AS ordinal,
                   {_bounded("e.prefix_length", 32_000)}::SMALLINT AS prefix_length,
                   {_bounded("e.suggestions", 1_000)}::SMALLINT AS suggestions,
                   {_bounded("e.context", 1_000)}::SMALLINT AS context,
                   [hash(one) FOR one IN e.shown] AS shown,
                   e.credits AS credits,
                   {_bounded("e.latency_us", 3_600_000_000)} AS latency_us,
                   e.shadow AS shadow
            FROM (SELECT action_name AS a, query_id, client_id, session_id, timestamp, user_query,
                         event_attributes.espalier AS e, event_attributes.object AS o,
                         event_attributes.position AS p
                  FROM ({sources}))
            """,
            {"experiment": experiment},
        )
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        # What DuckDB says may quote the line it stumbled over: only its first words are ours.
        raise LogError(_unreadable(str(error))) from None
    return _without_bad(connection, latest, cut)


def _without_bad(connection: duckdb.DuckDBPyConnection, latest: int, cut: int) -> dict[str, int]:
    row = connection.execute(
        """
        SELECT count(*), count(*) FILTER (unreadable),
               count(*) FILTER (kind = 0 AND NOT unreadable),
               count(*) FILTER (kind > 0 AND moment IS NULL),
               count(*) FILTER (kind > 0 AND moment > $latest)
        FROM staged
        """,
        {"latest": latest},
    ).fetchone()
    assert row is not None  # noqa: S101 - a count always has a row
    lines, unreadable, foreign, without_time, future = map(int, row)
    # Only what comes twice is sorted; in files in good order that is nothing.
    for what, key, condition in (
        ("copies", "id", "true"),
        ("relisted", "list", f"kind = {IMPRESSION} AND rowid NOT IN (FROM copies)"),
    ):
        connection.execute(
            f"""
            CREATE TABLE {what} AS
            SELECT spot FROM (
                SELECT rowid AS spot,
                       row_number() OVER (PARTITION BY {key} ORDER BY moment, rowid) AS place
                FROM staged
                WHERE kind > 0 AND moment <= {latest} AND {condition} AND {key} IN (
                    SELECT {key} FROM staged
                    WHERE kind > 0 AND moment <= {latest} AND {condition} AND {key} IS NOT NULL
                    GROUP BY {key} HAVING count(*) > 1))
            WHERE place > 1
            """
        )
    connection.execute(
        f"""
        CREATE TABLE marks AS SELECT session, max(moment) AS until FROM staged
        WHERE kind = {FORGOTTEN} AND moment <= {latest} AND session IS NOT NULL GROUP BY session;
        CREATE TABLE gone AS SELECT staged.rowid AS spot FROM staged JOIN marks USING (session)
        WHERE kind <> {FORGOTTEN} AND kind > 0 AND moment <= until
          AND staged.rowid NOT IN (FROM copies) AND staged.rowid NOT IN (FROM relisted);
        CREATE VIEW events AS SELECT rowid AS spot, * EXCLUDE (id, unreadable) FROM staged
        WHERE kind > 0 AND moment <= {latest} AND rowid NOT IN (FROM copies)
          AND rowid NOT IN (FROM relisted) AND rowid NOT IN (FROM gone)
        """
    )
    duplicates, forgotten = connection.execute(
        "SELECT (SELECT count(*) FROM copies) + (SELECT count(*) FROM relisted), "
        "(SELECT count(*) FROM gone)"
    ).fetchall()[0]
    cut = min(cut, unreadable)
    return {
        "lines": lines,
        "unreadable": unreadable - cut,
        "truncated": cut,
        "foreign": foreign,
        "without_time": without_time,
        "future": future,
        "duplicate": int(duplicates),
        "forgotten": int(forgotten),
    }


def _hashed(text: str) -> str:
    return f"CASE WHEN nullif({text}, '') IS NULL THEN NULL ELSE hash({text}) END"


def _length(text: str) -> str:
    # A keyed hash, which stands where texts are not kept, tells no length.
    return f"CASE WHEN starts_with({text}, 'h:') THEN NULL ELSE length({text}) END"


def _bounded(number: str, most: int) -> str:
    return f"CASE WHEN {number} BETWEEN 0 AND {most} THEN {number} END"


def microseconds(moment: datetime) -> int:
    """Return a time as the column ``moment`` has it."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _quoted(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def _compression(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    if magic.startswith(_GZIP):
        return "gzip"
    return "zstd" if magic == _ZSTD else "none"


def _ends_in_mid_line(path: Path) -> bool:
    """Return whether a plain file stops without a line end and within a JSON object."""
    if _compression(path) != "none":
        return False
    with path.open("rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - _TAIL_BYTES))
        last = stream.read().rpartition(b"\n")[2]
    return bool(last.strip()) and not last.rstrip().endswith(b"}")


def _unreadable(message: str) -> str:
    if "GZIP" in message or "ZSTD" in message:
        return "an event file is damaged or cut short; fetch or compress it again"
    if "maximum_object_size" in message:
        return "an event file has a line of more than 16 MiB; it is no event file, leave it out"
    return "an event file cannot be read; check that it has JSON lines and is not being written to"
