"""Workers are started, replaced and ended; here they are processes without a service."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from espalier.serve import supervisor as module
from espalier.serve.control import Channel, ControlError, GoneError
from espalier.serve.counters import Counters
from espalier.serve.supervisor import BackOff, Supervisor, WorkerError
from tests.unit.serve.fakes import ListLog

PATIENT = 30.0
ROOT = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, str(Path(__file__).with_name("fake_worker.py"))]


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers find the package."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))


def until(true: Callable[[], bool]) -> None:
    """Wait until ``true`` is."""
    deadline = time.monotonic() + PATIENT
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Bench:
    """A supervisor, and what happened to it.

    Attributes:
        meanwhile: Run in a thread once the workers answer; then SIGTERM ends it all.
        faults: What that raised.
        hung_up: How often SIGHUP was heard.
        ready: Every number of workers that was told.
    """

    def __init__(self, *orders: Mapping[str, Any], grace: float = PATIENT) -> None:
        self.log = ListLog()
        self.counters = Counters()
        self.faults: list[BaseException] = []
        self.hung_up = 0
        self.ready: list[int] = []
        self.supervisor = Supervisor(
            COMMAND,
            [{"number": number, **one} for number, one in enumerate(orders)],
            grace=grace,
            log=self.log,
            counters=self.counters,
            hang_up=self._hang_up,
            watched=self.ready.append,
            back_off=BackOff(first=0.01, longest=0.05),
        )

    def _hang_up(self) -> None:
        self.hung_up += 1

    def run(self, meanwhile: Callable[[], object] = lambda: None) -> int:
        """Run it; return the exit code."""

        def act() -> None:
            try:
                meanwhile()
            except BaseException as error:
                self.faults.append(error)
                raise
            finally:
                os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=act)
        code = self.supervisor.run(thread.start)
        thread.join(PATIENT)
        assert self.faults == []
        return code

    def pids(self) -> dict[int, int]:
        """Return the processes that answer, by worker."""
        found = self.supervisor.request_all("who", timeout=PATIENT)
        return {number: result["pid"] for number, result in found.items()}


def alive(pid: int) -> bool:
    """Return whether a process that is our child still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_workers_serve_until_the_signal_and_drain_with_the_grace() -> None:
    """Everything ends well, and what was cut off is added up."""
    bench = Bench({"cut_off": 2}, {"cut_off": 3}, grace=7.5)
    pids: dict[int, int] = {}

    assert bench.run(lambda: pids.update(bench.pids())) == 0
    assert pids.keys() == {0, 1}
    assert not any(alive(pid) for pid in pids.values())
    assert [event for event in bench.log.events if event[1] != "listening"] == [
        ("info", "draining", {"because": "SIGTERM", "grace": 7.5}),
        ("info", "stopped", {"calls_cut_off": 5, "workers_killed": 0}),
    ]


def test_a_worker_that_cannot_start_says_why_and_nobody_serves() -> None:
    """Its message and exit code become those of the command."""
    bench = Bench({}, {"fail": "site.esp: not an index; train it again"})
    with pytest.raises(WorkerError, match=r"site\.esp: not an index") as caught:
        bench.run()

    assert caught.value.exit_code == 2
    assert bench.supervisor.workers() == []
    assert bench.log.events == []


def test_a_worker_that_dies_while_starting_is_an_error_too() -> None:
    """With what little is known."""
    with pytest.raises(WorkerError, match="worker 0 ended with exit code 3 while starting"):
        Bench({"crash": 3}).run()


def test_a_signal_while_workers_start_ends_it() -> None:
    """Nobody waits for a start that takes for ever."""
    bench = Bench({"hang": True})
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()

    assert bench.supervisor.run(lambda: pytest.fail("it never started")) == 0
    timer.join(PATIENT)


def test_a_dead_worker_is_replaced_and_the_others_stay() -> None:
    """Again and again, each time after a longer pause."""
    bench = Bench({}, {})

    def kill() -> None:
        stays = bench.pids()[1]
        for _ in range(3):
            before = bench.pids()[0]
            os.kill(before, signal.SIGKILL)
            until(lambda before=before: bench.pids().get(0, before) != before)  # type: ignore[misc]
        assert bench.pids()[1] == stays

    assert bench.run(kill) == 0
    deaths = [fields for _, event, fields in bench.log.events if event == "worker_died"]
    assert [(one["worker"], one["cause"]) for one in deaths] == [(0, "signal 9")] * 3
    assert [one["replaced_after"] for one in deaths] == [0.0, 0.01, 0.02]


@pytest.mark.parametrize("lacking", [OSError(24, "Too many open files"), RuntimeError("thread")])
def test_where_there_is_no_room_for_a_worker_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, lacking: Exception
) -> None:
    """No file, process or thread to be had is a reason to try later, not to end."""
    bench = Bench({}, {})
    began: list[int] = []
    start = Channel.start

    def begin(channel: Channel) -> None:
        began.append(1)
        # The first two start, the next three do not.
        if 2 < len(began) < 6:
            raise lacking
        start(channel)

    monkeypatch.setattr(Channel, "start", begin)

    def kill() -> None:
        pids = bench.pids()
        os.kill(pids[0], signal.SIGKILL)
        until(lambda: bench.pids().get(0, pids[0]) != pids[0])
        assert bench.pids()[1] == pids[1]

    assert bench.run(kill) == 0
    failed = [fields for _, event, fields in bench.log.events if event == "worker_not_started"]
    assert [one["worker"] for one in failed] == [0, 0, 0]
    assert {one["error"] for one in failed} == {getattr(lacking, "strerror", "thread")}
    assert [one["tried_again_after"] for one in failed] == [0.01, 0.02, 0.04]


def test_a_worker_that_reads_nothing_is_replaced_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stopped, it neither follows a change nor keeps the others and the end from theirs."""
    monkeypatch.setattr(module, "_SEND_SECONDS", 0.2)
    bench = Bench({}, {})

    def stop() -> None:
        pids = bench.pids()
        os.kill(pids[0], signal.SIGSTOP)
        # More than the wire holds.
        found = bench.supervisor.request_all("who", {"text": "x" * 8_000_000}, timeout=PATIENT)
        assert found.keys() == {1}
        until(lambda: bench.pids().get(0, pids[0]) != pids[0])
        assert bench.pids()[1] == pids[1]

    assert bench.run(stop) == 0
    deaths = [fields for _, event, fields in bench.log.events if event == "worker_died"]
    assert [(one["worker"], one["cause"]) for one in deaths] == [(0, "signal 9")]


def test_a_request_to_all_comes_back_when_every_worker_has_done_it() -> None:
    """One that refuses makes it fail; one that dies in the middle is left out."""
    bench = Bench({}, {}, {})

    def ask() -> None:
        assert bench.pids().keys() == {0, 1, 2}
        with pytest.raises(ControlError, match="not me"):
            bench.supervisor.request_all("sometimes", timeout=PATIENT)
        assert bench.supervisor.request_all("die", timeout=PATIENT) == {}
        until(lambda: bench.pids().keys() == {0, 1, 2})

    assert bench.run(ask) == 0


def test_a_request_to_one_is_answered_by_whoever_is_there() -> None:
    """Its refusal is that of the request; without anybody it fails at once."""
    bench = Bench({}, {})

    def ask() -> None:
        supervisor = bench.supervisor
        assert supervisor.request_one("who", timeout=PATIENT)["number"] == 0
        os.kill(supervisor.request_one("who", timeout=PATIENT)["pid"], signal.SIGKILL)
        until(lambda: bench.pids().keys() == {0, 1})
        with pytest.raises(ControlError, match="no such method"):
            supervisor.request_one("unheard-of", timeout=PATIENT)

    assert bench.run(ask) == 0
    with pytest.raises(GoneError, match="no worker answers"):
        bench.supervisor.request_one("who", timeout=PATIENT)


def test_sighup_is_heard_and_the_number_of_workers_told() -> None:
    """Every signal once; 0 when the end begins."""
    bench = Bench({}, {})

    def hang_up() -> None:
        for count in (1, 2):
            os.kill(os.getpid(), signal.SIGHUP)
            until(lambda count=count: bench.hung_up == count)  # type: ignore[misc]
        before = bench.pids()[1]
        os.kill(before, signal.SIGKILL)
        until(lambda: bench.pids().get(1, before) != before)
        until(lambda: bench.ready[-1] == 2)

    assert bench.run(hang_up) == 0
    assert bench.hung_up == 2
    assert bench.ready[0] == 2
    assert 1 in bench.ready
    assert bench.ready[-1] == 0


def test_new_orders_hold_for_those_that_start_later() -> None:
    """A worker that is still starting fulfils requests before it is ready."""
    bench = Bench({"cut_off": 1})

    def renew() -> None:
        before = bench.pids()[0]
        bench.supervisor.give_orders([{"number": 0, "cut_off": 5}])
        os.kill(before, signal.SIGKILL)
        # Not ready yet, or not even started: who is asked is the one that comes.
        until(lambda: bench.pids().get(0, before) != before)
        # One that is not ready is ended without being asked for its last words.
        until(lambda: bench.supervisor.workers() != [])

    assert bench.run(renew) == 0
    assert bench.log.events[-1][2]["calls_cut_off"] == 5


def test_a_second_signal_ends_it_now() -> None:
    """With its own exit code; workers still say what they cut off."""
    bench = Bench({"slow": True, "cut_off": 4}, grace=600)

    def twice() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        until(lambda: "draining" in bench.log.names())

    assert bench.run(twice) == 128 + signal.SIGTERM
    assert bench.log.events[-1] == (
        "info",
        "stopped",
        {"calls_cut_off": 4, "workers_killed": 0},
    )


@pytest.mark.parametrize("twice", [False, True], ids=["grace", "second_signal"])
def test_a_worker_that_hears_nothing_is_killed(
    monkeypatch: pytest.MonkeyPatch, *, twice: bool
) -> None:
    """After the grace and a little more, which is said to have gone wrong."""
    monkeypatch.setattr(module, "_SLACK_SECONDS", 0.3)
    monkeypatch.setattr(module, "_REST_SECONDS", 0.3)
    bench = Bench({"deaf": True}, {}, grace=600 if twice else 0)

    def maybe() -> None:
        if twice:
            os.kill(os.getpid(), signal.SIGTERM)
            until(lambda: "draining" in bench.log.names())

    assert bench.run(maybe) == (128 + signal.SIGTERM if twice else 1)
    assert bench.log.events[-1][2]["workers_killed"] == 1


def test_pauses_double_up_to_a_limit() -> None:
    """The first death costs no pause, the hundredth no overflow."""
    back_off = BackOff(first=0.05, longest=30.0)

    assert [back_off.pause(n) for n in (1, 2, 3, 4)] == [0.0, 0.05, 0.1, 0.2]
    assert back_off.pause(20) == back_off.pause(5_000) == 30.0
