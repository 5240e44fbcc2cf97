"""A small search engine to stand behind the demo page, as a site has one: SQLite's FTS5."""

from __future__ import annotations

import csv
import re
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from espalier.errors import ConfigError, UnsupportedError
from espalier.text import normalise

_COLUMNS: Final = ("product_id", "title", "category", "brand", "colour", "price")
_WORD: Final = re.compile(r"[^\W_]+")
_MAX_WORDS: Final = 32


@dataclass(frozen=True, slots=True)
class Article:
    """One product as the host knows it; "" for what the catalogue does not say."""

    product_id: str
    title: str
    category: str
    brand: str
    colour: str
    price: str


class HostEngine:
    """Products in memory, searched by BM25 over stems. Safe to share between threads.

    Args:
        catalogue: TSV with a header; ``product_id`` and ``title`` must be there.

    Raises:
        ConfigError: The catalogue cannot be read.
        UnsupportedError: SQLite was built without FTS5.
    """

    def __init__(self, catalogue: Path) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        try:
            self._database.execute(
                "CREATE VIRTUAL TABLE product USING fts5("
                "product_id UNINDEXED, title, category, brand, colour, price UNINDEXED, "
                "tokenize = 'porter unicode61')"
            )
        except sqlite3.OperationalError as error:
            raise UnsupportedError(
                f"serve.demo_catalogue: SQLite {sqlite3.sqlite_version} of this Python cannot "
                "search texts (no FTS5); leave it out, or use a Python that has it"
            ) from error
        self._database.executemany(
            "INSERT INTO product VALUES (?, ?, ?, ?, ?, ?)", _rows(catalogue)
        )
        (self._count,) = self._database.execute("SELECT count(*) FROM product").fetchone()

    def __len__(self) -> int:
        """Return the number of products."""
        return int(self._count)

    def search(self, query: str, limit: int) -> list[Article]:
        """Return products with every word of ``query``, else with any, best first."""
        words = _WORD.findall(normalise(query))[:_MAX_WORDS]
        if not words:
            return []
        found = self._matching(" AND ".join(f'"{word}"' for word in words), limit)
        return found or self._matching(" OR ".join(f'"{word}"' for word in words), limit)

    def articles(self, ids: list[str]) -> list[Article]:
        """Return products by id, unknown ones left out, in the order of ``ids``."""
        marks = ", ".join("?" * len(ids))
        chosen = f"SELECT * FROM product WHERE product_id IN ({marks})"  # noqa: S608 - marks alone
        with self._lock:
            found = {row[0]: Article(*row) for row in self._database.execute(chosen, ids)}
        return [found[one] for one in ids if one in found]

    def close(self) -> None:
        """Forget the products."""
        self._database.close()

    def _matching(self, expression: str, limit: int) -> list[Article]:
        with self._lock:
            rows = self._database.execute(
                "SELECT * FROM product WHERE product MATCH ? ORDER BY rank, rowid LIMIT ?",
                (expression, limit),
            ).fetchall()
        return [Article(*row) for row in rows]


def _rows(catalogue: Path) -> Iterator[tuple[str, ...]]:
    try:
        with catalogue.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            missing = {"product_id", "title"} - set(rows.fieldnames or ())
            if missing:
                raise ConfigError(
                    f"{catalogue}: has no column {' and no '.join(sorted(missing))}; "
                    "serve.demo_catalogue is a TSV file with a header"
                )
            for row in rows:
                yield tuple(row.get(column) or "" for column in _COLUMNS)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(
            f"{catalogue}: cannot be read ({type(error).__name__}); "
            "name a TSV file in serve.demo_catalogue"
        ) from error
