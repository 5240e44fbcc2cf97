"""Events: one JSON object a line, nothing foreign in it."""

from __future__ import annotations

import io
import json
import logging

from espalier.serve.log import JsonLog, LibraryLogs, place_of
from tests.unit.serve.fakes import ListLog


def test_an_event_is_one_json_line() -> None:
    """Time in UTC, level, name, then its fields."""
    stream = io.StringIO()
    log = JsonLog(stream, clock=lambda: 1_700_000_000.25)
    log.info("index_loaded", index="main", labels=3)
    log.warning("odd", why='new\nline and "quote"')
    log.error("bad", incident=None)

    first, *rest = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert first.pop("pid") > 0
    assert first == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "event": "index_loaded",
        "index": "main",
        "labels": 3,
    }
    assert [one["level"] for one in rest] == ["warning", "error"]


def test_fields_of_the_process_stand_in_every_line() -> None:
    """Lines of several workers come together in one stream."""
    stream = io.StringIO()
    JsonLog(stream, worker=3).info("event", index="main")

    line = json.loads(stream.getvalue())
    assert (line["worker"], line["index"]) == (3, "main")


def test_what_is_below_the_level_is_left_out() -> None:
    """Whoever collects lines for money may want the faults alone."""
    stream = io.StringIO()
    log = JsonLog(stream, level="warning")
    for say in (log.info, log.warning, log.error):
        say("event")

    levels = [json.loads(line)["level"] for line in stream.getvalue().splitlines()]
    assert levels == ["warning", "error"]


def test_a_closed_stream_stops_nobody() -> None:
    """Losing stderr does not cost an answer."""
    stream = io.StringIO()
    stream.close()

    JsonLog(stream).info("event")


def test_what_libraries_say_is_replaced_by_where_they_said_it() -> None:
    """Their messages and exceptions may quote a request."""
    log = ListLog()
    logger = logging.getLogger("library.part")
    handler = LibraryLogs(log)
    logger.addHandler(handler)
    logger.info("canary")
    try:
        int("canary")
    except ValueError:
        logger.exception("canary %s", "canary")
    logger.removeHandler(handler)

    ((level, event, fields),) = log.events
    assert (level, event) == ("warning", "library_warning")
    assert fields["library"] == "library.part"
    assert fields["exception"] == "ValueError"
    assert str(fields["raised_at"]).startswith("test_log.py:")
    assert "canary" not in json.dumps(fields)


def test_an_exception_never_raised_has_no_place() -> None:
    """There is no frame to name."""
    assert not place_of(ValueError("x"))
