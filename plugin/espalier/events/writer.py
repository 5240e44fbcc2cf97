"""Writes events to files, off the way of those who wait for answers.

::

    write  (Complete)        ─┐                     ┌─ line ─┐
                              ├─ queue (bounded) ───┤        ├─ one write ── fsync ── replies
    record (RecordEvents …)  ─┘   a thread, every   └─ line ─┘   a batch    if durable
                                  tenth of a second

How much a reply to a report means is the mode. Whatever it is, what `write` is told is
never waited for.

===========  =========================================  ==============================
mode         a report is acknowledged                   where there is no room
===========  =========================================  ==============================
``drop``     when it is in the queue                    it is dropped, and counted
``block``    when it is in the file: it survives the    calls wait for the writer; when
             process                                    too many do, they are refused
``durable``  when it is on the disk: it survives the    the same
             machine; calls that come together share
             one fsync
===========  =========================================  ==============================

A disk that is full, or any other failure to write, costs the events at hand: they are
counted as failed, and calls that wait for them fail. The log says when that begins and
when it is over. Only marks of deletion (`Action.FORGOTTEN`) that
were acknowledged wait until they can be written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Protocol

from espalier.errors import StorageError
from espalier.events.event import Action, Event, Told
from espalier.events.folder import EventFolder, OpenFile
from espalier.events.lines import APPLICATION, line_of
from espalier.events.privacy import Privacy
from espalier.events.seen import Seen

REMEMBERED: Final = 100_000
"""Ids of reported events that are remembered, at least, to know repeated ones."""

_PAUSE_SECONDS: Final = 0.1
_TIDY_SECONDS: Final = 60.0
_BATCH: Final = 512
# Making lines is computing. After a few of them who answers calls gets the interpreter,
# which he would otherwise wait for until the switch interval is over.
_LINES_AT_ONCE: Final = 4
_BREATH_SECONDS: Final = 50e-6
_MOST_MARKS: Final = 100_000


class Mode(enum.Enum):
    """What the acknowledgement of a report means."""

    DROP = "drop"
    BLOCK = "block"
    DURABLE = "durable"


class Counting(Protocol):
    """Where counts go. Safe to use from many threads."""

    def add(self, family: str, *labels: str) -> None:
        """Count one of ``family``, told apart by ``labels``."""
        ...

    def advance(self, family: str, by: int, *labels: str) -> None:
        """Count so many of ``family``."""
        ...


class Notices(Protocol):
    """Where the operator is told. Safe to use from many threads; never raises."""

    def info(self, event: str, **fields: str | float | bool | None) -> None:
        """Note something ordinary."""
        ...

    def warning(self, event: str, **fields: str | float | bool | None) -> None:
        """Note something that may need attention."""
        ...


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a report.

    Attributes:
        taken: Events that are kept as the mode says, repeated ones included.
        dropped: Events there was no room for.
    """

    taken: int
    dropped: int = 0


@dataclass(slots=True, eq=False)
class _Report:
    """Events of one call, and who waits for them."""

    events: Sequence[Event]
    waiter: Future[Receipt] | None


@dataclass(slots=True)
class _Batch:
    """What is about to be written, all or nothing."""

    lines: list[bytes] = field(default_factory=list)
    reports: list[_Report] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    marks: list[Event] = field(default_factory=list)


class EventWriter:
    """An `EventSink` on a folder of files, with a thread that writes and one that tidies up.

    Args:
        folder: Where files are.
        privacy: What they keep of texts and ids.
        mode: What the acknowledgement of a report means.
        most: Events that may wait to be written; those of reports and others are counted
            apart, so neither can crowd out the other.
        application: What the lines say they come from.
        new_id: Gives an id to events that have none.
        counters: Told of the family ``events``: ``written``, ``duplicate`` (reported
            before), ``dropped`` (no room), ``failed`` (not written, or no event).
        log: Told when writing begins to fail and when it is well again.
        clock: Seconds from any origin.
    """

    on = True

    def __init__(
        self,
        folder: EventFolder,
        privacy: Privacy,
        *,
        mode: Mode = Mode.DROP,
        most: int = 10_000,
        application: str = APPLICATION,
        new_id: Callable[[], str],
        counters: Counting,
        log: Notices,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._privacy = privacy
        self._mode = mode
        self._most = most
        self._application = application
        self._new_id = new_id
        self._counters = counters
        self._log = log
        self._clock = clock
        self._told: deque[Told] = deque()
        self._reports: deque[_Report] = deque()
        self._reported = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        # Of the writing thread alone.
        self._file: OpenFile | None = None
        self._begun = 0.0
        self._seen = Seen(REMEMBERED)
        self._marks: list[Event] = []
        self._failing = False
        self._failures = 0
        self._due = threading.Event()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._tidier = threading.Thread(target=self._keep_tidy, name="event-files", daemon=True)

    def start(self) -> None:
        """Begin to write; finish what a writer that is gone left open."""
        with contextlib.suppress(OSError):
            adopted = self._folder.adopt()
            if adopted:
                self._log.info("event_files_adopted", files=adopted)
        self._thread.start()
        self._tidier.start()

    # ---- from any thread ---------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Reported events that are not written yet."""
        return self._reported

    @property
    def failures(self) -> int:
        """How often what was taken could not be written."""
        return self._failures

    def write(self, event: Told) -> bool:
        """Take an event without waiting; what there is no room for is dropped and counted."""
        if len(self._told) < self._most and not self._closing:
            self._told.append(event)
            return True
        self._counters.add("events", "dropped")
        return False

    def record(self, events: Sequence[Event]) -> Receipt | Future[Receipt] | None:
        """Take events somebody reports, each with an id of its own or none.

        Return what became of them, at once or, by the mode, when it is known; the future
        may fail with `StorageError`. ``None`` if too many wait already.
        """
        waiter: Future[Receipt] | None = None
        if self._mode is not Mode.DROP:
            waiter = Future()
            # Who leaves does not take back what was reported.
            waiter.set_running_or_notify_cancel()
        with self._lock:
            room = self._most - self._reported
            if self._closing or (waiter is not None and room < len(events)):
                return None
            # A mark of deletion has room always.
            kept = [one for one in events if one.action is Action.FORGOTTEN]
            if len(kept) < len(events):
                kept = list(events[: max(0, room)])
            self._reported += len(kept)
            self._reports.append(_Report(kept, waiter))
        if len(kept) < len(events):
            self._counters.advance("events", len(events) - len(kept), "dropped")
        if waiter is not None:
            self._wake.set()
            return waiter
        return Receipt(len(kept), len(events) - len(kept))

    def close(self, seconds: float = 5.0) -> None:
        """Write what is there, finish the file and stop, within ``seconds``."""
        with self._lock:
            self._closing = True
        self._wake.set()
        self._due.set()
        until = time.monotonic() + seconds
        self._thread.join(seconds)
        # Or files would go on being removed after the end.
        self._tidier.join(max(0.0, until - time.monotonic()))

    # ---- the writing thread --------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(_PAUSE_SECONDS)
            self._wake.clear()
            self._write_all()
            if self._file is not None and self._is_due(self._file):
                self._finish()
        self._write_all()
        self._finish()

    def _write_all(self) -> None:
        # Marks that could not be written are tried once, not for as long as it fails.
        more = bool(self._marks)
        while more or self._told or self._reports:
            more = False
            self._write(self._next())

    def _next(self) -> _Batch:
        """Return what is to be written next."""
        batch = _Batch()
        marks, self._marks = self._marks, []
        for event in marks:
            self._put(event, batch)
        for _ in range(min(_BATCH, len(self._told))):
            told = self._told.popleft()
            try:
                event = told if isinstance(told, Event) else told()
            except Exception as error:  # noqa: BLE001 - one event must not cost the others
                self._not_made(error)
            else:
                self._put(event, batch)
        events = 0
        while self._reports and events < _BATCH:
            report = self._reports.popleft()
            batch.reports.append(report)
            events += len(report.events)
            for event in report.events:
                if event.event_id in self._seen or event.event_id in batch.ids:
                    self._counters.add("events", "duplicate")
                    continue
                self._put(event, batch)
                if event.event_id:
                    batch.ids.add(event.event_id)
        with self._lock:
            self._reported -= events
        return batch

    def _put(self, event: Event, batch: _Batch) -> None:
        if event.action is Action.FORGOTTEN:
            batch.marks.append(event)
        if not event.event_id:
            event = dataclasses.replace(event, event_id=self._new_id())
        try:
            batch.lines.append(line_of(event, self._privacy, self._application))
        except Exception as error:  # noqa: BLE001 - one event must not cost the others
            self._not_made(error)
        if not len(batch.lines) % _LINES_AT_ONCE:
            time.sleep(_BREATH_SECONDS)

    def _not_made(self, error: Exception) -> None:
        self._log.warning("event_not_made", exception=type(error).__name__)
        self._counters.add("events", "failed")

    def _write(self, batch: _Batch) -> None:
        try:
            if batch.lines:
                self._append(b"".join(batch.lines), synced=bool(batch.reports))
        except OSError as error:
            self._fail(batch, error)
            return
        if self._failing and batch.lines:
            self._failing = False
            self._log.info("events_recovered")
        for one in batch.ids:
            self._seen.add(one)
        self._counters.advance("events", len(batch.lines), "written")
        for report in batch.reports:
            if report.waiter is not None:
                report.waiter.set_result(Receipt(len(report.events)))

    def _append(self, lines: bytes, *, synced: bool) -> None:
        durable = self._mode is Mode.DURABLE
        file = self._file
        if file is None:
            file = self._file = self._folder.begin(synced=durable)
            self._begun = self._clock()
        try:
            file.append(lines)
        except OSError:
            if not file.intact:
                self._finish()
            raise
        if durable and synced:
            try:
                file.sync()
            except OSError:
                # The pages that failed are not tried again: another file has to take over.
                self._finish()
                raise
        if self._is_due(file):
            self._finish()

    def _fail(self, batch: _Batch, error: OSError) -> None:
        """Give up a batch that could not be written, but for acknowledged marks of deletion."""
        reason = error.strerror or type(error).__name__
        self._failures += 1
        if not self._failing:
            self._failing = True
            # Perhaps there is something to remove.
            self._due.set()
            self._log.warning("events_failing", reason=reason, folder=str(self._folder.path))
        kept = batch.marks if self._mode is Mode.DROP else []
        self._marks = kept[:_MOST_MARKS]
        self._counters.advance("events", len(batch.lines) - len(self._marks), "failed")
        for report in batch.reports:
            if report.waiter is not None:
                refused = StorageError(
                    f"events cannot be written ({reason}); free some space on their disk"
                )
                report.waiter.set_exception(refused)

    def _is_due(self, file: OpenFile) -> bool:
        keeping = self._folder.keeping
        age = self._clock() - self._begun
        return file.size >= keeping.file_bytes or (age >= keeping.file_seconds and file.size > 0)

    def _finish(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.finish()
            self._due.set()

    # ---- the tidying thread ----------------------------------------------------------------

    def _keep_tidy(self) -> None:
        failing = False
        while not self._closing:
            try:
                removed = self._folder.tidy()
                self._folder.adopt()
            except (OSError, StorageError) as error:
                if not failing:
                    self._log.warning("event_files_not_tidied", exception=type(error).__name__)
                failing = True
            else:
                failing = False
                if removed:
                    self._log.info("event_files_removed", files=removed)
            self._due.wait(_TIDY_SECONDS)
            self._due.clear()
