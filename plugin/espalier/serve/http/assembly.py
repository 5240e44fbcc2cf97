"""Puts the HTTP front together."""

from __future__ import annotations

from collections.abc import Callable

from espalier.serve.calls import Limits
from espalier.serve.counters import Counting
from espalier.serve.http.front import Completions, Front
from espalier.serve.http.origins import Origins
from espalier.serve.http.server import HttpServer
from espalier.serve.log import EventLog
from espalier.settings import ServeSettings


def http_server(
    settings: ServeSettings,
    service: Completions,
    ready: Callable[[], bool],
    *,
    limits: Limits,
    counters: Counting,
    crashed: Callable[[Exception], object],
    log: EventLog,
) -> HttpServer:
    """Return a server that answers as ``settings`` say; it listens nowhere yet."""
    front = Front(
        service,
        ready,
        origins=Origins(settings.http_origins),
        max_age=settings.http_max_age_seconds,
        log=log,
    )
    return HttpServer(
        front,
        limits=limits,
        counters=counters,
        crashed=crashed,
        access_log=log if settings.http_access_log else None,
    )
