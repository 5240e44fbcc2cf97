"""The index files a worker has open, and which of them answer.

A file comes in by `Shelf.stage` and answers from `Shelf.settle` on, so that whatever
can fail has failed before anything changes. What answers, and under which rules, is one
immutable `Indexes` that is replaced as a whole; a call that has begun goes on with the
one it found. Nobody closes what a call still uses: a file is unmapped when nothing refers
to it any more, which is when the last such call is over.
"""

from __future__ import annotations

import dataclasses
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import espalier
from espalier.catalogue import Catalogue, catalogue_of
from espalier.errors import ConfigError, IndexCorruptError, IndexFileError
from espalier.index import Index
from espalier.overlay import Overlay, Rule
from espalier.overlay.rules import from_json
from espalier.serve.control import ControlError
from espalier.serve.indexes import Indexes, NoCompletions, ServedIndex
from espalier.serve.log import EventLog
from espalier.serve.orders import IndexOrder, RulesOrder

# The first call pays for page faults; nobody typing should.
_WARM_UP_PREFIXES = ("", *"abcdefghijklmnopqrstuvwxyz0123456789")
# Calls take a millisecond or two; one that takes this long hangs.
_LEAVE_SECONDS = 5.0
_POLL_SECONDS = 0.0005
_COLLECT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Change:
    """What makes the rules of one version those of the next."""

    add: Sequence[Rule]
    remove: Sequence[Rule]

    @classmethod
    def of(cls, add: Sequence[Any], remove: Sequence[Any]) -> Change:
        """Return a change in the form of overlay files."""
        return cls(
            *(
                [from_json(one, place) for place, one in enumerate(rules, 1)]
                for rules in (add, remove)
            )
        )

    def turn(self, overlay: Overlay | None) -> Overlay:
        """Return the rules afterwards."""
        return (Overlay() if overlay is None else overlay).without(*self.remove).with_(*self.add)


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of an index; ``overlay`` is ``None`` where there are none."""

    overlay: Overlay | None
    version: int


_NO_RULES = _Rules(None, 0)


@dataclass(frozen=True, slots=True)
class _Book:
    """An open file, and what calls find of it."""

    index: Index
    served: ServedIndex

    def under(self, rules: Overlay | None, *, resolve: bool = True) -> _Book:
        """Return the same file under other rules; what calls find is another object.

        Without ``resolve`` patterns are tried against answers, which then may be short.
        """
        if rules is not None and not rules.rules:
            rules = None
        if rules is not None and resolve:
            rules = rules.resolved(self.index)
        return _Book(self.index, dataclasses.replace(self.served, overlay=rules))

    def again(self) -> _Book:
        """Return the same; what calls find is another object."""
        return _Book(self.index, dataclasses.replace(self.served))

    def facts(self) -> dict[str, Any]:
        """Return what the file holds."""
        info = self.index.info
        return {
            "name": self.served.name,
            "revision": self.served.revision,
            "labels": info.labels,
            "bytes": info.bytes,
            "products": self.served.catalogue is not None,
        }


class Shelf:
    """The open indexes of one process. Safe to use from many threads.

    Args:
        orders: What to open, the default first.
        overlays: Rules by the name of the index they are for.
        verify: Whether to compare every checksum.
        log: Told what is opened and closed.
        leave_seconds: How long calls under way may take to end after a change.

    Raises:
        IndexFileError: An active index cannot be used; the message names the file. One
            that is only kept ready is left out, and the log says so.
        InputError: A file of rules cannot be used.
    """

    def __init__(
        self,
        orders: Iterable[IndexOrder],
        overlays: Mapping[str, RulesOrder],
        *,
        verify: bool,
        log: EventLog,
        leave_seconds: float = _LEAVE_SECONDS,
    ) -> None:
        self._log = log
        self._leave_seconds = leave_seconds
        self._publish: Callable[[Indexes], object] = lambda _indexes: None
        self._lock = threading.Lock()
        # Guarded by it: rules, and by name what is open, by revision.
        self._rules = {
            name: _Rules(Overlay.load(order.file), order.version)
            for name, order in overlays.items()
        }
        self._open: dict[str, dict[str, _Book]] = {}
        self._active: dict[str, str] = {}
        with ExitStack() as opened:
            for order in orders:
                try:
                    book = self._opened(order, verify=verify)
                except IndexFileError as error:
                    if order.active:
                        raise
                    self._log.error("index_refused", index=order.name, error=str(error))
                    continue
                opened.callback(book.index.close)
                revision = book.served.revision
                self._open.setdefault(order.name, {})[revision] = book.under(
                    self._rules.get(order.name, _NO_RULES).overlay
                )
                if order.active:
                    self._active[order.name] = revision
            self.indexes = self._answering()
            opened.pop_all()

    def publish_to(self, publish: Callable[[Indexes], object]) -> None:
        """Call ``publish`` with what answers, now and after every change."""
        with self._lock:
            self._publish = publish
            publish(self.indexes)

    def report(self) -> list[dict[str, Any]]:
        """Return what the open files hold."""
        with self._lock:
            return [book.facts() for books in self._open.values() for book in books.values()]

    # ---- changing -------------------------------------------------------------------

    def check(self, order: IndexOrder) -> dict[str, Any]:
        """Compare every checksum and every invariant of a file; return what it holds.

        Raises:
            IndexFileError: Something does not hold.
        """
        with _named(order), espalier.open(order.file) as index:
            index.validate(deep=True)
            revision, catalogue = index.info.fingerprint, _catalogue_of(index)
            return _Book(
                index, ServedIndex(order.name, revision, index, catalogue=catalogue)
            ).facts()

    def stage(self, order: IndexOrder) -> None:
        """Get ready to answer from a file that was checked.

        Raises:
            IndexFileError: It cannot be opened, or is not the one that was checked.
        """
        with self._lock:
            book = self._open.get(order.name, {}).get(order.revision)
            if book is not None and self._active.get(order.name) == order.revision:
                return
        if book is None:
            book = self._opened(order, verify=False)
        while True:
            with self._lock:
                rules = self._rules.get(order.name, _NO_RULES)
            book = book.under(rules.overlay)
            with self._lock:
                # Rules that came meanwhile must hold here, too.
                if self._rules.get(order.name, _NO_RULES) is rules:
                    self._open.setdefault(order.name, {})[order.revision] = book
                    return

    def settle(self, name: str, active: str, keep: Iterable[str]) -> None:
        """Answer from the revision ``active``, and let go of all but it and ``keep``.

        Returns when no call is under way that found anything else. With "" for ``active``
        nothing answers under that name, as before.

        Raises:
            ControlError: It is not staged, or a call hangs.
        """
        with self._lock:
            books = self._open.get(name, {})
            if active and active not in books:
                raise ControlError(f"{name}: revision {active} is not open here")
            kept = {active, *keep}
            before = self._active.get(name, "")
            left = None
            if before and before != active:
                left = weakref.ref(books[before].served)
                # Calls hold on to what they found; what is kept is another object.
                books[before] = books[before].again()
            self._open[name] = {r: book for r, book in books.items() if r in kept}
            if active:
                self._active[name] = active
            self._show(name)
            del books
        self._await(left)

    def rule(self, name: str, order: RulesOrder, change: Change | None = None) -> None:
        """Let the rules in a file hold for an index; with a ``change`` read no file.

        Returns when no call is under way that goes by others. Patterns that are new are not
        resolved yet, see `resolve`. What holds already is not changed.

        Raises:
            InputError: They cannot be used.
            ControlError: A call hangs.
        """
        with self._lock:
            before = self._rules.get(name, _NO_RULES)
        if before.version >= order.version:
            return
        if change is not None and before.version + 1 != order.version:
            change = None
        rules = Overlay.load(order.file) if change is None else change.turn(before.overlay)
        ready: dict[str, _Book] = {}
        while True:
            with self._lock:
                books = self._open.setdefault(name, {})
                fresh = {r: book for r, book in books.items() if r not in ready}
                if not fresh:
                    active = self._active.get(name)
                    left = weakref.ref(books[active].served) if active else None
                    self._rules[name] = _Rules(rules, order.version)
                    self._open[name] = {r: ready[r] for r in books}
                    self._show(name)
                    break
            for r, book in fresh.items():
                overlay = rules
                if change is not None and rules.patterns:
                    # What is resolved for this index stays so.
                    overlay = change.turn(book.served.overlay)
                ready[r] = book.under(overlay, resolve=False)
                del book
        # What this function holds on to it would wait for.
        del books, fresh
        self._await(left)

    def resolve(self, name: str) -> None:
        """Match patterns with the labels of every open revision, where that is not done."""
        with self._lock:
            found = {r: (b.index, b.served.overlay) for r, b in self._open.get(name, {}).items()}
        for revision, (index, overlay) in found.items():
            resolved = None if overlay is None else overlay.resolved(index)
            if resolved is overlay:
                continue
            with self._lock:
                book = self._open.get(name, {}).get(revision)
                # Newer rules are resolved in their turn.
                if book is not None and book.served.overlay is overlay:
                    self._open[name][revision] = book.under(resolved)
                    self._show(name)
                del book

    def close(self) -> None:
        """Close every file; no call may be under way."""
        with self._lock:
            for books in self._open.values():
                for book in books.values():
                    book.index.close()

    # ---- parts ----------------------------------------------------------------------

    def _opened(self, order: IndexOrder, *, verify: bool) -> _Book:
        started = time.monotonic()
        with _named(order):
            index = espalier.open(order.file, verify=verify)
            info = index.info
        if order.revision and info.fingerprint != order.revision:
            index.close()
            raise IndexCorruptError(
                f"{order.path}: not the file that was checked; write an index beside the old "
                "one and rename it"
            )
        with _named(order):
            catalogue = _catalogue_of(index)
        if catalogue is None:
            for prefix in _WARM_UP_PREFIXES:
                index.complete(prefix)
        else:
            catalogue.warm_up()
        self._log.info(
            "index_loaded",
            index=order.name,
            path=str(order.path),
            revision=info.fingerprint,
            labels=info.labels,
            bytes=info.bytes,
            verified=verify,
            seconds=round(time.monotonic() - started, 3),
        )
        gone = {"index": order.name, "revision": info.fingerprint}
        weakref.finalize(index, self._log.info, "index_closed", **gone).atexit = False
        completing = index if catalogue is None else NoCompletions()
        served = ServedIndex(order.name, info.fingerprint, completing, catalogue=catalogue)
        return _Book(index, served)

    def _answering(self) -> Indexes:
        return Indexes(self._open[name][revision].served for name, revision in self._active.items())

    def _show(self, name: str) -> None:
        if name in self._active:
            self.indexes = self._answering()
            self._publish(self.indexes)

    def _await(self, left: weakref.ref[ServedIndex] | None) -> None:
        """Wait until no call holds what answered before a change."""
        started = time.monotonic()
        collected = False
        while left is not None and left() is not None:
            waited = time.monotonic() - started
            if waited > self._leave_seconds:
                raise ControlError(
                    f"a call is under way since {self._leave_seconds:g} s; see what it waits for"
                )
            if waited > _COLLECT_SECONDS and not collected:
                # A call that failed may be part of a circle that only the collector breaks.
                gc.collect()
                collected = True
            time.sleep(_POLL_SECONDS)


def _catalogue_of(index: Index) -> Catalogue | None:
    """Return the products of an index, None if it completes queries.

    Raises:
        IndexFileError: Nothing installed here makes words of queries as it wants them.
    """
    try:
        return catalogue_of(index)
    except ConfigError as error:
        index.close()
        raise IndexFileError(f"{index.path}: {error}") from None


@contextmanager
def _named(order: IndexOrder) -> Iterator[None]:
    """Let errors name a file as people know it."""
    try:
        yield
    except IndexFileError as error:
        message = str(error).replace(str(order.file), str(order.path))
        raise type(error)(
            message, check=error.check, section=error.section, offset=error.offset
        ) from None
