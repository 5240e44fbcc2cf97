"""Traces and metrics by OTLP, received by a collector, over both of its protocols."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from espalier.client import Client
from espalier.v1.completion_service_pb2 import CompleteRequest, CompleteResponse
from integration.collector import Collector, attributes_of
from integration.processes import PATIENCE, Sidecar, espalier

CANARY = "canaryquery"
COMPLETE = "espalier.v1.CompletionService/Complete"
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"


def until(true: Callable[[], object]) -> None:
    """Wait until ``true`` is."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def complete(address: str, traceparent: str) -> None:
    """Complete with a header."""
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            f"/{COMPLETE}",
            request_serializer=CompleteRequest.SerializeToString,
            response_deserializer=CompleteResponse.FromString,
        )
        call(
            CompleteRequest(prefix=CANARY[:5], session_id=CANARY),
            metadata=(("traceparent", traceparent),),
            timeout=PATIENCE,
        )


def resources_of(request: Any) -> Any:
    """Return what a request has, by resource."""
    spans = isinstance(request, ExportTraceServiceRequest)
    return request.resource_spans if spans else request.resource_metrics


@dataclass(frozen=True, slots=True)
class Seen:
    """What a collector has of a service that ended."""

    collector: Collector

    def span(self, name: str, trace_id: str = "") -> Span:
        """Return the only span of a name, in a trace if one is given."""
        found = [
            one
            for one in self.collector.spans()
            if one.name == name and one.trace_id.hex().startswith(trace_id)
        ]
        assert len(found) == 1, (name, found)
        return found[0]


@pytest.fixture(scope="module", params=["grpc", "http/protobuf"])
def seen(request: pytest.FixtureRequest, demo_index: Path) -> Iterator[Seen]:
    """Yield what comes of some calls; of those only two are traced by their callers' wish."""
    with Collector(request.param) as collector:
        sampled = {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}
        with Sidecar(
            *("--index", demo_index, "--http", "127.0.0.1:0"),
            *("--set", "workers=2", "--set", "otel=true"),
            env={**collector.environment, **sampled, "OTEL_SERVICE_NAME": "shop"},
        ) as sidecar:
            with Client(sidecar.address, timeout=PATIENCE) as client:
                client.record(CANARY, session=CANARY)
                for _ in range(20):
                    client.complete(CANARY[:3])
            complete(sidecar.address, f"00-{TRACE}-{CALLER}-00")
            complete(sidecar.address, f"00-{TRACE}-{CALLER}-01")
            headers = {"traceparent": f"00-{TRACE[::-1]}-{CALLER}-01"}
            urlopen(Request(f"http://{sidecar.http}/suggest?q={CANARY}", headers=headers)).close()
            until(lambda: "espalier.completions" in collector.newest())
            sidecar.send(signal.SIGTERM)
            assert sidecar.wait() == 0
            assert CANARY not in sidecar.stderr
        yield Seen(collector)


def test_a_call_becomes_a_span_of_its_callers_trace(seen: Seen) -> None:
    """By the names of the semantic conventions, with its stages inside."""
    span = seen.span(COMPLETE)
    attributes = attributes_of(span)

    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, CALLER)
    assert span.kind == Span.SPAN_KIND_SERVER
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert attributes["rpc.system.name"] == "grpc"
    assert attributes["rpc.method"] == COMPLETE
    assert attributes["rpc.response.status_code"] == "OK"
    assert attributes["espalier.index"] == "default"
    assert attributes["espalier.prefix_length"] == "4-6"
    assert attributes["espalier.session"] == "found"
    lookup = seen.span("session_lookup")
    work = seen.span("completion", TRACE)
    assert {lookup.parent_span_id, work.parent_span_id} == {span.span_id}
    assert (
        span.start_time_unix_nano
        <= lookup.start_time_unix_nano
        <= lookup.end_time_unix_nano
        <= work.start_time_unix_nano
        <= work.end_time_unix_nano
        <= span.end_time_unix_nano
    )


def test_a_request_over_http_becomes_one_as_well(seen: Seen) -> None:
    """By the conventions of HTTP servers; of the address there is the pattern only."""
    span = seen.span("GET /suggest")
    attributes = attributes_of(span)

    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE[::-1], CALLER)
    assert attributes["http.request.method"] == "GET"
    assert attributes["http.route"] == "/suggest"
    assert attributes["http.response.status_code"] == 200
    assert seen.span("completion", TRACE[::-1]).parent_span_id == span.span_id


def test_what_nobody_asked_to_trace_is_not_traced(seen: Seen) -> None:
    """Neither what begins here nor what a caller leaves out: two calls of twenty-two."""
    assert {one.trace_id.hex() for one in seen.collector.spans()} == {TRACE, TRACE[::-1]}


def test_numbers_come_under_the_names_of_the_conventions(seen: Seen) -> None:
    """Those that have one; the last export has what was done to the end."""
    found = seen.collector.newest()
    points = found["rpc.server.call.duration"].histogram.data_points
    (calls,) = [one for one in points if attributes_of(one)["rpc.method"] == COMPLETE]

    assert attributes_of(calls) == {
        "rpc.system.name": "grpc",
        "rpc.method": COMPLETE,
        "rpc.response.status_code": "OK",
    }
    assert found["rpc.server.call.duration"].unit == "s"
    assert calls.count == 22
    assert sum(calls.bucket_counts) == 22
    assert 0 < calls.sum < PATIENCE
    assert not calls.HasField("min")
    (request,) = found["http.server.request.duration"].histogram.data_points
    assert attributes_of(request) == {
        "http.request.method": "GET",
        "http.route": "/suggest",
        "http.response.status_code": 200,
        "url.scheme": "http",
    }
    completions = found["espalier.completions"].sum
    assert completions.is_monotonic
    assert [one.as_int + one.as_double for one in completions.data_points] == [23]
    assert found["espalier.index_size"].unit == "By"


def test_what_is_sent_says_who_and_never_what(seen: Seen) -> None:
    """The service by the name it was given; no text, no session."""
    (resource,) = {
        attributes_of(one.resource)["service.name"]
        for request in [*seen.collector.traces, *seen.collector.metrics]
        for one in resources_of(request)
    }

    assert resource == "shop"
    assert CANARY[:5] not in seen.collector.everything()


@pytest.mark.parametrize(
    ("variable", "value", "fix"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "use grpc or http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "use always_on, always_off or traceidratio"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "use otlp or none"),
    ],
)
def test_what_the_environment_asks_for_in_vain_is_said(
    demo_index: Path, variable: str, value: str, fix: str
) -> None:
    """At the start, with the variable and what it may be."""
    done = espalier(
        *("serve", "--index", demo_index, "--listen", "127.0.0.1:0"),
        *("--set", "otel=true", "--set", "workers=1"),
        **{variable: value},
    )

    assert done.returncode == 2
    assert f"{variable} is {value}; {fix}" in done.stderr


def test_a_collector_that_is_not_there_disturbs_nobody(demo_index: Path) -> None:
    """Calls are answered, and the service ends in time."""
    with Sidecar(
        *("--index", demo_index, "--set", "workers=1"),
        *("--set", "otel=true", "--set", "trace_share=1"),
        env={
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
            "OTEL_METRIC_EXPORT_INTERVAL": "50",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        },
    ) as sidecar:
        with Client(sidecar.address, timeout=PATIENCE) as client:
            assert [len(client.complete("c").suggestions) for _ in range(5)] == [10] * 5
        began = time.monotonic()
        sidecar.send(signal.SIGTERM)
        assert sidecar.wait() == 0

    assert time.monotonic() - began < PATIENCE / 2
