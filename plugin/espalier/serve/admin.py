"""The admin listener: IndexService, health of the whole service, reflection.

It runs in threads of the supervisor, for that lives as long as the service, and on an
address of its own: who may ask for completions need not be who may change what is
suggested. A Unix socket is for its user alone; over TCP everybody on this machine can
call it, and others only if the settings say so and demand a token or the certificate of
a client. Tokens of the other listeners are not valid here, nor the reverse.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from espalier.addresses import UNIX, is_of_this_machine
from espalier.errors import ConfigError
from espalier.serve.counters import Counting
from espalier.serve.credentials import Credentials
from espalier.serve.health import SESSIONS, Health
from espalier.serve.index_service import SERVICE_NAME
from espalier.serve.listen import Reservation, claim_unix, reserve_tcp
from espalier.serve.log import EventLog, place_of
from espalier.serve.retrieval_service import SERVICE_NAME as RETRIEVAL
from espalier.serve.rpc import Unary
from espalier.serve.server import Server
from espalier.serve.service import SERVICE_NAME as COMPLETION
from espalier.settings.serving import admin_reached_by_others

_SOCKET_MODE = 0o600
# A load takes its time; as many may wait for it as anybody could want.
_THREADS = 4
_GRACE_SECONDS = 1.0
# At least one worker answers; all of them do.
ANSWERING, WORKERS = "answering", "workers"


class AdminAddress:
    """Where the admin listener will be, checked and held.

    Raises:
        ConfigError: Others than this machine could reach it, and nobody said they may.
        ListenError: It cannot be had.
    """

    def __init__(self, address: str, *, remote: bool) -> None:
        self.unix: Path | None = None
        self._reserved: Reservation | None = None
        if address.startswith(UNIX):
            self.unix = Path(address.removeprefix(UNIX))
            claim_unix(self.unix)
            self.address = address
            return
        if not remote and not is_of_this_machine(address):
            raise ConfigError(admin_reached_by_others(address))
        self._reserved = reserve_tcp(address)
        self.address = self._reserved.address

    def close(self) -> None:
        """Let others have it."""
        if self._reserved is not None:
            self._reserved.close()
        if self.unix is not None:
            self.unix.unlink(missing_ok=True)


class Admin:
    """The admin listener, from `start` to `stop`."""

    def __init__(
        self,
        address: AdminAddress,
        methods: Mapping[str, Unary],
        health: Health,
        *,
        log: EventLog,
        counters: Counting,
        credentials: Credentials,
    ) -> None:
        self._log = log
        self._server = Server(
            methods,
            health,
            counters=counters,
            crashed=self._crashed,
            threads=_THREADS,
            credentials=credentials,
        )
        if address.unix is None:
            self._server.listen(address.address)
        else:
            self._server.listen_unix(address.unix)
            address.unix.chmod(_SOCKET_MODE)

    def start(self) -> None:
        """Begin to answer."""
        self._server.start()

    def renew(self, credentials: Credentials) -> None:
        """Let these hold, of kinds there are already."""
        self._server.renew(credentials)

    def stop(self) -> None:
        """End; calls under way have a moment."""
        self._server.drain(_GRACE_SECONDS, _sleep)

    def _crashed(self, error: Exception) -> None:
        # Completions do not depend on it.
        self._log.error("admin_crashed", exception=type(error).__name__, raised_at=place_of(error))


def health_of_service() -> Health:
    """Return health for the admin listener: ready while every worker answers."""
    health = Health([SERVICE_NAME, COMPLETION, RETRIEVAL], [WORKERS])
    for name in (ANSWERING, WORKERS, SESSIONS):
        health.tell(name, well=False)
    return health


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
