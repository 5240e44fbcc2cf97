"""One call on grpcio's core, from its headers to its end, as a machine of events.

A call is a set of batches under way; each ends with an event, which `loop` hands to
the method given with the batch. One batch waits for the client's end from the very
beginning, so a call never ends before everything about it has.

A unary call is read, waits, is worked on and answered:

    READING ──▶ WAITING ──▶ WORKING ──▶ ANSWERED
       │           │                       ▲
       └───────────┴── turned away, left ──┘

Only threads that answer beside the loop make locks necessary: an event of the loop
(the client left) may meet an answer on its way.

This module and `loop` are the only ones that know ``grpc._cython.cygrpc``.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Final, Protocol

import grpc
from google.rpc.status_pb2 import Status
from grpc._cython import cygrpc  # type: ignore[attr-defined] # compiled, without stubs

from espalier.serve.counters import Counting, Unanswered
from espalier.serve.errors import OverloadedError, status_of
from espalier.serve.rpc import Dialogue, Outcome, Subscription, Unary, plain_status

# Operations hold C state while they are under way: each batch needs new ones.
_ReceiveClose = cygrpc.ReceiveCloseOnServerOperation
_ReceiveMessage = cygrpc.ReceiveMessageOperation
_SendMetadata = cygrpc.SendInitialMetadataOperation
_SendMessage = cygrpc.SendMessageOperation
_SendStatus = cygrpc.SendStatusFromServerOperation

_OK: Final = 0
_CODE_NAMES: Final = {code.value[0]: code.name for code in grpc.StatusCode}
_DETAILS_KEY: Final = "grpc-status-details-bin"

_UNKNOWN_METHOD = plain_status(grpc.StatusCode.UNIMPLEMENTED, "no such method")
_NO_MESSAGE = plain_status(
    grpc.StatusCode.UNIMPLEMENTED, "the method takes exactly one request message"
)
_TOO_SLOW = plain_status(grpc.StatusCode.CANCELLED, "the request message did not come in time")
_TOO_MANY_OPEN = plain_status(
    grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls are open here; try elsewhere"
)
_EXPIRED = plain_status(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed before work began")
_FAULT = plain_status(grpc.StatusCode.INTERNAL, "a fault of the service")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a server takes on.

    Attributes:
        waiting: Calls that wait to be worked on; further ones are turned away with
            RetryInfo. The soft limit.
        open: Calls of every kind and state; further ones are not even read. The hard limit.
        request_seconds: Within which a request follows its headers.
        retry_seconds: What RetryInfo says.
        unread_seconds: After which a reply that its client does not read gives way, where
            there is no room for other calls. It may take twice as long.
    """

    waiting: int = 256
    open: int = 4096
    request_seconds: float = 10.0
    retry_seconds: float = 0.25
    unread_seconds: float = 10.0


class Watch(Protocol):
    """Told how unary calls go, where somebody wants to know. Safe to use from many threads.

    Times are in nanoseconds of `clock`; a note is what it keeps of one call, or ``None``.

    Attributes:
        looks_at_headers: Whether it makes notes at all.
    """

    looks_at_headers: bool

    def clock(self) -> int:
        """Return the time."""
        ...

    def arrived(self, metadata: Any) -> object:
        """Look at the headers of a call; return a note."""
        ...

    def begun(self, note: object) -> None:
        """Hear that this thread works on a call from now on, if it looks at headers."""
        ...

    def ended(self, name: str, code: str, waited: int, taken: int, note: object) -> None:
        """Hear and count that a call is over; ``waited`` is -1 if it was not worked on."""
        ...


class Desk:
    """What the calls of one server share: who is open, who waits, who is still to be read.

    Attributes:
        lock: Guards every number and set here, and the state of every call.
        ready: Calls whose turn comes, in the order they came; some may be over already.
        handed: Where threads beside the loop take calls from; ``None`` without any.
        open: Calls of which anything may still be heard.
        unanswered: Unary calls let in and not answered, begun or not.
        waiting: Calls nobody works on yet.
    """

    def __init__(
        self,
        limits: Limits,
        counters: Counting,
        clock: Callable[[], float],
        watch: Watch | None = None,
    ) -> None:
        self.limits = limits
        self.counters = counters
        self.watch = watch
        self.clock = clock
        self.overloaded = status_of(OverloadedError(limits.waiting, limits.retry_seconds))
        self.lock = threading.Lock()
        self.ready: deque[UnaryCall] = deque()
        self.handed: SimpleQueue[UnaryCall | None] | None = None
        self.open: set[Call] = set()
        self.unanswered = 0
        self.waiting = 0
        # Of the loop alone: until when a request may still come; the oldest call first.
        self._unread: dict[Call, float] = {}
        # When replies that nobody reads were looked for.
        self._looked_at = -math.inf

    def unary(self, rpc: Any, name: str, deadline: float, method: Unary, metadata: Any) -> None:
        """Begin a call of a `Unary` method, or turn it away."""
        full = len(self.open) >= self.limits.open
        call = UnaryCall(self, rpc, name, deadline, method)
        watch = self.watch
        if watch is not None and watch.looks_at_headers and not method.at_once:
            call.note = watch.arrived(metadata)
        if full:
            call.turn_away(Unanswered.REFUSED, _TOO_MANY_OPEN)
            self._make_room()
        elif self.waiting >= self.limits.waiting and not method.at_once:
            call.turn_away(Unanswered.OVERLOADED, self.overloaded)
        else:
            self._unread[call] = self.clock() + self.limits.request_seconds
            call.receive()

    def stream(self, rpc: Any, name: str, method: Subscription | Dialogue) -> None:
        """Begin a call of a streaming method, or turn it away."""
        full = len(self.open) >= self.limits.open
        call = StreamCall(self, rpc, name, method)
        if full:
            self.counters.add("unanswered", name, Unanswered.REFUSED.value)
            call.finish(_TOO_MANY_OPEN)
            self._make_room()
        else:
            self._unread[call] = self.clock() + self.limits.request_seconds
            call.receive()

    def unknown(self, rpc: Any) -> None:
        """Turn away a call of a method that does not exist."""
        UnaryCall(self, rpc, "unknown", 0.0, _NOTHING).reply(_UNKNOWN_METHOD)

    def refuse(self, rpc: Any, name: str, status: Status) -> None:
        """Turn away a call that has no token, of whatever kind its method is."""
        UnaryCall(self, rpc, name, 0.0, _NOTHING).turn_away(Unanswered.UNAUTHENTICATED, status)

    def read(self, call: Call) -> None:
        """Note that a request has come, or never will."""
        self._unread.pop(call, None)

    def give_up_unread(self) -> None:
        """End calls whose request should have come by now."""
        now = self.clock()
        while self._unread:
            call, until = next(iter(self._unread.items()))
            if now < until:
                return
            del self._unread[call]
            call.give_up()

    def _make_room(self) -> None:
        """End calls that were answered when this was last done, and whose clients do not read.

        Clients that take no byte would else keep all others out until their connections end.
        """
        now = self.clock()
        if now - self._looked_at < self.limits.unread_seconds:
            return
        self._looked_at = now
        with self.lock:
            unread = [call for call in self.open if call.grow_old()]
        for call in unread:
            call.cut_off()

    def enqueue(self, call: UnaryCall) -> bool:
        """Let a call wait for its turn; return whether there is room."""
        with self.lock:
            if self.waiting >= self.limits.waiting:
                return False
            self.waiting += 1
        self.ready.append(call)
        return True


class Call:
    """What calls of all kinds share: their batches, and when the last of them is over."""

    __slots__ = ("_closed", "_desk", "_name", "_pending", "_rpc", "_sent_metadata")

    def __init__(self, desk: Desk, rpc: Any, name: str) -> None:
        self._desk = desk
        self._rpc = rpc
        self._name = name
        self._pending = 0
        self._closed = False
        self._sent_metadata = False
        with desk.lock:
            desk.open.add(self)
        self._start((_ReceiveClose(0),), self._close)

    def receive(self) -> None:
        """Wait for a message."""
        self._start((_ReceiveMessage(0),), self._receive)

    def give_up(self) -> None:
        """End the call: its request does not come."""
        raise NotImplementedError

    def grow_old(self) -> bool:
        """Note that an answer waits for its reader; return whether that had been noted."""
        return False

    def cut_off(self) -> None:
        """End the call as it is; its batches end with it."""
        self._rpc.cancel()

    def _message(self, message: bytes | None) -> None:
        """Handle a message, ``None`` when there are no more."""
        raise NotImplementedError

    def _left(self, *, cancelled: bool) -> None:
        """Handle the end of the call."""
        raise NotImplementedError

    def _start(self, operations: tuple[Any, ...], tag: Callable[[Any], None]) -> bool:
        with self._desk.lock:
            if self._closed:
                return False
            self._pending += 1
        if self._rpc.start_server_batch(operations, tag):
            # Refused by the core: no event will come.
            self._end_batch()
            return False
        return True

    def _end_batch(self) -> None:
        desk = self._desk
        with desk.lock:
            self._pending -= 1
            if not self._pending:
                desk.open.discard(self)

    def _receive(self, event: Any) -> None:
        self._desk.read(self)
        if not self._closed:
            self._message(event.batch_operations[0].message())
        self._end_batch()

    def _close(self, event: Any) -> None:
        with self._desk.lock:
            self._closed = True
        self._desk.read(self)
        self._left(cancelled=event.batch_operations[0].cancelled())
        self._end_batch()

    def _ending(self, status: Status | None) -> tuple[Any, ...]:
        """Return the operations that end a call; OK if ``status`` is ``None``."""
        if status is None:
            ending = _SendStatus(None, _OK, b"", 0)
        else:
            # Without details the message says it all, as transports do.
            details = ((_DETAILS_KEY, status.SerializeToString()),) if status.details else None
            ending = _SendStatus(details, status.code, status.message.encode(), 0)
        return (ending,) if self._sent_metadata else (_SendMetadata(None, 0), ending)


_READING, _WAITING, _WORKING, _ANSWERED, _UNREAD = range(5)


class UnaryCall(Call):
    """A call of a `Unary` method."""

    __slots__ = ("_began", "_code", "_data", "_deadline", "_method", "_state", "_waited", "note")

    def __init__(self, desk: Desk, rpc: Any, name: str, deadline: float, method: Unary) -> None:
        self.note: object = None
        self._waited = -1
        self._began = 0 if desk.watch is None else desk.watch.clock()
        self._deadline = deadline
        self._method = method
        self._state = _READING
        self._code = _OK
        self._data = b""
        with desk.lock:
            desk.unanswered += 1
        super().__init__(desk, rpc, name)

    def turn_away(self, why: Unanswered, status: Status) -> None:
        """Answer without having worked."""
        self._desk.counters.add("unanswered", self._name, why.value)
        self.reply(status)

    def give_up(self) -> None:
        """End the call: its request does not come."""
        self.turn_away(Unanswered.NO_REQUEST, _TOO_SLOW)

    def grow_old(self) -> bool:
        """Note that an answer waits for its reader; return whether that had been noted."""
        if self._state == _ANSWERED:
            self._state = _UNREAD
            return False
        return self._state == _UNREAD

    def take_turn(self) -> None:
        """Answer here or, if there are threads for it, let one of them."""
        handed = self._desk.handed
        if handed is None:
            self.work()
        else:
            handed.put(self)

    def work(self) -> None:
        """Answer, unless the client left or the deadline passed."""
        desk = self._desk
        with desk.lock:
            if self._state != _WAITING:
                return
            self._state = _WORKING
            desk.waiting -= 1
        watch = desk.watch
        if watch is not None:
            self._waited = watch.clock() - self._began
            if watch.looks_at_headers:
                watch.begun(self.note)
        left = self._deadline - desk.clock()
        if left <= 0:
            self.turn_away(Unanswered.EXPIRED, _EXPIRED)
        else:
            self._answer(left)

    def reply(self, outcome: Outcome | Future[Outcome]) -> None:
        """Send the reply or the status, at once or when it is there."""
        if isinstance(outcome, bytes):
            operations: tuple[Any, ...] = (
                _SendMetadata(None, 0),
                _SendMessage(outcome, 0),
                _SendStatus(None, _OK, b"", 0),
            )
        elif isinstance(outcome, Future):
            outcome.add_done_callback(lambda done: self.reply(done.result()))
            return
        else:
            self._code = outcome.code
            operations = self._ending(outcome)
        with self._desk.lock:
            self._state = _ANSWERED
        if not self._start(operations, self._sent):
            self._settle("CANCELLED")

    def _answer(self, left: float) -> None:
        try:
            outcome = self._method.answer(self._data, left)
        except Exception:  # noqa: BLE001 - whatever it is, the loop goes on
            outcome = _FAULT
        self.reply(outcome)

    def _message(self, message: bytes | None) -> None:
        if self._state != _READING:
            return
        if message is None:
            self.turn_away(Unanswered.NO_REQUEST, _NO_MESSAGE)
            return
        self._data = message
        if self._method.at_once:
            self._answer(self._deadline - self._desk.clock())
            return
        self._state = _WAITING
        if not self._desk.enqueue(self):
            self.turn_away(Unanswered.OVERLOADED, self._desk.overloaded)

    def _left(self, *, cancelled: bool) -> None:
        desk = self._desk
        with desk.lock:
            state = self._state
            # What is worked on or answered already is settled there.
            if not cancelled or state not in {_READING, _WAITING}:
                return
            self._state = _ANSWERED
            desk.waiting -= state == _WAITING
        if state == _READING:
            why = Unanswered.NO_REQUEST
        else:
            expired = self._deadline <= desk.clock()
            why = Unanswered.EXPIRED if expired else Unanswered.CANCELLED
        desk.counters.add("unanswered", self._name, why.value)
        self._settle("CANCELLED")

    def _sent(self, event: Any) -> None:
        self._settle(_CODE_NAMES[self._code] if event.success else "CANCELLED")
        self._end_batch()

    def _settle(self, code: str) -> None:
        desk = self._desk
        watch = desk.watch
        if watch is None:
            desk.counters.add("calls", self._name, code)
        else:
            taken = watch.clock() - self._began
            watch.ended(self._name, code, self._waited, taken, self.note)
        with desk.lock:
            desk.unanswered -= 1


_NOTHING = Unary(lambda _data, _left: b"")


class StreamCall(Call):
    """A call of a `Subscription` or a `Dialogue`; what is to be sent waits in line."""

    __slots__ = ("_at_end", "_last", "_line", "_method", "_sending")

    def __init__(self, desk: Desk, rpc: Any, name: str, method: Subscription | Dialogue) -> None:
        self._method = method
        self._line: deque[tuple[Any, ...]] = deque()
        self._sending = False
        self._last = False
        self._at_end: Callable[[], None] | None = None
        super().__init__(desk, rpc, name)

    def send(self, message: bytes) -> None:
        """Send a message once those before it are on their way."""
        with self._desk.lock:
            if self._last:
                return
            operations: tuple[Any, ...] = (_SendMessage(message, 0),)
            if not self._sent_metadata:
                operations = (_SendMetadata(None, 0), *operations)
                self._sent_metadata = True
            self._line.append(operations)
        self._send_next()

    def finish(self, status: Status | None = None) -> None:
        """Send what is still to be sent, then end the call; OK by default."""
        with self._desk.lock:
            if self._last:
                return
            self._last = True
            self._line.append(self._ending(status))
        code = _CODE_NAMES[_OK if status is None else status.code]
        self._desk.counters.add("calls", self._name, code)
        self._send_next()

    def give_up(self) -> None:
        """End the call: its request does not come."""
        self._desk.counters.add("unanswered", self._name, Unanswered.NO_REQUEST.value)
        self.finish(_TOO_SLOW)

    def _send_next(self) -> None:
        with self._desk.lock:
            if self._sending or not self._line:
                return
            operations = self._line.popleft()
            self._sending = True
        self._start(operations, self._sent)

    def _sent(self, _event: Any) -> None:
        with self._desk.lock:
            self._sending = False
        self._send_next()
        # One question at a time: the next is read when the answer to this is on its way.
        if isinstance(self._method, Dialogue) and not self._last:
            self.receive()
        self._end_batch()

    def _message(self, message: bytes | None) -> None:
        method = self._method
        try:
            if isinstance(method, Subscription):
                if message is None:
                    self.finish(_NO_MESSAGE)
                else:
                    self._at_end = method.begin(message, self)
            elif message is None:
                self.finish()
            else:
                outcome = method.answer(message)
                if isinstance(outcome, bytes):
                    self.send(outcome)
                else:
                    self.finish(outcome)
        except Exception:  # noqa: BLE001 - whatever it is, the loop goes on
            self.finish(_FAULT)

    def _left(self, *, cancelled: bool) -> None:
        with self._desk.lock:
            unfinished, self._last = not self._last, True
        if unfinished:
            self._desk.counters.add("calls", self._name, "CANCELLED" if cancelled else "OK")
        at_end, self._at_end = self._at_end, None
        if at_end is not None:
            at_end()
