"""What is measured of completions and calls."""

from __future__ import annotations

import itertools

import pytest

from espalier.serve.counters import Counters
from espalier.serve.domain import Question
from espalier.serve.telemetry.calls import CallWatch
from espalier.serve.telemetry.meters import MeasuredCompleter, Meters
from espalier.serve.telemetry.page import Page
from espalier.serve.telemetry.sampler import Sampler
from espalier.sessions.base import SessionStats, SessionStoreError
from espalier.sessions.fake import BreakableStore
from espalier.sessions.memory import MemorySessionStore
from tests.unit.serve.fakes import FakeIndex, ListLog, indexes_of


class Bench:
    """A measured completer whose clock moves by a microsecond whenever it is read."""

    def __init__(self, threads: int = 1) -> None:
        self.store = BreakableStore(MemorySessionStore())
        self.counters = Counters()
        self.meters = Meters(
            self.counters, threads=threads, clock=itertools.count(0, 1_000).__next__
        )
        self.completer = MeasuredCompleter(
            indexes_of(main=FakeIndex()),
            self.store,
            context_queries=5,
            log=ListLog(),
            counters=self.counters,
            meters=self.meters,
        )

    def sum_of(self, family: str, *labels: str) -> tuple[int, int]:
        """Return how many times were observed, and their sum in nanoseconds."""
        *buckets, total = self.counters.read()[family, *labels]
        return sum(buckets), total


@pytest.mark.parametrize("threads", [1, 4])
def test_a_completion_is_counted_by_what_it_was(threads: int) -> None:
    """Length typed, sources, session, and whether there was anything to show."""
    bench = Bench(threads)
    bench.completer.complete(Question("nik", session_id="s"))
    bench.completer.complete(Question("n" * 40))
    counters = bench.counters

    assert counters.get("completions", "main") == 2
    assert counters.get("empty", "main") == 1
    assert counters.get("suggestions", "POPULAR") == 3
    assert counters.get("suggestions", "MODEL") == 0
    assert counters.get("contexts", "new") == 1
    assert counters.get("contexts", "none") == 1
    assert bench.sum_of("lookup") == (1, 1_000)
    # Three microseconds between the first and the last reading of the clock, one the store's.
    assert bench.sum_of("completion", "3") == (1, 2_000)
    assert bench.sum_of("completion", "11+") == (1, 1_000)


@pytest.mark.parametrize(
    ("length", "group"),
    [(0, "0"), (1, "1"), (3, "3"), (4, "4-6"), (6, "4-6"), (7, "7-10"), (10, "7-10"), (11, "11+")],
)
def test_prefixes_are_grouped_by_length(length: int, group: str) -> None:
    """As evaluation groups them."""
    bench = Bench()
    bench.completer.complete(Question("n" * length))

    assert bench.sum_of("completion", group)[0] == 1


def test_a_store_that_fails_is_timed_and_shows() -> None:
    """Its failures may be what takes long."""
    bench = Bench()
    bench.store.broken = True
    bench.completer.complete(Question("nik", session_id="s"))

    assert bench.sum_of("lookup")[0] == 1
    assert bench.counters.get("contexts", "unavailable") == 1
    assert bench.counters.get("degraded", "without_session") == 1
    assert not bench.completer.store_well
    with pytest.raises(SessionStoreError):
        bench.completer.record("s", "query")


def test_calls_are_timed_by_method_and_code() -> None:
    """Until their turn, and until their end."""
    bench = Bench()
    watch = CallWatch(bench.meters)
    watch.ended("/s/Work", "OK", 5_000, 9_000, None)
    watch.ended("/s/Work", "CANCELLED", -1, 7_000, None)

    assert bench.counters.get("calls", "/s/Work", "OK") == 1
    assert bench.sum_of("call", "/s/Work", "CANCELLED") == (1, 7_000)
    assert bench.sum_of("wait", "/s/Work") == (1, 5_000)
    assert bench.sum_of("call", "/s/Work", "OK") == (1, 9_000)


class Server:
    """As busy as it is told to be."""

    waiting = 3
    unanswered = 5


def test_what_a_store_counts_from_zero_goes_on_across_restarts() -> None:
    """A worker's store begins anew with it; what is scraped must not."""
    page = Page.private()
    for evicted in (4, 6):
        stats = SessionStats(1, 0, 0, expired=1, evicted=evicted, failed=2)
        sampler = Sampler(Counters(page), Server(), lambda stats=stats: stats, lambda: True)  # type: ignore[misc]
        sampler.sample()
        sampler.sample()
    found = Counters(page)

    assert found.get("evicted") == 10
    assert found.get("expired") == 2
    assert found.get("store_failures") == 4
    assert (found.get("waiting"), found.get("open"), found.get("store_up")) == (3, 5, 1)
