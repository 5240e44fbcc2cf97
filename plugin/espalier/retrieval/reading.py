"""Files of product retrieval: catalogues, pairs, judgements. This module owns their format.

TSV, UTF-8, no quoting, plain, gzip or zstd; a header names the columns, whose order is
free, and unknown columns are ignored.

===========  ================  ==================================================
file         column            content
===========  ================  ==================================================
catalogue    ``product_id``    needed; any text without a tab
             ``title``         needed
             ``text``          more text, counted less than the title
             as set            attributes, several with ``|`` between them
queries      ``query``         needed
pairs        ``query``         needed
             ``product_id``    needed
             ``weight``        how much the pair counts, above 0; 1 where not given.
                               Twice the same pair: their weights add up
             ``relevance``     a grade; rows below the setting ``relevant`` teach nothing
===========  ================  ==================================================

Judgements are pairs with a ``relevance``. A bad row is counted by kind and left out:
``wrong_field_count``, ``not_utf8`` and the like as in query logs, and ``empty_id``,
``empty_title``, ``empty_query``, ``bad_number``, ``unknown_product``. An attribute that
is too long, or one too many, is counted as ``bad_attribute`` and ignored, its product is
not. A product id that stands twice in a catalogue is refused: nobody could say which title
is right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from espalier.catalogue import MAX_QUERY_BYTES
from espalier.errors import LogError, PairsError
from espalier.native import LABEL_VALUES
from espalier.querylog.attributes import MAX_VALUES, SEPARATOR, attribute_value
from espalier.querylog.columns import describe_names
from espalier.querylog.kinds import (
    BAD_ATTRIBUTE,
    EMPTY_QUERY,
    NOT_UTF8,
    QUERY_TOO_LONG,
    WRONG_FIELD_COUNT,
    Bad,
    Tally,
    explain,
)
from espalier.querylog.lines import Block, read_blocks
from espalier.text import normalise

EMPTY_ID: Final = "empty_id"
EMPTY_TITLE: Final = "empty_title"
BAD_NUMBER: Final = "bad_number"
UNKNOWN_PRODUCT: Final = "unknown_product"


@dataclass(frozen=True, slots=True)
class Products:
    """A catalogue, in the order of its ids' bytes: a product's place is its label.

    Attributes:
        ids: Distinct.
        titles: As written; empty only where no catalogue was given.
        texts: More text of each, or "".
        bad: Rows left out, by kind.
        attributes: Values of each, as ``category:tools``, distinct, in the order written;
            empty where none are asked for.
    """

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    texts: tuple[str, ...]
    bad: Mapping[str, Bad]
    attributes: tuple[tuple[str, ...], ...] = ()

    def numbers(self) -> dict[str, int]:
        """Return the label of each id."""
        return {one: i for i, one in enumerate(self.ids)}


@dataclass(frozen=True, slots=True)
class Pair:
    """A query, a product for it, and how good a product it is.

    Attributes:
        query: Normalised.
        product_id: As written.
        weight: Above 0.
        relevance: The grade; None where the file has none.
    """

    query: str
    product_id: str
    weight: float = 1.0
    relevance: float | None = None


@dataclass(frozen=True, slots=True)
class Pairs:
    """A pairs file: its good rows in order, and the bad ones by kind."""

    rows: tuple[Pair, ...]
    bad: Mapping[str, Bad]


def read_products(path: Path, attributes: Mapping[str, str] | None = None) -> Products:
    """Read a catalogue.

    Args:
        path: The file.
        attributes: Name and column of what products can be filtered by.

    Raises:
        PairsError: The file cannot be read, lacks a column, holds an id twice, or has no
            usable row.
    """
    tally = Tally()
    named = dict(attributes or {})
    needed = ("product_id", "title", *named.values())
    found: dict[str, tuple[str, str]] = {}
    having: dict[str, tuple[str, ...]] = {}
    for number, (product_id, title, *cells, text) in _rows(path, needed, ("text",), tally):
        if not product_id:
            tally.add(EMPTY_ID, str(path), number)
        elif not normalise(title):
            tally.add(EMPTY_TITLE, str(path), number)
        elif product_id in found:
            raise PairsError(
                f"{path}, line {number:,}: a product id that stands above already; "
                "a catalogue has one row for each product"
            )
        else:
            found[product_id] = (title.strip(), text)
            having[product_id] = _values(dict(zip(named, cells, strict=True)), tally, path, number)
    if not found:
        raise PairsError(f"{path}: no usable product{_of(tally)}")
    ids = sorted(found, key=str.encode)
    return Products(
        tuple(ids),
        tuple(found[one][0] for one in ids),
        tuple(found[one][1] for one in ids),
        tally.by_kind(),
        tuple(having[one] for one in ids) if named else (),
    )


def read_pairs(path: Path, known: Mapping[str, int] | None = None) -> Pairs:
    """Read pairs or judgements.

    Args:
        path: The file.
        known: Products there are; pairs with others are counted and left out. None: all.

    Raises:
        PairsError: The file cannot be read, lacks a column, or has no usable row.
    """
    tally = Tally()
    rows: list[Pair] = []
    wanted = ("query", "product_id"), ("weight", "relevance")
    for number, (query, product_id, weight, relevance) in _rows(path, *wanted, tally):
        text = normalise(query)
        values = _number(weight, 1.0), _number(relevance, None)
        if not text:
            tally.add(EMPTY_QUERY, str(path), number)
        elif len(text.encode()) > MAX_QUERY_BYTES:
            tally.add(QUERY_TOO_LONG, str(path), number)
        elif not product_id:
            tally.add(EMPTY_ID, str(path), number)
        elif isinstance(values[0], str) or isinstance(values[1], str) or not values[0]:
            tally.add(BAD_NUMBER, str(path), number)
        elif known is not None and product_id not in known:
            tally.add(UNKNOWN_PRODUCT, str(path), number)
        else:
            rows.append(Pair(text, product_id, values[0], values[1]))
    if not rows:
        raise PairsError(f"{path}: no usable pair{_of(tally)}")
    return Pairs(tuple(rows), tally.by_kind())


def read_queries(path: Path) -> tuple[tuple[str, ...], Mapping[str, Bad]]:
    """Return the queries of a file as they stand there, and what was left out, by kind.

    Raises:
        PairsError: The file cannot be read, lacks the column ``query``, or has no usable row.
    """
    tally = Tally()
    found: list[str] = []
    for number, (query,) in _rows(path, ("query",), (), tally):
        text = normalise(query)
        if not text:
            tally.add(EMPTY_QUERY, str(path), number)
        elif len(text.encode()) > MAX_QUERY_BYTES:
            tally.add(QUERY_TOO_LONG, str(path), number)
        else:
            found.append(query)
    if not found:
        raise PairsError(f"{path}: no usable query{_of(tally)}")
    return tuple(found), tally.by_kind()


def products_of(pairs: Pairs) -> Products:
    """Return the products that pairs name, without titles."""
    ids = sorted({pair.product_id for pair in pairs.rows}, key=str.encode)
    nothing = ("",) * len(ids)
    return Products(tuple(ids), nothing, nothing, {})


def _values(cells: Mapping[str, str], tally: Tally, path: Path, line: int) -> tuple[str, ...]:
    """Return the attribute values of a product, at most as many as one can have."""
    found = [
        attribute_value(name, raw)
        for name, cell in cells.items()
        for raw in cell.split(SEPARATOR)[:MAX_VALUES]
    ]
    usable = list(dict.fromkeys(value for value in found if value))
    if None in found or len(usable) > LABEL_VALUES:
        tally.add(BAD_ATTRIBUTE, str(path), line)
    return tuple(usable[:LABEL_VALUES])


def _of(tally: Tally) -> str:
    return f": {explain(tally.by_kind())}" if tally.total() else ""


def _number(text: str, default: float | None) -> float | str | None:
    """Return a finite number from 0, ``default`` for an empty text, the text for no number."""
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) and value >= 0 else text


def _rows(
    path: Path, needed: Sequence[str], optional: Sequence[str], tally: Tally
) -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers and the fields of ``needed`` and ``optional``, "" for a missing one."""
    try:
        blocks = read_blocks(path, _ignore)
        head = next(blocks, Block([], [], []))
        names = _names(path, head, needed, optional)
        places = [names.index(one) if one in names else -1 for one in (*needed, *optional)]
        block: Block | None = Block(head.lines[1:], head.numbers[1:], head.bad)
        while block is not None:
            for kind, line in block.bad:
                tally.add(kind, str(path), line)
            for number, text in zip(block.numbers, block.lines, strict=True):
                fields = text.split("\t")
                if len(fields) != len(names):
                    tally.add(WRONG_FIELD_COUNT, str(path), number)
                else:
                    yield number, [fields[i].strip() if i >= 0 else "" for i in places]
            block = next(blocks, None)
    except LogError as error:
        raise PairsError(str(error)) from None


def _names(path: Path, head: Block, needed: Sequence[str], optional: Sequence[str]) -> list[str]:
    """Return the columns of a file by its first block, refused if they cannot be told apart."""
    if (NOT_UTF8, 1) in head.bad:
        raise PairsError(f"{path}: its first line is not UTF-8; give a TSV file with a header")
    if not head.lines:
        raise PairsError(f"{path}: is empty; give a TSV file with a header")
    names = [name.strip() for name in head.lines[0].split("\t")]
    missing = [name for name in needed if name not in names]
    if missing:
        raise PairsError(
            f"{path}: no column {missing[0]!r}; {describe_names(names)}. The file is TSV "
            f"with the columns {', '.join(needed)}"
        )
    for name in (*needed, *optional):
        if names.count(name) > 1:
            raise PairsError(f"{path}: {names.count(name)} columns {name!r}; rename the others")
    return names


def _ignore(steps: int) -> None:
    """Take no notice of ``steps``."""
