"""Events: what the service tells of itself, and what clients tell it.

Nothing here knows files. What `Complete` answered is an impression, made of request and
reply later on by who writes it; what clients report is checked first, all of it before
any of it is kept.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from espalier.events import Action, Event, EventSink
from espalier.events.writer import Receipt
from espalier.experiments import NO_TRIAL, Trial
from espalier.index import MAX_K
from espalier.serve.counters import Counting
from espalier.serve.domain import MAX_SET_ID_BYTES, check_bytes, check_session_id
from espalier.serve.errors import EmptyQueryError, OverloadedError, RequestError
from espalier.serve.later import then
from espalier.text import normalise
from espalier.v1.completion_service_pb2 import (
    CompleteRequest,
    CompleteResponse,
    EventAction,
    RecordQueryRequest,
    UserEvent,
)

MAX_EVENTS: Final = 500
"""Of one call."""
MAX_TEXT_BYTES: Final = 2_048
MAX_EVENT_ID_BYTES: Final = 64
MAX_UNIT_BYTES: Final = 128

_RETRY_SECONDS: Final = 0.25
_ACTIONS: Final = {
    EventAction.EVENT_ACTION_IMPRESSION: Action.IMPRESSION,
    EventAction.EVENT_ACTION_ACCEPTANCE: Action.ACCEPTANCE,
    EventAction.EVENT_ACTION_SUBMISSION: Action.SUBMISSION,
    EventAction.EVENT_ACTION_ABANDONMENT: Action.ABANDONMENT,
}
_ABOUT_A_SET: Final = (Action.IMPRESSION, Action.ACCEPTANCE)


class Recorder(EventSink, Protocol):
    """What keeps events: `espalier.events.writer.EventWriter`."""

    @property
    def waiting(self) -> int:
        """Reported events that are not written yet."""
        ...

    def record(self, events: Sequence[Event]) -> Receipt | Future[Receipt] | None:
        """Take reported events; ``None`` if too many wait already."""
        ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of the events of a call, in numbers."""

    recorded: int = 0
    late: int = 0
    future: int = 0
    dropped: int = 0


NOTHING_RECORDED: Final = Recorded()


@dataclass(frozen=True, slots=True)
class Reported:
    """An event that keeps the rules, and when it happened; ``None`` for now."""

    time_ns: int | None
    at: Callable[[int], Event]


def checked(events: Sequence[UserEvent]) -> list[Reported]:
    """Return what a client reports.

    Raises:
        RequestError, EmptyQueryError, SessionIdTooLongError: An event breaks a rule.
    """
    if not 0 < len(events) <= MAX_EVENTS:
        raise RequestError(
            f"events must be 1 to {MAX_EVENTS}, not {len(events)}; send them in several calls",
            field="events",
            limit_events=MAX_EVENTS,
        )
    return [_reported(event, f"events[{number}].") for number, event in enumerate(events)]


def check_submitted(request: RecordQueryRequest) -> None:
    """Check what only events need of a reported query.

    Raises:
        RequestError: It breaks a rule.
    """
    check_bytes(request.event_id, MAX_EVENT_ID_BYTES, "event_id", RequestError)
    check_bytes(request.unit, MAX_UNIT_BYTES, "unit", RequestError)
    check_bytes(request.intent_id, MAX_UNIT_BYTES, "intent_id", RequestError)
    check_bytes(request.suggestion_set_id, MAX_SET_ID_BYTES, "suggestion_set_id", RequestError)


class Reporter:
    """Hands events to who keeps them. Safe to use from many threads.

    Args:
        recorder: Who keeps them.
        late_seconds: Older events are left out.
        skew_seconds: Events that are further ahead are left out.
        counters: Told of the family ``events``: ``late``, ``future``, and ``ahead`` for
            those that were taken for now.
        clock: Unix time in nanoseconds.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        late_seconds: float,
        skew_seconds: float,
        counters: Counting,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._recorder = recorder
        self._late_ns = round(late_seconds * 1e9)
        self._skew_ns = round(skew_seconds * 1e9)
        self._counters = counters
        self._clock = clock

    def answered(
        self,
        request: CompleteRequest,
        reply: CompleteResponse,
        context: int,
        took_ns: int,
        trial: Trial = NO_TRIAL,
    ) -> None:
        """Note what was shown; neither message may change afterwards.

        Args:
            request: What was asked.
            reply: What was answered.
            context: Previous queries that were used.
            took_ns: How long it took.
            trial: What experiments had to do with it.
        """
        now = self._clock()
        self._recorder.write(partial(_impression, request, reply, context, trial, took_ns, now))

    def record(self, events: Sequence[Reported]) -> Recorded | Future[Recorded]:
        """Keep what a client reports, as far as its time allows.

        Raises:
            OverloadedError: Too many events wait.
            StorageError: They cannot be written; in the future, where there is one.
        """
        now = self._clock()
        kept, late, future = [], 0, 0
        for event in events:
            time_ns = now if event.time_ns is None else event.time_ns
            if time_ns < now - self._late_ns:
                self._counters.add("events", "late")
                late += 1
                continue
            if time_ns > now + self._skew_ns:
                self._counters.add("events", "future")
                future += 1
                continue
            if time_ns > now:
                self._counters.add("events", "ahead")
            kept.append(event.at(min(time_ns, now)))
        return then(self._keep(kept), lambda done: Recorded(done.taken, late, future, done.dropped))

    def submitted(self, request: RecordQueryRequest, query: str) -> Receipt | Future[Receipt]:
        """Keep a query that was submitted, and that a suggestion was accepted.

        Args:
            request: What was reported, checked.
            query: As much of its text as is remembered.

        Raises:
            OverloadedError, StorageError: As `record`.
        """
        accepted = request.HasField("accepted")
        submission = Event(
            Action.SUBMISSION,
            self._clock(),
            event_id=request.event_id,
            set_id=request.accepted.suggestion_set_id or request.suggestion_set_id,
            session=request.session_id,
            unit=request.unit,
            intent_id=request.intent_id,
            text=query,
            prefix_length=request.prefix_length or None,
        )
        events = [submission]
        if accepted:
            acceptance = dataclasses.replace(
                submission,
                action=Action.ACCEPTANCE,
                event_id=f"{request.event_id}.accepted" if request.event_id else "",
                position=request.accepted.position,
            )
            events.insert(0, acceptance)
        return self._keep(events)

    def forgotten(self, session_id: str) -> Receipt | Future[Receipt]:
        """Mark that earlier events of a session must not be used any more.

        Raises:
            OverloadedError, StorageError: As `record`.
        """
        return self._keep([Event(Action.FORGOTTEN, self._clock(), session=session_id)])

    def _keep(self, events: Sequence[Event]) -> Receipt | Future[Receipt]:
        if not events:
            return Receipt(0)
        receipt = self._recorder.record(events)
        if receipt is None:
            raise OverloadedError(self._recorder.waiting, _RETRY_SECONDS, what="events")
        return receipt


def _impression(  # noqa: PLR0917 - bound by place, once for every answer
    request: CompleteRequest,
    reply: CompleteResponse,
    context: int,
    trial: Trial,
    took_ns: int,
    now: int,
) -> Event:
    header = reply.header
    return Event(
        Action.IMPRESSION,
        now,
        # Suggestion sets are shown once, and their ids are unique.
        event_id=reply.suggestion_set_id,
        set_id=reply.suggestion_set_id,
        session=request.session_id,
        # What testers see is nobody's: with their unit it would count as theirs.
        unit="" if trial.tested else trial.unit or request.experiment.unit,
        units=trial.units or None,
        intent_id=request.intent_id,
        text=request.prefix,
        prefix_length=len(request.prefix),
        suggestions=len(reply.suggestions),
        context=context,
        shown=[one.text for one in reply.suggestions],
        experiments=trial.counted,
        credits=trial.credits or None,
        index=header.index,
        index_revision=header.index_revision,
        latency_us=took_ns // 1_000,
        degraded=bool(reply.degradations),
    )


def _reported(given: UserEvent, place: str) -> Reported:
    """Return an event at ``place`` of a request.

    Raises:
        RequestError, EmptyQueryError, SessionIdTooLongError: It breaks a rule.
    """
    action = _ACTIONS.get(given.action)
    if action is None:
        raise RequestError(
            f"{place}action names nothing this version knows; set one of EventAction",
            field=f"{place}action",
        )
    check_bytes(given.event_id, MAX_EVENT_ID_BYTES, f"{place}event_id", RequestError)
    check_bytes(
        given.suggestion_set_id, MAX_SET_ID_BYTES, f"{place}suggestion_set_id", RequestError
    )
    check_session_id(given.session_id, f"{place}session_id")
    check_bytes(given.unit, MAX_UNIT_BYTES, f"{place}unit", RequestError)
    check_bytes(given.intent_id, MAX_UNIT_BYTES, f"{place}intent_id", RequestError)
    check_bytes(given.query, MAX_TEXT_BYTES, f"{place}query", RequestError)
    if action in _ABOUT_A_SET and not given.suggestion_set_id:
        raise RequestError(
            f"{place}suggestion_set_id is empty; send the one of the reply that was shown",
            field=f"{place}suggestion_set_id",
        )
    if action is Action.SUBMISSION and not normalise(given.query):
        raise EmptyQueryError(
            f"{place}query is blank; do not report blank searches", field=f"{place}query"
        )
    if given.position > MAX_K:
        raise RequestError(
            f"{place}position must be 1 to {MAX_K}, or 0 if unknown", field=f"{place}position"
        )
    if len(given.shown) > MAX_K:
        raise RequestError(f"{place}shown has more than {MAX_K} suggestions", field=f"{place}shown")
    for number, text in enumerate(given.shown):
        check_bytes(text, MAX_TEXT_BYTES, f"{place}shown[{number}]", RequestError)
    time_ns = None
    if given.HasField("time"):
        time_ns = given.time.seconds * 1_000_000_000 + given.time.nanos
    return Reported(time_ns, partial(_event, action, given))


def _event(action: Action, given: UserEvent, time_ns: int) -> Event:
    return Event(
        action,
        time_ns,
        event_id=given.event_id,
        set_id=given.suggestion_set_id,
        session=given.session_id,
        unit=given.unit,
        intent_id=given.intent_id,
        text=given.query or None,
        position=given.position,
        prefix_length=given.prefix_length or None,
        suggestions=len(given.shown) or None,
        shown=tuple(map(normalise, given.shown)) or None,
    )
