"""Starts workers, replaces those that die, and ends them.

A worker is a process of its own, started anew and never forked (a fork of a process
that has used grpcio may hang). It hears from the supervisor over a `control.Channel`
and ends by itself when that breaks, so no worker outlives its supervisor.

A worker that ended without being told to is replaced: at once the first time, then
after a pause that doubles with every death up to half a minute, until one has been
ready for ten seconds.
"""

from __future__ import annotations

import contextlib
import enum
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from espalier.errors import EspalierError
from espalier.serve.control import Channel, GoneError, Params, result_of, send
from espalier.serve.counters import Counting
from espalier.serve.log import EventLog
from espalier.serve.notify import ServiceManager
from espalier.serve.signals import FIRST_WORD, SignalQueue

ENVIRONMENT: Final = {
    # What grpcio itself would say is no JSON.
    "GRPC_VERBOSITY": "NONE",
    # Without it sockets are read by threads of the core, which then wake ours: an empty call
    # takes 30 us of processor time instead of 37, and 30 instead of 55 where few are under way.
    "GRPC_EXPERIMENTS": "-event_engine_listener",
}
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_CHANGED = FIRST_WORD
_SIGNALLED = 128
# What a worker may need beyond the grace: replies on their way, closing files.
_SLACK_SECONDS = 5.0
# For a worker to read what it is sent, once there is no room for more. It reads at any time,
# so one that does not answers nobody either.
_SEND_SECONDS = 5.0
# For the last words of a worker that ends.
_REST_SECONDS = 1.0


class WorkerError(EspalierError):
    """A worker that could not start.

    Attributes:
        exit_code: What the worker ended with, and so does the command.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class BackOff:
    """How long a dead worker stays away, in seconds."""

    first: float = 0.05
    longest: float = 30.0
    stable: float = 10.0

    def pause(self, deaths: int) -> float:
        """Return the pause after so many deaths in a row."""
        if deaths <= 1:
            return 0.0
        return min(self.longest, self.first * 2.0 ** min(deaths - 2, 60))


class _State(enum.Enum):
    STARTING = enum.auto()
    READY = enum.auto()
    DRAINING = enum.auto()
    ENDED = enum.auto()


class Worker:
    """A worker process as the supervisor sees it.

    Attributes:
        report: What it said when it became ready.
        sessions_well: Whether the session store answers it.
    """

    def __init__(
        self,
        number: int,
        command: Sequence[str],
        orders: Mapping[str, Any],
        changed: Callable[[], object],
        clock: Callable[[], float],
    ) -> None:
        """Start the process and tell it its ``orders``.

        Raises:
            OSError, RuntimeError: The system gives no process, file or thread at the moment.
        """
        self.number = number
        self.state = _State.STARTING
        self.failure: WorkerError | None = None
        self.calls_cut_off = 0
        self.ready_at = 0.0
        self.report: Params = {}
        self.sessions_well = True
        self._changed = changed
        self._clock = clock
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as undone:
            undone.callback(ours.close)
            with theirs:
                self.process = subprocess.Popen(  # noqa: S603 - our own command
                    [*command, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env={**ENVIRONMENT, **os.environ},
                    # A group of its own: Ctrl-C in a terminal is for the supervisor, which
                    # then asks all of them.
                    process_group=0,
                )
            undone.callback(self.process.wait)
            undone.callback(self.process.kill)
            self.channel = Channel(
                ours,
                {
                    "ready": self._ready,
                    "sessions": self._note_sessions,
                    "draining": self._draining,
                    "failed": self._failed,
                    "stopped": self._stopped,
                },
                changed,
                patience=_SEND_SECONDS,
            )
            with contextlib.suppress(OSError):
                send(ours, orders)
            self.channel.start()
            undone.pop_all()

    def ended(self) -> int | None:
        """Return the exit code, minus the signal that ended it; ``None`` while it runs."""
        return self.process.poll()

    def close(self) -> None:
        """Let go of a process that ended."""
        self.state = _State.ENDED
        self.channel.close()

    def _ready(self, params: Params) -> None:
        self.report = params
        self.ready_at = self._clock()
        self.state = _State.READY
        self.sessions_well = params.get("sessions", True)
        self._changed()

    def _note_sessions(self, params: Params) -> None:
        self.sessions_well = params["well"]
        self._changed()

    def _draining(self, _params: Params) -> None:
        self.state = _State.DRAINING
        self._changed()

    def _failed(self, params: Params) -> None:
        self.failure = WorkerError(str(params["message"]), int(params["exit_code"]))

    def _stopped(self, params: Params) -> None:
        self.calls_cut_off = int(params["calls_cut_off"])


@dataclass(slots=True)
class _Place:
    """Where a worker belongs: the same number, one worker after the other."""

    worker: Worker | None
    deaths: int = 0
    due: float = 0.0


class Supervisor:
    """Keeps a number of workers running.

    Attributes:
        grace: Seconds that workers may take to finish their calls; may be changed.

    Args:
        command: Starts a worker, with the number of its file descriptor appended.
        orders: The first message to each worker.
        log: Where events go.
        counters: Told of workers that died.
        hang_up: Called in the main thread for every SIGHUP; must not take long.
        watched: Called in the main thread with the number of workers that answer, when
            that may have changed; with 0 when the end begins.
        manager: Hears when all workers answer, that this goes on, and when the end begins.
    """

    def __init__(
        self,
        command: Sequence[str],
        orders: Sequence[Mapping[str, Any]],
        *,
        grace: float,
        log: EventLog,
        counters: Counting,
        hang_up: Callable[[], object] = lambda: None,
        watched: Callable[[int], object] = lambda _ready: None,
        manager: ServiceManager | None = None,
        back_off: BackOff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = command
        self._orders = list(orders)
        self.grace = grace
        self._log = log
        self._counters = counters
        self._back_off = BackOff() if back_off is None else back_off
        self._clock = clock
        self._hang_up = hang_up
        self._watched = watched
        self._manager = ServiceManager() if manager is None else manager
        self._places = [_Place(None) for _ in orders]
        # Held while a worker gets its orders and its place, so that new orders and a request
        # to all that follows them miss none.
        self._placing = threading.Lock()

    def run(self, started: Callable[[], object]) -> int:
        """Serve until told to end by a signal; return the exit code.

        Only in the main thread.

        Args:
            started: Called once when every worker answers.

        Raises:
            WorkerError: A worker could not start; those that did have ended again.
        """
        with SignalQueue((*_SIGNALS, signal.SIGCHLD, signal.SIGHUP)) as signals:
            try:
                told = self._start(signals)
                if told is None:
                    started()
                    self._manager.ready()
                    self._watched(len(self.workers()))
                    told = self._watch(signals)
                self._watched(0)
                return self._drain(signals, told)
            finally:
                self._kill()

    def request_all(
        self, method: str, params: Params | None = None, *, timeout: float
    ) -> dict[int, Mapping[str, Any]]:
        """Make a request to every worker; return the results by worker, once all are there.

        A worker that is still starting fulfils it before it answers calls. One that dies is
        left out; its successor begins with the orders of then. So who wants something to
        hold in every worker, now and later, first gives new orders, then makes the request.
        From any thread.

        Raises:
            ControlError: A worker that lives refused, or did not reply in time.
        """
        asked = {}
        with self._placing:
            workers = [place.worker for place in self._places]
        for worker in workers:
            if worker is not None:
                with contextlib.suppress(GoneError):
                    asked[worker.number] = worker.channel.ask(method, params)
        deadline = self._clock() + timeout
        results = {}
        for number, future in asked.items():
            with contextlib.suppress(GoneError):
                left = max(0.0, deadline - self._clock())
                results[number] = result_of(future, method, left)
        return results

    def request_one(
        self, method: str, params: Params | None = None, *, timeout: float
    ) -> Mapping[str, Any]:
        """Make a request to one worker that answers calls; return its result.

        From any thread.

        Raises:
            GoneError: There is none, or it died meanwhile.
            ControlError: It refused, or did not reply in time.
        """
        ready = self.workers()
        if not ready:
            raise GoneError(f"{method}: no worker answers at the moment")
        return ready[0].channel.request(method, params, timeout=timeout)

    def give_orders(self, orders: Sequence[Mapping[str, Any]]) -> None:
        """Let workers that start from now on begin with these orders, one each."""
        with self._placing:
            self._orders = list(orders)

    def workers(self) -> list[Worker]:
        """Return the workers that answer calls."""
        found = [place.worker for place in self._places]
        return [one for one in found if one is not None and one.state is _State.READY]

    # ---- starting ------------------------------------------------------------------

    def _start(self, signals: SignalQueue) -> signal.Signals | None:
        """Start every worker; return the signal that ended this early, if one did."""
        for number in range(len(self._places)):
            self._spawn(number, signals)
        while len(self.workers()) < len(self._places):
            told = signals.wait()
            if told in _SIGNALS:
                return signal.Signals(told)
            for place in self._places:
                worker = place.worker
                if worker is not None and (code := worker.ended()) is not None:
                    worker.channel.join(_REST_SECONDS)
                    raise worker.failure or WorkerError(
                        f"worker {worker.number} ended with {_cause(code)} while starting", 1
                    )
        return None

    def _spawn(self, number: int, signals: SignalQueue) -> None:
        with self._placing:
            self._places[number].worker = Worker(
                number,
                self._command,
                self._orders[number],
                lambda: signals.put(_CHANGED),
                self._clock,
            )

    # ---- watching ------------------------------------------------------------------

    def _watch(self, signals: SignalQueue) -> signal.Signals:
        """Replace workers that die; return the signal that ends it."""
        while True:
            self._manager.beat()
            told = signals.wait(self._manager.within(self._next_due()))
            if told in _SIGNALS:
                return signal.Signals(told)
            if told == signal.SIGHUP:
                self._hang_up()
            self._bury()
            now = self._clock()
            for number, place in enumerate(self._places):
                if place.worker is None and place.due <= now:
                    self._replace(number, signals)
            self._watched(len(self.workers()))

    def _replace(self, number: int, signals: SignalQueue) -> None:
        """Start a worker anew; where the system has no room for it now, later."""
        try:
            self._spawn(number, signals)
        except (OSError, RuntimeError) as error:
            place = self._places[number]
            place.deaths += 1
            pause = self._back_off.pause(place.deaths)
            place.due = self._clock() + pause
            cause = error.strerror if isinstance(error, OSError) else str(error)
            self._log.error(
                "worker_not_started", worker=number, error=cause, tried_again_after=pause
            )

    def _next_due(self) -> float | None:
        waits = [place.due - self._clock() for place in self._places if place.worker is None]
        return max(0.0, min(waits)) if waits else None

    def _bury(self) -> None:
        """Note which workers died, and when each is to be replaced."""
        for place in self._places:
            worker = place.worker
            if worker is None:
                continue
            if (code := worker.ended()) is None:
                if worker.channel.stuck:
                    # It hears of no change any more, so it must not answer.
                    worker.process.kill()
                continue
            worker.channel.join(_REST_SECONDS)
            now = self._clock()
            served = 0.0 if worker.state is _State.STARTING else now - worker.ready_at
            worker.close()
            place.deaths = 1 if served >= self._back_off.stable else place.deaths + 1
            pause = self._back_off.pause(place.deaths)
            place.worker, place.due = None, now + pause
            self._counters.add("worker_restarts", str(worker.number))
            self._log.error(
                "worker_died",
                worker=worker.number,
                cause=_cause(code),
                error=str(worker.failure) if worker.failure else None,
                served_seconds=round(served, 3),
                replaced_after=pause,
            )

    # ---- ending --------------------------------------------------------------------

    def _drain(self, signals: SignalQueue, told: signal.Signals) -> int:
        self._log.info("draining", because=told.name, grace=self.grace)
        self._manager.stopping(self.grace + _SLACK_SECONDS + _REST_SECONDS)
        running = [place.worker for place in self._places if place.worker is not None]
        for worker in running:
            if worker.state is not _State.STARTING:
                with contextlib.suppress(GoneError):
                    worker.channel.tell("drain", {"grace": self.grace})
            else:
                # Nobody calls it yet.
                worker.process.kill()
        again = self._wait(signals, running, self.grace + _SLACK_SECONDS)
        if again is not None:
            # They say what they cut off, and go.
            for worker in running:
                worker.process.terminate()
            self._wait(signals, running, _REST_SECONDS)
        hung = [worker for worker in running if worker.ended() is None]
        self._kill()
        cut_off = sum(worker.calls_cut_off for worker in running)
        self._log.info("stopped", calls_cut_off=cut_off, workers_killed=len(hung))
        return _SIGNALLED + again if again is not None else int(bool(hung))

    def _wait(
        self, signals: SignalQueue, running: Sequence[Worker], seconds: float
    ) -> signal.Signals | None:
        """Wait until all have ended, at most so long; return the signal that came meanwhile."""
        deadline = self._clock() + seconds
        while any(worker.ended() is None for worker in running) and self._clock() < deadline:
            self._manager.beat()
            told = signals.wait(self._manager.within(deadline - self._clock()))
            if told in _SIGNALS:
                return signal.Signals(told)
        for worker in running:
            worker.channel.join(_REST_SECONDS)
        return None

    def _kill(self) -> None:
        """End what still runs, now."""
        for place in self._places:
            worker = place.worker
            if worker is not None and worker.state is not _State.ENDED:
                worker.process.kill()
                worker.process.wait()
                worker.close()


def _cause(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def command() -> list[str]:
    """Return what starts a worker of this very program."""
    return [sys.executable, "-m", "espalier.serve.worker"]
