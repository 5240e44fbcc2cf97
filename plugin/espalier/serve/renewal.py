"""Certificates and tokens are read anew when their files change, and on SIGHUP.

What cannot be used changes nothing: the last good ones go on to hold, health and log
say so, and the files are tried again when they change or somebody says SIGHUP. A pair
of files is replaced one after the other, so files that changed are left alone until
they have stood still from one look to the next.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from espalier.errors import ConfigError, EspalierError
from espalier.serve.counters import Counting
from espalier.serve.credentials import CERTIFICATES, Held, files_of, with_read
from espalier.serve.health import credentials_component
from espalier.serve.log import EventLog
from espalier.serve.telemetry.page import Key
from espalier.settings import ServeSettings

_DAY: Final = 86_400.0
_WARN_SHARE: Final = 0.2
_WARN_SECONDS: Final = 14 * _DAY
_State = tuple[int, int, int, int] | None
_States = tuple[_State, ...]


class Renewal:
    """What the service holds of credentials, and where it comes from.

    Attributes:
        held: What holds now.

    Args:
        settings: Which files there are; what they are named does not change.
        told: Called with the component of health and how it is.
        counters: Told of every read, as ``credential_reads``, by part and outcome.
        clock: Unix time.

    Raises:
        ConfigError: A file cannot be used.
    """

    def __init__(
        self,
        settings: ServeSettings,
        *,
        log: EventLog,
        counters: Counting,
        told: Callable[[str, bool], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.held = Held()
        self._settings = settings
        self._log = log
        self._counters = counters
        self._told = told
        self._clock = clock
        self._files = files_of(settings)
        self._seen = {part: _states(paths) for part, paths in self._files.items()}
        self._moving: dict[str, _States] = {}
        self._refused: set[str] = set()
        self._unspread = False
        # How urgent the last warning was that was given for the certificate of now.
        self._warned = 0
        for part in self._files:
            self.held = with_read(self.held, part, settings)
        for part in self._files:
            self._note(part, renewed=False)

    def numbers(self) -> Iterator[tuple[Key, float]]:
        """Yield what `telemetry.families` calls gauges."""
        for part in self._files:
            expired = part == CERTIFICATES and (self.expires or 0.0) <= self._clock()
            yield ("credentials_healthy", part), part not in self._refused and not expired
        if self.expires is not None:
            yield ("certificate_expires",), self.expires

    @property
    def expires(self) -> float | None:
        """When the certificate expires, in Unix time; ``None`` without one."""
        return None if self.held.serve.tls is None else self.held.serve.tls.expires

    def look(self, spread: Callable[[Held], object], *, at_all: bool) -> None:
        """Read what changed, everything with ``at_all``; ``spread`` lets it hold.

        Where ``spread`` raises an `EspalierError` it is called again at the next look.
        """
        before = self.held
        for part, paths in self._files.items():
            now = _states(paths)
            if at_all or self._stands(part, now):
                self._seen[part] = now
                self._read(part)
        self._warn()
        if self.held == before and not self._unspread:
            return
        try:
            spread(self.held)
        except EspalierError as error:
            self._unspread = True
            self._log.error("credentials_not_everywhere", reason=error.reason, error=str(error))
        else:
            self._unspread = False

    def _stands(self, part: str, now: _States) -> bool:
        """Return whether files have changed, and not since the look before this one."""
        if now == self._seen[part]:
            self._moving.pop(part, None)
            return False
        if self._moving.get(part) != now:
            self._moving[part] = now
            return False
        return True

    def _read(self, part: str) -> None:
        self._moving.pop(part, None)
        before = self.held
        try:
            self.held = with_read(before, part, self._settings)
        except ConfigError as error:
            self._refused.add(part)
            self._counters.add("credential_reads", part, error.reason)
            self._log.error("credentials_refused", part=part, reason=error.reason, error=str(error))
            self._told(credentials_component(part), False)
            return
        self._refused.discard(part)
        self._note(part, renewed=self.held != before)

    def _note(self, part: str, *, renewed: bool) -> None:
        self._counters.add("credential_reads", part, "OK")
        self._told(credentials_component(part), True)
        if part == CERTIFICATES:
            if renewed:
                self._warned = 0
            self._warn()
        if renewed:
            self._log.info(
                "credentials_renewed",
                part=part,
                expires=self._expiry() if part == CERTIFICATES else None,
            )

    def _warn(self) -> None:
        """Say in time that the certificate expires, and that it has."""
        tls = self.held.serve.tls
        if tls is None:
            return
        left = tls.expires - self._clock()
        soon = min(_WARN_SECONDS, _WARN_SHARE * (tls.expires - tls.begins))
        urgency = 3 if left <= 0 else 2 if left <= soon / 4 else 1 if left <= soon else 0
        if urgency <= self._warned:
            return
        self._warned = urgency
        if left > 0:
            self._log.warning("certificate_expires", expires=self._expiry(), days=left / _DAY)
        else:
            self._log.error("certificate_expired", expires=self._expiry())
            self._told(credentials_component(CERTIFICATES), False)

    def _expiry(self) -> str | None:
        expires = self.expires
        return None if expires is None else dt.datetime.fromtimestamp(expires, dt.UTC).isoformat()


def _states(paths: tuple[Path, ...]) -> _States:
    return tuple(map(_state, paths))


def _state(path: Path) -> _State:
    """Return what tells a state of a file from others; ``None`` if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    # Of the inode: who takes rights away from others writes nothing, and has mended it.
    return status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns
