"""The service and its file of sessions: restarts, damage, a full disk, clocks that were wrong."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from espalier.client import Client
from espalier.native import NativeSessions
from espalier.sessions.opening import FILE_NAME
from espalier.v1.core_pb2 import SessionState
from integration.disks import small_disk
from integration.processes import PATIENCE, Sidecar

FOUND, NEW = SessionState.SESSION_STATE_FOUND, SessionState.SESSION_STATE_NEW
DAY_MS = 86_400_000


def serving(index: Path, state: Path, **settings: float) -> Sidecar:
    """Return a sidecar with a state folder."""
    chosen = {"workers": 1, "max_sessions": 1_000, **settings}
    pairs = [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]
    return Sidecar("--index", index, "--state-dir", state, *pairs)


def state_of(sidecar: Sidecar, session: str = "s") -> SessionState:
    """Return what a completion says of the session."""
    with Client(sidecar.address, timeout=PATIENCE) as client:
        return client.complete("a", session=session).session_state


def record(sidecar: Sidecar, session: str = "s") -> SessionState:
    """Record a query; return whether the session was known."""
    with Client(sidecar.address, timeout=PATIENCE) as client:
        return client.record("something", session=session).session_state


def notices(sidecar: Sidecar) -> list[dict[str, str]]:
    """Return what the log says of the file."""
    return [event for event in sidecar.events() if event["event"].startswith("session_file")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_sessions_survive_the_service(
    demo_index: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """However it ended; and nobody else may read them."""
    with serving(demo_index, tmp_path) as first:
        assert record(first) == NEW
        first.send(number)
        first.process.wait(PATIENCE)
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    with serving(demo_index, tmp_path) as second:
        assert state_of(second) == FOUND
        assert record(second) == FOUND
        assert notices(second) == []


def _cut(path: Path) -> None:
    os.truncate(path, 100_000)


def _foreign(path: Path) -> None:
    path.write_bytes(b"query\tuser\n" * 10_000)


@pytest.mark.parametrize("spoil", [_cut, _foreign])
def test_a_file_that_is_no_table_is_put_aside(
    demo_index: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """The service starts with a new one and says so; the old bytes are kept."""
    path = tmp_path / FILE_NAME
    with serving(demo_index, tmp_path) as before:
        record(before)
    spoil(path)
    spoilt = path.read_bytes()
    with serving(demo_index, tmp_path) as after:
        assert state_of(after) == NEW
        record(after)
        assert state_of(after) == FOUND
        (notice,) = notices(after)

    assert notice["event"] == "session_file_replaced"
    assert notice["check"].startswith("SH")
    assert Path(notice["aside"]).read_bytes() == spoilt


def test_records_damaged_in_the_file_cost_their_own_sessions_only(
    demo_index: Path, tmp_path: Path
) -> None:
    """Every tenth page of the records is overwritten; all others are still known."""
    sessions = [f"s{number}" for number in range(300)]
    path = tmp_path / FILE_NAME
    with (
        serving(demo_index, tmp_path) as before,
        Client(before.address, timeout=PATIENCE) as client,
    ):
        for session in sessions:
            client.record("something", session=session)
    data = bytearray(path.read_bytes())
    # The records are at the end: 512 bytes each, somewhat more of them than sessions.
    start = len(data) - 1_000 * 512
    for at in range(start - start % 4096, len(data), 10 * 4096):
        data[at : at + 4096] = b"\xa5" * 4096
    path.write_bytes(data)
    with serving(demo_index, tmp_path) as after, Client(after.address, timeout=PATIENCE) as client:
        states = [client.complete("a", session=session).session_state for session in sessions]
        for session in sessions:
            client.record("something", session=session)
        assert {client.complete("a", session=one).session_state for one in sessions} == {FOUND}
        assert notices(after) == []

    assert 0.5 < states.count(FOUND) / len(states) < 1
    assert set(states) == {FOUND, NEW}


def test_on_a_full_disk_the_service_keeps_sessions_in_memory(
    demo_index: Path, tmp_path: Path
) -> None:
    """In every worker the same ones, also after one died; and the log says why."""
    with (
        small_disk(tmp_path / "disk") as disk,
        serving(demo_index, disk, workers=2) as sidecar,
    ):
        record(sidecar)
        (notice,) = notices(sidecar)
        before = sidecar.workers()
        os.kill(before[0], signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while sidecar.workers()[0] == before[0]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with Client(sidecar.address, timeout=PATIENCE, channels=8) as client:
            states = {client.complete("a", session="s").session_state for _ in range(16)}
        assert not (disk / FILE_NAME).exists()
        sidecar.send(signal.SIGTERM)
        assert sidecar.wait() == 0

    assert notice["event"] == "session_file_unusable"
    assert notice["reason"] == os.strerror(errno.ENOSPC)
    assert states == {FOUND}


@pytest.mark.parametrize("days", [10, -10])
def test_a_clock_that_was_wrong_before_the_machine_started_anew(
    demo_index: Path, tmp_path: Path, days: int
) -> None:
    """Set back: time goes on from the last use, so sessions live on, no longer than others.

    Set forward: they were not used for as long as the clock says, and are over.
    """
    then = time.time_ns() // 1_000_000 + days * DAY_MS
    # As a process before the restart left it, whose clock was days ahead or behind.
    before = NativeSessions(
        tmp_path / FILE_NAME,
        capacity=1_000,
        max_queries=5,
        ttl_ms=6_000,
        boot=1,
        boot_ms=60_000,
        wall_ms=then,
    )
    for session in (b"s", b"t"):
        assert not before.record(session, b"something", before.info().clock_base + 60_000)
    before.close()
    with serving(demo_index, tmp_path, session_ttl_seconds=6) as sidecar:
        assert state_of(sidecar) == (FOUND if days > 0 else NEW)
        record(sidecar)
        assert state_of(sidecar) == FOUND
        # "t" ends when it is due, although the wall clock is days before its last use.
        time.sleep(6.5)
        assert state_of(sidecar, "t") == NEW
        assert notices(sidecar) == []
