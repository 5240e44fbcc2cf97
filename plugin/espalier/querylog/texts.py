"""From what was typed to what is compared: every distinct query normalised once.

Normalisation is Python (``espalier.text``), so it runs over distinct typed forms, in
batches, and not over rows. It makes the table ``known``, which says what each typed
form is::

    raw VARCHAR      as typed
    form BIGINT      its number
    label BIGINT     number of the normalised text in ``labels``, NULL if it is bad
    verdict VARCHAR  kind of bad row or privacy rule, NULL if it may be learnt from

Beside it stay ``labels`` (see ``privacy``) and ``forms`` (form, text, display, verdict),
where ``display`` is the typed form with white space tidied, NULL where that is the
normalised text itself.
"""

from __future__ import annotations

import re
from typing import Final

import duckdb
import numpy as np

from espalier.progress import Progress
from espalier.querylog.kinds import CONTROL_CHARACTERS, EMPTY_QUERY, QUERY_TOO_LONG
from espalier.querylog.privacy import KeptOut, Rules, judge_labels, load_rules
from espalier.settings import LogSettings
from espalier.text import normalise, visible

MAX_QUERY_BYTES: Final = 1000
"""UTF-8 bytes of the longest query learnt from; the index takes labels up to 1,024."""

_BATCH: Final = 1 << 16
# Control characters that are not white space. White space ones are what people paste.
_CONTROL: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")


def judge(raw: str, rules: Rules, max_chars: int) -> tuple[str, str | None, str | None]:
    """Return the normalised text, display form and verdict of a typed query.

    The display form is None where it is the normalised text.
    """
    if not raw.isprintable() and _CONTROL.search(raw):
        return "", None, CONTROL_CHARACTERS
    text = normalise(raw)
    if not text:
        return "", None, EMPTY_QUERY
    if len(text) > max_chars or len(text.encode()) > MAX_QUERY_BYTES:
        return "", None, QUERY_TOO_LONG
    display = None if text == raw else " ".join(visible(raw).split())
    return text, None if display == text else display, rules.blocked(text)


def make_known(
    connection: duckdb.DuckDBPyConnection, settings: LogSettings, progress: Progress
) -> KeptOut:
    """Make the tables ``forms``, ``labels`` and ``known`` from the table ``log``.

    Returns what the rules keep out.

    Raises:
        ConfigError: A blocklist or pattern cannot be used.
    """
    rules = load_rules(settings)
    connection.execute(
        "CREATE TABLE raws AS SELECT row_number() OVER () - 1 AS form, raw_query AS raw "
        "FROM (SELECT DISTINCT raw_query FROM log WHERE raw_query IS NOT NULL)"
    )
    connection.execute(
        "CREATE TABLE forms (form BIGINT, text VARCHAR, display VARCHAR, verdict VARCHAR)"
    )
    (total,) = connection.execute("SELECT count(*) FROM raws").fetchall()[0]
    with progress.stage("normalising queries", total) as advance:
        for start in range(0, total, _BATCH):
            batch = connection.execute(
                "SELECT form, raw FROM raws WHERE form >= ? AND form < ?", [start, start + _BATCH]
            ).fetchnumpy()
            judged = [judge(raw, rules, settings.max_query_chars) for raw in batch["raw"]]
            columns = {"form": batch["form"]}
            for place, name in enumerate(("text", "display", "verdict")):
                columns[name] = np.array([row[place] or "" for row in judged], dtype=object)
            connection.register("batch", columns)
            # Not every version of DuckDB takes an array that begins with None.
            connection.execute(
                "INSERT INTO forms SELECT form, text, nullif(display, ''), nullif(verdict, '') "
                "FROM batch"
            )
            connection.unregister("batch")
            advance(len(judged))
    with progress.stage("privacy rules"):
        judge_labels(connection, rules)
        connection.execute(
            "CREATE TABLE known AS SELECT raws.raw, raws.form, labels.label, "
            "coalesce(forms.verdict, labels.verdict) AS verdict "
            "FROM raws JOIN forms ON forms.form = raws.form "
            "LEFT JOIN labels ON forms.verdict IS NULL AND labels.text = forms.text"
        )
        connection.execute("DROP TABLE raws")
    return rules.kept_out
