"""Real processes on one session table, some of them killed; and a disk that is full."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from espalier.sessions.shared import SharedSessionStore
from integration.disks import small_disk
from integration.processes import environment

WORKERS = 3
SESSIONS = 40
KILLS = 200 if os.environ.get("ESPALIER_PROFILE") == "long" else 8

# Writes into every session, as every worker does, and checks what it reads: a query
# says which session it was meant for.
WORKER = """
import itertools, sys
from pathlib import Path
from espalier.sessions.shared import SharedSessionStore

store = SharedSessionStore(Path(sys.argv[1]), max_sessions=100, sweep_seconds=0.01)
for number in itertools.count():
    name = f"s{number % int(sys.argv[2])}"
    store.append(name, f"{name} {sys.argv[3]} {number} " + "." * (number % 90))
    for query in store.recent(name, 5).queries:
        assert query.split()[0] == name, query
    if number == 0:
        print("ready", flush=True)
"""


def start(path: Path, number: int) -> subprocess.Popen[str]:
    """Start a worker and wait until it works."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(path), str(SESSIONS), str(number)],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    return worker


def test_workers_that_are_killed_leave_a_whole_table(tmp_path: Path) -> None:
    """Whatever the dead were doing, every session is there and every record is whole."""
    path = tmp_path / "sessions.est"
    chance = random.Random(7)  # noqa: S311 - when to kill is no secret
    workers = [start(path, number) for number in range(WORKERS)]
    store = SharedSessionStore(path, max_sessions=100, sweep_seconds=None)
    try:
        for kill in range(KILLS):
            time.sleep(chance.random() / 20)
            at = chance.randrange(WORKERS)
            assert workers[at].poll() is None, "a worker found what it should not"
            workers[at].send_signal(signal.SIGKILL)
            workers[at].communicate()
            for number in range(SESSIONS):
                queries = store.recent(f"s{number}", 5).queries
                assert all(query.split()[0] == f"s{number}" for query in queries)
                # A session that was full stays full: a write replaces all or nothing.
                assert not queries or kill == 0 or len(queries) >= 3
            workers[at] = start(path, WORKERS + kill)
        assert store.table.openings() == WORKERS + 1
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    store.sweep(1_800.0)
    report = store.table.report()
    store.close()

    assert report.sessions == SESSIONS
    assert (report.damaged, report.held, report.lost) == (0, 0, 0)
    assert (report.unlisted, report.twice, report.dirty) == (0, 0, 0)


def test_on_a_full_disk_workers_share_the_memory_of_one(tmp_path: Path) -> None:
    """The reason is told; the next start, with room again, is on disk."""
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "sessions.est"
        store = SharedSessionStore(path, max_sessions=1_000, sweep_seconds=None)
        (notice,) = store.notices
        assert notice.event == "session_file_unusable"
        assert notice.fields["reason"] == os.strerror(errno.ENOSPC)
        assert not path.exists()
        worker = start(store.shared_path, 1)
        worker.kill()
        worker.communicate()
        assert store.recent("s0", 5).queries
        store.close()

        store = SharedSessionStore(path, max_sessions=100, sweep_seconds=None)
        assert not store.in_memory
        store.close()
