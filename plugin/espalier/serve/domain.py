"""What the service does with a question; knows indexes and sessions, no gRPC."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from espalier.errors import InvalidTextError, LimitError, UnsupportedError
from espalier.experiments import Parameters
from espalier.filters import FILTER_VALUES, Filter
from espalier.index import MAX_K, MAX_PREFIX_BYTES, MAX_PREVIOUS_CODE_POINTS
from espalier.native import Source
from espalier.serve.counters import Counting
from espalier.serve.encoded import FIELD, EncodedSuggestions
from espalier.serve.errors import (
    EmptyQueryError,
    NoSessionError,
    PrefixTooLongError,
    RequestError,
    SessionIdTooLongError,
    UnsupportedRequestError,
)
from espalier.serve.indexes import Explained, Indexes, ServedIndex, Suggested
from espalier.serve.log import EventLog
from espalier.sessions.base import (
    MAX_SESSION_ID_BYTES,
    WITHOUT_STORE,
    Recent,
    SessionStore,
    SessionStoreError,
)
from espalier.text import normalise

DEFAULT_SUGGESTIONS = 10
MAX_SET_ID_BYTES = 64
MAX_VALUE_BYTES = 128
"""UTF-8 bytes of an attribute value; no label has a longer one."""
SHORT_SECONDS = 0.005
"""Time left until the deadline below which only popular completions are looked up.

Full work takes a millisecond at worst, and on a busy machine the answer still has to
wait for a processor and to travel.
"""


class SessionState(enum.Enum):
    """What became of the session a call named."""

    NONE = "none"
    FOUND = "found"
    NEW = "new"
    UNAVAILABLE = "unavailable"


class Degradation(enum.Enum):
    """One way in which an answer is less than it could be."""

    WITHOUT_SESSION = "without_session"
    POPULAR_ONLY = "popular_only"


_WHOLE: tuple[Degradation, ...] = ()
_WITHOUT_SESSION = (Degradation.WITHOUT_SESSION,)
_POPULAR_ONLY = (Degradation.POPULAR_ONLY,)


@dataclass(frozen=True, slots=True)
class Question:
    """What to complete, and in which context.

    Attributes:
        prefix: What was typed, not normalised.
        previous: Queries of the session, most recent first. If there are any, the
            session is not looked up.
        session_id: The session to look up; "" for none.
        limit: Suggestions wanted; 0 for the default, coerced to the maximum.
        index: Name of the index; "" for the default.
        sources: Where suggestions may come from; ``None`` for everywhere.
        ages: Seconds since each of ``previous``; empty if not known.
        where: What suggestions must have; ``None`` for anything.
        explain: Whether to tell what every score is made of.
        keep_variants: Whether variants of better suggestions stay.
        tuned: What an experiment changes of the search and of the context; of its other
            parameters the fields above hold what came of them.
    """

    prefix: str
    previous: Sequence[str] = ()
    session_id: str = ""
    limit: int = 0
    index: str = ""
    sources: Source | None = None
    ages: Sequence[int] = ()
    where: Filter | None = None
    explain: bool = False
    keep_variants: bool = False
    tuned: Parameters | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Completions, and how they came about.

    Attributes:
        explanations: Of every suggestion, where that was asked for and could be given.
        previous, ages: The queries that were the context, and the seconds since each.
    """

    served: ServedIndex
    suggestions: Sequence[Suggested]
    session: SessionState
    degradations: tuple[Degradation, ...]
    explanations: Sequence[Explained] = ()
    previous: Sequence[str] = ()
    ages: Sequence[int] = ()

    @property
    def context(self) -> int:
        """How many previous queries were used."""
        return len(self.previous)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The suggestion a user took: ``position`` counts from 1, 0 if unknown."""

    set_id: str
    position: int


class Completer:
    """Completes, remembers and forgets. Safe to use from many threads.

    Attributes:
        indexes: What to complete from. May be replaced at any time: a call uses what it
            found first to its end.
        context_queries: Queries of a session that count as context.

    Args:
        indexes: The first of them.
        sessions: What remembers; may fail without failing `complete`.
        context_queries: Queries of a session that count as context.
        log: Told when the session store begins to fail and when it is back.
        counters: Told of answers that are less than they could be.
        store_told: Called with whether the session store answers, when that changes.
    """

    def __init__(
        self,
        indexes: Indexes,
        sessions: SessionStore,
        *,
        context_queries: int,
        log: EventLog,
        counters: Counting,
        store_told: Callable[[bool], object] = lambda _well: None,
    ) -> None:
        self.indexes = indexes
        self._sessions = sessions
        self.context_queries = context_queries
        self._log = log
        self._counters = counters
        self._store_told = store_told
        self._store_failing = False

    @property
    def store_well(self) -> bool:
        """Whether the session store answered when it was asked last."""
        return not self._store_failing

    def complete(self, question: Question, time_left: float = math.inf) -> Answer:
        """Answer ``question``, with ``time_left`` seconds until the caller stops waiting.

        Below `SHORT_SECONDS` the session is not looked up and only popular completions
        are, if they are allowed at all.

        Raises:
            PrefixTooLongError, SessionIdTooLongError, UnknownIndexError: As named.
            RequestError: The filter is larger than a filter may be, or other than one age
                was given for every previous query.
            UnsupportedRequestError: The index has no attributes to filter by.
            UnsupportedError: The index cannot do what is asked.
        """
        check_bytes(question.prefix, MAX_PREFIX_BYTES, "prefix", PrefixTooLongError)
        check_session_id(question.session_id)
        if question.where is not None:
            check_filter(question.where)
        served = self.indexes.get(question.index)
        previous, ages, state = question.previous, question.ages, SessionState.NONE
        if ages and len(ages) != len(previous):
            raise _uneven(len(previous), len(ages))
        sources, degradations = question.sources, _WHOLE
        if time_left < SHORT_SECONDS and (sources is None or Source.POPULAR in sources):
            previous, ages, sources, degradations = (), (), Source.POPULAR, _POPULAR_ONLY
        else:
            limit = None if question.tuned is None else question.tuned.context
            if question.session_id and not previous and limit != 0:
                recent, state = self._recent(question.session_id, limit)
                previous, ages = recent.queries, recent.ages
                if state is SessionState.UNAVAILABLE:
                    degradations = _WITHOUT_SESSION
            if limit is not None:
                previous, ages = previous[:limit], ages[:limit]
        explain = question.explain and degradations is not _POPULAR_ONLY
        suggestions, explanations = _ask(served, question, previous, ages, sources, explain=explain)
        for degradation in degradations:
            self._counters.add("degraded", degradation.value)
        return Answer(served, suggestions, state, degradations, explanations, previous, ages)

    def beside(self, question: Question) -> Answer:
        """Answer ``question`` for nobody: what measures answers does not see this one."""
        return Completer.complete(self, question)

    def record(self, session_id: str, query: str, accepted: Accepted | None = None) -> SessionState:
        """Remember a submitted query; return FOUND or NEW.

        Raises:
            NoSessionError, SessionIdTooLongError, EmptyQueryError, RequestError: As named.
            SessionStoreError: It could not be remembered.
        """
        _require_session_id(session_id)
        if accepted is not None:
            _check_accepted(accepted)
        # Cut first: normalising a megabyte to keep a line would be a way to hurt.
        text = normalise(query[:MAX_PREVIOUS_CODE_POINTS])[:MAX_PREVIOUS_CODE_POINTS].rstrip()
        if not text:
            raise EmptyQueryError(
                "the submitted query is blank; do not report blank searches", field="query"
            )
        known = self._sessions.append(session_id, text)
        return SessionState.FOUND if known else SessionState.NEW

    def delete(self, session_id: str) -> None:
        """Forget a session, known or not.

        Raises:
            NoSessionError, SessionIdTooLongError: As named.
            SessionStoreError: It may still be remembered.
        """
        _require_session_id(session_id)
        self._sessions.delete(session_id)

    def _recent(self, session_id: str, limit: int | None) -> tuple[Recent, SessionState]:
        """Return the session's queries; a completion without context beats none."""
        try:
            recent = self._sessions.recent(session_id, limit or self.context_queries)
        except SessionStoreError as error:
            self.note_store(failing=True, exception=type(error).__name__)
            return WITHOUT_STORE, SessionState.UNAVAILABLE
        self.note_store(failing=recent.degraded)
        if recent.degraded:
            return WITHOUT_STORE, SessionState.UNAVAILABLE
        return recent, SessionState.FOUND if recent.queries else SessionState.NEW

    def note_store(self, *, failing: bool, exception: str | None = None) -> None:
        """Note whether the session store answered; say so if that changed."""
        # Once per change, not once per keystroke; two threads may both see a change.
        if failing != self._store_failing:
            self._store_failing = failing
            if failing:
                self._log.warning("session_store_failing", exception=exception)
            else:
                self._log.info("session_store_recovered")
            self._store_told(not failing)


def _ask(
    served: ServedIndex,
    question: Question,
    previous: Sequence[str],
    ages: Sequence[int],
    sources: Source | None,
    *,
    explain: bool,
) -> tuple[Sequence[Suggested], Sequence[Explained]]:
    """Return the suggestions of an index and, with ``explain``, what made them."""
    prefix, where, age = question.prefix, question.where, ages or None
    k = min(question.limit or DEFAULT_SUGGESTIONS, MAX_K)
    try:
        search = {} if question.tuned is None else question.tuned.search()
        if not explain and not search:
            encoded = served.index.complete_encoded(
                prefix,
                previous,
                field=FIELD,
                k=k,
                sources=sources,
                previous_age=age,
                where=where,
                overlay=served.overlay,
                keep_variants=question.keep_variants,
            )
            if encoded is not None:
                return EncodedSuggestions(encoded), ()
        if not explain:
            found = served.index.complete(
                prefix,
                previous,
                k=k,
                sources=sources,
                previous_age=age,
                where=where,
                overlay=served.overlay,
                keep_variants=question.keep_variants,
                **search,
            )
            return found, ()
        explained = served.index.explain(
            prefix,
            previous,
            k=k,
            sources=sources,
            previous_age=age,
            where=where,
            overlay=served.overlay,
            keep_variants=question.keep_variants,
            **search,
        )
    except LimitError as error:
        # Normalisation may lengthen text, and only the index sees the result.
        raise too_long(PrefixTooLongError, "prefix", MAX_PREFIX_BYTES) from error
    except UnsupportedError as error:
        if where is None:
            raise
        raise UnsupportedRequestError(str(error), field="filter") from error
    return [one.suggestion for one in explained], explained


def _require_session_id(session_id: str) -> None:
    if not session_id:
        raise NoSessionError(
            "session_id is empty; send the id of the session this is about", field="session_id"
        )
    check_session_id(session_id)


def check_session_id(session_id: str, field: str = "session_id") -> None:
    """Check that an id is no longer than ids may be."""
    check_bytes(session_id, MAX_SESSION_ID_BYTES, field, SessionIdTooLongError)


def _uneven(queries: int, ages: int) -> RequestError:
    return RequestError(
        f"previous_query_ages has {ages} numbers for {queries} previous_queries; "
        "send one each, or none",
        field="previous_query_ages",
    )


def _check_accepted(accepted: Accepted) -> None:
    if not 0 < len(accepted.set_id.encode()) <= MAX_SET_ID_BYTES:
        raise RequestError(
            f"accepted.suggestion_set_id must have 1 to {MAX_SET_ID_BYTES} bytes; "
            "send the one of the reply, or leave out accepted",
            field="accepted.suggestion_set_id",
            limit_bytes=MAX_SET_ID_BYTES,
        )
    if not 0 <= accepted.position <= MAX_K:
        raise RequestError(
            f"accepted.position must be 1 to {MAX_K}, or 0 if unknown",
            field="accepted.position",
        )


def check_filter(where: Filter) -> None:
    """Check that a filter is no larger than a filter may be."""
    for name in ("all_of", "any_of", "none_of"):
        values: Sequence[str] = getattr(where, name)
        if len(values) > FILTER_VALUES:
            raise RequestError(
                f"filter.{name} has more than {FILTER_VALUES} values; send fewer",
                field=f"filter.{name}",
                limit_values=FILTER_VALUES,
            )
        for number, value in enumerate(values):
            check_bytes(value, MAX_VALUE_BYTES, f"filter.{name}[{number}]", RequestError)


def check_bytes(text: str, limit: int, field: str, kind: type[RequestError]) -> None:
    """Check that ``text`` has at most ``limit`` bytes of UTF-8."""
    if text.isascii():
        length = len(text)
    else:
        try:
            length = len(text.encode())
        except UnicodeEncodeError as error:
            raise InvalidTextError(
                f"{field} has a lone surrogate at position {error.start}; send valid Unicode"
            ) from None
    if length > limit:
        raise too_long(kind, field, limit)


def too_long(kind: type[RequestError], field: str, limit: int) -> RequestError:
    """Return the error for a ``field`` of more than ``limit`` bytes."""
    return kind(
        f"{field} has more than {limit} bytes of UTF-8; shorten it", field=field, limit_bytes=limit
    )
