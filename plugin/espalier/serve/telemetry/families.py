"""Every metric there is. A new one is a line here, and a call where it happens.

Counters and histograms of all workers are added up; a gauge of a worker gets the label
``worker``. Labels take their values from what is configured and from enumerations, never
from requests, so there are only so many series.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


class Kind(enum.Enum):
    """What may become of a number."""

    COUNTER = "counter"  # it only grows
    GAUGE = "gauge"  # anything
    HISTOGRAM = "histogram"  # nanoseconds go in, seconds come out


SECONDS: Final = (
    *(25e-6, 50e-6, 100e-6, 250e-6, 500e-6),
    *(1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3),
    *(1.0, 5.0),
)
"""Upper bounds of the buckets of every histogram."""

PREFIX_LENGTHS: Final = ("0", "1", "2", "3", "4-6", "7-10", "11+")
"""Code points that were typed, in the groups that evaluation reports by."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric.

    Attributes:
        name: As Prometheus knows it.
        labels: What its series are told apart by.
        meaning: A line for people.
        series: Label values that are there from the start, at 0: an alarm about the first
            time something happens needs a number before it.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    series: tuple[tuple[str, ...], ...] = ()

    @property
    def width(self) -> int:
        """Numbers a series has: one, or a bucket for each bound, one above, and the sum."""
        return len(SECONDS) + 2 if self.kind is Kind.HISTOGRAM else 1


def _one(
    kind: Kind, name: str, labels: str, meaning: str, series: tuple[tuple[str, ...], ...] = ()
) -> Family:
    return Family(f"espalier_{name}", kind, tuple(labels.split()), meaning, series)


def _counter(name: str, labels: str, meaning: str, *series: str) -> Family:
    known = tuple((one,) for one in series) if labels else ((),)
    return _one(Kind.COUNTER, f"{name}_total", labels, meaning, known)


def _gauge(name: str, labels: str, meaning: str) -> Family:
    return _one(Kind.GAUGE, name, labels, meaning)


def _histogram(name: str, labels: str, meaning: str, *series: str) -> Family:
    return _one(Kind.HISTOGRAM, f"{name}_seconds", labels, meaning, tuple((one,) for one in series))


FAMILIES: Final[Mapping[str, Family]] = {
    # ---- calls: gRPC and HTTP, admin calls among them ---------------------------------
    "calls": _counter("calls", "method code", "gRPC calls that ended, by status code"),
    "call": _histogram("call_duration", "method code", "from the headers of a call to its end"),
    "wait": _histogram("call_wait", "method", "from the headers of a call to its turn"),
    "unanswered": _counter(
        "unanswered_calls", "method reason", "calls and requests no work was done for"
    ),
    "http": _counter("http_requests", "method route code", "HTTP requests answered"),
    "http_request": _histogram("http_request_duration", "method route code", "of HTTP requests"),
    "open": _gauge("calls_open", "", "calls that are let in and not answered, by worker"),
    "waiting": _gauge("calls_waiting", "", "calls nobody works on yet, by worker"),
    # ---- completions ------------------------------------------------------------------
    "completions": _counter("completions", "index", "answered"),
    "empty": _counter("empty_completions", "index", "answered without a suggestion"),
    "completion": _histogram(
        "completion_duration",
        "prefix_length",
        "of completions without session lookup and transport, by code points typed",
        *PREFIX_LENGTHS,
    ),
    "suggestions": _counter(
        "suggestions", "source", "returned", "MODEL", "POPULAR", "TAIL", "CORRECTED"
    ),
    "degraded": _counter(
        "degraded_completions",
        "reason",
        "that were less than they could be",
        "without_session",
        "popular_only",
    ),
    # ---- sessions ---------------------------------------------------------------------
    "contexts": _counter(
        "completion_sessions",
        "state",
        "completions by what became of their session; none: they named none",
        "none",
        "found",
        "new",
        "unavailable",
    ),
    "lookup": _histogram("session_lookup", "", "of session lookups"),
    "store_failures": _counter("session_store_failures", "", "calls the session store failed"),
    "evicted": _counter("sessions_evicted", "", "live sessions removed to make room"),
    "expired": _counter("sessions_expired", "", "sessions removed because their time was up"),
    "sessions": _gauge("sessions", "", "remembered now, unless another server has them"),
    "capacity": _gauge("sessions_capacity", "", "remembered at most"),
    "store_up": _gauge("session_store_up", "", "1 while the session store answers, by worker"),
    # ---- events -----------------------------------------------------------------------
    "events": _counter(
        "events",
        "outcome",
        "written, repeated, taken for now because ahead of time, or not kept and why",
        "written",
        "duplicate",
        "dropped",
        "failed",
        "late",
        "future",
        "ahead",
    ),
    # ---- indexes and rules ------------------------------------------------------------
    "index_info": _gauge("index_info", "index revision", "1 for the revision that answers"),
    "index_bytes": _gauge("index_size_bytes", "index", "of the file that answers"),
    "index_labels": _gauge("index_labels", "index", "queries it knows"),
    "index_modified": _gauge(
        "index_modified_timestamp_seconds", "index", "when the file that answers was written"
    ),
    "index_loaded": _gauge(
        "index_loaded_timestamp_seconds", "index", "when the revision that answers was loaded"
    ),
    "index_healthy": _gauge("index_healthy", "index", "0 if the newest load of it failed"),
    "index_revisions": _gauge("index_revisions", "index", "loaded, those kept ready included"),
    "index_loads": _counter("index_loads", "index outcome", "files loaded or refused, and why"),
    "index_switches": _counter("index_switches", "index kind", "changes of what answers"),
    "rules": _gauge("rules", "index kind", "blocks, pins and boosts that hold"),
    "rule_changes": _counter("rule_changes", "index outcome", "of rules, made or refused"),
    # ---- experiments ------------------------------------------------------------------
    "experiments": _counter(
        "experiment_answers", "experiment variant", "completions that a variant was applied to"
    ),
    "experiment_faults": _counter(
        "experiment_faults",
        "experiment reason",
        "completions that a variant should have been applied to and was not",
    ),
    "shadows": _counter(
        "shadow_answers", "experiment variant outcome", "compared, failed, or dropped under load"
    ),
    # ---- processes --------------------------------------------------------------------
    "build_info": _gauge("build_info", "version", "1"),
    "ready": _gauge("ready", "", "1 while every worker answers calls"),
    "workers": _gauge("workers", "", "that there should be, the HTTP front included"),
    "worker_up": _gauge("worker_up", "worker", "1 while it answers calls"),
    "worker_restarts": _counter("worker_restarts", "worker", "workers that died"),
    "worker_memory": _gauge("worker_resident_bytes", "worker", "memory, shared pages included"),
    "worker_processor": _counter(
        "worker_cpu_seconds", "worker", "processor time, from the start of each process on"
    ),
    "reloads": _counter(
        "config_reloads", "outcome", "of the configuration, on SIGHUP", "OK", "INVALID_CONFIG"
    ),
    "credential_reads": _counter(
        "credential_reads", "part outcome", "of certificates and tokens, at the start and after"
    ),
    "credentials_healthy": _gauge(
        "credentials_healthy", "part", "0 if their newest files were refused, or have expired"
    ),
    "certificate_expires": _gauge(
        "certificate_expiry_timestamp_seconds", "", "when the certificate that is shown expires"
    ),
    "lost_series": _gauge(
        "telemetry_lost_series", "", "series a worker had no room for; their numbers are lost"
    ),
}
"""By the name the code calls them."""
