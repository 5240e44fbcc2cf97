"""Puts the HTTP front together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from espalier.serve.calls import Limits
from espalier.serve.counters import Counting
from espalier.serve.credentials import Credentials
from espalier.serve.experiment_service import ExperimentService
from espalier.serve.http.app import RequestWatch
from espalier.serve.http.front import Completions, Endpoint, Front, Retrievals
from espalier.serve.http.origins import Origins
from espalier.serve.http.server import HttpServer
from espalier.serve.log import EventLog
from espalier.serve.tokens import Guard
from espalier.settings import ServeSettings


def http_server(
    settings: ServeSettings,
    service: Completions,
    products: Retrievals,
    ready: Callable[[], bool],
    *,
    limits: Limits,
    counters: Counting,
    crashed: Callable[[Exception], object],
    log: EventLog,
    credentials: Credentials,
    experiments: ExperimentService,
    watch: RequestWatch | None = None,
) -> HttpServer:
    """Return a server that answers as ``settings`` say; it listens nowhere yet."""
    guard = None if credentials.tokens is None else Guard(credentials.tokens)
    front = Front(
        service,
        products,
        ready,
        origins=Origins(settings.http_origins, with_tokens=guard is not None),
        guard=guard,
        max_age=settings.http_max_age_seconds,
        log=log,
        pages=_demo(settings, experiments) if settings.demo else None,
    )
    return HttpServer(
        front,
        limits=limits,
        counters=counters,
        crashed=crashed,
        access_log=log if settings.http_access_log else None,
        guard=guard,
        tls=credentials.tls,
        watch=watch,
    )


def _demo(
    settings: ServeSettings, experiments: ExperimentService
) -> Mapping[str, Mapping[str, Endpoint]]:
    # With a database of its own, which nobody else should have to load.
    from espalier.serve.demo.pages import demo_pages  # noqa: PLC0415 - only where the page is shown

    return demo_pages(settings, experiments)
