"""What a worker makes of its orders; the rest is tested with the real process."""

from __future__ import annotations

from pathlib import Path

from espalier.serve.orders import Orders
from espalier.serve.worker import sessions_of
from espalier.sessions.shared import SharedSessionStore
from espalier.settings import ServeSettings
from tests.unit.serve.fakes import ListLog


def orders(table: Path) -> Orders:
    """Return orders for a worker that shares a table, which has room for other sessions."""
    return Orders(0, ServeSettings(max_sessions=99), "127.0.0.1:1", None, table, verify=False)


def test_sessions_of_its_own_are_said(tmp_path: Path) -> None:
    """A worker that could not share the table would forget what others know."""
    log = ListLog()
    sessions_of(orders(tmp_path), log).close()

    ((level, event, fields),) = log.events
    assert (level, event) == ("warning", "session_file_unusable")
    assert fields["file"] == str(tmp_path)


def test_what_the_supervisor_said_is_not_said_again() -> None:
    """That a table keeps its size is nothing new in a worker."""
    log = ListLog()
    table = SharedSessionStore(None, max_sessions=50, sweep_seconds=None)
    table.append("s", "nike")
    shared = sessions_of(orders(table.shared_path), log)

    assert shared.recent("s", 5).queries == ("nike",)
    assert log.events == []
    shared.close()
    table.close()
