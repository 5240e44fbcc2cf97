"""The writer of events: what an acknowledgement means, what is dropped, what survives."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

from espalier.errors import StorageError
from espalier.events import Action, Event
from espalier.events.folder import EventFolder, Keeping
from espalier.events.seen import Seen
from espalier.events.writer import EventWriter, Mode, Receipt
from espalier.serve.counters import Counters
from tests.unit.events.fakes import FULL, NOON, ids_in, names_in, submission
from tests.unit.serve.fakes import ListLog

PATIENCE = 60.0


class Bench:
    """A writer, and everything it talks to."""

    def __init__(self, path: Path, mode: Mode, *, most: int = 10_000, **keeping: float) -> None:
        self.path = path
        self.counters = Counters()
        self.log = ListLog()
        ids = iter(f"made-{number}" for number in range(10**9))
        self.writer = EventWriter(
            EventFolder(path, Keeping(**keeping)),  # type: ignore[arg-type]
            FULL,
            mode=mode,
            most=most,
            new_id=lambda: next(ids),
            counters=self.counters,
            log=self.log,
        )

    def count(self, outcome: str) -> int:
        """Return how many events had an outcome."""
        return self.counters.get("events", outcome)

    def wait_for(self, outcome: str, count: int) -> None:
        """Return once so many had it."""
        until(lambda: self.count(outcome) >= count)
        assert self.count(outcome) == count

    def ids(self) -> list[str]:
        """Return the ids of all events in the files."""
        return list(ids_in(self.path))


def until(true: Callable[[], bool]) -> None:
    """Wait for something."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@contextmanager
def running(path: Path, mode: Mode = Mode.DROP, **changes: float) -> Iterator[Bench]:
    """Run a writer, and close it at the end."""
    bench = Bench(path, mode, **changes)  # type: ignore[arg-type]
    bench.writer.start()
    try:
        yield bench
    finally:
        bench.writer.close(PATIENCE)


def receipt(result: Receipt | Future[Receipt] | None) -> Receipt:
    """Return what became of a report."""
    assert result is not None
    return result.result(PATIENCE) if isinstance(result, Future) else result


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Yield a switch: while it is set, nothing can be written."""
    full, write = threading.Event(), os.write

    def maybe(descriptor: int, data: bytes) -> int:
        if full.is_set():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data)

    monkeypatch.setattr("espalier.events.folder.os.write", maybe)
    yield full
    full.clear()


def test_what_was_told_is_written_in_order(tmp_path: Path) -> None:
    """Events and what makes events; one that cannot be made costs no other."""

    def broken() -> Event:
        raise ZeroDivisionError

    with running(tmp_path) as bench:
        for number in range(100):
            event = submission(number)
            bench.writer.write(event if number % 2 else lambda event=event: event)  # type: ignore[misc]
        bench.writer.write(broken)
        bench.wait_for("written", 100)
        bench.wait_for("failed", 1)
        assert bench.ids() == [f"e{number}" for number in range(100)]
        assert ("warning", "event_not_made", {"exception": "ZeroDivisionError"}) in bench.log.events
        (name,) = names_in(tmp_path)
        assert name.endswith(".open")

    assert names_in(tmp_path) == [name.removesuffix(".open")]


def test_closing_writes_what_is_left(tmp_path: Path) -> None:
    """However much it is; afterwards nothing is taken."""
    with running(tmp_path) as bench:
        for number in range(5_000):
            bench.writer.write(submission(number))
    bench.writer.write(submission(5_000))

    assert len(bench.ids()) == bench.count("written") == 5_000
    assert bench.count("dropped") == 1
    assert bench.writer.record([submission(1)]) is None


def test_what_has_no_room_is_dropped_and_counted(tmp_path: Path) -> None:
    """And nobody waits: the thread that writes was not even started."""
    bench = Bench(tmp_path, Mode.DROP, most=10)
    for number in range(15):
        bench.writer.write(submission(number))
    assert bench.count("dropped") == 5
    assert bench.writer.record([submission(n) for n in range(100, 108)]) == Receipt(8)
    assert bench.writer.record([submission(n) for n in range(108, 112)]) == Receipt(2, 2)
    assert bench.writer.record([submission(112)]) == Receipt(0, 1)
    assert bench.count("dropped") == 8
    assert bench.writer.waiting == 10
    bench.writer.start()
    bench.writer.close(PATIENCE)

    assert bench.ids() == [f"e{n}" for n in range(10)] + [f"e{n}" for n in range(100, 110)]


def test_a_mark_of_deletion_always_has_room(tmp_path: Path) -> None:
    """Privacy does not depend on load."""
    bench = Bench(tmp_path, Mode.DROP, most=1)
    bench.writer.record([submission(1)])

    assert bench.writer.record([Event(Action.FORGOTTEN, NOON, session="s")]) == Receipt(1)


@pytest.mark.parametrize("mode", [Mode.BLOCK, Mode.DURABLE])
def test_an_acknowledged_report_is_in_the_file(tmp_path: Path, mode: Mode) -> None:
    """At the moment its receipt comes, not some time later."""
    with running(tmp_path, mode) as bench:
        for number in range(20):
            report = [submission(10 * number + part) for part in range(10)]
            assert receipt(bench.writer.record(report)) == Receipt(10)
            assert len(bench.ids()) == 10 * (number + 1)


def test_a_durable_report_is_synced_and_calls_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is acknowledged before its fsync; what comes during one waits for the next."""
    synced: list[int] = []
    begun, go = threading.Event(), threading.Event()
    sync = os.fsync

    def slow(descriptor: int) -> None:
        begun.set()
        assert go.wait(PATIENCE)
        sync(descriptor)
        synced.append(os.fstat(descriptor).st_size)

    with running(tmp_path, Mode.DURABLE) as bench:
        # The folder of a new file is synced as well, and not what this is about.
        receipt(bench.writer.record([submission(0)]))
        monkeypatch.setattr("espalier.events.folder.os.fsync", slow)
        first = bench.writer.record([submission(1)])
        assert begun.wait(PATIENCE)
        others = [bench.writer.record([submission(n)]) for n in range(2, 52)]
        assert isinstance(first, Future)
        assert not first.done()
        go.set()
        assert [receipt(one) for one in (first, *others)] == [Receipt(1)] * 51
        assert len(synced) == 2
        monkeypatch.undo()


@pytest.mark.parametrize("mode", [Mode.BLOCK, Mode.DURABLE])
def test_reports_wait_for_the_writer_and_are_refused_when_too_many_do(
    tmp_path: Path, mode: Mode
) -> None:
    """A call is taken whole or not at all."""
    bench = Bench(tmp_path, mode, most=10)
    waiting = [bench.writer.record([submission(2 * n), submission(2 * n + 1)]) for n in range(5)]
    assert bench.writer.record([submission(99)]) is None
    assert not any(isinstance(one, Receipt) or (one and one.done()) for one in waiting)
    bench.writer.start()
    assert [receipt(one) for one in waiting] == [Receipt(2)] * 5
    assert receipt(bench.writer.record([submission(99)])) == Receipt(1)
    bench.writer.close(PATIENCE)

    assert len(bench.ids()) == 11


def test_who_stops_waiting_does_not_take_the_report_back(tmp_path: Path) -> None:
    """A browser that left has reported all the same."""
    bench = Bench(tmp_path, Mode.BLOCK)
    waiter = bench.writer.record([submission(1)])
    assert isinstance(waiter, Future)
    assert not waiter.cancel()
    bench.writer.start()
    bench.writer.close(PATIENCE)

    assert bench.ids() == ["e1"]


@pytest.mark.parametrize("mode", Mode)
def test_a_repeated_event_is_acknowledged_and_written_once(tmp_path: Path, mode: Mode) -> None:
    """In one call, in two at a time, and later on; events without an id are all different."""
    event, without = submission(1), submission(2, event_id="")
    with running(tmp_path, mode) as bench:
        assert receipt(bench.writer.record([event, without, event])) == Receipt(3)
        for _ in range(2):
            assert receipt(bench.writer.record([without, event])) == Receipt(2)
        bench.wait_for("duplicate", 3)
        bench.wait_for("written", 4)

    assert bench.ids() == ["e1", "made-0", "made-1", "made-2"]


def test_a_repetition_in_flight_waits_for_the_first(tmp_path: Path) -> None:
    """Were it acknowledged at once, a crash could lose what was acknowledged."""
    bench = Bench(tmp_path, Mode.DURABLE)
    first, again = (bench.writer.record([submission(1)]) for _ in range(2))
    assert isinstance(again, Future)
    assert not again.done()
    bench.writer.start()
    assert receipt(first) == receipt(again) == Receipt(1)
    bench.writer.close(PATIENCE)

    assert bench.ids() == ["e1"]


@pytest.mark.parametrize("mode", [Mode.BLOCK, Mode.DURABLE])
def test_a_full_disk_fails_the_calls_that_wait(
    tmp_path: Path, full_disk: threading.Event, mode: Mode
) -> None:
    """With an error that says why; sent again when there is room, the events are kept once."""
    with running(tmp_path, mode) as bench:
        assert receipt(bench.writer.record([submission(0)])) == Receipt(1)
        full_disk.set()
        for _ in range(3):
            with pytest.raises(StorageError, match=r"No space left on device.*free some space"):
                receipt(bench.writer.record([submission(1), submission(2)]))
        full_disk.clear()
        assert receipt(bench.writer.record([submission(1), submission(2)])) == Receipt(2)
        assert bench.count("failed") == 6

    assert bench.ids() == ["e0", "e1", "e2"]
    said = [event for _, event, _ in bench.log.events if event.startswith("events_")]
    assert said == ["events_failing", "events_recovered"]


def test_a_full_disk_costs_what_comes_while_it_is_full(
    tmp_path: Path, full_disk: threading.Event
) -> None:
    """Without waiting, calls go on as if nothing were; the log says it once, not every time."""
    with running(tmp_path) as bench:
        bench.writer.write(submission(0))
        bench.wait_for("written", 1)
        full_disk.set()
        for number in range(1, 4):
            bench.writer.write(submission(number))
            bench.wait_for("failed", number)
            assert bench.writer.failures == number
        assert bench.writer.record([submission(4)]) == Receipt(1)
        bench.wait_for("failed", 4)
        full_disk.clear()
        bench.writer.write(submission(5))
        bench.wait_for("written", 2)

    assert bench.ids() == ["e0", "e5"]
    said = [event for _, event, _ in bench.log.events if event.startswith("events_")]
    assert said == ["events_failing", "events_recovered"]


def test_an_acknowledged_mark_of_deletion_outlives_a_full_disk(
    tmp_path: Path, full_disk: threading.Event
) -> None:
    """It is written when there is room again, though nothing else happens."""
    with running(tmp_path) as bench:
        bench.writer.write(submission(-5))
        bench.wait_for("written", 1)
        full_disk.set()
        mark = Event(Action.FORGOTTEN, NOON, session="s")
        assert bench.writer.record([mark]) == Receipt(1)
        bench.writer.write(submission(1))
        bench.wait_for("failed", 1)
        full_disk.clear()
        bench.wait_for("written", 2)

    assert bench.ids() == []
    assert b"forgotten" in b"".join(path.read_bytes() for path in tmp_path.glob("*.ndjson"))


def test_after_a_failed_sync_another_file_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel may have thrown the pages away, so what follows must not build on them."""
    sync, failing = os.fsync, threading.Event()

    def maybe(descriptor: int) -> None:
        if failing.is_set():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(descriptor)

    with running(tmp_path, Mode.DURABLE) as bench:
        receipt(bench.writer.record([submission(0)]))
        monkeypatch.setattr("espalier.events.folder.os.fsync", maybe)
        failing.set()
        with pytest.raises(StorageError, match="Input/output error"):
            receipt(bench.writer.record([submission(1)]))
        failing.clear()
        assert receipt(bench.writer.record([submission(1)])) == Receipt(1)

    assert len(names_in(tmp_path)) == 2
    assert bench.ids() == ["e0", "e1"]


def test_files_are_finished_by_size_while_writing_goes_on(tmp_path: Path) -> None:
    """Nothing is lost between two of them, and no line is torn."""
    with running(tmp_path, Mode.BLOCK, file_bytes=4_096) as bench:
        for number in range(200):
            receipt(bench.writer.record([submission(number)]))
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("*.ndjson"))]

    assert len(sizes) > 5
    assert all(4_096 <= size < 4_096 + 512 for size in sizes[:-1])
    assert bench.ids() == [f"e{number}" for number in range(200)]


def test_files_are_finished_by_age_though_nothing_happens(tmp_path: Path) -> None:
    """Whoever waits for the last hour's events gets them."""
    with running(tmp_path, Mode.BLOCK, file_seconds=0.05) as bench:
        receipt(bench.writer.record([submission(0)]))
        until(lambda: [name.endswith(".ndjson") for name in names_in(tmp_path)] == [True])
        receipt(bench.writer.record([submission(1)]))

    assert bench.ids() == ["e0", "e1"]


def test_finished_files_are_compressed_and_old_ones_removed_meanwhile(tmp_path: Path) -> None:
    """By a thread of its own, so writing does not wait for it."""
    with running(
        tmp_path, Mode.BLOCK, file_bytes=10_000, compress=True, keep_bytes=12_000
    ) as bench:
        for number in range(600):
            receipt(bench.writer.record([submission(number)]))
        until(lambda: any(name.endswith(".gz") for name in names_in(tmp_path)))
        until(lambda: ("info", "event_files_removed") in [one[:2] for one in bench.log.events])

    left = bench.ids()
    assert left == [f"e{number}" for number in range(600 - len(left), 600)]


def test_a_writer_finishes_what_another_left_behind(tmp_path: Path) -> None:
    """It says how many files that were."""
    (tmp_path / "20260101T000000.000Z-000000000000-000001.ndjson.open").write_bytes(b"")
    with running(tmp_path) as bench:
        assert ("info", "event_files_adopted", {"files": 1}) in bench.log.events


def test_many_threads_lose_and_double_nothing(tmp_path: Path) -> None:
    """Calls of one kind and the other, repeated ones among them, while files change."""
    with running(tmp_path, Mode.BLOCK, file_bytes=20_000) as bench:

        def work(part: int) -> None:
            for number in range(100):
                bench.writer.write(submission(part * 1_000 + number))
                result = bench.writer.record([submission(90_000 + number), submission(number)])
                assert receipt(result) == Receipt(2)

        threads = [threading.Thread(target=work, args=(part,)) for part in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    expected = {f"e{part * 1_000 + n}" for part in range(1, 5) for n in range(100)}
    expected |= {f"e{n}" for n in range(100)} | {f"e{90_000 + n}" for n in range(100)}

    assert sorted(bench.ids()) == sorted(expected)
    assert bench.count("written") == len(expected)
    assert bench.count("duplicate") == 4 * 200 - 200


def test_what_was_seen_lately_is_remembered_and_memory_is_bounded() -> None:
    """The last so many for sure, never more than twice as many."""
    seen = Seen(100)
    for number in range(1_000):
        seen.add(number)
        assert all(one in seen for one in range(max(0, number - 98), number + 1))
    assert sum(one in seen for one in range(1_000)) <= 200
