"""CompletionService: message to domain, domain to message, nothing else."""

from __future__ import annotations

import base64
import itertools
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from espalier.events import Action, Event
from espalier.experiments import NO_TRIAL
from espalier.filters import Filter
from espalier.index import MAX_PREVIOUS_CODE_POINTS
from espalier.native import Source
from espalier.serve import domain
from espalier.serve.domain import Accepted, Completer, Question, check_bytes
from espalier.serve.encoded import EncodedSuggestions
from espalier.serve.errors import RequestError
from espalier.serve.indexes import Explained, ServedIndex, Suggested
from espalier.serve.later import then
from espalier.serve.log import EventLog
from espalier.serve.participants import MAX_INTENT_BYTES, participant_of
from espalier.serve.reporting import NOTHING_RECORDED, Recorded, Reporter, check_submitted, checked
from espalier.serve.rpc import Unary
from espalier.serve.trials import Trials
from espalier.serve.wire import Typed, methods_of
from espalier.v1 import completion_service_pb2 as messages
from espalier.v1.completion_service_pb2 import (
    CompleteRequest,
    CompleteResponse,
    DeleteSessionRequest,
    DeleteSessionResponse,
    RecordEventsRequest,
    RecordEventsResponse,
    RecordQueryRequest,
    RecordQueryResponse,
)
from espalier.v1.core_pb2 import (
    Degradation,
    ResponseHeader,
    SessionState,
    Suggestion,
    SuggestionSource,
)

SERVICE_NAME = messages.DESCRIPTOR.services_by_name["CompletionService"].full_name

_SOURCE_TO_WIRE = {
    "MODEL": SuggestionSource.SUGGESTION_SOURCE_MODEL,
    "POPULAR": SuggestionSource.SUGGESTION_SOURCE_POPULAR,
    "TAIL": SuggestionSource.SUGGESTION_SOURCE_TAIL,
    "CORRECTED": SuggestionSource.SUGGESTION_SOURCE_CORRECTED,
}
_SOURCE_FROM_WIRE = {number: Source[name] for name, number in _SOURCE_TO_WIRE.items()}
_STATE_TO_WIRE = {
    domain.SessionState.NONE: SessionState.SESSION_STATE_NONE,
    domain.SessionState.FOUND: SessionState.SESSION_STATE_FOUND,
    domain.SessionState.NEW: SessionState.SESSION_STATE_NEW,
    domain.SessionState.UNAVAILABLE: SessionState.SESSION_STATE_UNAVAILABLE,
}
_DEGRADATION_TO_WIRE = {
    domain.Degradation.WITHOUT_SESSION: Degradation.DEGRADATION_WITHOUT_SESSION,
    domain.Degradation.POPULAR_ONLY: Degradation.DEGRADATION_POPULAR_ONLY,
}


def new_set_ids() -> Callable[[], str]:
    """Return a function whose every result is new, in this process and in all others."""
    process = base64.urlsafe_b64encode(os.urandom(12)).decode()
    numbers = itertools.count(1)
    return lambda: f"{process}{next(numbers):x}"


class CompletionService:
    """The methods of ``espalier.v1.CompletionService`` over a `Completer`.

    Attributes:
        trials: Experiments; ``None`` where there are none. May be replaced at any time.

    Args:
        clock: Unix time in nanoseconds, for reply headers.
        new_set_id: Gives every reply its id.
        reporter: Told of what is shown and reported; ``None`` where events are off.
    """

    def __init__(
        self,
        completer: Completer,
        *,
        clock: Callable[[], int] = time.time_ns,
        new_set_id: Callable[[], str] | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        self._completer = completer
        self.trials: Trials | None = None
        self._reporter = reporter
        self._clock = clock
        self._new_set_id = new_set_id or new_set_ids()

    def methods(self, log: EventLog) -> Mapping[str, Unary]:
        """Return the methods by full name, as a server takes them."""
        return methods_of(
            SERVICE_NAME,
            [
                Typed("Complete", CompleteRequest, self.complete),
                Typed("RecordQuery", RecordQueryRequest, self.record_query, later=True),
                Typed("RecordEvents", RecordEventsRequest, self.record_events, later=True),
                Typed("DeleteSession", DeleteSessionRequest, self.delete_session, later=True),
            ],
            log,
        )

    def complete(self, request: CompleteRequest, time_left: float = math.inf) -> CompleteResponse:
        """Complete a prefix within ``time_left`` seconds."""
        reporter = self._reporter
        began = 0 if reporter is None else time.perf_counter_ns()
        question = Question(
            prefix=request.prefix,
            previous=tuple(request.previous_queries),
            ages=tuple(request.previous_query_ages),
            session_id=request.session_id,
            limit=request.max_suggestions,
            index=request.index,
            sources=_sources(request.allowed_sources),
            where=_where(request) if request.HasField("filter") else None,
            explain=request.explain,
            keep_variants=request.keep_variants,
        )
        trials = self.trials
        who = None
        if trials is not None or request.HasField("experiment"):
            who = participant_of(request.experiment, request.session_id)
        if request.intent_id:
            check_bytes(request.intent_id, MAX_INTENT_BYTES, "intent_id", RequestError)
        trial = NO_TRIAL
        if trials is None or who is None:
            answer = self._completer.complete(question, time_left)
        else:
            answer, trial = trials.complete(question, who, request.intent_id, time_left)
        reply = CompleteResponse(
            prefix=request.prefix,
            sequence=request.sequence,
            suggestion_set_id=self._new_set_id(),
            session_state=_STATE_TO_WIRE[answer.session],
            degradations=[_DEGRADATION_TO_WIRE[one] for one in answer.degradations],
        )
        self._put_header(reply.header, answer.served)
        if trial.variants:
            reply.header.variants.update(trial.variants)
        if isinstance(answer.suggestions, EncodedSuggestions):
            answer.suggestions.put_into(reply)
        else:
            _put_suggestions(reply, answer.suggestions)
        for suggestion, explanation in zip(reply.suggestions, answer.explanations, strict=False):
            _explain(suggestion, explanation)
        if reporter is not None:
            took = time.perf_counter_ns() - began
            reporter.answered(request, reply, answer.context, took, trial)
        if trials is not None and who is not None and trial.shadows:
            event = Event(
                Action.SHADOW,
                0,
                set_id=reply.suggestion_set_id,
                session=request.session_id,
                intent_id=request.intent_id,
            )
            trials.begin_shadows(question, who, event, answer, trial)
        return reply

    def record_query(
        self, request: RecordQueryRequest, _time_left: float = math.inf
    ) -> RecordQueryResponse | Future[RecordQueryResponse]:
        """Remember a submitted query, and keep it as an event."""
        accepted = None
        if request.HasField("accepted"):
            accepted = Accepted(request.accepted.suggestion_set_id, request.accepted.position)
        check_submitted(request)
        state = self._completer.record(request.session_id, request.query, accepted)
        reply = RecordQueryResponse(session_state=_STATE_TO_WIRE[state])
        self._put_header(reply.header, self._completer.indexes.default)
        if self._reporter is None:
            return reply
        query = request.query[:MAX_PREVIOUS_CODE_POINTS]
        return then(self._reporter.submitted(request, query), lambda _receipt: reply)

    def record_events(
        self, request: RecordEventsRequest, _time_left: float = math.inf
    ) -> RecordEventsResponse | Future[RecordEventsResponse]:
        """Keep what users did."""
        events = checked(request.events)
        if self._reporter is None:
            return self._recorded(NOTHING_RECORDED)
        return then(self._reporter.record(events), self._recorded)

    def delete_session(
        self, request: DeleteSessionRequest, _time_left: float = math.inf
    ) -> DeleteSessionResponse | Future[DeleteSessionResponse]:
        """Forget a session, and mark its events as not to be used."""
        self._completer.delete(request.session_id)
        reply = DeleteSessionResponse()
        self._put_header(reply.header, self._completer.indexes.default)
        if self._reporter is None:
            return reply
        return then(self._reporter.forgotten(request.session_id), lambda _receipt: reply)

    def _recorded(self, done: Recorded) -> RecordEventsResponse:
        reply = RecordEventsResponse(
            recorded=done.recorded, late=done.late, future=done.future, dropped=done.dropped
        )
        self._put_header(reply.header, self._completer.indexes.default)
        return reply

    def _put_header(self, header: ResponseHeader, served: ServedIndex) -> None:
        put_header(header, served, self._clock())


def put_header(header: ResponseHeader, served: ServedIndex, now_ns: int) -> None:
    """Say who answers, and when."""
    header.index = served.name
    header.index_revision = served.revision
    now = header.server_time
    now.seconds, now.nanos = divmod(now_ns, 1_000_000_000)


def _put_suggestions(reply: CompleteResponse, suggestions: Sequence[Suggested]) -> None:
    # In place: a message handed to another one is copied, which takes twice as long.
    add = reply.suggestions.add
    for one in suggestions:
        suggestion = add()
        suggestion.text = one.text
        suggestion.display_text = one.display_text
        suggestion.score = one.score
        suggestion.source = _SOURCE_TO_WIRE[one.source]
        suggestion.matched_code_points = one.matched_code_points
        suggestion.matched_utf16_units = one.matched_utf16


def _sources(allowed: Sequence[SuggestionSource]) -> Source | None:
    if not allowed:
        return None
    wanted = Source(0)
    for number in allowed:
        wanted |= _SOURCE_FROM_WIRE.get(number, Source(0))
    if not wanted:
        raise RequestError(
            "allowed_sources names no source this version knows; leave it empty for all",
            field="allowed_sources",
        )
    return wanted


def _where(request: CompleteRequest) -> Filter:
    wanted = request.filter
    return Filter(
        tuple(wanted.all_of),
        tuple(wanted.any_of),
        tuple(wanted.none_of),
        keep_generated=wanted.include_generated,
    )


def _explain(suggestion: Suggestion, explanation: Explained) -> None:
    if explanation.average:
        suggestion.contributions.add(feature="average", contribution=explanation.average)
    parts = [(name, part) for name, part in explanation.features.items() if part.contribution]
    for name, part in sorted(parts, key=lambda item: -abs(item[1].contribution)):
        value = None if math.isnan(part.value) else part.value
        suggestion.contributions.add(feature=name, value=value, contribution=part.contribution)
