"""All files of a run into one table, ``log``, with the same columns.

``log`` has one row per readable row of the files::

    spot BIGINT             where it came from: file number * 2^40 + line (see ``place``)
    raw_user VARCHAR, ...   one for each of ``columns.roles_of``, as it stands in the file,
                            NULL or empty where absent

A folder stands for the event files in it. Of those (see ``ubi``) every event is kept once,
the first time it stands there, and none of a session that a later mark of deletion is
about, wherever the mark stands.

``spot`` is unique, orders rows as they stand in the files in the order given, and leads
back to file and line when a row turns out to be bad.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np

from espalier.errors import LogError
from espalier.events.reading import current_place, event_files
from espalier.progress import Progress
from espalier.querylog import formats, parquet
from espalier.querylog.batches import Batch
from espalier.querylog.columns import roles_of
from espalier.querylog.kinds import FORGOTTEN, NOT_A_QUERY, REPEATED_EVENT, Tally
from espalier.settings import LogSettings

_LINE_BITS: Final = 40
_IS_MARK: Final = "raw_event <> '' AND coalesce(raw_query, '') = ''"


def place(spot: int) -> tuple[int, int]:
    """Return file number, from 0, and line, from 1, of a ``spot``."""
    return spot >> _LINE_BITS, spot & ((1 << _LINE_BITS) - 1)


@dataclass(frozen=True, slots=True)
class Ingested:
    """What was read.

    Attributes:
        files: As they were given, in order.
        rows: Rows in the files, good and bad, headers not counted.
        present: Roles some file has.
        tally: Rows that could not be read, so far.
        may_be_useless: Numbers of files that need not have a usable row.
    """

    files: tuple[str, ...]
    rows: int
    present: frozenset[str]
    tally: Tally
    may_be_useless: frozenset[int] = frozenset()

    @property
    def has_users(self) -> bool:
        """Whether rows say who typed."""
        return "user" in self.present

    @property
    def has_sessions(self) -> bool:
        """Whether rows say in which session they were typed."""
        return "session" in self.present

    @property
    def has_times(self) -> bool:
        """Whether rows say when they were typed."""
        return "time" in self.present


def ingest(
    connection: duckdb.DuckDBPyConnection,
    paths: Sequence[Path],
    settings: LogSettings,
    progress: Progress,
) -> Ingested:
    """Read every file into the table ``log``.

    Raises:
        LogError: A file cannot be used, or the files disagree on having users,
            sessions or times.
    """
    if not paths:
        raise LogError("no log given; name at least one with --log FILE")
    paths = list(_files(paths))
    connection.execute(
        "CREATE TABLE log (spot BIGINT, "
        + ", ".join(f"raw_{role} VARCHAR" for role in roles_of(settings))
        + ")"
    )
    tally = Tally()
    rows = 0
    present: list[frozenset[str]] = []
    events: set[int] = set()
    for number, named in enumerate(paths):
        # Event files are finished and compressed while others are read.
        path = current_place(named)
        layout = formats.detect(path, settings)
        if layout == "ubi" and formats.is_event_file(path):
            events.add(number)
        first = number << _LINE_BITS
        with progress.stage(f"reading {path.name}", path.stat().st_size) as advance:
            if layout == "parquet":
                found, read = parquet.insert(connection, path, settings, first, tally)
                rows += read
                advance(path.stat().st_size)
            else:
                reader = formats.row_reader(path, layout, settings)
                for batch in reader.batches(advance):
                    rows += len(batch.numbers) + len(batch.bad)
                    _insert(connection, batch, first)
                    for kind, line in batch.bad:
                        tally.add(kind, str(path), line)
                found = frozenset(reader.present)
        present.append(found)
    # A file of an hour in which nobody searched says nothing about the others.
    useless = frozenset(number for number in events if not present[number])
    checked = [number for number in range(len(paths)) if number not in useless]
    _check_agreement([paths[one] for one in checked], [present[one] for one in checked])
    files = tuple(map(str, paths))
    if events:
        _settle_events(connection, files, tally)
    return Ingested(files, rows, frozenset().union(*present), tally, frozenset(events))


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that ``paths`` name: of folders the event files that have something.

    Raises:
        LogError: A folder has none.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = [one for one in event_files([path]) if one.stat().st_size]
        if not inside:
            raise LogError(f"{path}: is a folder without event files; name the log itself")
        yield from inside


def _settle_events(
    connection: duckdb.DuckDBPyConnection, files: Sequence[str], tally: Tally
) -> None:
    """Keep every event once, and none that must be forgotten."""
    repeated = (
        "SELECT spot FROM log WHERE raw_event <> '' "
        "QUALIFY row_number() OVER (PARTITION BY raw_event ORDER BY spot) > 1"
    )
    _drop(connection, repeated, REPEATED_EVENT, files, tally)
    # Times of event files are texts that sort as times do.
    connection.execute(
        "CREATE TABLE forgotten AS SELECT raw_session AS session, max(raw_time) AS until "
        f"FROM log WHERE {_IS_MARK} GROUP BY raw_session"
    )
    _drop(connection, f"SELECT spot FROM log WHERE {_IS_MARK}", NOT_A_QUERY, files, tally)
    forgotten = (
        "SELECT log.spot FROM log JOIN forgotten ON forgotten.session = log.raw_session "
        "WHERE log.raw_event <> '' AND log.raw_time <= forgotten.until"
    )
    _drop(connection, forgotten, FORGOTTEN, files, tally)


def _drop(
    connection: duckdb.DuckDBPyConnection,
    spots: str,
    kind: str,
    files: Sequence[str],
    tally: Tally,
) -> None:
    """Take the rows at ``spots``, a query, out of the log, and count them."""
    connection.execute(f"CREATE TEMP TABLE gone AS {spots}")
    for number, first, count in connection.execute(
        f"SELECT spot >> {_LINE_BITS}, min(spot), count(*) FROM gone GROUP BY 1 ORDER BY 1"
    ).fetchall():
        tally.add(kind, files[number], place(first)[1], count)
    connection.execute("DELETE FROM log WHERE spot IN (SELECT spot FROM gone)")
    connection.execute("DROP TABLE gone")


def _insert(connection: duckdb.DuckDBPyConnection, batch: Batch, first: int) -> None:
    if not len(batch.numbers):
        return
    arrays: dict[str, np.ndarray[tuple[int], np.dtype[np.generic]]] = {
        "spot": np.asarray(batch.numbers, dtype=np.int64) + first
    }
    for role, values in batch.columns.items():
        # Absent and empty mean the same from here on, and not every version of DuckDB
        # takes an array that begins with None.
        texts = ["" if value is None else value for value in values] if None in values else values
        arrays[f"raw_{role}"] = np.array(texts, dtype=object)
    names = ", ".join(arrays)
    connection.register("batch", arrays)
    connection.execute(f"INSERT INTO log ({names}) SELECT {names} FROM batch")
    connection.unregister("batch")


def _check_agreement(paths: Sequence[Path], present: Sequence[frozenset[str]]) -> None:
    # A user's rows in one file and nobody's in another cannot be counted together,
    # and rows with and without time cannot be put in order.
    for role in ("user", "session", "time"):
        having = [path for path, roles in zip(paths, present, strict=True) if role in roles]
        lacking = [path for path, roles in zip(paths, present, strict=True) if role not in roles]
        if having and lacking:
            raise LogError(
                f"{having[0]} has a column for the {role} and {lacking[0]} has none; "
                f"give logs that agree, or leave the column out of all of them "
                f"with --set log.{role}_column="
            )
