"""What the benchmark of the HTTP front asks, and that its client understands replies."""

from __future__ import annotations

import os
from urllib.parse import parse_qs

from bench.http_load import FRONT, Side, closed_loop, figures_of, reply_bytes, requests_of
from bench.serve_clients import Load, Outcome, Target
from bench.serve_load import LABELS, PREVIOUS
from espalier.evaluate.questions import Question
from espalier.serve.http.mapping import from_json
from espalier.v1.completion_service_pb2 import CompleteRequest
from tests.unit.serve.http.test_server import serving

QUESTIONS = [
    Question(f"n{n} é", tuple(f"q{n} {m}" for m in range(n % 6)), "w", n) for n in range(9)
]


def test_requests_ask_the_questions_with_context_and_sources() -> None:
    """As pages ask them: a length that is right, and JSON of the contract."""
    requests = requests_of(QUESTIONS)
    for name, sources in ((FRONT, ()), ("labels", LABELS)):
        for request, one in zip(requests[name], QUESTIONS, strict=True):
            head, _, body = request.partition(b"\r\n\r\n")
            asked = from_json(CompleteRequest, body)

            assert head.endswith(b"content-length: %d" % len(body))
            assert asked.prefix == one.prefix
            assert tuple(asked.previous_queries) == one.previous[:PREVIOUS]
            assert tuple(asked.allowed_sources) == tuple(sources)
    for request, one in zip(requests["suggest"], QUESTIONS, strict=True):
        query = request.split(b" ")[1].partition(b"?")[2].decode()
        assert parse_qs(query) == {"q": [one.prefix]}


def test_a_round_counts_replies_and_none_fails() -> None:
    """Over several connections at once; the size of a reply is that of its body."""
    with serving() as site:
        target = Target(site.address, (os.getpid(),))
        requests = requests_of(QUESTIONS)
        outcome = closed_loop(Side(target, requests[FRONT]), Load(3, 1, 0.2))
        refused = closed_loop(Side(target, [b"GET /x HTTP/1.1\r\n\r\n"]), Load(1, 1, 0.1))

        assert (outcome.failed, len(refused.latencies)) == (0, refused.failed)
        assert len(outcome.latencies) > 3
        assert reply_bytes(target, [b"GET /healthz HTTP/1.1\r\n\r\n"]) == len(
            b'{"status":"SERVING"}'
        )


def test_ratios_are_medians_of_rounds() -> None:
    """A round that was slow for everybody moves no ratio; above 1 is better than the base."""
    ours = [Outcome(rate, [0.001], 0, 2e6 / rate, 0.5) for rate in (100, 10, 110)]
    bare = [Outcome(rate, [0.001], 0, 1e6 / rate, 0.5) for rate in (200, 20, 200)]

    figures = figures_of(ours, bare)

    assert (figures["rate_to_bare"], figures["rate"]) == (0.5, 100)
    assert 0.2 < figures["cost_to_bare"] < 0.3
