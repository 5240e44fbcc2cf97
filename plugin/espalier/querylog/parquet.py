"""Parquet logs, read by DuckDB without passing through Python.

Rows are numbered from 1 in file order, which is what a bad row is reported with. A
Parquet string must be UTF-8 by its own specification, so a file that breaks it is a
damaged file; columns of raw bytes are taken as UTF-8 and checked row by row.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from espalier.errors import LogError
from espalier.querylog.columns import map_columns
from espalier.querylog.kinds import NOT_UTF8, Tally
from espalier.settings import LogSettings


def insert(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    settings: LogSettings,
    first: int,
    tally: Tally,
) -> tuple[frozenset[str], int]:
    """Add the rows of a file to the table ``log``.

    Args:
        connection: Where ``log`` is.
        path: The file.
        settings: Names of the columns.
        first: Value of ``spot`` before the first row.
        tally: Where rows that are not UTF-8 are counted.

    Returns:
        The roles the file has, and its number of rows.

    Raises:
        LogError: The file is damaged or its columns cannot be used.
    """
    source = "read_parquet(?, file_row_number = true)"
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}", [str(path)]).fetchall()
        types = {str(row[0]): str(row[1]) for row in described if row[0] != "file_row_number"}
        names = list(types)
        found = {role: names[at] for role, at in map_columns(names, settings, path).items()}
        values = {role: _as_text(name, types[name]) for role, name in found.items()}
        query = _quoted(found["query"])
        spoilt = f"{query} IS NOT NULL AND {values['query']} IS NULL"
        columns = ", ".join(f"raw_{role}" for role in values)
        connection.execute(
            f"INSERT INTO log (spot, {columns}) "
            f"SELECT {first + 1} + file_row_number, {', '.join(values.values())} "
            f"FROM {source} WHERE NOT ({spoilt})",
            [str(path)],
        )
        rows, bad, line = connection.execute(
            f"SELECT count(*), count(*) FILTER ({spoilt}), min(file_row_number) FILTER ({spoilt}) "
            f"FROM {source}",
            [str(path)],
        ).fetchall()[0]
    except (duckdb.InvalidInputException, duckdb.IOException, duckdb.ConversionException) as error:
        raise LogError(f"{path}: {_what(error)}; write the file again") from None
    if bad:
        tally.add(NOT_UTF8, str(path), line + 1, bad)
    return frozenset(found), rows


def _what(error: duckdb.Error) -> str:
    # DuckDB shows the value it stumbled over, and that may be somebody's query.
    text = str(error).splitlines()[0]
    if "string encoding" in text.lower() or "utf" in text.lower():
        return "has text that is not UTF-8 in a string column"
    return f"cannot be read as Parquet ({text})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _as_text(name: str, kind: str) -> str:
    """Return the SQL of a column as the text a TSV log would have for it."""
    column = _quoted(name)
    if kind == "BLOB":
        return f"TRY(decode({column}))"
    if kind == "TIMESTAMP WITH TIME ZONE":
        # Its text depends on the time zone of the machine; its seconds do not.
        return f"CAST(CAST(epoch({column}) AS BIGINT) AS VARCHAR)"
    if kind.endswith("[]"):
        return f"array_to_string({column}, '|')"
    return f"CAST({column} AS VARCHAR)"
