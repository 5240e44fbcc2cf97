"""The wire between the supervisor and a worker: requests and replies, both ways.

One socket pair a worker. A message is four bytes of length, big-endian, and that
much JSON:

    {"id": 7, "method": "check", "params": {...}}      a request
    {"id": 7, "result": {...}}                            its reply
    {"id": 7, "error": {"reason": "...", "message": "..."}}   or this

Either side numbers its own requests. A reply means that the request has taken
effect on the other side, so a request to every worker and its replies are how
something comes to hold in all of them. The end of the stream means that the other
side is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from espalier.errors import EspalierError, IndexFileError

Params = Mapping[str, Any]
Result = Mapping[str, Any] | None
Handler = Callable[[Params], Result | Future[Result]]

MAX_MESSAGE_BYTES = 16 * 1024 * 1024

_LENGTH = struct.Struct(">I")
# What the kernel takes for times.
_TIMEVAL = struct.Struct("@ll")


class ControlError(EspalierError):
    """A request over the control channel that was not fulfilled.

    Attributes:
        reason: That of the error on the other side; ``INTERNAL`` if there is no other side.
        evidence: What that error carried, for machines: `evidence_of`.
    """

    def __init__(
        self, message: str, *, reason: str = "INTERNAL", evidence: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.evidence = dict(evidence or {})


class GoneError(ControlError):
    """A request that was not fulfilled, or nobody can tell, because the other side ended."""


class Channel:
    """One end of the wire. Requests may be made from many threads.

    Args:
        handlers: What answers requests of the other side, by method. They run one at a
            time, in the order of the requests; an `EspalierError` becomes the reply. One
            that would keep others waiting returns a future, and the reply follows that.
        closed: Called once when the other side is gone.
        patience: Seconds without room to send after which the other side counts as gone;
            ``None`` waits for ever.

    Attributes:
        stuck: Whether it ended because the other side did not read, which may live on.
    """

    def __init__(
        self,
        sock: socket.socket,
        handlers: Mapping[str, Handler],
        closed: Callable[[], object],
        *,
        patience: float | None = None,
    ) -> None:
        self.stuck = False
        self._socket = sock
        if patience is not None:
            # Of Python's own kind it would hold for reading as well.
            seconds, rest = divmod(patience, 1.0)
            limit = _TIMEVAL.pack(int(seconds), int(rest * 1_000_000))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self._handlers = handlers
        self._closed = closed
        self._numbers = itertools.count(1)
        self._reader = threading.Thread(target=self._read, name="control", daemon=True)
        # Two locks: who waits for room to send must not keep replies from being read.
        self._sending = threading.Lock()
        self._lock = threading.Lock()
        # Guarded by the second; ``None`` when the other side is gone.
        self._replies: dict[int, Future[Mapping[str, Any]]] | None = {}

    def start(self) -> None:
        """Begin to read."""
        self._reader.start()

    def join(self, seconds: float) -> None:
        """Wait until everything the other side sent has been read, and it is gone."""
        self._reader.join(seconds)

    def ask(self, method: str, params: Params | None = None) -> Future[Mapping[str, Any]]:
        """Make a request; return its result to come, which may be a `ControlError`.

        Raises:
            GoneError: There is nobody to reply.
            ControlError: The request is too long.
        """
        number = next(self._numbers)
        future: Future[Mapping[str, Any]] = Future()
        with self._lock:
            if self._replies is None:
                raise GoneError(f"{method}: the other side is gone")
            self._replies[number] = future
        try:
            self._send({"id": number, "method": method, "params": params or {}})
        except OSError as error:
            raise GoneError(f"{method}: the other side is gone ({error.strerror})") from error
        return future

    def request(
        self, method: str, params: Params | None = None, *, timeout: float
    ) -> Mapping[str, Any]:
        """Make a request; return its result. Not from within a handler.

        ``timeout`` are the seconds to wait for the reply; the request may still be fulfilled
        later.

        Raises:
            GoneError: There is nobody to reply.
            ControlError: It failed there, or there was no reply in time.
        """
        return result_of(self.ask(method, params), method, timeout)

    def tell(self, method: str, params: Params | None = None) -> None:
        """Make a request and do not wait for the reply.

        Raises:
            GoneError: There is nobody to hear it.
        """
        try:
            self._send({"id": next(self._numbers), "method": method, "params": params or {}})
        except OSError as error:
            raise GoneError(f"{method}: the other side is gone ({error.strerror})") from error

    def close(self) -> None:
        """Close this end; the other sees the end of the stream."""
        # Closing alone would not wake the thread that reads.
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def _send(self, message: Mapping[str, Any]) -> None:
        data = json.dumps(message).encode()
        if len(data) > MAX_MESSAGE_BYTES:
            raise ControlError(
                f"a message of {len(data)} bytes; at most {MAX_MESSAGE_BYTES}, so pass a file"
            )
        with self._sending:
            try:
                self._socket.sendall(_LENGTH.pack(len(data)) + data)
            except BlockingIOError:
                # Half a message may be there, so nothing more can follow it.
                self.stuck = True
                self.close()
                raise

    def _read(self) -> None:
        try:
            while (message := receive(self._socket)) is not None:
                if "method" in message:
                    self._serve(message)
                else:
                    self._settle(message)
        except (OSError, ValueError, KeyError):
            # The other side broke off in the middle, or is not who it should be.
            pass
        finally:
            with self._lock:
                waiting, self._replies = self._replies or {}, None
            for future in waiting.values():
                future.set_exception(GoneError("the other side went away before it replied"))
            self._socket.close()
            self._closed()

    def _serve(self, message: Mapping[str, Any]) -> None:
        method, number = message["method"], message["id"]
        handler = self._handlers.get(method, _refuse)
        try:
            result = handler(message["params"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the other side waits
            self._send({"id": number, "error": _described(error, method)})
            return
        if isinstance(result, Future):
            result.add_done_callback(lambda done: self._reply_later(number, method, done))
        else:
            self._send({"id": number, "result": result or {}})

    def _reply_later(self, number: int, method: str, done: Future[Result]) -> None:
        error = done.exception()
        # Who asked may be gone by now; the thread that reads will notice.
        with contextlib.suppress(OSError):
            if isinstance(error, Exception):
                self._send({"id": number, "error": _described(error, method)})
            else:
                self._send({"id": number, "result": done.result() or {}})

    def _settle(self, message: Mapping[str, Any]) -> None:
        with self._lock:
            future = (self._replies or {}).pop(message["id"], None)
        # Nobody waits for a reply that is late.
        if future is None:
            return
        if "error" in message:
            error = message["error"]
            future.set_exception(
                ControlError(
                    error["message"], reason=error["reason"], evidence=error.get("evidence")
                )
            )
        else:
            future.set_result(message["result"])


def _refuse(_params: Params) -> None:
    raise ControlError("no such method")


def evidence_of(error: IndexFileError) -> dict[str, str]:
    """Return what an error about an index file carries beside its message."""
    return {"check": error.check, "section": error.section, "offset": str(error.offset)}


def _described(error: Exception, method: str) -> dict[str, Any]:
    if isinstance(error, IndexFileError):
        evidence = evidence_of(error)
        return {"reason": error.reason, "message": str(error), "evidence": evidence}
    if isinstance(error, EspalierError):
        return {"reason": error.reason, "message": str(error)}
    # The message of a foreign exception might quote a query.
    return {"reason": "INTERNAL", "message": f"{method}: {type(error).__name__}"}


def result_of(future: Future[Mapping[str, Any]], method: str, timeout: float) -> Mapping[str, Any]:
    """Wait for what `Channel.ask` returned.

    Raises:
        GoneError: There is nobody to reply any more.
        ControlError: It failed there, or there was no reply within ``timeout`` seconds.
    """
    try:
        return future.result(timeout)
    except FutureTimeoutError:
        raise ControlError(f"{method}: no reply within {timeout:g} s") from None


def send(sock: socket.socket, message: Mapping[str, Any]) -> None:
    """Send one message over a socket that no `Channel` holds yet.

    Raises:
        OSError: The other side is gone.
    """
    data = json.dumps(message).encode()
    sock.sendall(_LENGTH.pack(len(data)) + data)


def receive(sock: socket.socket) -> dict[str, Any] | None:
    """Return the next message, ``None`` at the end of the stream.

    Raises:
        OSError: The stream broke.
        ValueError: It is no message, or too long.
    """
    head = _exactly(sock, _LENGTH.size)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {length} bytes")
    data = _exactly(sock, length)
    message = json.loads(data) if data is not None else None
    if message is not None and not isinstance(message, dict):
        raise ValueError("a message that is no object")
    return message


def _exactly(sock: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = sock.recv(size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)
