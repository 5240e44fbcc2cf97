"""What a service manager is told, over a socket as systemd makes it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from espalier.serve.notify import ServiceManager


@pytest.fixture
def manager_socket(tmp_path: Path) -> Iterator[socket.socket]:
    """Return a socket that a manager listens on; reading finds what came, or nothing."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(str(tmp_path / "notify"))
        link.setblocking(False)
        yield link


def heard(link: socket.socket) -> list[str]:
    """Return what came since."""
    found = []
    while True:
        try:
            found.append(link.recv(4096).decode())
        except BlockingIOError:
            return found


def test_every_state_is_said_as_systemd_reads_it(manager_socket: socket.socket) -> None:
    """One datagram a state, its assignments on lines of their own."""
    manager = ServiceManager(manager_socket.getsockname(), clock=lambda: 12.5)

    manager.status("1 of 2 workers answer")
    manager.status("1 of 2 workers answer")
    manager.ready()
    manager.reloading()
    manager.stopping(10.5)
    manager.beat()

    assert heard(manager_socket) == [
        "STATUS=1 of 2 workers answer",
        "READY=1",
        "RELOADING=1\nMONOTONIC_USEC=12500000",
        "STOPPING=1\nEXTEND_TIMEOUT_USEC=10500000",
    ]


def test_an_abstract_socket_is_reached_too() -> None:
    """Its name begins with @ in the environment and with a zero byte in the kernel."""
    name = f"espalier-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(f"\0{name}")
        link.setblocking(False)
        ServiceManager(f"@{name}").ready()

        assert heard(link) == ["READY=1"]


def test_beats_come_twice_as_often_as_they_must(manager_socket: socket.socket) -> None:
    """However often the main loop comes by; and its waits end in time for the next one."""
    now = [100.0]
    manager = ServiceManager(manager_socket.getsockname(), watchdog=4.0, clock=lambda: now[0])
    beats = []
    for now[0] in (100.0, 101.0, 101.9, 102.0, 103.5, 104.5):
        manager.beat()
        beats.append(len(heard(manager_socket)))

    assert beats == [1, 0, 0, 1, 0, 1]
    assert manager.within(None) == 2.0
    assert manager.within(0.5) == 0.5


def test_the_environment_is_read_once_and_not_handed_on(manager_socket: socket.socket) -> None:
    """A worker must not speak for the service; a watchdog of another process is not ours."""
    address = manager_socket.getsockname()
    ours = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}
    theirs = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}

    assert ServiceManager.of(ours).period == 1.5
    assert ServiceManager.of(theirs).period is None
    assert (ours, theirs) == ({}, {})
    assert ServiceManager.of({"WATCHDOG_USEC": "3000000"}).period is None
    assert ServiceManager.of({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "soon"}).period is None


def test_a_manager_that_is_gone_or_deaf_costs_nothing(
    tmp_path: Path, manager_socket: socket.socket
) -> None:
    """Nothing raises and nothing waits: not without a socket, not where its queue is full."""
    ServiceManager(str(tmp_path / "nobody")).ready()
    ServiceManager("").ready()
    ServiceManager("x" * 200).ready()
    deaf = ServiceManager(manager_socket.getsockname())
    for _ in range(2_000):
        deaf.ready()

    assert 0 < len(heard(manager_socket)) < 2_000
