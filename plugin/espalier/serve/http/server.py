"""The HTTP server of one worker: uvicorn, with limits on what comes before a request.

uvicorn parses with llhttp and keeps connections; what it lacks is a limit on the size
of a head and on the time one may take, without which a few thousand clients that send
a byte a minute, or one that never stops sending headers, hold the service. Both are
added in `_Connection`, the only place that relies on more than uvicorn's documented
interface: that its protocol classes can be extended, and the names of llhttp's events.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import grpc
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from espalier.serve.calls import Limits
from espalier.serve.counters import Counting, Unanswered
from espalier.serve.credentials import Credentials
from espalier.serve.http.app import MAX_HEAD_BYTES, App, RequestWatch
from espalier.serve.http.front import Front
from espalier.serve.http.replies import Reply, refusal
from espalier.serve.listen import ListenError, bind_shared
from espalier.serve.log import EventLog
from espalier.serve.server import HANDSHAKE_SECONDS, MAX_REQUEST_BYTES
from espalier.serve.tls import RenewableContext, Tls
from espalier.serve.tokens import Guard

_IDLE_SECONDS: Final = 30
"""Between two requests on one connection; browsers and proxies keep theirs for a minute."""
_BACKLOG: Final = 1024
_MOST_WIRE_BYTES: Final = 8 * MAX_REQUEST_BYTES
"""Of a body with what is around it: in chunks of one byte it takes six times its size."""
_POLL_SECONDS: Final = 0.02
_END_SECONDS: Final = 2.0

_HEAD_TOO_LARGE: Final = refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    f"request line and headers have more than {MAX_HEAD_BYTES} bytes; send shorter ones",
)
_TOO_MUCH: Final = refusal(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    "far more came than the body; send it in larger chunks, and nothing after it",
)
_TOO_LATE: Final = refusal(
    HTTPStatus.REQUEST_TIMEOUT, grpc.StatusCode.CANCELLED, "the request did not come in time"
)
_NO_HTTP: Final = refusal(
    HTTPStatus.BAD_REQUEST, grpc.StatusCode.INVALID_ARGUMENT, "this is no HTTP/1.1 request"
)


@dataclass(frozen=True, slots=True)
class _Rules:
    """What every connection of a server obeys."""

    limits: Limits
    counters: Counting


class _Connection(HttpToolsProtocol):
    """A connection whose heads are short and come in time."""

    rules: _Rules

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many."""
        super().connection_made(transport)
        self._head_bytes = self._wire_bytes = 0
        self._in_head = self._in_body = False
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        if len(self.connections) > self.rules.limits.open:
            self.rules.counters.add("unanswered", "http", Unanswered.REFUSED.value)
            transport.abort()
            return
        self._begin_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._end_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read, as long as it is no endless head."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._in_body:
            self._wire_bytes += len(data)
            if self._wire_bytes > _MOST_WIRE_BYTES:
                self._refuse(_TOO_MUCH)
                return
        # There is none before the first request, whatever its type says.
        if self.cycle is not None and not self.cycle.response_complete:  # type: ignore[redundant-expr]
            if self.cycle.more_body and self._timer is None:
                self._begin_timer()
            return
        # No request is under way, so these are bytes of a head that is not complete.
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_HEAD_TOO_LARGE)
        elif self._timer is None:
            self._begin_timer()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; what follows a body in chunks is none, and would never end."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Go on to the body and to the answer."""
        self._end_timer()
        self._head_bytes = self._wire_bytes = 0
        self._in_head, self._in_body = False, True
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._refuse(_HEAD_TOO_LARGE)
            # Which stops the parser; what it says then is not sent any more.
            raise ValueError
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Go on: the body is there."""
        self._end_timer()
        self._in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - theirs
        """Say that this is no request, as every other error is said."""
        self._refuse(_NO_HTTP)

    def pause_writing(self) -> None:
        """Give a client some time to read what it asked for."""
        super().pause_writing()
        seconds = self.rules.limits.request_seconds
        self._stalled = self.loop.call_later(seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: it reads."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _begin_timer(self) -> None:
        self._timer = self.loop.call_later(self.rules.limits.request_seconds, self._late)

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        in_body = self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]
        if (in_body and self.cycle.response_started) or not (in_body or self._head_bytes):
            # It is answered already, or nobody asked for anything: browsers connect ahead
            # of time.
            self.transport.close()
            return
        self.rules.counters.add("unanswered", "http", Unanswered.NO_REQUEST.value)
        self._refuse(_TOO_LATE)

    def _refuse(self, reply: Reply) -> None:
        """Answer and hang up; nothing of the sort is answered twice."""
        if self.transport.is_closing():
            return
        status = HTTPStatus(reply.status)
        head = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
        head += [name + b": " + value for name, value in reply.headers]
        head += [b"content-length: %d" % len(reply.body), b"connection: close", b"", reply.body]
        self.transport.write(b"\r\n".join(head))
        self.transport.close()


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose servers do not wait a minute for a handshake."""

    async def create_server(self, *arguments: Any, **named: Any) -> asyncio.Server:
        """Begin to listen."""
        if named.get("ssl") is not None:
            named["ssl_handshake_timeout"] = HANDSHAKE_SECONDS
            named["ssl_shutdown_timeout"] = _END_SECONDS
        return await super().create_server(*arguments, **named)


class HttpServer:
    """The front on a port, with the interface of `espalier.serve.server.Server`.

    Args:
        front: What answers.
        limits: As for gRPC.
        counters: Told of replies, and of what got none.
        crashed: Called if nothing can be answered any more.
        access_log, watch: As for `App`.
        guard: As for `Front`; told which tokens are valid from now on.
        tls: What connections show and ask for; plain TCP where ``None``.
    """

    def __init__(
        self,
        front: Front,
        *,
        limits: Limits,
        counters: Counting,
        crashed: Callable[[Exception], object],
        access_log: EventLog | None = None,
        guard: Guard | None = None,
        tls: Tls | None = None,
        watch: RequestWatch | None = None,
    ) -> None:
        self._guard = guard
        self._context = context = None if tls is None else RenewableContext.of(tls)
        app = App(
            front,
            waiting=lambda: self.waiting,
            limits=limits,
            max_body=MAX_REQUEST_BYTES,
            counters=counters,
            access_log=access_log,
            watch=watch,
        )
        self._crashed = crashed
        self._sockets: list[socket.socket] = []
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=type("Connection", (_Connection,), {"rules": _Rules(limits, counters)}),
                ws="none",
                lifespan="off",
                loop="asyncio",
                interface="asgi3",
                log_config=None,
                access_log=False,
                # What a proxy says of its clients is not looked at.
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_IDLE_SECONDS,
                ssl_context_factory=None if context is None else lambda _config, _default: context,
            )
        )
        # It logs what clients do wrong, some of it with what they sent; we count instead.
        logging.getLogger("uvicorn.error").disabled = True
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    @property
    def waiting(self) -> int:
        """Requests that are begun and not answered."""
        return len(self._server.server_state.tasks)

    @property
    def unanswered(self) -> int:
        """The same: work begins as soon as a request is read."""
        return self.waiting

    def listen(self, address: str) -> str:
        """Listen on HOST:PORT, beside others that share it; return it with the port taken.

        Raises:
            ListenError: It cannot be had.
        """
        host, _, port = address.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        with ExitStack() as opened:
            try:
                for family, _, _, _, place in socket.getaddrinfo(
                    bare, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
                ):
                    sock = opened.enter_context(bind_shared(family, place[0], int(port)))
                    # Connections inherit it. asyncio would set it for sockets that name their
                    # protocol only; without it the second of two writes waits 40 ms.
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    sock.listen(_BACKLOG)
                    port = str(sock.getsockname()[1])
                    self._sockets.append(sock)
            except OSError as error:
                raise ListenError(f"cannot listen on {address}: it was taken just now") from error
            opened.pop_all()
        return f"{host}:{port}"

    def renew(self, credentials: Credentials) -> None:
        """Let new connections need these, and requests from now on; of kinds there are already."""
        if self._context is not None and credentials.tls is not None:
            self._context.renew(credentials.tls)
        if self._guard is not None and credentials.tokens is not None:
            self._guard.tokens = credentials.tokens

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def drain(self, grace_seconds: float, hurry: Callable[[float], bool]) -> int:
        """Take no new requests, finish those under way, and end.

        Args:
            grace_seconds: How long they may take; what is left then is cut off.
            hurry: Waits for the given seconds; true if it shall end at once.

        Returns:
            How many requests were cut off.
        """
        deadline = time.monotonic() + grace_seconds
        # Sockets are closed first, then idle connections, then the others once answered.
        self._server.should_exit = True
        while self._thread.is_alive() and time.monotonic() < deadline:
            if hurry(_POLL_SECONDS):
                break
        left = self.waiting if self._thread.is_alive() else 0
        self._server.force_exit = True
        self._thread.join(_END_SECONDS)
        return left

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_Loop) as runner:
                runner.run(self._server.serve(sockets=self._sockets))
        except Exception as error:  # noqa: BLE001 - the process decides what becomes of it
            self._crashed(error)
