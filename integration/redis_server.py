"""A real Redis or Valkey server, for tests that stop, kill and restart it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from integration.processes import PATIENCE


def _program() -> str:
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        # Where everything is meant to be tested, a missing server must show.
        missing = "neither redis-server nor valkey-server is installed (tools/setup.sh does)"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return program


class Server:
    """A server of its own on a socket in a folder."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "redis.sock"
        self._program = _program()
        self.url = f"unix://{self._socket}"
        self.start()

    def start(self) -> None:
        """Start, and wait until it listens."""
        self.process = subprocess.Popen(
            [self._program, "--port", "0", "--unixsocket", str(self._socket), "--save", "",
             "--appendonly", "no", "--dir", str(self._socket.parent)],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + PATIENCE
        while not self._socket.exists() and time.monotonic() < end:
            time.sleep(0.01)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; wait for the end if it ends the server."""
        self.process.send_signal(number)
        if number not in {signal.SIGSTOP, signal.SIGCONT}:
            self.process.wait(PATIENCE)
            self._socket.unlink(missing_ok=True)
