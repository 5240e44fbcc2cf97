"""More new sessions than the table holds: through the C library, and as many as calls carry."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from espalier.client import CallError, Client
from espalier.sessions.opening import FILE_NAME
from espalier.sessions.shared import SharedSessionStore
from espalier.v1.completion_service_pb2 import RecordQueryRequest
from espalier.v1.core_pb2 import SessionState
from integration.processes import PATIENCE, Sidecar
from integration.raw_http2 import RawConnection

RECORD = "/espalier.v1.CompletionService/RecordQuery"
FOUND = SessionState.SESSION_STATE_FOUND
CAPACITY = 5_000
FLOOD = 100_000
CALLS = 15_000
UNDER_WAY = 64


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a folder for the table."""
    return tmp_path


@pytest.fixture
def sidecar(demo_index: Path, state: Path) -> Iterator[Sidecar]:
    """Return a sidecar with room for a few sessions."""
    with Sidecar(
        *("--index", demo_index, "--state-dir", state, "--set", "workers=1"),
        *("--set", f"max_sessions={CAPACITY}"),
    ) as running:
        yield running


@contextlib.contextmanager
def table(state: Path) -> Iterator[SharedSessionStore]:
    """Open the table of the service in this process as well."""
    store = SharedSessionStore(state / FILE_NAME, max_sessions=CAPACITY, sweep_seconds=None)
    with contextlib.closing(store):
        yield store


def check_whole(store: SharedSessionStore) -> None:
    """Check that the table is full, and every record and entry as it should be."""
    report = store.table.report()
    # Calls under way at the same time count as sessions for a moment.
    assert CAPACITY * 0.99 < report.sessions <= CAPACITY + UNDER_WAY
    assert (report.damaged, report.held, report.lost) == (0, 0, 0)
    assert (report.unlisted, report.twice, report.dirty) == (0, 0, 0)


def test_a_flood_through_the_library_takes_the_oldest_and_nothing_else(
    sidecar: Sidecar, state: Path
) -> None:
    """Sessions in use are known after every hundred new ones; calls go on meanwhile."""
    outcomes: Counter[str] = Counter()
    begun, ended = threading.Event(), threading.Event()

    def ask() -> None:
        with Client(sidecar.address, timeout=PATIENCE) as client:
            client.record("something", session="asked")
            while not ended.is_set():
                try:
                    outcomes[str(client.complete("a", session="asked").session_state)] += 1
                except CallError as error:
                    outcomes[str(error)] += 1
                begun.set()

    thread = threading.Thread(target=ask)
    with table(state) as store:
        store.append("used", "something")
        thread.start()
        try:
            assert begun.wait(PATIENCE)
            for number in range(FLOOD):
                assert not store.append(f"flood {number}", "new")
                if number % 100 == 0:
                    assert store.recent("used", 5).queries == ("something",)
        finally:
            ended.set()
            thread.join(PATIENCE)
        assert store.stats().evicted >= FLOOD - CAPACITY
        assert store.recent(f"flood {FLOOD - 1}", 5).queries == ("new",)
        check_whole(store)

    # The thread that asks waits for the flood now and then, so its own session may be the
    # oldest once: it is told so, and never that something failed.
    assert outcomes[str(FOUND)] > 0
    assert outcomes.keys() <= {str(FOUND), str(SessionState.SESSION_STATE_NEW)}


def test_a_flood_of_calls_is_recorded_whole(sidecar: Sidecar, state: Path) -> None:
    """Every one is answered with OK; the newest are known, and the oldest were let go."""
    with RawConnection(sidecar.address, RECORD) as connection:
        connection.socket.settimeout(PATIENCE)
        sent = finished = failed = 0
        while finished < CALLS:
            while sent < CALLS and sent - finished < UNDER_WAY:
                request = RecordQueryRequest(session_id=f"flood {sent}", query="new")
                connection.call(request.SerializeToString())
                sent += 1
            for one in connection.receive():
                finished += 1
                failed += not one.ok
    with table(state) as store, Client(sidecar.address, timeout=PATIENCE) as client:
        newest = [client.complete("a", session=f"flood {CALLS - 1 - n}") for n in range(100)]
        known = sum(bool(store.recent(f"flood {number}", 1).queries) for number in range(CALLS))
        check_whole(store)

    assert failed == 0
    assert {reply.session_state for reply in newest} == {FOUND}
    assert CAPACITY * 0.99 < known <= CAPACITY + UNDER_WAY
