"""The way from files to events, shared by everything that reads a log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from espalier.errors import LogError
from espalier.progress import Progress
from espalier.querylog.engine import workspace
from espalier.querylog.ingest import Ingested, ingest, place
from espalier.querylog.kinds import BAD_RESULTS, Bad, Tally, explain
from espalier.querylog.privacy import RULES, KeptOut
from espalier.querylog.report import ReadReport
from espalier.querylog.sessions import make_events
from espalier.querylog.texts import make_known
from espalier.settings import LogSettings


@dataclass(frozen=True, slots=True)
class Events:
    """A log worked up in the database, with all the tables its makers name.

    Attributes:
        connection: Holds ``log``, ``forms``, ``labels``, ``judged``, ``persons``, ``events``.
        ingested: What was in the files.
        report: What became of their rows.
        kept_out: What the privacy rules keep out, whoever types it.
    """

    connection: duckdb.DuckDBPyConnection
    ingested: Ingested
    report: ReadReport
    kept_out: KeptOut


@contextlib.contextmanager
def read_events(
    paths: Sequence[Path],
    settings: LogSettings,
    progress: Progress,
    *,
    threads: int = 0,
    memory: int = 0,
) -> Iterator[Events]:
    """Read logs into a database that lives as long as the context.

    Args:
        paths: The files; a user id means the same person in all of them.
        settings: How they are read.
        progress: Hears of the stages.
        threads: Threads of the database; 0: one per processor.
        memory: Its memory in MiB before it spills to disk; 0: half of the machine's,
            at most 2,048.

    Raises:
        LogError: A file cannot be used or has no usable row.
        ConfigError: A blocklist or pattern cannot be used.
        StorageError: The disk for temporary files is full.
        ResourceError: The memory limit is too small.
    """
    with workspace(threads, memory) as connection:
        ingested = ingest(connection, paths, settings, progress)
        kept_out = make_known(connection, settings, progress)
        make_events(connection, ingested, settings, progress)
        yield Events(connection, ingested, _report(connection, ingested), kept_out)


def _report(connection: duckdb.DuckDBPyConnection, ingested: Ingested) -> ReadReport:
    private: dict[str, int] = {}
    tally = ingested.tally
    for verdict, count, spot in connection.execute(
        "SELECT verdict, count(*), min(spot) FROM judged WHERE verdict IS NOT NULL "
        "GROUP BY verdict ORDER BY min(spot)"
    ).fetchall():
        if verdict in RULES:
            private[verdict] = count
        else:
            number, line = place(spot)
            tally.add(verdict, ingested.files[number], line, count)
    used = _used_by_file(connection)
    needed = set(range(len(ingested.files)))
    # Of event files one is enough.
    if needed - ingested.may_be_useless or used:
        needed -= ingested.may_be_useless
    for number, file in enumerate(ingested.files):
        if number in needed and number not in used:
            raise LogError(_nothing_usable(file, tally, private))
    rows_used = sum(used.values())
    (events,) = connection.execute("SELECT count(*) FROM events").fetchall()[0]
    return ReadReport(
        files=ingested.files,
        rows_read=ingested.rows,
        rows_used=rows_used,
        repeats=rows_used - events,
        bad_rows=tally.by_kind(),
        private_rows={rule: private[rule] for rule in RULES if rule in private},
        ignored_values=_ignored(connection, ingested),
    )


def _used_by_file(connection: duckdb.DuckDBPyConnection) -> dict[int, int]:
    shift = place(-1)[1].bit_length()
    return dict(
        connection.execute(
            f"SELECT spot >> {shift}, count(*) FROM judged WHERE verdict IS NULL GROUP BY 1"
        ).fetchall()
    )


def _nothing_usable(file: str, tally: Tally, private: dict[str, int]) -> str:
    bad = tally.by_kind()
    causes = [explain(bad)] if bad else []
    causes += [f"{count:,} kept out as {rule}" for rule, count in private.items()]
    found = "; ".join(causes) or "it has a header and nothing else"
    return f"{file}: no usable row: {found}"


def _ignored(connection: duckdb.DuckDBPyConnection, ingested: Ingested) -> dict[str, Bad]:
    if "results" not in ingested.present:
        return {}
    count, spot = connection.execute(
        "SELECT count(*), min(log.spot) FROM log JOIN judged ON judged.spot = log.spot "
        "WHERE judged.verdict IS NULL AND trim(log.raw_results) <> '' "
        f"AND {results('log.raw_results')} IS NULL"
    ).fetchall()[0]
    if not count:
        return {}
    number, line = place(spot)
    return {BAD_RESULTS: Bad(count, ingested.files[number], line)}


def results(column: str) -> str:
    """Return the SQL of a text column read as a number of results, NULL if it is none."""
    return (
        f"CASE WHEN regexp_full_match(trim({column}), '[0-9]{{1,18}}') "
        f"THEN CAST(trim({column}) AS BIGINT) END"
    )
