"""Events at the border: what the service tells, what clients may report, and when."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from espalier.errors import EspalierError, StorageError
from espalier.events import Action, Event
from espalier.events.writer import Receipt
from espalier.serve.counters import Counters
from espalier.serve.domain import Completer
from espalier.serve.errors import OverloadedError, RequestError
from espalier.serve.later import then
from espalier.serve.reporting import MAX_EVENTS, Reporter
from espalier.serve.service import SERVICE_NAME, CompletionService
from espalier.sessions.memory import MemorySessionStore
from espalier.v1.completion_service_pb2 import (
    AcceptedSuggestion,
    CompleteRequest,
    DeleteSessionRequest,
    EventAction,
    RecordEventsRequest,
    RecordEventsResponse,
    RecordQueryRequest,
    UserEvent,
)
from espalier.v1.core_pb2 import SessionState
from tests.unit.serve.fakes import FakeIndex, FakeRecorder, ListLog, at_once, indexes_of

NOW = 1_769_860_800_000_000_000
SECOND = 1_000_000_000
ABANDONMENT = EventAction.EVENT_ACTION_ABANDONMENT
ACCEPTANCE = EventAction.EVENT_ACTION_ACCEPTANCE
IMPRESSION = EventAction.EVENT_ACTION_IMPRESSION
SUBMISSION = EventAction.EVENT_ACTION_SUBMISSION


class Site:
    """A service that keeps events, and what it kept."""

    def __init__(self, *, events: bool = True) -> None:
        self.recorder = FakeRecorder()
        self.counters = Counters()
        self.log = ListLog()
        reporter = Reporter(
            self.recorder,
            late_seconds=3_600,
            skew_seconds=60,
            counters=self.counters,
            clock=lambda: NOW,
        )
        ids = iter(f"set-{number}" for number in range(100))
        completer = Completer(
            indexes_of(main=FakeIndex()),
            MemorySessionStore(),
            context_queries=5,
            log=self.log,
            counters=Counters(),
        )
        self.service = CompletionService(
            completer, new_set_id=lambda: next(ids), reporter=reporter if events else None
        )

    def record(self, *events: UserEvent) -> RecordEventsResponse:
        """Report events."""
        return at_once(self.service.record_events(RecordEventsRequest(events=events)))

    def call(self, method: str, request: Any) -> Any:
        """Make a call as the server makes it: bytes in, bytes or a status or a future out."""
        unary = self.service.methods(self.log)[f"/{SERVICE_NAME}/{method}"]
        return unary.answer(request.SerializeToString(), 10.0)


@pytest.fixture
def site() -> Site:
    """Return a service that keeps events."""
    return Site()


def at(nanoseconds: int, **fields: Any) -> UserEvent:
    """Return an event that happened then."""
    event = UserEvent(action=ABANDONMENT, **fields)
    event.time.FromNanoseconds(nanoseconds)
    return event


# ---- what the service tells ---------------------------------------------------------


def test_every_answer_is_an_impression(site: Site) -> None:
    """What was asked, what was shown, with which context, out of which index."""
    at_once(site.service.record_query(RecordQueryRequest(session_id="s", query="old socks")))
    request = CompleteRequest(prefix="Nike s", session_id="s", intent_id="i", max_suggestions=2)
    request.experiment.unit = "u"
    reply = site.service.complete(request)
    (event,) = site.recorder.told

    assert event.latency_us is not None
    assert event == Event(
        Action.IMPRESSION,
        NOW,
        event_id=reply.suggestion_set_id,
        set_id=reply.suggestion_set_id,
        session="s",
        unit="u",
        intent_id="i",
        text="Nike s",
        prefix_length=6,
        suggestions=2,
        context=1,
        shown=["nike socks", "nike shoes"],
        experiments={},
        index="main",
        index_revision="mainmain",
        latency_us=event.latency_us,
    )


def test_an_answer_without_suggestions_is_one_too(site: Site) -> None:
    """How often that happens is what reports want to know; degraded ones say so."""
    site.service.complete(CompleteRequest(prefix="zzz"), 0.001)
    (event,) = site.recorder.told

    assert (event.suggestions, event.shown, event.degraded) == (0, [], True)


def test_a_call_that_fails_shows_nothing(site: Site) -> None:
    """So there is no impression of it."""
    with pytest.raises(EspalierError):
        site.service.complete(CompleteRequest(index="missing"))

    assert site.recorder.told == []


def test_a_submitted_query_is_a_submission(site: Site) -> None:
    """With everything that ties it to what was shown; texts are cut as the session's are."""
    request = RecordQueryRequest(
        session_id="s",
        query="Red  Tent" + "x" * 1_000,
        event_id="e",
        unit="u",
        intent_id="i",
        suggestion_set_id="q",
        prefix_length=4,
    )
    at_once(site.service.record_query(request))
    ((event,),) = site.recorder.reports

    assert event == Event(
        Action.SUBMISSION,
        NOW,
        event_id="e",
        set_id="q",
        session="s",
        unit="u",
        intent_id="i",
        text="Red  Tent" + "x" * 503,
        prefix_length=4,
    )


def test_an_accepted_suggestion_is_an_acceptance_and_a_submission(site: Site) -> None:
    """Each with an id that follows from the one given, so repeating the call repeats both."""
    for event_id in ("e", ""):
        request = RecordQueryRequest(
            session_id="s",
            query="tent",
            event_id=event_id,
            accepted=AcceptedSuggestion(suggestion_set_id="q", position=3),
        )
        at_once(site.service.record_query(request))
    (acceptance, submission), unnamed = site.recorder.reports

    assert (acceptance.action, submission.action) == (Action.ACCEPTANCE, Action.SUBMISSION)
    assert (acceptance.event_id, submission.event_id) == ("e.accepted", "e")
    assert (acceptance.position, submission.position) == (3, 0)
    assert acceptance.set_id == submission.set_id == "q"
    assert acceptance.text == submission.text == "tent"
    assert [event.event_id for event in unnamed] == ["", ""]


def test_a_deleted_session_leaves_a_mark(site: Site) -> None:
    """Nothing but the session and the time."""
    at_once(site.service.delete_session(DeleteSessionRequest(session_id="s")))

    assert site.recorder.reports == [[Event(Action.FORGOTTEN, NOW, session="s")]]


@pytest.mark.parametrize("field", ["event_id", "unit", "intent_id", "suggestion_set_id"])
def test_a_submission_with_an_endless_id_is_refused(field: str) -> None:
    """Whether events are kept or not, and before the session remembers anything."""
    for site in (Site(), Site(events=False)):
        request = RecordQueryRequest(session_id="s", query="tent", **{field: "é" * 65})  # type: ignore[arg-type]
        with pytest.raises(RequestError) as caught:
            site.service.record_query(request)

        assert (caught.value.field, caught.value.reason) == (field, "INVALID_REQUEST")
        after = site.service.complete(CompleteRequest(session_id="s"))
        assert after.session_state == SessionState.SESSION_STATE_NEW


# ---- what clients report ------------------------------------------------------------


def test_reported_events_are_kept_as_they_were_reported(site: Site) -> None:
    """Field by field, and in the order given."""
    reply = site.record(
        UserEvent(
            event_id="e1",
            action=IMPRESSION,
            suggestion_set_id="q",
            session_id="s",
            unit="u",
            intent_id="i",
            query="te",
            prefix_length=2,
            shown=["Tent ", "tea"],
        ),
        UserEvent(action=ACCEPTANCE, suggestion_set_id="q", query="Tent", position=1),
        UserEvent(action=SUBMISSION, query="Tent"),
        UserEvent(action=ABANDONMENT),
    )

    assert (reply.recorded, reply.late, reply.future, reply.dropped) == (4, 0, 0, 0)
    assert reply.header.index == "main"
    assert site.recorder.reports == [
        [
            Event(
                Action.IMPRESSION,
                NOW,
                event_id="e1",
                set_id="q",
                session="s",
                unit="u",
                intent_id="i",
                text="te",
                prefix_length=2,
                suggestions=2,
                shown=("tent", "tea"),
            ),
            Event(Action.ACCEPTANCE, NOW, set_id="q", text="Tent", position=1),
            Event(Action.SUBMISSION, NOW, text="Tent"),
            Event(Action.ABANDONMENT, NOW),
        ]
    ]


LONG = "é" * 65


@pytest.mark.parametrize(
    ("event", "reason", "field"),
    [
        (UserEvent(), "INVALID_REQUEST", "action"),
        (UserEvent(action=77), "INVALID_REQUEST", "action"),  # type: ignore[arg-type]
        (UserEvent(action=IMPRESSION), "INVALID_REQUEST", "suggestion_set_id"),
        (UserEvent(action=ACCEPTANCE, query="a"), "INVALID_REQUEST", "suggestion_set_id"),
        (UserEvent(action=SUBMISSION), "EMPTY_QUERY", "query"),
        (UserEvent(action=SUBMISSION, query=" \u200b"), "EMPTY_QUERY", "query"),
        (UserEvent(action=ABANDONMENT, event_id="é" * 33), "INVALID_REQUEST", "event_id"),
        (
            UserEvent(action=ABANDONMENT, suggestion_set_id="a" * 65),
            "INVALID_REQUEST",
            "suggestion_set_id",
        ),
        (UserEvent(action=ABANDONMENT, session_id=LONG), "SESSION_ID_TOO_LONG", "session_id"),
        (UserEvent(action=ABANDONMENT, unit=LONG), "INVALID_REQUEST", "unit"),
        (UserEvent(action=ABANDONMENT, intent_id=LONG), "INVALID_REQUEST", "intent_id"),
        (UserEvent(action=ABANDONMENT, query="a" * 2_049), "INVALID_REQUEST", "query"),
        (UserEvent(action=ABANDONMENT, position=101), "INVALID_REQUEST", "position"),
        (UserEvent(action=ABANDONMENT, shown=["a"] * 101), "INVALID_REQUEST", "shown"),
        (UserEvent(action=ABANDONMENT, shown=["a", "b" * 2_049]), "INVALID_REQUEST", "shown[1]"),
    ],
)
def test_one_bad_event_fails_the_call(event: UserEvent, reason: str, field: str) -> None:
    """Nothing of it is kept, and the error names the field; also where events are off."""
    for site in (Site(), Site(events=False)):
        request = RecordEventsRequest(events=[UserEvent(action=ABANDONMENT), event])
        status = site.call("RecordEvents", request)
        info, bad = ErrorInfo(), BadRequest()
        status.details[0].Unpack(info)
        status.details[1].Unpack(bad)

        assert (info.reason, bad.field_violations[0].field) == (reason, f"events[1].{field}")
        assert site.recorder.reports == []


@pytest.mark.parametrize("count", [0, MAX_EVENTS + 1])
def test_a_call_has_some_events_and_not_too_many(site: Site, count: int) -> None:
    """The limit is in the error."""
    with pytest.raises(RequestError, match=f"1 to 500, not {count}") as caught:
        site.record(*[UserEvent(action=ABANDONMENT)] * count)

    assert caught.value.field == "events"
    assert site.record(*[UserEvent(action=ABANDONMENT)] * MAX_EVENTS).recorded == MAX_EVENTS


def test_times_decide_what_is_kept(site: Site) -> None:
    """Old ones and those far ahead are left out, a clock a little fast is forgiven."""
    reply = site.record(
        at(NOW - 3_601 * SECOND, event_id="late"),
        at(NOW - 3_600 * SECOND, event_id="old"),
        at(NOW, event_id="now"),
        at(NOW + 60 * SECOND, event_id="ahead"),
        at(NOW + 60 * SECOND + 1, event_id="future"),
        at(-SECOND, event_id="before time began"),
        UserEvent(action=ABANDONMENT, event_id="without"),
    )
    (kept,) = site.recorder.reports

    assert (reply.recorded, reply.late, reply.future) == (4, 2, 1)
    assert [(event.event_id, event.time_ns) for event in kept] == [
        ("old", NOW - 3_600 * SECOND),
        ("now", NOW),
        ("ahead", NOW),
        ("without", NOW),
    ]
    assert site.counters.snapshot() == {"events": {"ahead": 1, "future": 1, "late": 2}}


def test_a_call_whose_events_are_all_late_is_no_error(site: Site) -> None:
    """A page that slept for a week could do nothing about it."""
    assert site.record(at(0)).late == 1
    assert site.recorder.reports == []


def test_where_events_are_off_calls_succeed_and_nothing_is_kept() -> None:
    """A front end need not know how the service is set up."""
    site = Site(events=False)
    reply = site.record(UserEvent(action=ABANDONMENT))
    site.service.complete(CompleteRequest(prefix="n"))
    at_once(site.service.record_query(RecordQueryRequest(session_id="s", query="tent")))
    at_once(site.service.delete_session(DeleteSessionRequest(session_id="s")))

    assert (reply.recorded, reply.header.index) == (0, "main")
    assert (site.recorder.told, site.recorder.reports) == ([], [])


# ---- replies that wait --------------------------------------------------------------

CALLS: list[tuple[str, Any]] = [
    ("RecordEvents", RecordEventsRequest(events=[UserEvent(action=ABANDONMENT)])),
    ("RecordQuery", RecordQueryRequest(session_id="s", query="tent")),
    ("DeleteSession", DeleteSessionRequest(session_id="s")),
]


@pytest.mark.parametrize(("method", "request_"), CALLS)
def test_a_reply_comes_when_the_events_are_kept(site: Site, method: str, request_: Any) -> None:
    """And not before."""
    site.recorder.waits = True
    reply = site.call(method, request_)
    assert isinstance(reply, Future)
    assert not reply.done()
    site.recorder.waiters[0].set_result(Receipt(1))

    assert isinstance(reply.result(0), bytes)


@pytest.mark.parametrize(("method", "request_"), CALLS)
def test_events_that_cannot_be_kept_fail_the_call(site: Site, method: str, request_: Any) -> None:
    """With a status as any other error has; a fault of ours is hidden as any other."""
    site.recorder.waits = True
    refused, broken = site.call(method, request_), site.call(method, request_)
    site.recorder.waiters[0].set_exception(StorageError("no space"))
    site.recorder.waiters[1].set_exception(ZeroDivisionError("canary"))
    reasons = []
    for status in (refused.result(0), broken.result(0)):
        assert isinstance(status, Status)
        info = ErrorInfo()
        status.details[0].Unpack(info)
        reasons.append(info.reason)

    assert reasons == ["STORAGE", "INTERNAL"]
    assert "canary" not in json.dumps(site.log.events)


@pytest.mark.parametrize(
    "ask",
    [
        lambda site: site.record(UserEvent(action=ABANDONMENT)),
        lambda site: site.service.record_query(RecordQueryRequest(session_id="s", query="a")),
        lambda site: site.service.delete_session(DeleteSessionRequest(session_id="s")),
    ],
)
def test_a_full_queue_is_an_overload(site: Site, ask: Callable[[Site], object]) -> None:
    """The client is told when to try again."""
    site.recorder.full = True
    site.recorder.waiting = 10_000
    with pytest.raises(OverloadedError, match="10000 events wait already"):
        ask(site)


def test_what_follows_an_answer_follows_it_now_or_later() -> None:
    """An exception goes the same way; who cancels stops nothing."""

    def shared(value: int) -> int:
        return 10 // value

    waiter: Future[int] = Future()
    later: int | Future[int] = then(waiter, shared)
    assert isinstance(later, Future)
    assert not later.cancel()
    waiter.set_result(5)
    failing: Future[int] = Future()
    failed: int | Future[int] = then(failing, shared)
    failing.set_result(0)

    assert then(5, shared) == later.result(0) == 2
    assert isinstance(failed, Future)
    assert isinstance(failed.exception(0), ZeroDivisionError)
