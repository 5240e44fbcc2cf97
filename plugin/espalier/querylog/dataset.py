"""The query log in memory: distinct queries, their counts, and events as integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from espalier.progress import NO_PROGRESS, Progress
from espalier.querylog.attributes import EventAttributes, collect_attributes
from espalier.querylog.privacy import NOTHING, KeptOut
from espalier.querylog.reading import Events, read_events, results
from espalier.querylog.report import ReadReport
from espalier.querylog.split import point_sql
from espalier.settings import LogSettings


@dataclass(frozen=True, slots=True, eq=False)
class QueryLog:
    """A query log, ready to learn from.

    ``Q`` distinct queries, ``E`` events. Query numbers index ``queries``.

    Attributes:
        queries: Distinct normalised queries, ascending by code point, which is the order
            of their UTF-8 bytes.
        display: Form of each query that was typed most often, the smallest of equals.
        users: Distinct people who typed each query, shape ``(Q,)``: users, or sessions
            where the log has no users, or rows where it has neither.
        counts: Events of each query, shape ``(Q,)``.
        event_query: Query of each event, shape ``(E,)``. Events of a session stand
            together, in the order typed.
        event_session: Session of each event, dense from 0, non-decreasing, ``(E,)``.
        event_user: Person of each event, dense from 0 by first appearance, ``(E,)``.
        event_time: Seconds since 1970 UTC, shape ``(E,)``; None if the log has no times.
        has_users: Whether the log says who typed.
        has_sessions: Whether the log itself names sessions.
        report: What became of the rows.
        attributes: What the log says about events besides their text, by the columns
            that the settings name.
        results: Number of results of each query when it was last typed with one, -1 if
            never, shape ``(Q,)``; None if the log does not say.
        user_point: Where each person stands in the split of users (``split.point_of``),
            indexed by the numbers in ``event_user``; None where rows are persons.
        kept_out: What the privacy rules keep out, whoever types it.
    """

    queries: list[str]
    display: list[str]
    users: NDArray[np.uint32]
    counts: NDArray[np.uint32]
    event_query: NDArray[np.uint32]
    event_session: NDArray[np.uint32]
    event_user: NDArray[np.uint32]
    event_time: NDArray[np.int64] | None
    has_users: bool
    has_sessions: bool
    report: ReadReport
    attributes: EventAttributes
    results: NDArray[np.int64] | None
    user_point: NDArray[np.int64] | None = None
    kept_out: KeptOut = NOTHING


def read_log(
    paths: Sequence[Path],
    settings: LogSettings,
    progress: Progress = NO_PROGRESS,
    *,
    threads: int = 0,
    memory: int = 0,
) -> QueryLog:
    """Read query logs.

    Equal files and settings give an equal log, whatever the threads and memory.

    Args:
        paths: The files; a user id means the same person in all of them.
        settings: How they are read.
        progress: Hears of the stages.
        threads: Threads of the database; 0: one per processor.
        memory: Its memory in MiB before it spills to disk; 0: half of the machine's,
            at most 2,048. The arrays and texts that are returned come on top.

    Raises:
        LogError: A file cannot be used or has no usable row.
        ConfigError: A blocklist or pattern cannot be used.
        StorageError: The disk for temporary files is full.
        ResourceError: The memory limit is too small.
    """
    with (
        read_events(paths, settings, progress, threads=threads, memory=memory) as events,
        progress.stage("collecting queries"),
    ):
        return _collect(events, settings)


def pairs_of(log: QueryLog) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the events (previous, next) of each pair of neighbours in a session.

    Both have shape ``(P,)`` and index the event arrays; ``next`` ascends.
    """
    following = np.flatnonzero(log.event_session[1:] == log.event_session[:-1]) + 1
    return following - 1, following


def _collect(events: Events, settings: LogSettings) -> QueryLog:
    connection, present = events.connection, events.ingested.present
    connection.execute(
        "CREATE TABLE queries AS SELECT label, row_number() OVER (ORDER BY label) - 1 AS query, "
        "count(*) AS counts, count(DISTINCT member) AS users FROM events GROUP BY label"
    )
    queries = connection.execute(
        "SELECT labels.text, CAST(queries.users AS UINTEGER) AS users, "
        "CAST(queries.counts AS UINTEGER) AS counts "
        "FROM queries JOIN labels ON labels.label = queries.label ORDER BY queries.query"
    ).fetchnumpy()
    typed = connection.execute(
        "SELECT CAST(queries.query AS UINTEGER) AS query, "
        "CAST(events.session AS UINTEGER) AS session, "
        "CAST(events.member AS UINTEGER) AS member, events.second "
        "FROM events JOIN queries ON queries.label = events.label "
        "ORDER BY events.session, events.second, events.spot"
    ).fetchnumpy()
    attributes, ignored = collect_attributes(connection, events.ingested, settings)
    texts: list[str] = queries["text"].tolist()
    return QueryLog(
        queries=texts,
        display=_display(connection, texts),
        users=queries["users"],
        counts=queries["counts"],
        event_query=typed["query"],
        event_session=typed["session"],
        event_user=typed["member"],
        event_time=typed["second"] if events.ingested.has_times else None,
        has_users=events.ingested.has_users,
        has_sessions=events.ingested.has_sessions,
        report=replace(events.report, ignored_values={**events.report.ignored_values, **ignored}),
        attributes=attributes,
        results=_results(connection) if "results" in present else None,
        user_point=_points(connection) if present & {"user", "session"} else None,
        kept_out=events.kept_out,
    )


def _display(connection: duckdb.DuckDBPyConnection, queries: list[str]) -> list[str]:
    """Return the commonest typed form of each of ``queries``.

    Most are the query itself; those come as NULL and share its memory.
    """
    rows = connection.execute(
        "WITH typed AS ("
        "SELECT events.label, coalesce(forms.display, forms.text) AS display, count(*) AS times "
        "FROM events JOIN forms ON forms.form = events.form GROUP BY ALL), "
        "best AS (SELECT label, display FROM typed "
        "QUALIFY row_number() OVER (PARTITION BY label ORDER BY times DESC, display) = 1) "
        "SELECT nullif(best.display, labels.text) AS display "
        "FROM best JOIN labels ON labels.label = best.label ORDER BY best.label"
    ).fetchnumpy()
    return [
        query if display is None else display
        for query, display in zip(queries, rows["display"].tolist(), strict=True)
    ]


def _points(connection: duckdb.DuckDBPyConnection) -> NDArray[np.int64]:
    """Return where each person stands in the split of users."""
    rows = connection.execute(
        f"SELECT {point_sql('person')} AS point FROM persons ORDER BY member"
    ).fetchnumpy()
    points: NDArray[np.int64] = rows["point"]
    return points


def _results(connection: duckdb.DuckDBPyConnection) -> NDArray[np.int64]:
    """Return the newest number of results of each query, -1 where there is none."""
    rows = connection.execute(
        "WITH counted AS (SELECT events.label, events.second, events.spot, "
        f"{results('log.raw_results')} AS found "
        "FROM events JOIN log ON log.spot = events.spot), "
        "newest AS (SELECT label, found FROM counted WHERE found IS NOT NULL "
        "QUALIFY row_number() OVER (PARTITION BY label ORDER BY second DESC, spot DESC) = 1) "
        "SELECT CAST(coalesce(newest.found, -1) AS BIGINT) AS found FROM queries "
        "LEFT JOIN newest ON newest.label = queries.label ORDER BY queries.query"
    ).fetchnumpy()
    found: NDArray[np.int64] = rows["found"]
    return found
