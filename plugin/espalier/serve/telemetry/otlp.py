"""OpenTelemetry's side: what needs the extra ``otel``, and is imported only with it.

Where things go, how they are named and how often numbers are sent is said by the
standard variables: ``OTEL_EXPORTER_OTLP_ENDPOINT``, ``_PROTOCOL``, ``_HEADERS`` and so on,
``OTEL_SERVICE_NAME``, ``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_METRIC_EXPORT_INTERVAL``,
``OTEL_TRACES_EXPORTER`` and ``OTEL_METRICS_EXPORTER`` (``otlp`` or ``none``),
``OTEL_SDK_DISABLED``.

Numbers are the ones that Prometheus reads, sent by the supervisor: an instrument of the
SDK takes several microseconds of every call, a page takes none.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

import espalier
from espalier.errors import ConfigError
from espalier.serve.log import EventLog, place_of
from espalier.serve.telemetry.exposition import Numbers, labelled
from espalier.serve.telemetry.families import FAMILIES, SECONDS, Family, Kind
from espalier.serve.telemetry.page import Key

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

SCOPE: Final = "espalier"
_INTERVAL_MS: Final = 60_000
_END_SECONDS: Final = 2.0
_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE
_SEMANTIC: Final[Mapping[str, tuple[str, Mapping[str, str], Mapping[str, str]]]] = {
    # Families that semantic conventions have a name for: that, what their labels are
    # called there, and attributes that are always the same.
    "call": (
        "rpc.server.call.duration",
        {"method": "rpc.method", "code": "rpc.response.status_code"},
        {"rpc.system.name": "grpc"},
    ),
    "http_request": (
        "http.server.request.duration",
        {
            "method": "http.request.method",
            "route": "http.route",
            "code": "http.response.status_code",
        },
        {},
    ),
}
FAULTS: Final = frozenset(
    ("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS")
)
"""Codes that the conventions take for a fault of the server."""


def wanted(signal: str) -> bool:
    """Return whether ``traces`` or ``metrics`` are to be sent.

    Raises:
        ConfigError: To somewhere else than an OTLP collector.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    name = f"OTEL_{signal.upper()}_EXPORTER"
    chosen = os.environ.get(name, "").strip().lower() or "otlp"
    if chosen not in {"otlp", "none"}:
        raise ConfigError(f"{name} is {chosen}; use otlp or none")
    return chosen == "otlp"


def resource(**more: str) -> Resource:
    """Return who sends: what the environment says, by default this program and machine."""
    defaults = {
        "service.name": "espalier",
        "service.version": espalier.__version__,
        "service.instance.id": f"{socket.gethostname()}/{os.getpid()}",
    }
    # What the environment says comes with `create`, and is to win.
    return Resource(defaults | more).merge(_without_defaults(Resource.create({})))


def _without_defaults(found: Resource) -> Resource:
    name = str(found.attributes.get("service.name", ""))
    kept = dict(found.attributes)
    if name.startswith("unknown_service"):
        del kept["service.name"]
    return Resource(kept)


def span_exporter() -> SpanExporter:
    """Return what sends spans, as the environment says.

    Raises:
        ConfigError: By a protocol there is none for.
    """
    if _protocol("TRACES") == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415 - an extra
            OTLPSpanExporter as OverGrpc,
        )

        return OverGrpc()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - an extra
        OTLPSpanExporter,
    )

    return OTLPSpanExporter()


def metric_exporter() -> MetricExporter:
    """Return what sends numbers, as the environment says.

    Raises:
        ConfigError: By a protocol there is none for.
    """
    if _protocol("METRICS") == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (  # noqa: PLC0415 - an extra
            OTLPMetricExporter as OverGrpc,
        )

        return OverGrpc()
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415 - an extra
        OTLPMetricExporter,
    )

    return OTLPMetricExporter()


def _protocol(signal: str) -> str:
    for name in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        chosen = os.environ.get(name, "").strip().lower()
        if chosen in {"grpc", "http/protobuf"}:
            return chosen
        if chosen:
            raise ConfigError(f"{name} is {chosen}; use grpc or http/protobuf")
    return "http/protobuf"


class MetricsSender:
    """Sends all numbers now and then, from `start` to `stop`.

    Args:
        numbers: Returns them.
        exporter: Where to; `metric_exporter` by default.
        log: Told of faults.
        seconds: Between two times; ``OTEL_METRIC_EXPORT_INTERVAL`` by default.
        clock: Unix time in nanoseconds.
        scheme: Of the HTTP front, ``http`` or ``https``.

    Raises:
        ConfigError: The environment asks for what there is not.
    """

    def __init__(
        self,
        numbers: Callable[[], Numbers],
        *,
        log: EventLog,
        exporter: MetricExporter | None = None,
        seconds: float | None = None,
        clock: Callable[[], int] = time.time_ns,
        scheme: str = "http",
    ) -> None:
        self._numbers = numbers
        self._always = {"http_request": {"url.scheme": scheme}}
        self._log = log
        self._exporter = metric_exporter() if exporter is None else exporter
        self._seconds = _interval() if seconds is None else seconds
        self._clock = clock
        self._began = clock()
        self._resource = resource()
        self._scope = InstrumentationScope(SCOPE, espalier.__version__)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send a last time, and end; a collector that does not answer has a moment."""
        self._stop.set()
        self._thread.join(_END_SECONDS)
        self._exporter.shutdown()

    def data(self) -> MetricsData:
        """Return all numbers as they are now."""
        now = self._clock()
        points: dict[str, list[Any]] = {}
        for key, values in sorted(self._numbers().items()):
            points.setdefault(key[0], []).append(self._point(key, values, now))
        metrics = [_metric(name, FAMILIES[name], found) for name, found in points.items()]
        scope = ScopeMetrics(self._scope, metrics, "")
        return MetricsData([ResourceMetrics(self._resource, [scope], "")])

    def _point(self, key: Key, values: Any, now: int) -> Any:
        name, *labels = key
        family = FAMILIES[name]
        attributes = _attributes(name, labelled(family, labels)) | self._always.get(name, {})
        if family.kind is not Kind.HISTOGRAM:
            return NumberDataPoint(attributes, self._began, now, values[0])
        *buckets, total = (int(one) for one in values)
        # The least and the most are not known; what is not there is not sent.
        unknown = cast("float", None)
        return HistogramDataPoint(
            attributes,
            self._began,
            now,
            count=sum(buckets),
            sum=total / 1e9,
            bucket_counts=buckets,
            explicit_bounds=SECONDS,
            min=unknown,
            max=unknown,
        )

    def _run(self) -> None:
        while True:
            ended = self._stop.wait(self._seconds)
            try:
                self._exporter.export(self.data())
            except Exception as error:  # noqa: BLE001 - the next time may go well
                self._log.error(
                    "export_failed", exception=type(error).__name__, raised_at=place_of(error)
                )
            if ended:
                return


def _interval() -> float:
    text = os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "").strip() or str(_INTERVAL_MS)
    if not text.isdecimal() or int(text) == 0:
        raise ConfigError(f"OTEL_METRIC_EXPORT_INTERVAL is {text}; use milliseconds, as in 60000")
    return int(text) / 1_000


def _metric(name: str, family: Family, points: list[Any]) -> Metric:
    if family.kind is Kind.HISTOGRAM:
        data: Any = Histogram(points, _CUMULATIVE)
    elif family.kind is Kind.COUNTER:
        data = Sum(points, _CUMULATIVE, is_monotonic=True)
    else:
        data = Gauge(points)
    exposed = family.name.removesuffix("_total")
    unit = "1"
    for suffix, word in (("_seconds", "s"), ("_bytes", "By")):
        if exposed.endswith(suffix):
            exposed, unit = exposed.removesuffix(suffix), word
    if name in _SEMANTIC:
        exposed = _SEMANTIC[name][0]
    return Metric(exposed.replace("espalier_", "espalier.", 1), family.meaning, unit, data)


def _attributes(name: str, labels: Mapping[str, str]) -> dict[str, str | int]:
    _, names, always = _SEMANTIC.get(name, ("", {}, {}))
    found: dict[str, str | int] = dict(always)
    for label, value in labels.items():
        attribute = names.get(label, label)
        if attribute == "rpc.method":
            found[attribute] = value.removeprefix("/")
        elif attribute == "http.response.status_code":
            found[attribute] = int(value)
            if int(value) >= 500:
                found["error.type"] = value
        else:
            found[attribute] = value
            if attribute == "rpc.response.status_code" and value in FAULTS:
                found["error.type"] = value
    return found
