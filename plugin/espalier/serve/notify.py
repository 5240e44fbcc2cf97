"""Tells the service manager how the service is, as ``sd_notify(3)`` describes it.

systemd starts a unit of ``Type=notify`` with the address of a datagram socket in
``NOTIFY_SOCKET``, and believes the unit started, reloaded or stopped when it is told so
there. With ``WatchdogSec`` it also ends a service that is silent for too long, and says
in ``WATCHDOG_USEC`` how long that is; we speak twice as often. The protocol is text and
twenty lines, so it needs no library. Without a manager nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Final, Self

_SOCKET: Final = "NOTIFY_SOCKET"
_WATCHDOG: Final = ("WATCHDOG_USEC", "WATCHDOG_PID")
_MICROSECONDS: Final = 1_000_000


class ServiceManager:
    """Who started this process and wants to know how it is; from any thread.

    Attributes:
        period: Seconds between two `beat` calls, at most; ``None`` if nobody listens to them.

    Args:
        address: Path of its socket, an abstract one begins with ``@``; "" where there is none.
        watchdog: Seconds of silence after which it ends us; 0 for never.
        clock: Seconds that only grow, in step with the manager's own clock.
    """

    def __init__(
        self,
        address: str = "",
        *,
        watchdog: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.period = watchdog / 2 if address and watchdog > 0 else None
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._clock = clock
        self._next_beat = 0.0
        self._status = ""

    @classmethod
    def of(cls, environ: MutableMapping[str, str]) -> Self:
        """Return who is named in ``environ``, and remove it there: children do not speak for us."""
        address = environ.pop(_SOCKET, "")
        microseconds, pid = (environ.pop(name, "") for name in _WATCHDOG)
        meant = pid in {"", str(os.getpid())}
        seconds = int(microseconds) / _MICROSECONDS if meant and microseconds.isdecimal() else 0.0
        return cls(address, watchdog=seconds)

    def ready(self) -> None:
        """Say that the service answers, for the first time or again after `reloading`."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """Say that the configuration is being read anew."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={int(self._clock() * _MICROSECONDS)}")

    def stopping(self, seconds: float) -> None:
        """Say that the end began, and may take so long, whatever the unit file allows."""
        self._tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(seconds * _MICROSECONDS)}")

    def status(self, text: str) -> None:
        """Say in a line how things are, if that changed; `systemctl status` shows it."""
        if text != self._status:
            self._status = text
            self._tell(f"STATUS={text}")

    def beat(self) -> None:
        """Say that we are alive, if it is time to."""
        if self.period is None or (now := self._clock()) < self._next_beat:
            return
        self._next_beat = now + self.period
        self._tell("WATCHDOG=1")

    def within(self, seconds: float | None) -> float | None:
        """Return how long to wait, at most ``seconds``, so that the next beat is in time."""
        if self.period is None:
            return seconds
        left = max(0.0, self._next_beat - self._clock())
        return left if seconds is None else min(seconds, left)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        # A manager that is gone, or does not read, must not cost the service anything.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.setblocking(False)
            link.sendto("\n".join(lines).encode(), self._address)
