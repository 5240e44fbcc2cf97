"""What can be wrong with a row of a log, and the counts that say so.

A bad row never stops a run and is never lost silently: it is counted under one of
the kinds below, with the file and line of the first one. A row has one kind, the
first that applies in this order.

=====================  =========================================================
kind                   the row ...
=====================  =========================================================
``not_utf8``           has bytes that are not UTF-8
``line_too_long``      is longer than ``MAX_LINE_BYTES``
``blank_line``         has nothing in it
``wrong_field_count``  has more or fewer fields than the header
``bad_quotes``         (CSV) has a quote that is never closed, or text after one
``bad_json``           (JSON lines) is not JSON
``not_an_object``      (JSON lines) is JSON, but not an object
``not_a_query``        (UBI) is an event that is not a query: a click, a purchase; in
                       event files every event but a submission
``type_ahead``         (UBI) is a keystroke; only submitted queries teach
``missing_query``      has no query
``query_not_text``     (JSON lines) has a query that is a number, a list, ...
``not_unicode``        (JSON lines) has an escaped lone surrogate
``repeated_event``     (event files) came before, under the same event id
``forgotten``          (event files) is of a session that was deleted later on
``missing_user``       has neither user nor session where the log has them
``bad_time``           has no time, or one that cannot be read (see ``sessions``)
``control_characters`` has a control character that is not white space in its query
``empty_query``        has a query of white space only
``query_too_long``     has a query above ``max_query_chars`` or ``MAX_QUERY_BYTES``
=====================  =========================================================

Rows a privacy rule keeps out are no mistake of the log; they are counted apart,
under the rule's name (see ``privacy``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

NOT_UTF8: Final = "not_utf8"
LINE_TOO_LONG: Final = "line_too_long"
BLANK_LINE: Final = "blank_line"
WRONG_FIELD_COUNT: Final = "wrong_field_count"
BAD_QUOTES: Final = "bad_quotes"
BAD_JSON: Final = "bad_json"
NOT_AN_OBJECT: Final = "not_an_object"
NOT_A_QUERY: Final = "not_a_query"
TYPE_AHEAD: Final = "type_ahead"
MISSING_QUERY: Final = "missing_query"
QUERY_NOT_TEXT: Final = "query_not_text"
NOT_UNICODE: Final = "not_unicode"
REPEATED_EVENT: Final = "repeated_event"
FORGOTTEN: Final = "forgotten"
MISSING_USER: Final = "missing_user"
BAD_TIME: Final = "bad_time"
CONTROL_CHARACTERS: Final = "control_characters"
EMPTY_QUERY: Final = "empty_query"
QUERY_TOO_LONG: Final = "query_too_long"

BAD_RESULTS: Final = "bad_results"
"""A value that is ignored while its row is used: a results column without a number."""
BAD_ATTRIBUTE: Final = "bad_attribute"
"""The same: an attribute too long to be one (see ``attributes``)."""


@dataclass(frozen=True, slots=True)
class Bad:
    """Rows of one kind.

    Attributes:
        count: How many.
        file: Path of the file of the first one, as it was given.
        line: Its line, from 1; in Parquet its row, from 1.
    """

    count: int
    file: str
    line: int

    def to_json(self) -> dict[str, object]:
        """Return a dictionary that ``json`` can write."""
        return {"count": self.count, "file": self.file, "line": self.line}


class Tally:
    """Counts bad rows by kind and keeps the first of each, files in the order read."""

    def __init__(self) -> None:
        """Start with none."""
        self._bad: dict[str, Bad] = {}

    def add(self, kind: str, file: str, line: int, count: int = 1) -> None:
        """Count ``count`` rows of ``kind``, the first of them at ``line`` of ``file``."""
        known = self._bad.get(kind)
        if known is None:
            self._bad[kind] = Bad(count, file, line)
        else:
            self._bad[kind] = Bad(known.count + count, known.file, known.line)

    def total(self) -> int:
        """Return the number of bad rows."""
        return sum(bad.count for bad in self._bad.values())

    def by_kind(self) -> dict[str, Bad]:
        """Return the kinds found, most frequent first."""
        return dict(sorted(self._bad.items(), key=lambda item: (-item[1].count, item[0])))


def explain(bad: Mapping[str, Bad]) -> str:
    """Return the kinds as one clause: ``12 bad_time (first: log.tsv, line 7), ...``."""
    return ", ".join(
        f"{found.count:,} {kind} (first: {found.file}, line {found.line:,})"
        for kind, found in bad.items()
    )
