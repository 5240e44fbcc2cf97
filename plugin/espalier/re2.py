"""Regular expressions an operator writes: RE2, by way of DuckDB.

Matching takes time linear in the text whatever the expression, so that no pattern can
stall a log or a service. DuckDB brings the engine, and one engine means that a pattern
says the same in the privacy rules of a log and in the blocks of an overlay.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import duckdb

_CACHED: Final = 65_536
_ROWS: Final = 10_000


def fault(pattern: str) -> str | None:
    """Return what is wrong with ``pattern``, None if it is an RE2 expression."""
    try:
        duckdb.connect().execute("SELECT regexp_matches('', ?)", [pattern]).fetchall()
    except duckdb.Error as error:
        return str(error).splitlines()[0]
    return None


class PatternSet:
    """Tells which texts match any of some patterns. Safe to share between threads."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Take patterns in which :func:`fault` found nothing."""
        self.patterns = tuple(patterns)
        self._connection = duckdb.connect(config={"threads": 1})
        self._local = threading.local()
        self._known: dict[str, bool] = {}
        self._parts = _together(self.patterns)
        tests = " OR ".join(["regexp_matches(text, ?)"] * len(self._parts)) or "false"
        self._statement = f"SELECT {tests} FROM (SELECT unnest(?) AS text)"  # noqa: S608 - of ?

    def match(self, texts: Sequence[str]) -> list[bool]:
        """Return for each of ``texts`` whether it matches.

        Verdicts are remembered: the texts of answers recur, and asking takes some
        hundred microseconds.
        """
        known = self._known
        verdicts = {text: known.get(text) for text in texts}
        unknown = [text for text, verdict in verdicts.items() if verdict is None]
        if unknown:
            fresh = dict(zip(unknown, self._ask(unknown), strict=True))
            verdicts.update(fresh)
            if len(known) + len(fresh) > _CACHED:
                # Others may still read the old one, so that one is left as it is.
                self._known = known = {}
            known.update(fresh)
        return [verdicts[text] is True for text in texts]

    def matching(self, texts: Iterable[str]) -> Iterator[str]:
        """Yield those of many ``texts`` that match, remembering none."""
        batch: list[str] = []
        for text in texts:
            batch.append(text)
            if len(batch) == _ROWS:
                yield from self._select(batch)
                batch = []
        yield from self._select(batch)

    def _select(self, batch: list[str]) -> Iterator[str]:
        if batch:
            verdicts = self._ask(batch)
            yield from (text for text, hit in zip(batch, verdicts, strict=True) if hit)

    def _ask(self, texts: list[str]) -> list[bool]:
        cursor = getattr(self._local, "cursor", None)
        if cursor is None:
            cursor = self._local.cursor = self._connection.cursor()
        rows = cursor.execute(self._statement, [*self._parts, texts]).fetchall()
        return [hit for (hit,) in rows]


def _together(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the patterns as one, which is quicker, where that says the same."""
    whole = "|".join(f"(?:{pattern})" for pattern in patterns)
    # A quotation left open would run on into the next pattern; a group's name may stand
    # in two of them, and the whole may be too large: both are faults.
    quotes = any(r"\Q" in pattern for pattern in patterns)
    return patterns if len(patterns) < 2 or quotes or fault(whole) else (whole,)
