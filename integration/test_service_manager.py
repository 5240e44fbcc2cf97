"""A service manager that speaks as systemd does hears what happens, from start to end."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.processes import PATIENCE, Sidecar


class Manager:
    """What systemd does at its end of ``NOTIFY_SOCKET``: it listens.

    Attributes:
        heard: Every assignment that came, in order.
    """

    def __init__(self, path: Path) -> None:
        """Listen at ``path``."""
        self.path = path
        self.heard: list[str] = []
        self._link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._link.bind(str(path))
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def wait_for(self, enough: Callable[[list[str]], bool]) -> None:
        """Wait until what was heard is enough."""
        deadline = time.monotonic() + PATIENCE
        while not enough(list(self.heard)):
            assert time.monotonic() < deadline, self.heard
            time.sleep(0.01)

    def close(self) -> None:
        """Listen no more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.sendto(b"", str(self.path))
        self._thread.join(PATIENCE)
        self._link.close()

    def _listen(self) -> None:
        while message := self._link.recv(4096):
            self.heard.extend(message.decode().splitlines())


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """Return somebody who listens."""
    listening = Manager(tmp_path / "notify")
    yield listening
    listening.close()


def test_a_service_manager_hears_of_start_reload_and_end(
    demo_index: Path, manager: Manager
) -> None:
    """Ready once every worker answers, beats while it serves, a reload begins and ends."""
    env = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "200000"}
    with Sidecar("--index", demo_index, "--workers", "1", env=env) as sidecar:
        manager.wait_for(lambda heard: heard.count("WATCHDOG=1") >= 3)
        started = list(manager.heard)
        (worker,) = sidecar.workers().values()
        inherited = Path(f"/proc/{worker}/environ").read_bytes()
        sidecar.send(signal.SIGHUP)
        manager.wait_for(lambda heard: heard.count("READY=1") == 2)
        sidecar.send(signal.SIGTERM)

        assert sidecar.wait() == 0
    manager.wait_for(lambda heard: "STOPPING=1" in heard)
    heard = [one for one in manager.heard if not one.startswith(("WATCHDOG", "MONOTONIC"))]

    assert started.index("READY=1") < started.index("WATCHDOG=1")
    assert b"NOTIFY_SOCKET" not in inherited
    assert b"WATCHDOG_USEC" not in inherited
    assert heard == [
        "READY=1",
        "STATUS=1 of 1 workers answer",
        "RELOADING=1",
        "READY=1",
        "STATUS=0 of 1 workers answer",
        "STOPPING=1",
        "EXTEND_TIMEOUT_USEC=16000000",
    ]
