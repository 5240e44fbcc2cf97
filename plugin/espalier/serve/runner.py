"""Puts the supervisor together, runs it, and ends it.

SIGTERM and SIGINT (Ctrl-C) drain: health says NOT_SERVING, no new calls are
taken, those under way have the grace to finish, and the process ends with 0; what
the grace was too short for is cut off, and counted in the log. A second signal
ends it at once, with 128 and the number of the signal. SIGHUP reads the
configuration anew and looks for newer index files and edited rules, see `watch`; of
the settings those are taken over that their declaration says can be, and the log names
the others that changed. A configuration that is broken changes nothing. Certificates and
tokens are read anew as well, see `renewal`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

from espalier.config import taken_over
from espalier.errors import ConfigError
from espalier.experiments import Experiment
from espalier.serve import processors, supervisor
from espalier.serve.admin import ANSWERING, WORKERS, Admin, AdminAddress, health_of_service
from espalier.serve.counters import Counters
from espalier.serve.credentials import Held
from espalier.serve.experiment_book import COMPONENT as EXPERIMENTS
from espalier.serve.experiment_book import ExperimentBook, Reread
from espalier.serve.folder import StateFolder
from espalier.serve.health import SESSIONS, index_component
from espalier.serve.held import HeldFile, Identity, hold
from espalier.serve.index_service import IndexService
from espalier.serve.ledger import Entry, Ledger, Loaded
from espalier.serve.lifecycle import Lifecycle
from espalier.serve.listen import claim_unix, reserve_tcp
from espalier.serve.log import EventLog, JsonLog, library_logs, tell
from espalier.serve.notify import ServiceManager
from espalier.serve.orders import IndexOrder, Orders
from espalier.serve.recording import prepare_events
from espalier.serve.renewal import Renewal
from espalier.serve.rulebook import Rulebook
from espalier.serve.supervisor import Supervisor
from espalier.serve.telemetry.gauges import Service
from espalier.serve.telemetry.listener import MetricsListener
from espalier.serve.telemetry.page import Page, hold_page
from espalier.serve.watch import Watch
from espalier.sessions.opening import FILE_NAME
from espalier.sessions.shared import SharedSessionStore
from espalier.settings import ServeSettings


def run(
    settings: ServeSettings,
    *,
    verify: bool = True,
    out: TextIO | None = None,
    log: EventLog | None = None,
    reread: Callable[[], ServeSettings] | None = None,
    experiments: Sequence[Experiment] = (),
    reread_experiments: Reread | None = None,
) -> int:
    """Serve until told to end; return the exit code.

    Prints one line ``listening on ADDRESS`` per address once calls are answered.
    Only in the main thread of a process, since it handles signals.

    Args:
        settings: What to serve, where and how.
        verify: Whether to compare the checksums of the indexes first.
        out: Where addresses are printed, stdout by default.
        log: Where events go, JSON lines on stderr by default.
        reread: Reads the settings anew, on SIGHUP; may raise `ConfigError`.
        experiments: What of them is tried on whom.
        reread_experiments: Reads those anew, on SIGHUP as well.

    Raises:
        ConfigError: There is nothing to serve, or the admin address is for everybody.
        IndexFileError, InputError: A file of an index or of rules cannot be used.
        ListenError: An address cannot be had.
        StorageError: The state folder cannot be had.
        WorkerError: A worker could not start, for instance because of an index.
    """
    out = sys.stdout if out is None else out
    log = JsonLog(level=settings.log_level) if log is None else log
    if not settings.index:
        raise ConfigError("nothing to serve: name at least one index")
    with library_logs(log), ExitStack() as held:
        service = _Service(
            settings,
            held,
            verify=verify,
            out=out,
            log=log,
            reread=reread,
            experiments=lambda told: ExperimentBook(
                experiments, reread_experiments, log=log, told=told
            ),
        )
        return service.run()


class _Service:
    """The supervisor and what belongs to it. ``held`` lets go of it all."""

    def __init__(
        self,
        settings: ServeSettings,
        held: ExitStack,
        *,
        verify: bool,
        out: TextIO,
        log: EventLog,
        reread: Callable[[], ServeSettings] | None,
        experiments: Callable[[Callable[[bool], object]], ExperimentBook],
    ) -> None:
        self._settings = settings
        self._reread = reread
        self._out = out
        self._log = log
        self._held = held
        if settings.state_dir is not None:
            held.callback(StateFolder(settings.state_dir).close)
        prepare_events(settings)
        self._counters = Counters()
        self._health = health_of_service()
        settings.refuse_plain_tokens()
        self._renewal = Renewal(
            settings,
            log=log,
            counters=self._counters,
            told=lambda name, well: self._health.tell(name, well=well),
        )
        self._admin: Admin | None = None
        self._table = _table_of(settings, log)
        if self._table is not None:
            held.callback(self._table.close)
        count = settings.workers or processors.available()
        self._sockets = [_socket_of(settings.unix, number) for number in range(count)]
        for path in self._sockets:
            if path is not None:
                claim_unix(path)
        self._address = self._reserved(settings.listen)
        self._http_address: str | None = None
        if settings.http is not None:
            refuse_without_http()
            self._http_address = self._reserved(settings.http)
        self._admin_address: AdminAddress | None = None
        if settings.admin is not None:
            self._admin_address = AdminAddress(settings.admin, remote=settings.admin_remote)
            held.callback(self._admin_address.close)
        self._rules = Rulebook(settings.state_dir)
        held.callback(self._rules.close)
        self._rules.open(settings.index)
        self._seen = {name: Identity.of(path) for name, path in settings.index.items()}
        self._files: dict[str, HeldFile] = {}
        for name, path in settings.index.items():
            self._files[name] = hold(path)
            held.callback(self._files[name].close)
        self._metrics_address: str | None = None
        if settings.metrics is not None:
            self._metrics_address = self._reserved(settings.metrics)
        self._pages = self._hold_pages(count + (self._http_address is not None))
        self._manager = ServiceManager.of(os.environ)
        self._counters.begin("reloads")
        for number in range(len(self._pages)):
            self._counters.place("worker_restarts", str(number))
        self._experiments = experiments(lambda well: self._health.tell(EXPERIMENTS, well=well))
        self._watch: Watch | None = None
        first = [
            IndexOrder(name, settings.index[name], self._files[name].path) for name in self._files
        ]
        self._supervisor = Supervisor(
            supervisor.command(),
            self._orders(first, verify=verify),
            grace=settings.grace_seconds,
            log=log,
            counters=self._counters,
            hang_up=self._hang_up,
            watched=self._note_workers,
            manager=self._manager,
        )

    def run(self) -> int:
        """Serve until told to end; return the exit code."""
        return self._supervisor.run(self._started)

    def _started(self) -> None:
        """Begin what needs workers that answer, and say where they do."""
        settings = self._settings
        lifecycle = Lifecycle(
            self._supervisor,
            self._first_ledger(),
            self._rules,
            orders=lambda ledger: self._orders(ledger.orders(), unwell=ledger.unwell()),
            roots=roots_of(settings),
            log=self._log,
            counters=self._counters,
            told=lambda name, well: self._health.tell(index_component(name), well=well),
        )
        self._held.callback(lifecycle.close)
        if self._pages:
            self._begin_metrics(lifecycle)
        watch = self._watch = Watch(
            lifecycle,
            settings.index,
            self._seen,
            seconds=settings.watch_seconds,
            log=self._log,
            before=lambda: self._reread_all(lifecycle),
            beside=lambda at_all: self._renewal.look(
                lambda held: self._spread(lifecycle, held), at_all=at_all
            ),
            after=self._manager.ready,
        )
        watch.start()
        self._held.callback(watch.stop)
        if self._admin_address is not None:
            self._begin_admin(lifecycle, self._admin_address)
        if self._http_address is not None:
            print(f"http listening on {self._http_address}", file=self._out, flush=True)
            self._log.info("http_listening", address=self._http_address)
        sockets = [f"unix:{path}" for path in self._sockets if path is not None]
        for address in (self._address, *sockets):
            print(f"listening on {address}", file=self._out, flush=True)
            self._log.info("listening", address=address, workers=len(self._sockets))

    def _begin_admin(self, lifecycle: Lifecycle, address: AdminAddress) -> None:
        service = IndexService(lifecycle, workers=lambda: len(self._supervisor.workers()))
        admin = Admin(
            address,
            service.methods(self._log),
            self._health,
            log=self._log,
            counters=self._counters,
            credentials=self._renewal.held.admin,
        )
        admin.start()
        self._admin = admin
        self._held.callback(admin.stop)
        print(f"admin listening on {address.address}", file=self._out, flush=True)
        self._log.info("admin_listening", address=address.address)

    def _reserved(self, address: str) -> str:
        """Hold an address as long as the service runs; return it with the port taken."""
        reserved = reserve_tcp(address)
        self._held.callback(reserved.close)
        return reserved.address

    def _hold_pages(self, count: int) -> list[HeldFile]:
        """Return where the workers put their numbers; nowhere if nobody reads them."""
        if self._metrics_address is None and not self._settings.otel:
            return []
        if self._settings.otel:
            refuse_without_otel()
        pages = [hold_page(f"espalier-worker-{number}") for number in range(count)]
        for page in pages:
            self._held.callback(page.close)
        return pages

    def _begin_metrics(self, lifecycle: Lifecycle) -> None:
        numbers = Service(
            [Page.at(page.path) for page in self._pages],
            self._counters,
            pids=lambda: {one.number: one.process.pid for one in self._supervisor.workers()},
            sessions=None if self._table is None else self._table.stats,
            capacity=self._settings.max_sessions,
            indexes=lifecycle,
            more=self._renewal.numbers,
        )
        if self._settings.otel:
            self._begin_sending(numbers)
        if self._metrics_address is not None:
            self._begin_listening(numbers, self._metrics_address)

    def _begin_sending(self, numbers: Service) -> None:
        # An extra, which others do without.
        from espalier.serve.telemetry.otlp import MetricsSender, wanted  # noqa: PLC0415 - an extra

        if wanted("metrics"):
            scheme = "http" if self._settings.tls_certificate is None else "https"
            sender = MetricsSender(numbers.numbers, log=self._log, scheme=scheme)
            sender.start()
            self._held.callback(sender.stop)

    def _begin_listening(self, numbers: Service, address: str) -> None:
        listener = MetricsListener(
            address,
            text=numbers.text,
            ready=lambda: self._health.ready,
            log=self._log,
            credentials=lambda: self._renewal.held.serve,
        )
        listener.start()
        self._held.callback(listener.stop)
        print(f"metrics listening on {address}", file=self._out, flush=True)
        self._log.info("metrics_listening", address=address)

    def _spread(self, lifecycle: Lifecycle, held: Held) -> None:
        """Let new credentials hold everywhere."""
        if self._admin is not None:
            self._admin.renew(held.admin)
        lifecycle.spread_credentials(held.serve.as_message())

    def _first_ledger(self) -> Ledger:
        """Return what the workers opened when they started: every configured index."""
        facts = {one["name"]: one for one in self._supervisor.workers()[0].report["indexes"]}
        entries = {}
        for name, file in self._files.items():
            one = facts[name]
            loaded = Loaded(
                name,
                self._settings.index[name],
                file,
                revision=one["revision"],
                labels=one["labels"],
                bytes=one["bytes"],
                loaded_ns=time.time_ns(),
                products=one["products"],
            )
            entries[name] = Entry({loaded.revision: loaded}, active=loaded.revision)
            self._health.tell(index_component(name), well=True)
        return Ledger(entries)

    def _orders(
        self,
        indexes: Iterable[IndexOrder],
        *,
        # Whatever is opened later on was verified before, and is the same file.
        verify: bool = False,
        unwell: Iterable[str] = (),
    ) -> list[dict[str, Any]]:
        # The HTTP front is the last worker.
        places = [(self._address, path, False) for path in self._sockets]
        if self._http_address is not None:
            places.append((self._http_address, None, True))
        return [
            Orders(
                number,
                self._settings,
                address,
                unix=path,
                sessions=None if self._table is None else self._table.shared_path,
                verify=verify,
                indexes=tuple(indexes),
                overlays=self._rules.orders(),
                unwell=tuple(unwell),
                http=http,
                page=self._pages[number].path if self._pages else None,
                credentials=self._renewal.held.serve,
                experiments=self._experiments.order(),
            ).as_message()
            for number, (address, path, http) in enumerate(places)
        ]

    def _hang_up(self) -> None:
        if self._watch is not None:
            self._manager.reloading()
            self._watch.hang_up()

    def _reread_all(self, lifecycle: Lifecycle) -> None:
        self._reread_settings()
        self._experiments.reread(self._supervisor, lifecycle.renew_orders)

    def _reread_settings(self) -> None:
        """Take over what changed in the configuration; keep what holds if that is broken."""
        if self._reread is None or self._watch is None:
            return
        try:
            wanted = self._reread()
        except ConfigError as error:
            self._counters.add("reloads", error.reason)
            self._log.error("config_refused", reason=error.reason, error=str(error))
            return
        self._counters.add("reloads", "OK")
        settings, left = taken_over(self._settings, wanted)
        if left:
            self._log.warning("config_needs_restart", keys=" ".join(left))
        if settings == self._settings:
            return
        self._settings = settings
        self._supervisor.grace = settings.grace_seconds
        self._watch.follow(settings.index, seconds=settings.watch_seconds)
        self._log.info("config_taken_over")

    def _note_workers(self, ready: int) -> None:
        self._health.tell(ANSWERING, well=ready > 0)
        count = len(self._sockets) + (self._http_address is not None)
        self._health.set(WORKERS, well=ready == count)
        self._health.tell(WORKERS, well=ready == count)
        store = [worker.sessions_well for worker in self._supervisor.workers()]
        self._health.tell(SESSIONS, well=bool(store) and all(store))
        self._manager.status(f"{ready} of {count} workers answer")


def refuse_without_http() -> None:
    """Raise `ConfigError` where the extra for the HTTP front is not installed."""
    _refuse_without("http", "uvicorn", "httptools")


def refuse_without_otel() -> None:
    """Raise `ConfigError` where the extra for OpenTelemetry is not installed."""
    _refuse_without("otel", "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def _refuse_without(key: str, *modules: str) -> None:
    if missing := [name for name in modules if not _installed(name)]:
        needed = " and ".join(missing)
        raise ConfigError(f"serve.{key} needs {needed}; pip install 'espalier[{key}]'")


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        # Of a package that is not there nothing can be looked up.
        return False


def roots_of(settings: ServeSettings) -> list[Path]:
    """Return the folders that indexes may be loaded from."""
    if settings.index_roots:
        return [Path(root) for root in settings.index_roots]
    # Where a link is and where it leads.
    return [
        folder
        for path in settings.index.values()
        for folder in (path.parent, path.resolve().parent)
    ]


def _table_of(settings: ServeSettings, log: EventLog) -> SharedSessionStore | None:
    """Open the table of sessions that all workers share; ``None`` if Redis has them.

    Whatever its kind, it outlives workers here; in memory it ends with this process.
    """
    if "://" in settings.sessions:
        return None
    in_file = settings.sessions == "shared" or (
        settings.sessions == "auto" and settings.state_dir is not None
    )
    path = settings.state_dir / FILE_NAME if in_file and settings.state_dir is not None else None
    table = SharedSessionStore(
        path,
        ttl_seconds=settings.session_ttl_seconds,
        max_queries=settings.session_queries,
        max_sessions=settings.max_sessions,
    )
    tell(table.notices, log)
    return table


def _socket_of(base: Path | None, number: int) -> Path | None:
    """Return the Unix socket of a worker: one each, since a path has one listener."""
    return None if base is None else Path(f"{base}.{number}")
