"""Workers that die: replaced, missed by nobody, and never outliving their supervisor."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import grpc

from espalier.client import CallError, Client
from espalier.v1.core_pb2 import SessionState
from integration.processes import PATIENCE, Sidecar

KILLS = 10
FOUND = SessionState.SESSION_STATE_FOUND


def until(true: Callable[[], bool]) -> None:
    """Wait until ``true`` is."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Return whether a process runs; one that ended and was not asked for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_clients_do_not_notice_a_worker_killed_every_second(demo_index: Path) -> None:
    """Under load, with the retries of the service config; nor do their sessions. Pids change."""
    outcomes: Counter[str] = Counter()
    stop = threading.Event()

    def ask(address: str, number: int) -> None:
        session = f"s{number}"
        with Client(address, timeout=PATIENCE, channels=2) as client:
            client.record("something", session=session)
            while not stop.is_set():
                sequence = outcomes.total()
                try:
                    reply = client.complete(chr(97 + number), sequence=sequence, session=session)
                    known = client.record(f"query {sequence}", session=session).session_state
                except CallError as error:
                    outcomes[str(error)] += 1
                    continue
                right = reply.sequence == sequence and {reply.session_state, known} == {FOUND}
                outcomes["right" if right else "wrong"] += 1

    with Sidecar("--index", demo_index, "--set", "workers=3") as sidecar:
        started = sidecar.workers()
        clients = [
            threading.Thread(target=ask, args=(sidecar.address, number)) for number in range(6)
        ]
        for client in clients:
            client.start()
        chance = random.Random(7)  # noqa: S311 - whom to kill is no secret
        for _ in range(KILLS):
            begun = time.monotonic()
            # On a slow machine a worker takes longer than a second to start; two must run.
            until(lambda: sum(map(alive, sidecar.workers().values())) == 3)
            os.kill(chance.choice(list(sidecar.workers().values())), signal.SIGKILL)
            time.sleep(max(0.0, begun + 1.0 - time.monotonic()))
        stop.set()
        for client in clients:
            client.join(PATIENCE)
        died = [event for event in sidecar.events() if event["event"] == "worker_died"]
        sidecar.send(signal.SIGTERM)
        assert sidecar.wait() == 0

    assert outcomes.keys() == {"right"}
    assert outcomes["right"] > 100
    assert [event["cause"] for event in died] == ["signal 9"] * KILLS
    assert set(started) == {0, 1, 2}


def test_without_retries_a_killed_worker_costs_its_own_calls_only(
    demo_index: Path, tmp_path: Path
) -> None:
    """UNAVAILABLE for those it was answering, nothing for a client of the other worker."""
    codes: list[grpc.StatusCode] = []

    def ask(address: str) -> None:
        options = [("grpc.enable_retries", 0)]
        with Client(channel=grpc.insecure_channel(address, options), timeout=PATIENCE) as client:
            while not stop.is_set():
                try:
                    client.complete("a")
                except CallError as error:
                    codes.append(error.code)
                    return

    stop = threading.Event()
    unix = f"unix={tmp_path / 's'}"
    arguments = ("--index", demo_index, "--set", unix, "--set", "workers=2")
    with Sidecar(*arguments, addresses=3) as one:
        victim, other = one.addresses[1:]
        threads = [threading.Thread(target=ask, args=(address,)) for address in (victim, other)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        os.kill(one.workers()[0], signal.SIGKILL)
        threads[0].join(PATIENCE)
        time.sleep(0.2)
        stop.set()
        threads[1].join(PATIENCE)

    assert codes == [grpc.StatusCode.UNAVAILABLE]


def test_sessions_outlive_the_worker_that_recorded_them(demo_index: Path) -> None:
    """And are the same in every worker, without any file."""
    with Sidecar("--index", demo_index, "--set", "workers=2") as sidecar:
        with Client(sidecar.address, timeout=PATIENCE) as client:
            client.record("something", session="s")
        before = sidecar.workers()
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        until(lambda: not set(sidecar.workers().values()) & set(before.values()))
        with Client(sidecar.address, timeout=PATIENCE, channels=8) as client:
            states = {client.complete("a", session="s").session_state for _ in range(16)}

    assert states == {FOUND}


def test_no_worker_outlives_its_supervisor(demo_index: Path) -> None:
    """Even one that is killed; and the port is free for a successor."""
    with Sidecar("--index", demo_index, "--set", "workers=2") as sidecar:
        workers = sidecar.workers()
        with Client(sidecar.address, timeout=PATIENCE) as client:
            assert client.complete("a").header.index == "default"
            sidecar.send(signal.SIGKILL)
            sidecar.process.wait(PATIENCE)
        until(lambda: not any(map(alive, workers.values())))
    with Sidecar("--index", demo_index, listen=sidecar.address) as successor:
        assert successor.address == sidecar.address


def test_a_worker_that_is_told_to_end_finishes_its_calls_and_is_replaced(demo_index: Path) -> None:
    """As when an operator terminates one: clients go on at another."""
    outcomes: Counter[str] = Counter()
    stop = threading.Event()

    def ask(address: str) -> None:
        with Client(address, timeout=PATIENCE) as client:
            while not stop.is_set():
                try:
                    client.complete("a")
                    outcomes["answered"] += 1
                except CallError as error:
                    outcomes[str(error)] += 1

    with Sidecar("--index", demo_index, "--set", "workers=2") as sidecar:
        threads = [threading.Thread(target=ask, args=(sidecar.address,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in (0, 1):
            pid = sidecar.workers()[number]
            os.kill(pid, signal.SIGTERM)
            until(lambda pid=pid, number=number: sidecar.workers()[number] != pid)  # type: ignore[misc]
            time.sleep(0.5)
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
        died = [event for event in sidecar.events() if event["event"] == "worker_died"]

    assert outcomes.keys() == {"answered"}
    assert [event["cause"] for event in died] == ["exit code 0"] * 2
