"""Starting the real command as a user does, and ending it for sure."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

PATIENCE = 60.0
"""Seconds after which something that should have happened has not; for slow machines."""

ROOT = Path(__file__).resolve().parent.parent

_LISTENING = "listening on "
_ADMIN = "admin listening on "
_HTTP = "http listening on "
_METRICS = "metrics listening on "


def environment(**changes: str) -> dict[str, str]:
    """Return an environment in which the package of this tree is found, and no setting is made."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ESPALIER_")}
    paths = [str(ROOT / "plugin"), *filter(None, [kept.get("PYTHONPATH")])]
    return kept | {"PYTHONPATH": os.pathsep.join(paths)} | changes


def espalier(*arguments: str | Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "espalier", *map(str, arguments)],
        env=environment(**changes),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Sidecar:
    """``espalier serve`` in a process of its own, from ``with`` to its end.

    Attributes:
        addresses: Where it listens, as it said.
        admin: Where its admin listener is, "" without one.
        http: Where its HTTP front is, "" without one.
        metrics: Where its metrics listener is, "" without one.
        process: The process.
    """

    def __init__(
        self,
        *arguments: str | Path,
        listen: str = "127.0.0.1:0",
        addresses: int = 1,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare to start it; it is ready when it has said so many ``addresses``."""
        self._expected = addresses
        self._arguments: Sequence[str] = ["serve", "--listen", listen, *map(str, arguments)]
        self._env = environment(**(env or {}))
        self._lines: list[str] = []
        self._said: list[str] = []
        self._ready = threading.Event()
        self.addresses: list[str] = []
        self.admin = ""
        self.http = ""
        self.metrics = ""

    def __enter__(self) -> Self:
        """Start it; return once it has said where it listens.

        Raises:
            AssertionError: It ended or said nothing. Its stderr is in the message.
        """
        self.process = subprocess.Popen(
            [sys.executable, "-m", "espalier", *self._arguments],
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read_out, args=(self.process.stdout,)),
            threading.Thread(target=self._read_err, args=(self.process.stderr,)),
        ]
        for reader in self._readers:
            reader.start()
        if not self._ready.wait(PATIENCE) or not self.addresses:
            self._end()
            raise AssertionError(f"serve did not start: {self.stderr}")
        # Its log comes another way, perhaps later; what it says of the start is in it now.
        deadline = time.monotonic() + PATIENCE
        while not any('"event": "listening"' in line for line in list(self._lines)):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill it if it still runs."""
        self._end()

    @property
    def address(self) -> str:
        """Where it listens first."""
        return self.addresses[0]

    @property
    def stdout(self) -> str:
        """Everything it wrote to stdout so far."""
        return "".join(self._said)

    @property
    def stderr(self) -> str:
        """Everything it wrote to stderr so far."""
        return "".join(self._lines)

    def events(self) -> list[dict[str, Any]]:
        """Return its log; every line must be JSON."""
        # Another thread adds lines, and the last may be on its way.
        return [json.loads(line) for line in list(self._lines) if line.endswith("\n")]

    def workers(self) -> dict[int, int]:
        """Return the worker processes that have started, by number; the newest of each."""
        return {
            event["worker"]: event["pid"]
            for event in self.events()
            if event["event"] == "index_loaded" and "worker" in event
        }

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for it to end by itself; return its exit code."""
        code = self.process.wait(PATIENCE)
        self._join()
        return code

    def _read_out(self, stream: IO[str]) -> None:
        for line in stream:
            self._said.append(line)
            if line.startswith(_LISTENING):
                self.addresses.append(line.removeprefix(_LISTENING).strip())
                if len(self.addresses) >= self._expected:
                    self._ready.set()
            elif line.startswith(_HTTP):
                self.http = line.removeprefix(_HTTP).strip()
            elif line.startswith(_METRICS):
                self.metrics = line.removeprefix(_METRICS).strip()
            elif line.startswith(_ADMIN):
                # Said before the others, so known when they are.
                self.admin = line.removeprefix(_ADMIN).strip()
        self._ready.set()

    def _read_err(self, stream: IO[str]) -> None:
        self._lines.extend(stream)

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self._join()

    def _join(self) -> None:
        for reader in self._readers:
            reader.join(PATIENCE)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
