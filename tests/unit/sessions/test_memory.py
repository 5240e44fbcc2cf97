"""The in-process session store, against an obviously correct twin."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.sessions.base import Recent, SessionStore
from espalier.sessions.fake import FakeClock
from espalier.sessions.memory import MemorySessionStore

TTL = 10.0
QUERIES = 3
SESSIONS = 4


def store_with(clock: FakeClock, **changes: float) -> MemorySessionStore:
    """Return a small store on ``clock``."""
    return MemorySessionStore(
        ttl_seconds=changes.get("ttl", TTL),
        max_queries=int(changes.get("queries", QUERIES)),
        max_sessions=int(changes.get("sessions", SESSIONS)),
        clock=clock,
    )


def test_queries_come_back_newest_first() -> None:
    """The order is that of `previous_queries`: most recent first."""
    store = store_with(FakeClock())
    for query in ("a", "b", "c"):
        store.append("s", query)

    assert store.recent("s", 5).queries == ("c", "b", "a")
    assert store.recent("s", 2).queries == ("c", "b")


def test_only_the_last_queries_are_kept() -> None:
    """A session is a fixed number of queries."""
    store = store_with(FakeClock())
    for query in "abcdefg":
        store.append("s", query)

    assert store.recent("s", 100).queries == ("g", "f", "e")


def test_repeating_the_newest_query_changes_nothing() -> None:
    """A retried report is not a second query; an older query typed again is."""
    store = store_with(FakeClock())
    for query in ("a", "a", "b", "a"):
        store.append("s", query)

    assert store.recent("s", 5).queries == ("a", "b", "a")


def test_a_query_is_as_old_as_its_last_report() -> None:
    """Ages are seconds since each query was submitted, last if it was repeated."""
    clock = FakeClock()
    store = store_with(clock)
    for query in ("a", "b", "b"):
        clock.advance(2.5)
        store.append("s", query)
    clock.advance(1.0)

    assert Recent(("b", "a"), (1, 6)) == store.recent("s", 5)


def test_append_tells_whether_the_session_was_known() -> None:
    """The first query begins a session."""
    store = store_with(FakeClock())

    assert not store.append("s", "a")
    assert store.append("s", "b")
    assert not store.append("t", "b")


@pytest.mark.parametrize("use", ["append", "recent"])
def test_using_a_session_starts_its_time_anew(use: str) -> None:
    """Time-to-live slides with writing and with reading."""
    clock = FakeClock()
    store = store_with(clock)
    store.append("s", "a")
    for _ in range(5):
        clock.advance(TTL)
        if use == "append":
            store.append("s", "a")
        else:
            store.recent("s", 1)

    assert store.recent("s", 1).queries == ("a",)


def test_a_session_is_forgotten_after_its_time() -> None:
    """Just over the limit is over, exactly the limit is not."""
    clock = FakeClock()
    store = store_with(clock)
    store.append("s", "a")
    store.append("t", "a")

    clock.advance(TTL)
    assert store.recent("s", 1).queries == ("a",)
    clock.advance(0.5)
    assert store.recent("t", 1).queries == ()
    assert not store.append("t", "b")
    assert store.stats().expired == 1


def test_deleting_forgets_now_and_twice_is_no_error() -> None:
    """Delete is idempotent."""
    store = store_with(FakeClock())
    store.append("s", "a")
    store.delete("s")
    store.delete("s")

    assert store.recent("s", 1).queries == ()
    assert store.stats().sessions == 0


def test_the_least_recently_used_session_makes_room() -> None:
    """The number of sessions is bounded, whoever is active stays."""
    store = store_with(FakeClock())
    for name in "abcd":
        store.append(name, "q")
    store.recent("a", 1)
    store.append("e", "q")

    assert store.recent("b", 1).queries == ()
    assert store.recent("a", 1).queries == ("q",)
    assert (store.stats().sessions, store.stats().evicted) == (SESSIONS, 1)


def test_expired_sessions_leave_without_being_asked_for() -> None:
    """Memory of idle sessions is given back while others are used."""
    clock = FakeClock()
    store = store_with(clock, sessions=1_000)
    for number in range(1_000):
        store.append(str(number), "q")
    clock.advance(TTL + 1)
    for _ in range(500):
        store.recent("other", 1)

    assert store.stats().sessions == 0
    assert store.stats().expired == 1_000


def test_a_clock_that_steps_back_forgets_nobody() -> None:
    """Time stands still until the clock has caught up."""
    clock = FakeClock(1_000.0)
    store = store_with(clock)
    store.append("s", "a")
    clock.advance(-500)
    store.append("t", "b")
    clock.advance(500 + TTL)

    assert store.recent("s", 1).queries == ("a",)
    assert store.recent("t", 1).queries == ("b",)


def test_ids_are_not_kept_in_the_clear() -> None:
    """What is in memory are keyed hashes, different in every process."""
    one, two = store_with(FakeClock()), store_with(FakeClock())
    one.append("canary-session", "q")
    two.append("canary-session", "q")

    assert b"canary" not in b"".join(one._sessions)
    assert set(one._sessions).isdisjoint(two._sessions)


def test_closing_forgets_everything() -> None:
    """Nothing outlives the store."""
    store = store_with(FakeClock())
    store.append("s", "a")
    store.close()

    assert store.stats().sessions == 0


def test_many_threads_may_use_it_at_once() -> None:
    """Every append of every thread ends up in its session."""
    store = MemorySessionStore(max_queries=100)

    def work(name: str) -> None:
        for number in range(100):
            store.append(name, f"{name}-{number}")
            store.recent("shared", 1)
            store.append("shared", name)

    threads = [threading.Thread(target=work, args=(str(i),)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for i in range(8):
        assert tuple(f"{i}-{n}" for n in reversed(range(100))) == store.recent(str(i), 100).queries
    assert store.stats().sessions == 9


@dataclass
class Twin:
    """The same rules, written for reading: everything is looked through each time."""

    now: float = 0.0
    used: dict[str, float] = field(default_factory=dict)
    queries: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    def _use(self, name: str) -> None:
        self.used[name] = self.now
        self.order = [other for other in self.order if other != name] + [name]

    def _forget(self, name: str) -> None:
        self.order.remove(name)
        del self.used[name], self.queries[name]

    def _expire(self) -> None:
        for name in list(self.order):
            if self.now - self.used[name] > TTL:
                self._forget(name)

    def append(self, name: str, query: str) -> bool:
        """Append by the rules."""
        self._expire()
        known = name in self.queries
        if not known:
            if len(self.order) == SESSIONS:
                self._forget(self.order[0])
            self.queries[name] = []
        earlier = self.queries[name]
        if earlier and earlier[0][0] == query:
            del earlier[0]
        self.queries[name] = [(query, self.now), *earlier][:QUERIES]
        self._use(name)
        return known

    def recent(self, name: str, limit: int) -> Recent:
        """Look up by the rules."""
        self._expire()
        if name not in self.queries:
            return Recent()
        self._use(name)
        told = self.queries[name][:limit]
        return Recent(tuple(q for q, _ in told), tuple(int(self.now - t) for _, t in told))

    def delete(self, name: str) -> None:
        """Delete by the rules."""
        self._expire()
        if name in self.queries:
            self._forget(name)


names = st.sampled_from("stuvwx")
steps = st.one_of(
    st.tuples(st.just("append"), names, st.sampled_from("abc")),
    st.tuples(st.just("recent"), names, st.integers(1, 5)),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 4.0, TTL, TTL + 0.5])),
)


@given(st.lists(steps, max_size=60))
def test_any_history_gives_what_the_twin_gives(history: list[tuple[object, ...]]) -> None:
    """Expiry, eviction, collapsing and order agree after every step of any history."""
    clock = FakeClock()
    store: SessionStore = store_with(clock)
    twin = Twin()
    for verb, *rest in history:
        if verb == "wait":
            (seconds,) = rest
            assert isinstance(seconds, float)
            clock.advance(seconds)
            twin.now = clock.now
        else:
            assert getattr(twin, str(verb))(*rest) == getattr(store, str(verb))(*rest)

    assert {name: twin.recent(name, 9) for name in "stuvwx"} == {
        name: store.recent(name, 9) for name in "stuvwx"
    }
