"""What the load benchmark asks, and what it makes of the rounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.serve_clients import Outcome
from bench.serve_load import (
    COMPLETE,
    LABELS,
    PREVIOUS,
    RECORD,
    RECORD_EVERY,
    closed_figures,
    completions,
    fill,
    open_figures,
    sample_of,
    session_calls,
)
from espalier.evaluate.questions import Question
from espalier.sessions.opening import FILE_NAME
from espalier.sessions.shared import SharedSessionStore
from espalier.v1.completion_service_pb2 import CompleteRequest, RecordQueryRequest

QUESTIONS = [
    Question(f"p{n}", tuple(f"q{n} {m}" for m in range(n % 6)), f"w{n}", n) for n in range(50)
]


def outcome(rate: float, server_us: float, *latencies: float) -> Outcome:
    """Return a round."""
    return Outcome(rate, sorted(latencies) or [0.001], 0, server_us, 0.5)


def test_a_sample_is_the_same_in_every_run() -> None:
    """All questions where there are few, in an order that no file gives."""
    sample = sample_of(QUESTIONS)

    assert sample == sample_of(QUESTIONS)
    assert sample != QUESTIONS
    assert sorted(one.unit for one in sample) == list(range(50))


def test_requests_carry_the_newest_context_and_the_sources() -> None:
    """Of each question the same, whatever the sources."""
    for sources in ((), LABELS):
        for (path, data), one in zip(completions(QUESTIONS, sources), QUESTIONS, strict=True):
            request = CompleteRequest.FromString(data)
            assert path == COMPLETE
            assert request.prefix == one.prefix
            assert tuple(request.previous_queries) == one.previous[:PREVIOUS]
            assert tuple(request.allowed_sources) == tuple(sources)


def test_sessions_have_the_context_that_requests_carry(tmp_path: Path) -> None:
    """One call in so many records the newest query once more, which changes nothing."""
    path = tmp_path / FILE_NAME
    fill(path, QUESTIONS, 200)
    calls = session_calls(QUESTIONS)
    store = SharedSessionStore(path, max_sessions=200, sweep_seconds=None)
    asked = [CompleteRequest.FromString(data) for method, data in calls if method == COMPLETE]
    recorded = [RecordQueryRequest.FromString(data) for method, data in calls if method == RECORD]
    for request, one in zip(asked, QUESTIONS, strict=True):
        assert store.recent(request.session_id, 5).queries == one.previous[:PREVIOUS]
    for record in recorded:
        known = store.recent(record.session_id, 5).queries
        assert not known or known[0] == record.query
    assert store.stats().sessions > 190
    store.close()

    assert len(recorded) == len(calls) // RECORD_EVERY


def test_ratios_are_medians_of_rounds() -> None:
    """A round that was slow for everybody moves no ratio; above 1 is better than the base."""
    ours = [outcome(100, 200), outcome(10, 2_000), outcome(110, 180)]
    empty = [outcome(200, 100), outcome(20, 1_000), outcome(220, 90)]
    figures = closed_figures(ours, empty, ours)

    assert figures["rate_to_empty"] == pytest.approx(0.5)
    assert figures["cost_to_empty"] == pytest.approx(0.5)
    assert figures["rate_to_loop"] == figures["cost_to_loop"] == 1
    assert figures["rate"] == 100


def test_added_latency_is_of_the_same_round() -> None:
    """In milliseconds, at the median and at the 99th of a hundred."""
    ours = [outcome(1, 1, *(n / 1_000 + 0.001 for n in range(100)))]
    empty = [outcome(1, 1, *(n / 1_000 for n in range(100)))]
    figures = open_figures(ours, empty)

    assert (figures["p50_ms"], figures["p99_ms"]) == pytest.approx((51, 100))
    assert (figures["added_p50_ms"], figures["added_p99_ms"]) == pytest.approx((1, 1))
