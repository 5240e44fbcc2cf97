"""Notices that an index has a newer file: a link that points elsewhere, or a SIGHUP.

Certificates and tokens are looked at beside them, see `renewal`.

A configured path that is a symbolic link is looked at every so often; when it comes to
lead to another file, that is loaded and activated. Any configured path, and every file of
rules, is looked at on SIGHUP. What was looked at once is not loaded again: an index that
was rolled back stays so until there is a newer file, and a bad file is refused once, or
once more on SIGHUP. Where a worker went away in the middle nothing is known of the file, so
the next looks try again; not for ever, since a file might be what ends workers.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, Protocol

from espalier.errors import EspalierError
from espalier.serve.errors import WorkerUnavailableError
from espalier.serve.held import Identity
from espalier.serve.ledger import Ledger, Loaded
from espalier.serve.log import EventLog, place_of

_TRIES: Final = 3


class _Word(enum.Enum):
    LOOK = enum.auto()
    HANG_UP = enum.auto()
    STOP = enum.auto()


class Reloading(Protocol):
    """What of `lifecycle.Lifecycle` is needed here."""

    @property
    def ledger(self) -> Ledger:
        """What is loaded."""
        ...

    def load(self, name: str, path: Path, *, activate: bool, trusted: bool) -> Loaded:
        """Load a file."""
        ...

    def reread_rules(self) -> None:
        """Look at files of rules."""
        ...


class Watch:
    """Looks at the paths of a configuration, in a thread of its own.

    Args:
        reloading: What loads a file.
        paths: By name of the index.
        seen: What was at each path when it was loaded last.
        seconds: Between two looks at links; 0 looks only when told to.
        before: Called before everything is looked at; may tell what to `follow` instead.
        beside: Called at every look, with whether it is one at everything.
        after: Called when everything was, however that went.
    """

    def __init__(
        self,
        reloading: Reloading,
        paths: Mapping[str, Path],
        seen: Mapping[str, Identity | None],
        *,
        seconds: float,
        log: EventLog,
        before: Callable[[], object] = lambda: None,
        beside: Callable[[bool], object] = lambda _at_all: None,
        after: Callable[[], object] = lambda: None,
    ) -> None:
        self._reloading = reloading
        self._paths = dict(paths)
        self._seen = dict(seen)
        # By name: what workers went away over, and how often.
        self._tried: dict[str, tuple[Identity | None, int]] = {}
        self._seconds = seconds or None
        self._log = log
        self._before = before
        self._beside = beside
        self._after = after
        self._words: SimpleQueue[_Word] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def follow(self, paths: Mapping[str, Path], *, seconds: float) -> None:
        """Look at these paths from now on; only where ``before`` is called."""
        self._paths = dict(paths)
        self._seconds = seconds or None

    def hang_up(self) -> None:
        """Look at everything, soon."""
        self._words.put(_Word.HANG_UP)

    def stop(self) -> None:
        """Look no more; a load under way goes on."""
        self._words.put(_Word.STOP)

    def look(self, *, at_all: bool) -> None:
        """Load what is new, at links alone or at every path and file of rules."""
        for name, path in self._paths.items():
            now = Identity.of(path)
            again = at_all and name in self._reloading.ledger.unwell()
            if (now == self._seen.get(name) and not again) or not (at_all or path.is_symlink()):
                continue
            self._seen[name] = now
            try:
                self._reloading.load(name, path, activate=True, trusted=True)
            except WorkerUnavailableError:
                identity, tries = self._tried.get(name, (None, 0))
                tries = tries + 1 if identity == now else 1
                self._tried[name] = now, tries
                if tries < _TRIES:
                    del self._seen[name]
            except EspalierError:
                # Said and counted where it happened.
                continue
        if at_all:
            self._reloading.reread_rules()

    def _run(self) -> None:
        while True:
            try:
                word = self._words.get(timeout=self._seconds)
            except Empty:
                word = _Word.LOOK
            if word is _Word.STOP:
                return
            at_all = word is _Word.HANG_UP
            if at_all:
                self._log.info("looking_for_changes", because="SIGHUP")
            try:
                if at_all:
                    self._before()
                self._beside(at_all)
                self.look(at_all=at_all)
            except Exception as error:  # noqa: BLE001 - the next look may go well
                self._log.error(
                    "watch_failed", exception=type(error).__name__, raised_at=place_of(error)
                )
            finally:
                if at_all:
                    self._after()
