"""Spans of the calls that are traced, made when they are over.

A span has names and numbers of ours, as `tracing.Traced` notes them, and what the
semantic conventions of OpenTelemetry say about RPC and HTTP servers. Needs the extra
``otel``.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

import espalier
from espalier.serve.telemetry.calls import CallWatch
from espalier.serve.telemetry.meters import Meters
from espalier.serve.telemetry.otlp import FAULTS, SCOPE, resource, span_exporter, wanted
from espalier.serve.telemetry.tracing import AttributeValue, Parent, Sampling, Traced
from espalier.settings import ServeSettings

_HEADER: Final = "traceparent"
_END_SECONDS: Final = 2.0


class Spans:
    """Makes spans and sends them, in the background.

    Args:
        worker: The number of this process.
        exporter: Where to; by default as the environment says.

    Raises:
        ConfigError: The environment asks for what there is not.
    """

    def __init__(self, worker: int, exporter: SpanExporter | None = None) -> None:
        # What is traced has been decided by then.
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=resource(**{"espalier.worker": str(worker)}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(span_exporter() if exporter is None else exporter)
        )
        self._tracer = self._provider.get_tracer(SCOPE, espalier.__version__)

    def make(
        self,
        name: str,
        attributes: Mapping[str, AttributeValue],
        note: Traced,
        taken: int,
        *,
        fault: str = "",
    ) -> None:
        """Make the span of a call that took so many nanoseconds, and those of its stages."""
        context = None
        if note.parent is not None:
            remote = SpanContext(
                note.parent.trace_id, note.parent.span_id, True, TraceFlags(TraceFlags.SAMPLED)
            )
            context = set_span_in_context(NonRecordingSpan(remote))
        span = self._tracer.start_span(
            name,
            context,
            SpanKind.SERVER,
            {**attributes, **note.attributes},
            start_time=note.wall,
        )
        inner = set_span_in_context(span)
        for stage in note.stages:
            part = self._tracer.start_span(
                stage.name, inner, start_time=note.wall + stage.began - note.began
            )
            part.end(note.wall + stage.ended - note.began)
        if fault:
            span.set_attribute("error.type", fault)
            span.set_status(StatusCode.ERROR)
        span.end(note.wall + taken)

    def close(self) -> None:
        """Send what is left, for a moment at most."""
        # Exporters try again and again, longer than a process may take to end.
        end = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        end.start()
        end.join(_END_SECONDS)


class Tracing:
    """Decides which calls are traced, and makes their spans.

    Args:
        scheme: Of the HTTP front, ``http`` or ``https``.
    """

    def __init__(
        self, meters: Meters, sampling: Sampling, spans: Spans, *, scheme: str = "http"
    ) -> None:
        self._scheme = scheme
        self._meters = meters
        meters.traces = True
        self._current = meters.current
        self._clock = meters.clock
        self._sampling = sampling
        self._spans = spans

    def calls(self) -> TracedCalls:
        """Return what watches gRPC calls."""
        return TracedCalls(self._meters, self)

    def arrived(self, traceparent: str | None) -> Traced | None:
        """Return what to note of a call on, ``None`` if it is not traced."""
        parent = None if traceparent is None else Parent.of(traceparent)
        if not self._sampling.takes(parent, random.random):
            return None
        return Traced(parent, self._clock(), time.time_ns())

    def works_on(self, note: Traced | None) -> None:
        """Let what this thread does be noted there."""
        self._current.trace = note

    def grpc(self, name: str, code: str, taken: int, note: Traced) -> None:
        """Make the span of a gRPC call."""
        method = name.removeprefix("/")
        attributes = {
            "rpc.system.name": "grpc",
            "rpc.method": method,
            "rpc.response.status_code": code,
        }
        self._spans.make(method, attributes, note, taken, fault=code if code in FAULTS else "")

    def http(self, method: str, route: str, status: int, taken: int, note: Traced) -> None:
        """Make the span of an HTTP request."""
        attributes: dict[str, AttributeValue] = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
            "url.scheme": self._scheme,
        }
        fault = str(status) if status >= 500 else ""
        self._spans.make(f"{method} {route}", attributes, note, taken, fault=fault)

    def close(self) -> None:
        """Send what is left, for a moment at most."""
        self._spans.close()


class TracedCalls(CallWatch):
    """A `CallWatch` that also makes spans of some calls."""

    looks_at_headers = True

    def __init__(self, meters: Meters, tracing: Tracing) -> None:
        super().__init__(meters)
        self._tracing = tracing

    def arrived(self, metadata: Any) -> object:
        """Look for the span of the caller."""
        found = None
        for key, value in metadata:
            if key == _HEADER:
                found = value
        return self._tracing.arrived(found)

    def begun(self, note: object) -> None:
        """Note that this thread works on a call."""
        self._tracing.works_on(note if isinstance(note, Traced) else None)

    def ended(self, name: str, code: str, waited: int, taken: int, note: object) -> None:
        """Count a call; make its span."""
        super().ended(name, code, waited, taken, note)
        if isinstance(note, Traced):
            self._tracing.grpc(name, code, taken, note)


def tracing_of(settings: ServeSettings, meters: Meters, worker: int) -> Tracing | None:
    """Return what traces a worker's calls, ``None`` if nobody wants to hear of them.

    Raises:
        ConfigError: The environment asks for what there is not.
    """
    if not wanted("traces"):
        return None
    sampling = Sampling.of(share=settings.trace_share)
    scheme = "http" if settings.tls_certificate is None else "https"
    return Tracing(meters, sampling, Spans(worker), scheme=scheme)
