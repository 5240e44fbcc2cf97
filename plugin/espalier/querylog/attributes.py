"""Attributes of events: what the log says about a query besides its text.

A column named in ``log.attributes`` gives every event values: ``locale:de``,
``category:shoes``. A cell may hold several, with ``|`` between them; in JSON and Parquet it
may also be a list. The value is the name, a colon and what stood in the cell, normalised
as queries are, so that ``EN-us`` and ``en-US`` are one; blank ones are none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from espalier.errors import InvalidTextError
from espalier.querylog.columns import attribute_roles
from espalier.querylog.ingest import Ingested, place
from espalier.querylog.kinds import BAD_ATTRIBUTE, Bad
from espalier.settings import LogSettings
from espalier.text import normalise

SEPARATOR: Final = "|"
"""Stands between the values of a cell."""
MAX_VALUES: Final = 64
"""Values of a cell; further ones are ignored."""
MAX_VALUE_BYTES: Final = 128
"""UTF-8 bytes of a normalised value with its name; a longer one is ignored and counted."""


@dataclass(frozen=True, slots=True, eq=False)
class EventAttributes:
    """What events have; ``n`` pairs of an event and a value, each once.

    Attributes:
        values: Distinct values, ascending.
        event: Number of the event of each pair, ascending, ``(n,)``.
        value: Index into ``values``, ascending within an event, ``(n,)``.
    """

    values: list[str]
    event: NDArray[np.int64]
    value: NDArray[np.uint32]

    def of_events(self, kept: NDArray[np.bool_]) -> EventAttributes:
        """Return the attributes of some events, which are numbered anew."""
        number = np.cumsum(kept) - 1
        pairs = kept[self.event]
        used, value = np.unique(self.value[pairs], return_inverse=True)
        return EventAttributes(
            [self.values[i] for i in used.tolist()],
            number[self.event[pairs]],
            value.astype(np.uint32),
        )


NO_ATTRIBUTES: Final = EventAttributes([], np.zeros(0, np.int64), np.zeros(0, np.uint32))


def collect_attributes(
    connection: duckdb.DuckDBPyConnection, ingested: Ingested, settings: LogSettings
) -> tuple[EventAttributes, dict[str, Bad]]:
    """Return the attributes of the table ``events``, and what had to be ignored, by kind."""
    present = [
        (name, role)
        for name, role in zip(settings.attribute_columns, attribute_roles(settings), strict=True)
        if role in ingested.present
    ]
    if not present:
        return NO_ATTRIBUTES, {}
    cells = " UNION ALL ".join(
        f"SELECT {number} AS name, numbered.event, log.spot, "
        f"unnest(string_split(log.raw_{role}, '{SEPARATOR}')[1:{MAX_VALUES}]) AS raw "
        f"FROM numbered JOIN log ON log.spot = numbered.spot WHERE log.raw_{role} <> ''"
        for number, (_, role) in enumerate(present)
    )
    connection.execute(
        "CREATE TABLE had AS WITH numbered AS (SELECT spot, "
        "row_number() OVER (ORDER BY session, second, spot) - 1 AS event FROM events), "
        f"cells AS ({cells}) SELECT name, event, spot, trim(raw) AS raw FROM cells "
        "WHERE trim(raw) <> ''"
    )
    forms = connection.execute("SELECT DISTINCT name, raw FROM had ORDER BY name, raw").fetchall()
    texts = [attribute_value(present[name][0], raw) for name, raw in forms]
    values = sorted({text for text in texts if text})
    number = {text: i for i, text in enumerate(values)}
    table = {
        "name": np.array([name for name, _ in forms], np.int32),
        "raw": np.array([raw for _, raw in forms], dtype=object),
        "value": np.array([_UNUSABLE if t is None else number.get(t, _BLANK) for t in texts]),
    }
    connection.register("coded", table)
    found = connection.execute(
        "SELECT DISTINCT had.event, CAST(coded.value AS UINTEGER) AS value FROM had JOIN coded "
        "ON coded.name = had.name AND coded.raw = had.raw WHERE coded.value >= 0 ORDER BY ALL"
    ).fetchnumpy()
    count, spot = connection.execute(
        "SELECT count(*), min(had.spot) FROM had JOIN coded "
        f"ON coded.name = had.name AND coded.raw = had.raw WHERE coded.value = {_UNUSABLE}"
    ).fetchall()[0]
    connection.unregister("coded")
    connection.execute("DROP TABLE had")
    bad = {}
    if count:
        file, line = place(spot)
        bad[BAD_ATTRIBUTE] = Bad(count, ingested.files[file], line)
    return EventAttributes(values, found["event"], found["value"]), bad


_BLANK: Final = -1
_UNUSABLE: Final = -2


def attribute_value(name: str, raw: str) -> str | None:
    """Return the value of a cell with its name, "" if there is none, None if it is unusable."""
    try:
        text = normalise(raw)
        value = normalise(f"{name}:{text}") if text else ""
    except InvalidTextError:
        return None
    return value if len(value.encode()) <= MAX_VALUE_BYTES else None
