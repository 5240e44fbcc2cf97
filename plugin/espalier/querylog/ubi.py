"""User Behavior Insights (UBI) 1.3 query events: this module owns that format.

UBI is the schema OpenSearch and its neighbours log searches in (github.com/o19s/ubi,
``schema/1.3.0/query.request.schema.json`` and ``query.response.schema.json``). We read
JSON lines: one query document a line, either bare or as an export of the
``ubi_queries`` index wraps it (``{"_index": ..., "_source": {...}}``).

===========================  ====================================================
UBI field                    what becomes of it
===========================  ====================================================
``user_query``               the query
``client_id``                the user: a browser or account; ``user_id`` if absent
``session_id``               the session; also looked for in ``query_attributes``
``timestamp``                the time (ISO 8601; see ``sessions`` for what is read)
``query_response_hit_ids``   their number is the number of results: UBI logs one
                             page, so only "none" and "some" can be told apart
``query_attributes``         the attributes the settings name, by their column
``application``              ``type-ahead`` rows are keystrokes and are left out
``action_name``              present in events (clicks, purchases): left out
===========================  ====================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from espalier.querylog.columns import ROLES
from espalier.querylog.documents import Extract, Row, as_text, no_query
from espalier.querylog.kinds import NOT_A_QUERY, TYPE_AHEAD
from espalier.settings import LogSettings

VERSION: Final = "1.3.0"

_TYPE_AHEAD_APPLICATION: Final = "type-ahead"


def looks_like_ubi(document: Mapping[str, object]) -> bool:
    """Return whether a JSON object is a UBI query or event."""
    fields = _unwrap(document)
    return "user_query" in fields or ("action_name" in fields and "client_id" in fields)


def row_reader(settings: LogSettings) -> Extract:
    """Return the function that makes a row of a UBI document, or says what is wrong with it."""
    attributes = tuple(settings.attribute_columns.values())

    def row_of(document: Mapping[str, object]) -> Row | str:
        fields = _unwrap(document)
        if fields.get("action_name") is not None:
            return NOT_A_QUERY
        if fields.get("application") == _TYPE_AHEAD_APPLICATION:
            return TYPE_AHEAD
        query = fields.get("user_query")
        if not isinstance(query, str):
            return no_query(query)
        given = fields.get("query_attributes")
        extra: Mapping[str, object] = given if isinstance(given, dict) else {}
        hits = fields.get("query_response_hit_ids")
        known = {
            "user": as_text(fields.get("client_id")) or as_text(fields.get("user_id")),
            "session": as_text(fields.get("session_id")) or as_text(extra.get("session_id")),
            "time": as_text(fields.get("timestamp")),
            "query": query,
            "results": str(len(hits)) if isinstance(hits, list) else None,
        }
        return (
            *(known[role] for role in ROLES),
            *(as_text(extra.get(column)) for column in attributes),
        )

    return row_of


def _unwrap(document: Mapping[str, object]) -> Mapping[str, object]:
    source = document.get("_source")
    return source if isinstance(source, dict) else document
