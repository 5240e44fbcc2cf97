"""One worker process: ``python -m espalier.serve.worker FD``, started by `supervisor`.

The supervisor's end of the wire is file descriptor FD. The first message says what to
serve; when calls are answered the worker says ``ready``, and ``failed`` if it comes to
nothing. It drains when the supervisor asks for it or is gone, and on SIGTERM or
SIGINT; a second signal ends it at once, with 128 and the number of the signal.

Requests a worker answers, beside the replies it gets:

===============  ==================================================================
``ping``         nothing; its reply says that the process is alive
``check``        find out whether an index file is whole, and what it holds
``stage``        get ready to answer from an index file that was checked
``settle``       answer from a revision, and let go of all that are not kept
``rules``        let a file of blocks, pins and boosts hold for an index
``experiments``  get ready for a set of them, with ``apply`` let it hold; or say how they are
``health``       say how an index is, to who asks
``credentials``  show these certificates, and take these tokens
``drain``        begin to end, with ``grace`` seconds; replies before it has ended
===============  ==================================================================

``check`` and ``stage`` take their time, and do not keep the others waiting.

One worker may be the HTTP front: the same in everything but its server.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

from espalier.errors import EspalierError
from espalier.events import NO_EVENTS
from espalier.serve.aside import Aside
from espalier.serve.calls import Limits, Watch
from espalier.serve.control import (
    Channel,
    ControlError,
    Handler,
    Params,
    Result,
    receive,
    send,
)
from espalier.serve.counters import Counters, Unanswered
from espalier.serve.credentials import Credentials
from espalier.serve.domain import Completer
from espalier.serve.experiment_book import COMPONENT as EXPERIMENTS
from espalier.serve.experiment_service import ExperimentService
from espalier.serve.experimenting import Experimenting
from espalier.serve.health import SESSIONS, Health, index_component
from espalier.serve.indexes import Indexes
from espalier.serve.log import EventLog, JsonLog, library_logs, place_of, tell
from espalier.serve.orders import IndexOrder, Orders, RulesOrder
from espalier.serve.products import Retriever
from espalier.serve.recording import events_of, reporter_of
from espalier.serve.retrieval_service import SERVICE_NAME as RETRIEVAL
from espalier.serve.retrieval_service import RetrievalService
from espalier.serve.server import Server
from espalier.serve.service import SERVICE_NAME, CompletionService
from espalier.serve.shelf import Change, Shelf
from espalier.serve.signals import FIRST_WORD, SignalQueue
from espalier.serve.telemetry.calls import CallWatch
from espalier.serve.telemetry.meters import MeasuredCompleter, Meters
from espalier.serve.telemetry.page import Page
from espalier.serve.telemetry.sampler import Sampler
from espalier.sessions.base import SessionStore, SessionStoreError
from espalier.sessions.opening import open_sessions
from espalier.sessions.shared import CAPACITY_KEPT, SharedSessionStore
from espalier.settings import ServeSettings

if TYPE_CHECKING:
    from espalier.serve.telemetry.spans import Tracing

SIGNALLED = 128
"""What a shell says of a process that a signal ended, plus its number."""
CRASHED = 70
"""Exit code of a worker that could not go on; EX_SOFTWARE."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_DRAIN, _ORPHANED = FIRST_WORD, FIRST_WORD + 1
_COMPONENTS = ("indexes", "drain")
# Connections of one worker end at different times, and those of different workers even
# if all of them began together.
_AGE_JITTER = 0.1
_REPLY_SECONDS = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end; return the exit code."""
    (descriptor,) = sys.argv[1:] if arguments is None else arguments
    wire = socket.socket(fileno=int(descriptor))
    message = receive(wire)
    if message is None:
        return 0
    orders = Orders.of(message)
    # For the supervisor alone; who sends it to all processes of a service means no harm.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    log = JsonLog(level=orders.settings.log_level, worker=orders.number)
    with library_logs(log), SignalQueue(_SIGNALS) as signals:
        try:
            worker = _Worker(orders, wire, signals, log)
        except EspalierError as error:
            return _failed(wire, str(error), error.exit_code)
        except MemoryError:
            return _failed(wire, "out of memory", 1)
        except Exception as error:  # noqa: BLE001 - its message might quote a query
            what = f"unexpected {type(error).__name__} at {place_of(error)} while starting"
            return _failed(wire, what, CRASHED)
        return worker.run()


def _failed(wire: socket.socket, message: str, code: int) -> int:
    with contextlib.suppress(OSError):
        params = {"message": message, "exit_code": code}
        send(wire, {"id": 1, "method": "failed", "params": params})
    return code


class _Serving(Protocol):
    """What a worker needs of its server, whatever that speaks."""

    @property
    def waiting(self) -> int:
        """Calls that nobody works on yet."""
        ...

    @property
    def unanswered(self) -> int:
        """Calls that were let in and not answered yet."""
        ...

    def start(self) -> None:
        """Begin to answer."""
        ...

    def renew(self, credentials: Credentials) -> None:
        """Let these hold, of kinds there are already."""
        ...

    def drain(self, grace_seconds: float, hurry: Callable[[float], bool]) -> int:
        """Finish, and return how many calls were cut off."""
        ...


class _Worker:
    """A worker put together, ready to run."""

    def __init__(
        self, orders: Orders, wire: socket.socket, signals: SignalQueue, log: EventLog
    ) -> None:
        _allow_open_files()
        self._signals = signals
        self._log = log
        self._grace = orders.settings.grace_seconds
        settings = orders.settings
        self._shelf = Shelf(orders.indexes, orders.overlays, verify=orders.verify, log=log)
        self._sessions = sessions_of(orders, log)
        page = None if orders.page is None else Page.at(orders.page)
        self._counters = Counters(page, alone=settings.threads == 1)
        # Who does not measure does without what measures, and the libraries for it.
        self._meters: Meters | None = None
        self._tracing: Tracing | None = None
        if page is not None:
            self._meters = Meters(self._counters, threads=settings.threads)
            for why in Unanswered:
                self._counters.place("unanswered", f"/{SERVICE_NAME}/Complete", why.value)
            if settings.otel:
                from espalier.serve.telemetry.spans import tracing_of  # noqa: PLC0415 - an extra

                self._tracing = tracing_of(settings, self._meters, orders.number)
        completer = self._completer = self._completer_of(settings)
        retriever = Retriever(self._shelf.indexes)

        def publish(indexes: Indexes) -> None:
            completer.indexes = retriever.indexes = indexes

        self._shelf.publish_to(publish)
        self._health = Health([SERVICE_NAME, RETRIEVAL], _COMPONENTS)
        self._health.tell(SESSIONS, well=True)
        for name in {one.name for one in orders.indexes}:
            self._health.tell(index_component(name), well=name not in orders.unwell)
        self._events = events_of(settings, counters=self._counters, log=log)
        reporter = reporter_of(settings, self._events, counters=self._counters)
        service = CompletionService(completer, reporter=reporter)
        sink = NO_EVENTS if self._events is None else self._events
        self._experimenting = Experimenting(
            service, completer, sink, counters=self._counters, log=log
        )
        self._begin_experiments(orders.experiments)
        experiments = ExperimentService(completer, service)
        self._server, self._addresses = self._listening(
            orders, service, experiments, RetrievalService(retriever)
        )
        self._experimenting.spare(lambda: self._server.waiting)
        self._sampler: Sampler | None = None
        if page is not None:
            self._sampler = Sampler(
                self._counters, self._server, self._sessions.stats, lambda: completer.store_well
            )
        handlers: dict[str, Handler] = {
            "ping": lambda _params: None,
            "check": self._check,
            "stage": self._stage,
            "settle": self._settle,
            "rules": self._rule,
            "experiments": self._experiment,
            "health": self._tell_health,
            "credentials": lambda params: self._server.renew(Credentials.of(params)),
            "drain": self._begin_drain,
        }
        self._loading = Aside("loading")
        self._changing = Aside("changing")
        self._channel = Channel(wire, handlers, lambda: signals.put(_ORPHANED))

    def _completer_of(self, settings: ServeSettings) -> Completer:
        if self._meters is None:
            return Completer(
                self._shelf.indexes,
                self._sessions,
                context_queries=settings.session_queries,
                log=self._log,
                counters=self._counters,
                store_told=self._tell_sessions,
            )
        return MeasuredCompleter(
            self._shelf.indexes,
            self._sessions,
            context_queries=settings.session_queries,
            log=self._log,
            counters=self._counters,
            meters=self._meters,
            store_told=self._tell_sessions,
        )

    def _listening(
        self,
        orders: Orders,
        service: CompletionService,
        experiments: ExperimentService,
        products: RetrievalService,
    ) -> tuple[_Serving, list[str]]:
        """Return the server of this worker and where it listens."""
        settings = orders.settings
        limits = Limits(waiting=settings.max_waiting, open=settings.max_open)
        if orders.http:
            # An extra, which other workers do without.
            from espalier.serve.http.assembly import http_server  # noqa: PLC0415 - an extra

            front = http_server(
                settings,
                service,
                products,
                lambda: self._health.ready,
                limits=limits,
                counters=self._counters,
                crashed=self._crashed,
                log=self._log,
                credentials=orders.credentials,
                watch=self._tracing,
                experiments=experiments,
            )
            return front, [front.listen(orders.address)]
        age = settings.connection_age_seconds
        watch: Watch | None = None
        if self._meters is not None:
            watch = CallWatch(self._meters) if self._tracing is None else self._tracing.calls()
        server = Server(
            {
                **service.methods(self._log),
                **experiments.methods(self._log),
                **products.methods(self._log),
            },
            self._health,
            counters=self._counters,
            crashed=self._crashed,
            limits=limits,
            threads=settings.threads,
            connection_age=age * random.uniform(1 - _AGE_JITTER, 1 + _AGE_JITTER),  # noqa: S311 - no secret
            keepalive=settings.keepalive_seconds,
            watch=watch,
            credentials=orders.credentials,
        )
        addresses = [server.listen(orders.address)]
        if orders.unix is not None:
            addresses.append(server.listen_unix(orders.unix))
        return server, addresses

    def run(self) -> int:
        """Answer calls until told to end; return the exit code."""
        if self._events is not None:
            self._events.start()
        self._server.start()
        try:
            self._sessions.ping()
        except SessionStoreError as error:
            # A completion without context beats none, from the first call on.
            self._completer.note_store(failing=True, exception=type(error).__name__)
        for component in _COMPONENTS:
            self._health.set(component, well=True)
        if self._sampler is not None:
            self._sampler.start()
        self._channel.start()
        self._tell(
            "ready",
            addresses=self._addresses,
            indexes=self._shelf.report(),
            sessions=self._completer.store_well,
        )
        received = self._signals.wait()
        return self._drain(received)

    def _drain(self, received: int | None) -> int:
        self._health.set("drain", well=False)
        self._mention("draining")
        self._log.info("draining", because=_name_of(received), grace=self._grace)
        second: list[int] = []

        def hurry(seconds: float) -> bool:
            again = self._signals.wait(seconds)
            if isinstance(again, signal.Signals):
                second.append(again)
            return bool(second)

        # Asked to end by the supervisor and by a signal is being asked once: who stops all
        # processes of a service sends both.
        cut_off = self._server.drain(self._grace, hurry)
        self._experimenting.close()
        if self._events is not None:
            self._events.close()
        if self._sampler is not None:
            self._sampler.stop()
        if self._tracing is not None:
            self._tracing.close()
        # Where nobody reads them, the numbers go with it, so they are said here.
        self._log.info("stopped", calls_cut_off=cut_off, **self._counters.totals())
        if received != _ORPHANED:
            self._tell("stopped", calls_cut_off=cut_off)
        code = SIGNALLED + second[0] if second else 0
        if cut_off:
            # Threads may still be inside the index: closing it, or waiting for them, would
            # be worse than ending here.
            os._exit(code)
        self._sessions.close()
        self._shelf.close()
        return code

    def _check(self, params: Params) -> Future[Result]:
        order = IndexOrder.of(params)
        return self._loading.do(lambda: self._shelf.check(order))

    def _stage(self, params: Params) -> Future[Result]:
        order = IndexOrder.of(params)
        return self._loading.do(lambda: self._shelf.stage(order))

    def _settle(self, params: Params) -> Future[Result]:
        name, active, keep = params["name"], params["active"], params["keep"]
        return self._changing.do(lambda: self._shelf.settle(name, active, keep))

    def _rule(self, params: Params) -> Future[Result]:
        name, order = params["name"], RulesOrder.of(params)
        change = None
        if "add" in params:
            change = Change.of(params["add"], params["remove"])

        def rule() -> None:
            self._shelf.rule(name, order, change)
            # They hold; what takes longer makes answers as long as they were.
            self._loading.do(lambda: self._shelf.resolve(name))

        return self._changing.do(rule)

    def _begin_experiments(self, order: Params) -> None:
        self._health.tell(EXPERIMENTS, well=order.get("well", True))
        self._experimenting.apply(order.get("experiments", {}))

    def _experiment(self, params: Params) -> Future[Result]:
        if "experiments" not in params:
            self._health.tell(EXPERIMENTS, well=params["well"])
            return self._changing.do(lambda: None)
        change = self._experimenting.apply if params["apply"] else self._experimenting.prepare
        return self._changing.do(lambda: change(params["experiments"]))

    def _tell_health(self, params: Params) -> None:
        self._health.tell(index_component(params["name"]), well=params["well"])

    def _tell_sessions(self, well: bool) -> None:  # noqa: FBT001 - a callback
        self._health.tell(SESSIONS, well=well)
        self._mention("sessions", well=well)

    def _begin_drain(self, params: Mapping[str, Any]) -> None:
        self._grace = float(params["grace"])
        self._signals.put(_DRAIN)

    def _tell(self, method: str, **params: Any) -> None:
        # Whether the supervisor still listens shows elsewhere.
        with contextlib.suppress(ControlError):
            self._channel.request(method, params, timeout=_REPLY_SECONDS)

    def _mention(self, method: str, **params: Any) -> None:
        """Tell the supervisor without waiting for it."""
        with contextlib.suppress(ControlError):
            self._channel.tell(method, params)

    def _crashed(self, error: Exception) -> None:
        self._log.error("worker_crashed", exception=type(error).__name__, raised_at=place_of(error))
        os._exit(CRASHED)


def sessions_of(orders: Orders, log: EventLog) -> SessionStore:
    """Open the table of the supervisor, or the store that the settings name."""
    settings = orders.settings
    if orders.sessions is None:
        return open_sessions(settings).store
    table = SharedSessionStore(
        orders.sessions,
        ttl_seconds=settings.session_ttl_seconds,
        max_queries=settings.session_queries,
        max_sessions=settings.max_sessions,
        # The supervisor sweeps; once is enough.
        sweep_seconds=None,
    )
    # That it keeps its size the supervisor has said.
    tell((one for one in table.notices if one.event != CAPACITY_KEPT), log)
    return table


def _name_of(received: int | None) -> str:
    if isinstance(received, signal.Signals):
        return received.name
    return "supervisor_gone" if received == _ORPHANED else "supervisor"


def _allow_open_files() -> None:
    """Take what the system allows: every connection is an open file."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Everything is closed. Libraries that find their objects in other threads while the
    # interpreter goes would only complain, and not in JSON.
    os._exit(code)
