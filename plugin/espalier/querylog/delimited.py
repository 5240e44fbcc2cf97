"""TSV and CSV: a header line, then one row a line.

A tab ends a TSV field and nothing else does: a quote is an ordinary character there,
as in ``24" monitor``. CSV follows RFC 4180: a field that begins with a quote ends at
the next single one and may hold delimiters and line ends; a quote elsewhere is an
ordinary character.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from espalier.errors import LogError
from espalier.querylog.batches import Batch
from espalier.querylog.columns import map_columns, wanted_columns
from espalier.querylog.kinds import BAD_QUOTES, LINE_TOO_LONG, WRONG_FIELD_COUNT
from espalier.querylog.lines import Block, read_blocks
from espalier.settings import LogSettings

_OTHER_DELIMITERS: Final = {
    "\t": "tabs; set --set log.format=tsv",
    ",": "commas; set --set log.format=csv",
    ";": "semicolons; set --set log.format=csv --set 'log.delimiter=;'",
    "|": "bars; set --set log.format=csv --set 'log.delimiter=|'",
}

# A quote that is not closed swallows the lines after it. No query has this many, so
# the row it began in is given up and reading goes on with the line after.
_MAX_ROW_LINES: Final = 32


class DelimitedReader:
    """Reads one TSV or CSV file."""

    def __init__(
        self, path: Path, settings: LogSettings, *, delimiter: str, has_quotes: bool
    ) -> None:
        """Read ``path`` with ``delimiter``; ``has_quotes`` is CSV."""
        self.present: set[str] = set()
        self._path = path
        self._settings = settings
        self._delimiter = delimiter
        self._csv = _CsvRows(delimiter) if has_quotes else None

    def batches(self, advance: Callable[[int], None]) -> Iterator[Batch]:
        """Yield all rows in order."""
        blocks = read_blocks(self._path, advance)
        head = next(blocks, Block([], [], []))
        names = self._header(head)
        positions = map_columns(names, self._settings, self._path)
        self.present = set(positions)
        shape = _Shape(len(names), positions)
        yield self._batch(Block(head.lines[1:], head.numbers[1:], head.bad), shape)
        for block in blocks:
            yield self._batch(block, shape)
        if self._csv:
            yield _checked(self._csv.finish(), shape)

    def _header(self, head: Block) -> list[str]:
        if not head.lines or head.numbers[0] != 1:
            raise LogError(
                f"{self._path}: line 1 is not a header (it is empty, too long or not UTF-8); "
                "the first line must name the columns"
            )
        line = head.lines[0]
        names = _strip(next(csv.reader([line], delimiter=self._delimiter), []))
        if not self._csv:
            names = _strip(line.split(self._delimiter))
        query = wanted_columns(self._settings)["query"].casefold()
        if query not in map(str.casefold, names):
            self._guess_delimiter(line, query)
        return names

    def _guess_delimiter(self, line: str, query: str) -> None:
        alone = self._delimiter not in line
        for other, advice in _OTHER_DELIMITERS.items():
            if other == self._delimiter or other not in line:
                continue
            others = [name.casefold().strip('"') for name in _strip(line.split(other))]
            if query in others or (alone and all(map(str.isidentifier, others))):
                raise LogError(
                    f"{self._path}: read as {'CSV' if self._csv else 'TSV'}, but the header is "
                    f"separated by {advice}"
                )
        if line.lstrip().startswith("{"):
            raise LogError(f"{self._path}: looks like JSON lines; set --set log.format=jsonl")

    def _batch(self, block: Block, shape: _Shape) -> Batch:
        if self._csv and (self._csv.is_open or any('"' in line for line in block.lines)):
            return _checked(self._csv.feed(block), shape)
        return _split(block, self._delimiter, shape)


@dataclass(frozen=True, slots=True)
class _Shape:
    """Number of fields of every row, and where each role stands among them."""

    width: int
    positions: dict[str, int]


@dataclass(slots=True)
class _Parsed:
    """Rows with their line numbers, not yet checked for their number of fields."""

    numbers: list[int] = field(default_factory=list)
    rows: list[Sequence[str]] = field(default_factory=list)
    bad: list[tuple[str, int]] = field(default_factory=list)


def _strip(names: Iterable[str]) -> list[str]:
    return [name.strip() for name in names]


def _split(block: Block, delimiter: str, shape: _Shape) -> Batch:
    """Split lines without quotes: all at once where every line has the right width."""
    lines, numbers, bad = block.lines, block.numbers, block.bad
    ends = shape.width - 1
    if any(line.count(delimiter) != ends for line in lines):
        kept = []
        bad = list(bad)
        for number, line in zip(numbers, lines, strict=True):
            if line.count(delimiter) == ends:
                kept.append((number, line))
            else:
                bad.append((WRONG_FIELD_COUNT, number))
        bad.sort(key=lambda item: item[1])
        numbers = [number for number, _ in kept]
        lines = [line for _, line in kept]
    fields = delimiter.join(lines).split(delimiter) if lines else []
    columns = {role: fields[at :: shape.width] for role, at in shape.positions.items()}
    return Batch(numbers, columns, bad)


def _checked(parsed: _Parsed, shape: _Shape) -> Batch:
    """Keep the rows of the right width."""
    numbers: list[int] = []
    rows: list[Sequence[str]] = []
    for number, row in zip(parsed.numbers, parsed.rows, strict=True):
        if len(row) == shape.width:
            numbers.append(number)
            rows.append(row)
        else:
            parsed.bad.append((WRONG_FIELD_COUNT, number))
    parsed.bad.sort(key=lambda item: item[1])
    columns = {role: [row[at] for row in rows] for role, at in shape.positions.items()}
    return Batch(numbers, columns, parsed.bad)


class _CsvRows:
    """Joins the lines of a quoted field, across blocks, and parses each row."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._open: list[tuple[int, str]] = []

    @property
    def is_open(self) -> bool:
        """Whether the last row read so far goes on in the next line."""
        return bool(self._open)

    def feed(self, block: Block) -> _Parsed:
        """Parse the lines of a block, and what was open before it."""
        parsed = _Parsed(bad=list(block.bad))
        for number, line in zip(block.numbers, block.lines, strict=True):
            self._line(number, line, parsed)
        return parsed

    def finish(self) -> _Parsed:
        """Give up the row that the end of the file left open."""
        parsed = _Parsed()
        while self._open:
            self._give_up(BAD_QUOTES, parsed)
        return parsed

    def _line(self, number: int, line: str, parsed: _Parsed) -> None:
        self._open.append((number, line))
        # A line without a quote can neither open nor close anything.
        if '"' not in line:
            if len(self._open) == 1:
                self._take(line.split(self._delimiter), parsed)
            elif len(self._open) > _MAX_ROW_LINES:
                self._give_up(BAD_QUOTES, parsed)
            return
        text = "\n".join(part for _, part in self._open)
        try:
            rows = list(csv.reader([text], delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                if len(self._open) > _MAX_ROW_LINES:
                    self._give_up(BAD_QUOTES, parsed)
            else:
                too_long = "field larger than" in str(error)
                self._give_up(LINE_TOO_LONG if too_long else BAD_QUOTES, parsed)
        else:
            self._take(rows[0], parsed)

    def _take(self, row: Sequence[str], parsed: _Parsed) -> None:
        parsed.numbers.append(self._open[0][0])
        parsed.rows.append(row)
        self._open.clear()

    def _give_up(self, kind: str, parsed: _Parsed) -> None:
        """Count the line where the open row began and read the others afresh."""
        (number, _), *rest = self._open
        parsed.bad.append((kind, number))
        self._open.clear()
        for later, line in rest:
            self._line(later, line, parsed)
