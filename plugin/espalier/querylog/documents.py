"""JSON lines: one object a line, columns by key.

A file has no header, so whether it has users, sessions or times shows only when it
has been read: a column is there if any row has a value for it. The query's key must
stand in the first rows already, because a wrong name is the commonest mistake.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from espalier.querylog.batches import Batch
from espalier.querylog.columns import (
    map_columns,
    missing_error,
    must_exist,
    roles_of,
    wanted_columns,
)
from espalier.querylog.kinds import (
    BAD_JSON,
    MISSING_QUERY,
    NOT_AN_OBJECT,
    NOT_UNICODE,
    QUERY_NOT_TEXT,
)
from espalier.querylog.lines import Block, read_blocks
from espalier.settings import LogSettings

_DECODE: Final = json.JSONDecoder().decode


Row: TypeAlias = tuple[str | None, ...]
"""One row of a log, its values in the order of ``columns.roles_of``; None is absent."""
Document: TypeAlias = dict[str, object]
Extract: TypeAlias = Callable[[Document], Row | str]
"""Makes a row of a document, or names the kind of what is wrong with it."""


def parse(line: str) -> Document | str:
    """Return the object on a line, or the kind of what is wrong with it."""
    try:
        value = _DECODE(line)
    except (ValueError, RecursionError):
        return BAD_JSON
    return value if isinstance(value, dict) else NOT_AN_OBJECT


def as_text(value: object) -> str | None:
    """Return a JSON value as the text a TSV log would have for it; None if it has none.

    Numbers are written out, lists of text joined by ``|`` (several values of an attribute).
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return "|".join(value)
    return None


def no_query(value: object) -> str:
    """Return the kind of a JSON value that is not text where the query should be."""
    return MISSING_QUERY if value is None else QUERY_NOT_TEXT


def extract_by_keys(keys: Mapping[str, str], roles: Sequence[str]) -> Extract:
    """Return the function that reads documents with the key of each role in ``keys``."""
    query_key, query_place = keys["query"], roles.index("query")
    others = [(place, keys[role]) for place, role in enumerate(roles) if role in keys]
    others.remove((query_place, query_key))
    blank: list[str | None] = [None] * len(roles)

    def extract(document: Document) -> Row | str:
        query = document.get(query_key)
        if not isinstance(query, str):
            return no_query(query)
        get = document.get
        row = blank.copy()
        row[query_place] = query
        for place, key in others:
            row[place] = as_text(get(key))
        return tuple(row)

    return extract


class DocumentReader:
    """Reads one file of JSON lines."""

    def __init__(self, path: Path, settings: LogSettings, extract: Extract | None = None) -> None:
        """Read ``path`` with ``extract``, or by the column names of the settings if None."""
        self.present: set[str] = set()
        self._path = path
        self._settings = settings
        self._extract = extract
        self._roles = roles_of(settings)
        self._must_exist = must_exist(settings) if extract is None else set()

    def batches(self, advance: Callable[[int], None]) -> Iterator[Batch]:
        """Yield all rows in order."""
        for block in read_blocks(self._path, advance):
            yield self._batch(block)
        missing = self._must_exist - self.present
        if missing and self.present:
            raise missing_error(missing, self._settings, self._path, "no row has a value for it")

    def _batch(self, block: Block) -> Batch:
        documents = [parse(line) for line in block.lines]
        if self._extract is None:
            names = [name for item in documents if isinstance(item, dict) for name in item]
            self._extract = self._by_names(list(dict.fromkeys(names)))
        bad = list(block.bad)
        numbers: list[int] = []
        rows: list[Row] = []
        for number, document in zip(block.numbers, documents, strict=True):
            row = document if isinstance(document, str) else self._extract(document)
            if isinstance(row, str):
                bad.append((row, number))
            elif not _is_unicode(row):
                bad.append((NOT_UNICODE, number))
            else:
                numbers.append(number)
                rows.append(row)
        bad.sort(key=lambda item: item[1])
        columns: dict[str, Sequence[str | None]] = {}
        if rows:
            columns = dict(zip(self._roles, zip(*rows, strict=True), strict=True))
            self.present |= {
                role for role, values in columns.items() if any(v is not None for v in values)
            }
        return Batch(numbers, columns, bad)

    def _by_names(self, names: Sequence[str]) -> Extract:
        keys = wanted_columns(self._settings)
        if names:
            # Keys that only later rows have are looked for under their exact name.
            found = map_columns(names, self._settings, self._path, needed={"query"})
            keys |= {role: names[at] for role, at in found.items()}
        return extract_by_keys(keys, self._roles)


def _is_unicode(row: Row) -> bool:
    """Return whether no field has a lone surrogate, which JSON can escape."""
    for value in row:
        if value is not None and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                return False
    return True
