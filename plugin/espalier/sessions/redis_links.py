"""Connections to Redis that never hold a caller longer than its deadline.

Connecting takes as long as it takes (names, TLS, a password), so a thread of its own
does that, and is also the probe of the circuit breaker. Callers only ever use what is
connected, and every read and write of theirs ends at one deadline, however slowly
bytes drip in.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.retry import Retry

from espalier.sessions.breaker import CircuitBreaker

Command = tuple[bytes | str | int, ...]


Answer = TypeVar("Answer")


class LateError(Exception):
    """No connection was free within the time a caller has."""


class NonsenseError(Exception):
    """An answer that Redis does not give."""


def check_pong(answers: list[Any]) -> None:
    """Check the answer to PING."""
    if answers not in ([b"PONG"], ["PONG"]):
        raise NonsenseError("a ping was not answered with PONG")


class _DeadlineSocket:
    """A socket whose every operation ends at ``deadline`` (of ``time.monotonic``)."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.deadline: float | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, *arguments: Any) -> bytes:
        """Receive what there is, in time."""
        self._hurry()
        received: bytes = self._sock.recv(*arguments)
        return received

    def recv_into(self, *arguments: Any) -> int:
        """Receive into a buffer, in time."""
        self._hurry()
        return int(self._sock.recv_into(*arguments))

    def sendall(self, data: bytes) -> None:
        """Send everything, in time."""
        self._hurry()
        self._sock.sendall(data)

    def _hurry(self) -> None:
        if self.deadline is not None:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the time for the session store is over")
            self._sock.settimeout(left)


class Link:
    """One connection; for one caller at a time."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._connection: Any = pool.connection_class(**pool.connection_kwargs)
        open_socket = self._connection._connect  # noqa: SLF001 - the seam redis-py's own classes use

        def connect() -> _DeadlineSocket:
            self._socket = _DeadlineSocket(open_socket())
            return self._socket

        self._connection._connect = connect  # noqa: SLF001 - see above
        self._connection.connect()

    def ask(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        """Send commands together and return an answer for each.

        Any exception leaves the link unusable: answers may still be on their way.
        """
        connection = self._connection
        self._socket.deadline = deadline
        connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        return [connection.read_response(disable_decoding=True) for _ in commands]

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(Exception):
            self._connection.disconnect()


class Links:
    """A few links, made when they are needed. Safe to use from many threads.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py reads it.
        most: Links at the same time.
        breaker: Told how connecting goes; asked whether to try.
        budget: Seconds that a ping may take for the server to count as well.
        connect_seconds: Seconds that connecting may take.

    Attributes:
        trouble: Kind of the error when connecting failed last, "" while it goes well.
    """

    def __init__(
        self,
        url: str,
        *,
        most: int,
        breaker: CircuitBreaker,
        budget: float,
        connect_seconds: float,
    ) -> None:
        self._pool = ConnectionPool.from_url(
            url,
            protocol=2,
            socket_connect_timeout=connect_seconds,
            socket_timeout=connect_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        self._most = most
        self._breaker = breaker
        self._budget = budget
        self._changed = threading.Condition()
        self._idle: list[Link] = []
        self._count = 0
        self._wanted = True
        self._closed = False
        self.trouble = ""
        self._maker = threading.Thread(target=self._make, name="redis-links", daemon=True)
        self._maker.start()

    def ask(
        self,
        commands: Sequence[Command],
        deadline: float,
        understand: Callable[[list[Any]], Answer],
    ) -> Answer:
        """Ask over any link, and understand what comes back.

        Raises:
            LateError: No link was free in time, or the breaker is open.
            Exception: Whatever redis-py, sockets and ``understand`` raise. That link is
                not used again, and the breaker knows.
        """
        link = self._take(deadline)
        try:
            answer = understand(link.ask(commands, deadline))
        except BaseException:
            self._breaker.failed()
            self._drop(link)
            raise
        self._breaker.succeeded()
        self._give_back(link)
        return answer

    def close(self) -> None:
        """Hang up everywhere; links in use follow when they come back."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._maker.join()
        with self._changed:
            idle, self._idle = self._idle, []
        for link in idle:
            link.close()

    def _take(self, deadline: float) -> Link:
        with self._changed:
            if self._is_resting():
                raise LateError("the session store did not answer and is given a rest")
            while not self._idle:
                if self._count < self._most:
                    self._want()
                left = deadline - time.monotonic()
                if left <= 0 or self._is_resting():
                    self._breaker.failed()
                    self._want()
                    raise LateError("no connection to the session store is free")
                self._changed.wait(left)
            return self._idle.pop()

    def _is_resting(self) -> bool:
        return self._closed or not self._breaker.closed

    def _want(self) -> None:
        """Have a link made; a failure wants one too, as a probe if for nothing else."""
        if not self._wanted:
            self._wanted = True
            self._changed.notify_all()

    def _give_back(self, link: Link) -> None:
        with self._changed:
            if not self._closed:
                self._idle.append(link)
                self._changed.notify()
                return
        link.close()

    def _drop(self, link: Link) -> None:
        link.close()
        with self._changed:
            self._count -= 1
            self._want()

    def _make(self) -> None:
        """Make a link whenever one is wanted and the breaker lets it try."""
        while True:
            with self._changed:
                while not self._closed and not self._wanted:
                    self._changed.wait()
                pause = self._breaker.wait()
                if pause > 0 and not self._closed:
                    self._changed.wait(pause)
                if self._closed:
                    return
                if not self._breaker.probe():
                    continue
            link = self._try()
            if link is None:
                continue
            with self._changed:
                self._wanted = False
                if self._count < self._most:
                    self._count += 1
                    self._idle.append(link)
                    self._changed.notify()
                    continue
            link.close()

    def _try(self) -> Link | None:
        link = None
        try:
            link = Link(self._pool)
            check_pong(link.ask([("PING",)], time.monotonic() + self._budget))
        except Exception as error:  # noqa: BLE001 - the breaker says when to try again
            self.trouble = type(error).__name__
            if link is not None:
                link.close()
            self._breaker.failed()
            return None
        self.trouble = ""
        # Connecting well proves little: what a call asks for may still hang.
        self._breaker.probed()
        return link
