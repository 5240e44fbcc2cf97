"""What is measured of a completion, around the parts that do the work.

Nothing here is there when telemetry is off: the service is then put together without it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

from espalier.native import Source
from espalier.serve.counters import Counters, Counting, observe
from espalier.serve.domain import Answer, Completer, Question, SessionState
from espalier.serve.encoded import EncodedSuggestions
from espalier.serve.indexes import Indexes
from espalier.serve.log import EventLog
from espalier.serve.telemetry.families import PREFIX_LENGTHS
from espalier.serve.telemetry.tracing import Traced
from espalier.sessions.base import Recent, SessionStats, SessionStore

_LONGEST: Final = 11
_SOURCES: Final = tuple(str(source.name) for source in Source)


def _group(length: int) -> str:
    if length < 4:
        return str(length)
    if length < 7:
        return "4-6"
    return "7-10" if length < _LONGEST else "11+"


class Current:
    """What the thread at work knows of the call it works on.

    Attributes:
        lookup_ns: What the session lookup of the completion took.
        trace: What is noted of the call; ``None`` if it is not traced.
    """

    lookup_ns: int
    trace: Traced | None


class Meters:
    """Counts completions and how long they took.

    Attributes:
        current: See `Current`; of each thread its own.
        traces: Whether any call may be traced.

    Args:
        counters: Where to.
        threads: How many threads complete at the same time.
        clock: Nanoseconds from any origin.
    """

    def __init__(
        self,
        counters: Counters,
        *,
        threads: int = 1,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.clock = clock
        self.traces = False
        self.current: Any = SimpleNamespace() if threads == 1 else threading.local()
        self.counters = counters
        counters.begin("completion", "suggestions", "contexts", "degraded", "lookup")
        counters.begin("store_failures", "evicted", "expired")
        self._words = counters.words
        self._lookup = counters.place("lookup")
        by_group = {group: counters.place("completion", group) for group in PREFIX_LENGTHS}
        self._by_length = [by_group[_group(length)] for length in range(_LONGEST + 1)]
        self._sources = {name: counters.place("suggestions", name) for name in _SOURCES}
        self._in_order = tuple(self._sources.values())
        self._states = {state: counters.place("contexts", state.value) for state in SessionState}
        self._by_index: dict[str, tuple[int, int]] = {}
        # Without other threads nobody has to be kept out.
        self.completed = self._completed if counters.alone else self._completed_alone

    def looked_up(self, nanoseconds: int) -> None:
        """Note a session lookup of the thread at work."""
        self.current.lookup_ns = nanoseconds
        with self.counters.lock:
            observe(self._words, self._lookup, nanoseconds)

    def add_index(self, name: str) -> tuple[int, int]:
        """Return where completions of an index are counted, and empty ones."""
        counters = self.counters
        places = counters.place("completions", name), counters.place("empty", name)
        self._by_index[name] = places
        return places

    def _completed(self, length: int, nanoseconds: int, answer: Answer) -> None:
        """Note a completion of a prefix of so many code points, without its session lookup."""
        words, suggestions = self._words, answer.suggestions
        name = answer.served.name
        completions, empty = self._by_index.get(name) or self.add_index(name)
        observe(words, self._by_length[min(_LONGEST, length)], nanoseconds)
        words[completions] += 1
        words[self._states[answer.session]] += 1
        if isinstance(suggestions, EncodedSuggestions):
            model, popular, tail, corrected = suggestions.by_source
            to_model, to_popular, to_tail, to_corrected = self._in_order
            words[to_model] += model
            words[to_popular] += popular
            if tail:
                words[to_tail] += tail
            if corrected:
                words[to_corrected] += corrected
            if not (model or popular or tail or corrected):
                words[empty] += 1
            return
        for one in suggestions:
            words[self._sources[one.source]] += 1
        if not suggestions:
            words[empty] += 1

    def _completed_alone(self, length: int, nanoseconds: int, answer: Answer) -> None:
        """Do the same where other threads do."""
        with self.counters.lock:
            self._completed(length, nanoseconds, answer)


class MeasuredCompleter(Completer):
    """A `Completer` that meters what it answers."""

    def __init__(
        self,
        indexes: Indexes,
        sessions: SessionStore,
        *,
        context_queries: int,
        log: EventLog,
        counters: Counting,
        meters: Meters,
        store_told: Callable[[bool], object] = lambda _well: None,
    ) -> None:
        super().__init__(
            indexes,
            MeasuredStore(sessions, meters),
            context_queries=context_queries,
            log=log,
            counters=counters,
            store_told=store_told,
        )
        self._meters = meters
        for served in indexes:
            meters.add_index(served.name)

    def complete(self, question: Question, time_left: float = math.inf) -> Answer:
        """Answer ``question``; see `Completer.complete`."""
        meters = self._meters
        current = meters.current
        current.lookup_ns = 0
        began = meters.clock()
        answer = Completer.complete(self, question, time_left)
        spent = meters.clock() - began - current.lookup_ns
        meters.completed(len(question.prefix), spent, answer)
        if meters.traces and (trace := getattr(current, "trace", None)) is not None:
            trace.completed(began, current.lookup_ns, spent, _group(len(question.prefix)), answer)
        return answer


class MeasuredStore:
    """A `SessionStore` whose lookups are timed."""

    def __init__(self, store: SessionStore, meters: Meters) -> None:
        self._store = store
        self._meters = meters
        self.append = store.append
        self.delete = store.delete
        self.ping = store.ping
        self.close = store.close

    def recent(self, session_id: str, limit: int) -> Recent:
        """Look up a session; see `SessionStore.recent`."""
        meters = self._meters
        began = meters.clock()
        try:
            return self._store.recent(session_id, limit)
        finally:
            meters.looked_up(meters.clock() - began)

    def stats(self) -> SessionStats:
        """Return the counters of the store."""
        return self._store.stats()
