"""User Behavior Insights (UBI) 1.3: queries of others, and the event files of our service.

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

Of the event files that ``espalier serve`` writes (the format is that of
`espalier.events.lines`) submissions are read, each once. What was submitted in a session
before it was deleted is left out (see ``ingest``): marks of deletion become rows without
a query. Where texts were not kept in full there is nothing to learn, which is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from espalier.errors import NoTextError
from espalier.events import Action
from espalier.events.lines import ours_in
from espalier.querylog.columns import ROLES
from espalier.querylog.documents import Extract, Row, as_text, no_query
from espalier.querylog.kinds import NOT_A_QUERY, TYPE_AHEAD
from espalier.settings import LogSettings

VERSION: Final = "1.3.0"

_TYPE_AHEAD_APPLICATION: Final = "type-ahead"
_SUBMISSION: Final = Action.SUBMISSION.value
_FORGOTTEN: Final = Action.FORGOTTEN.value


def looks_like_ubi(document: Mapping[str, object]) -> bool:
    """Return whether a JSON object is a UBI query or event."""
    fields = _unwrap(document)
    if "user_query" in fields or ("action_name" in fields and "client_id" in fields):
        return True
    return is_event(fields)


def is_event(document: Mapping[str, object]) -> bool:
    """Return whether a JSON object is an event of our own service."""
    return "action_name" in document and ours_in(document) is not None


def row_reader(path: Path, settings: LogSettings) -> Extract:
    """Return the function that makes a row of a UBI document, or says what is wrong with it.

    It raises `NoTextError` at a submission whose text was not kept; ``path`` is the file.
    """
    attributes = tuple(settings.attribute_columns.values())
    without = (None,) * len(attributes)

    def row_of(document: Mapping[str, object]) -> Row | str:
        fields = _unwrap(document)
        if fields.get("action_name") is not None:
            ours = ours_in(fields)
            return NOT_A_QUERY if ours is None else event_row(fields, ours)
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
            None,
        )

    def event_row(fields: Mapping[str, object], ours: Mapping[str, Any]) -> Row | str:
        query = fields.get("user_query")
        if fields["action_name"] == _SUBMISSION:
            if "text" in ours:
                raise _no_text(path, ours["text"])
            if not isinstance(query, str) or not query:
                return no_query(query)
        elif fields["action_name"] == _FORGOTTEN:
            query = None
        else:
            return NOT_A_QUERY
        known = {
            # Not every event has them, but every file does.
            "user": as_text(fields.get("client_id")) or "",
            "session": as_text(fields.get("session_id")) or "",
            "time": as_text(fields.get("timestamp")) or "",
            "query": query,
        }
        return (*(known.get(role) for role in ROLES), *without, as_text(ours["event_id"]))

    return row_of


def _no_text(path: Path, policy: object) -> NoTextError:
    kept = "hashes of texts" if policy == "hash" else "no texts"
    return NoTextError(
        f"{path}: has {kept}, from which nothing can be learned; serve with "
        "serve.events_text = full, and give the files written since"
    )


def _unwrap(document: Mapping[str, object]) -> Mapping[str, object]:
    source = document.get("_source")
    return source if isinstance(source, dict) else document
