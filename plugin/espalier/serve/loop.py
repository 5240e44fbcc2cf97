"""Serves calls on the completion queue of grpcio's core, one thread for everything.

``grpc.server`` hands every call from the thread that reads events to a pool and
back, twice. Under load these hand-overs, not the work, are most of a call: an empty
handler costs three times as much there as here (``python -m bench.serve_load``). Here
one thread takes an event, does what it asks for, and takes the next.

Waiting calls are worked on when no event is left to take, so that what arrived
meanwhile is known (only a queue that is seen can be limited), and after every few
events, so that a flood of them cannot stop all work. Where an answer must wait for
something else than a processor, ``threads`` work beside the loop.

Asked with a deadline that has passed, the core hands out events it has and looks at no
socket. Asked with one that is now it reads what is there, and if there is nothing it
waits for up to a millisecond. So while calls wait it is asked like that every few
milliseconds: often enough to hear of new calls and of clients that left, and seldom
enough that the time lost, if it is, does not matter.

grpcio's own server stands on the same few classes of ``grpc._cython.cygrpc``, but
they are no public interface. Hence the exact minor version in ``pyproject.toml``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import Any, Final

from grpc._cython import cygrpc  # type: ignore[attr-defined] # compiled, without stubs

from espalier.serve.calls import Desk, Limits, UnaryCall, Watch
from espalier.serve.counters import Counting
from espalier.serve.rpc import Method, Unary
from espalier.serve.tls import GrpcCertificates
from espalier.serve.tokens import Guard

# Without events the loop wakes up as often to look for requests that never came.
_TICK_SECONDS: Final = 1.0
# While calls wait the sockets are read as often.
_READ_SECONDS: Final = 0.01
# Turns of the loop: so many calls are worked on after at most so many events.
_EVENTS_A_TURN: Final = 32
_CALLS_A_TURN: Final = 4


class CallLoop:
    """A gRPC server for ``methods``, by full name as in ``/package.Service/Method``.

    Args:
        options: Channel arguments of grpcio.
        counters: Told how calls end.
        crashed: Called if the loop itself fails, after which nothing is answered any more.
        threads: How many calls are worked on at the same time. 1 works in the loop itself,
            which is fastest where work is all computing.
        guard: Who is asked whether a call may be made; ``None`` lets everybody in.
        clock: Seconds from any origin.
        watch: Told how unary calls go.
    """

    def __init__(
        self,
        methods: Mapping[str, Method],
        *,
        options: Sequence[tuple[str, int]],
        counters: Counting,
        crashed: Callable[[Exception], object],
        limits: Limits | None = None,
        threads: int = 1,
        guard: Guard | None = None,
        clock: Callable[[], float] = time.monotonic,
        watch: Watch | None = None,
    ) -> None:
        self._methods = {name.encode(): (name, method) for name, method in methods.items()}
        self._desk = Desk(Limits() if limits is None else limits, counters, clock, watch)
        self._clock = clock
        self._crashed = crashed
        self._guard = guard
        self._threads = threads
        self._queue = cygrpc.CompletionQueue()
        self._server = cygrpc.Server(tuple(options), False)
        self._server.register_completion_queue(self._queue)
        self._started = False
        # Held while the core's server is touched that the end of the loop destroys.
        self._gate = threading.Lock()
        # Of the loop alone: whether the core has been asked for the next call, and is down.
        self._asked = False
        self._down = False
        self._finished = threading.Event()

    @property
    def unanswered(self) -> int:
        """Unary calls that were let in and not answered yet, whether begun or not."""
        return self._desk.unanswered

    @property
    def waiting(self) -> int:
        """Calls that nobody works on yet."""
        return self._desk.waiting

    def listen(self, target: str, certificates: GrpcCertificates | None = None) -> int:
        """Listen on a target as gRPC writes it; return the port, 1 for a Unix socket.

        With ``certificates`` connections are TLS.

        Raises:
            OSError: The core cannot have the address.
        """
        secured = () if certificates is None else (certificates.credentials,)
        try:
            port = int(self._server.add_http2_port(target.encode(), *secured))
        except RuntimeError:
            port = 0
        if not port:
            raise OSError("grpcio could not bind it")
        return port

    def start(self) -> None:
        """Begin to answer."""
        self._server.start()
        self._started = True
        self._ask()
        if self._threads > 1:
            handed = self._desk.handed = SimpleQueue()
            for number in range(self._threads):
                threading.Thread(
                    target=_work, args=(handed,), name=f"call-{number}", daemon=True
                ).start()
        threading.Thread(target=self._run, name="calls", daemon=True).start()

    def stop_accepting(self) -> None:
        """Close the listeners and let no new call in; those under way go on."""
        with self._gate:
            if not self._started:
                self._finished.set()
            elif not self._finished.is_set():
                self._server.shutdown(self._queue, self._shut_down)

    def cancel_all(self) -> None:
        """Cancel every call; only after `stop_accepting`."""
        with self._gate:
            if not self._finished.is_set():
                self._server.cancel_all_calls()

    def wait(self, seconds: float) -> bool:
        """Wait until the last call is over; return whether it is."""
        return self._finished.wait(seconds)

    def _run(self) -> None:
        try:
            self._take_turns()
        except Exception as error:  # noqa: BLE001 - a loop that stopped unseen would look alive
            self._crashed(error)
        finally:
            for _ in range(self._threads):
                if self._desk.handed is not None:
                    self._desk.handed.put(None)
        with self._gate:
            self._server.destroy()
            self._finished.set()

    def _take_turns(self) -> None:
        poll, ready, clock = self._queue.poll, self._desk.ready, self._clock
        read_at = clock()
        while not (self._down and not self._asked and not self._desk.open):
            overdue = clock() - read_at > _READ_SECONDS
            for _ in range(_EVENTS_A_TURN):
                if not ready:
                    # In wall-clock time, which the core turns into its own at once.
                    event = poll(time.time() + _TICK_SECONDS)
                else:
                    event = poll(time.time() if overdue else 0.0)
                handle = event.tag
                if handle is None:
                    if overdue:
                        read_at = clock()
                    break
                handle(event)
                # An event keeps its call alive; while we sleep nothing should.
                event = handle = None
                if self._down:
                    break
            for _ in range(min(_CALLS_A_TURN, len(ready))):
                ready.popleft().take_turn()
            if not ready:
                self._desk.give_up_unread()
                read_at = clock()

    def _ask(self) -> None:
        try:
            self._server.request_call(self._queue, self._queue, self._arrived)
        except ValueError:
            # The server was told to stop between the last event and now.
            return
        self._asked = True

    def _shut_down(self, _event: Any) -> None:
        self._down = True

    def _arrived(self, event: Any) -> None:
        self._asked = False
        if not event.success:
            return
        self._ask()
        details = event.call_details
        found = self._methods.get(details.method)
        if found is None:
            self._desk.unknown(event.call)
            return
        name, method = found
        if self._guard is not None and not method.public:
            refusal = self._guard.refusal(event.invocation_metadata)
            if refusal is not None:
                self._desk.refuse(event.call, name, refusal)
                return
        if isinstance(method, Unary):
            # Deadlines come in wall-clock time, which may be set; from here on ours counts.
            left = details.deadline - time.time()
            deadline = self._clock() + left
            self._desk.unary(event.call, name, deadline, method, event.invocation_metadata)
        else:
            self._desk.stream(event.call, name, method)


def _work(handed: SimpleQueue[UnaryCall | None]) -> None:
    while (call := handed.get()) is not None:
        call.work()
