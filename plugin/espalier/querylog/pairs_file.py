"""Pairs files: the questions of an evaluation. This module owns their format.

TSV, UTF-8, LF line ends, no quoting, plain, gzip or zstd. The header names the columns;
their order is free and unknown columns are ignored:

==================  ==========  ==============================================================
column              needed      content
==================  ==========  ==============================================================
``previous_query``  yes         the query before; empty for none
``prefix``          yes         what has been typed of the next query; may be empty
``next_query``      yes         the query the user went on to submit
``user``            no          who typed; rows of one user are not independent of each other
``earlier``         no          JSON array of the queries before ``previous_query`` in that
                                session, most recent first
``gap_seconds``     no          seconds from the previous query to the next one, 0 or more
==================  ==========  ==============================================================

Files we write hold normalised texts, which have no tab or line end in them. A bad row is
counted by kind and left out: ``not_utf8``, ``line_too_long``, ``blank_line``,
``wrong_field_count``, ``empty_next_query``, ``prefix_mismatch`` (the next query does not
begin with the prefix, both normalised), ``bad_earlier``, ``bad_gap``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, TextIO

from espalier.errors import LogError, PairsError
from espalier.querylog.columns import describe_names
from espalier.querylog.kinds import WRONG_FIELD_COUNT, Bad, Tally
from espalier.querylog.lines import Block, read_blocks
from espalier.text import normalise, normalise_prefix

MAX_EARLIER: Final = 31
"""Queries in ``earlier`` at most: with the previous one as many as an index looks at."""

EMPTY_NEXT_QUERY: Final = "empty_next_query"
PREFIX_MISMATCH: Final = "prefix_mismatch"
BAD_EARLIER: Final = "bad_earlier"
BAD_GAP: Final = "bad_gap"

_NEEDED: Final[tuple[str, ...]] = ("previous_query", "prefix", "next_query")
_OPTIONAL: Final[tuple[str, ...]] = ("user", "earlier", "gap_seconds")
_GAP: Final = re.compile(r"[0-9]{0,12}")


@dataclass(frozen=True, slots=True)
class PairRow:
    """One row of a pairs file.

    Attributes:
        previous_query: The query before; "" for none.
        prefix: What has been typed of the next query.
        next_query: The query the user went on to submit; never empty.
        user: Who typed; None if the file does not say.
        earlier: Queries before the previous one, most recent first; None if not said.
        gap_seconds: Seconds from the previous query to the next; None if not said.
    """

    previous_query: str
    prefix: str
    next_query: str
    user: str | None = None
    earlier: tuple[str, ...] | None = None
    gap_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class PairsFile:
    """A pairs file that was read.

    Attributes:
        path: The file.
        rows: Its good rows, in order.
        rows_bad: Bad rows by kind.
        examples: The first bad row of each kind.
    """

    path: Path
    rows: tuple[PairRow, ...]
    rows_bad: Mapping[str, int]
    examples: Mapping[str, Bad]


def read_pairs(path: Path) -> PairsFile:
    """Read a pairs file.

    Raises:
        PairsError: The file cannot be read, lacks a needed column or has no good row.
    """
    try:
        rows, tally = _read(path)
    except LogError as error:
        raise PairsError(str(error)) from None
    bad = tally.by_kind()
    if not rows:
        found = ", ".join(f"{kind} (line {item.line})" for kind, item in bad.items())
        raise PairsError(
            f"{path}: no usable row{f': {found}' if found else ''}; "
            "make pairs with `espalier pairs`"
        )
    return PairsFile(path, tuple(rows), {kind: item.count for kind, item in bad.items()}, bad)


class PairsWriter:
    """Writes the rows of a pairs file, header first."""

    def __init__(self, stream: TextIO, *, has_gaps: bool) -> None:
        """Write to ``stream``; ``has_gaps`` adds the column ``gap_seconds``."""
        self._write = stream.write
        self._has_gaps = has_gaps
        columns = [*_NEEDED, "user", "earlier"] + ["gap_seconds"] * has_gaps
        self._write("\t".join(columns) + "\n")

    def row(self, row: PairRow) -> None:
        """Write one row; its texts must have no tab or line end."""
        earlier = f"[{', '.join(map(_json_string, row.earlier or ()))}]"
        line = f"{row.previous_query}\t{row.prefix}\t{row.next_query}\t{row.user or ''}\t{earlier}"
        gap = "" if row.gap_seconds is None else row.gap_seconds
        self._write(f"{line}\t{gap}\n" if self._has_gaps else f"{line}\n")


@lru_cache(maxsize=1 << 10)
def _json_string(text: str) -> str:
    # The queries of a session are written again with every pair after them.
    return json.dumps(text, ensure_ascii=False)


def _read(path: Path) -> tuple[list[PairRow], Tally]:
    tally = Tally()
    rows: list[PairRow] = []
    blocks = read_blocks(path, _ignore)
    head = next(blocks, Block([], [], []))
    if not head.lines:
        raise PairsError(f"{path}: is empty; make pairs with `espalier pairs`")
    names = [name.strip() for name in head.lines[0].split("\t")]
    places = {name: names.index(name) for name in (*_NEEDED, *_OPTIONAL) if name in names}
    missing = [name for name in _NEEDED if name not in places]
    if missing:
        raise PairsError(
            f"{path}: no column {missing[0]!r}; {describe_names(names)}. A pairs file is TSV "
            f"with the columns {', '.join(_NEEDED)}"
        )
    block: Block | None = Block(head.lines[1:], head.numbers[1:], head.bad)
    while block is not None:
        for kind, line in block.bad:
            tally.add(kind, str(path), line)
        for number, text in zip(block.numbers, block.lines, strict=True):
            fields = text.split("\t")
            row = _row(fields, places) if len(fields) == len(names) else WRONG_FIELD_COUNT
            if isinstance(row, str):
                tally.add(row, str(path), number)
            else:
                rows.append(row)
        block = next(blocks, None)
    return rows, tally


def _row(fields: Sequence[str], places: Mapping[str, int]) -> PairRow | str:
    previous, prefix, wanted = (fields[places[name]] for name in _NEEDED)
    if not wanted.strip():
        return EMPTY_NEXT_QUERY
    if not wanted.startswith(prefix) and not normalise(wanted).startswith(normalise_prefix(prefix)):
        return PREFIX_MISMATCH
    user, array, seconds = (fields[places[name]] if name in places else "" for name in _OPTIONAL)
    earlier = _earlier(array) if array else None
    if isinstance(earlier, str):
        return earlier
    if not _GAP.fullmatch(seconds):
        return BAD_GAP
    gap = int(seconds) if seconds else None
    return PairRow(previous, prefix, wanted, user or None, earlier, gap)


def _earlier(text: str) -> tuple[str, ...] | str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return BAD_EARLIER
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return BAD_EARLIER
    return tuple(value)


def _ignore(steps: int) -> None:
    """Take no notice of ``steps``."""
