"""All files of a run into one table, ``log``, with the same columns.

``log`` has one row per readable row of the files::

    spot BIGINT             where it came from: file number * 2^40 + line (see ``place``)
    raw_user VARCHAR, ...   one for each of ``columns.roles_of``, as it stands in the file,
                            NULL or empty where absent

``spot`` is unique, orders rows as they stand in the files in the order given, and leads
back to file and line when a row turns out to be bad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np

from espalier.errors import LogError
from espalier.progress import Progress
from espalier.querylog import formats, parquet
from espalier.querylog.batches import Batch
from espalier.querylog.columns import roles_of
from espalier.querylog.kinds import Tally
from espalier.settings import LogSettings

_LINE_BITS: Final = 40


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
    """

    files: tuple[str, ...]
    rows: int
    present: frozenset[str]
    tally: Tally

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
    connection.execute(
        "CREATE TABLE log (spot BIGINT, "
        + ", ".join(f"raw_{role} VARCHAR" for role in roles_of(settings))
        + ")"
    )
    tally = Tally()
    rows = 0
    present: list[frozenset[str]] = []
    for number, path in enumerate(paths):
        layout = formats.detect(path, settings)
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
    _check_agreement(paths, present)
    files = tuple(map(str, paths))
    return Ingested(files, rows, frozenset().union(*present), tally)


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
