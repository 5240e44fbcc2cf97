"""One request after the other, between ASGI and the `Front`: bodies, time, counting.

Work is done where the request is read, on the event loop: a completion takes less than
handing it to a thread and back would cost. So requests wait in the sockets and in the
loop; how many are begun and not answered is what `waiting` says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any, Final, Protocol

import grpc

from espalier.serve.calls import Limits
from espalier.serve.counters import Counting, Unanswered
from espalier.serve.errors import OverloadedError, status_of
from espalier.serve.http.front import Found, Front, Head
from espalier.serve.http.replies import Reply, refusal, reply_of
from espalier.serve.log import EventLog
from espalier.serve.telemetry.tracing import Traced

MAX_HEAD_BYTES: Final = 16 * 1024
"""Of a request line and headers; what the gRPC side takes as metadata."""

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})
"""Those that are told apart; of others a client could make many, so they are one."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Any], Awaitable[None]]


class RequestWatch(Protocol):
    """Told how requests go, where somebody wants to know; a note is what it keeps of one."""

    def arrived(self, traceparent: str | None) -> Traced | None:
        """Look at the headers of a request; return a note."""
        ...

    def works_on(self, note: Traced | None) -> None:
        """Hear that this thread works on a request from now on, or on none."""
        ...

    def http(self, method: str, route: str, status: int, taken: int, note: Traced) -> None:
        """Hear that a request with a note was answered in so many nanoseconds."""
        ...


class App:
    """The front as an ASGI application.

    Args:
        front: What answers.
        waiting: How many requests are begun and not answered.
        limits: As for gRPC; ``open`` is the business of whoever accepts connections.
        max_body: Bytes of a request's body, at most.
        counters: Told of every reply as ``http``, by route, method and status.
        access_log: Where each request is noted, without what was asked; ``None`` for nowhere.
        watch: Told how requests go.
    """

    def __init__(
        self,
        front: Front,
        *,
        waiting: Callable[[], int],
        limits: Limits,
        max_body: int,
        counters: Counting,
        access_log: EventLog | None,
        watch: RequestWatch | None = None,
    ) -> None:
        self._watch = watch
        self._front = front
        self._waiting = waiting
        self._limits = limits
        self._max_body = max_body
        self._counters = counters
        self._access_log = access_log
        self._overloaded = reply_of(
            status_of(OverloadedError(limits.waiting, limits.retry_seconds))
        )
        self._too_large = refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"the body has more than {max_body} bytes; send a shorter one",
            last=True,
        )

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request; its client may leave at any time."""
        if scope["type"] != "http":
            return
        began = time.perf_counter_ns()
        head = Head(
            scope["method"], scope["raw_path"], scope["query_string"], dict(scope["headers"])
        )
        found = self._front.find(head)
        note = None
        if self._watch is not None:
            note = self._watch.arrived(head.headers.get(b"traceparent", b"").decode("latin-1"))
        if isinstance(found, Found):
            route: str = found.route
            reply = await self._reply(found, head, receive, note)
            if reply is None:
                return
        else:
            route, reply = found.route, found
        headers = [*reply.headers]
        if reply.status != HTTPStatus.NO_CONTENT:
            headers.append((b"content-length", b"%d" % len(reply.body)))
        # A body that nobody read would be taken for the next request.
        if reply.last or (
            _has_body(head) and not (isinstance(found, Found) and found.endpoint.types)
        ):
            headers.append((b"connection", b"close"))
        method = head.method if route and head.method in _METHODS else "_OTHER"
        status = int(reply.status)
        taken = time.perf_counter_ns() - began
        self._counters.add("http", method, route or "/", str(status))
        self._counters.observe("http_request", taken, method, route or "/", str(status))
        if self._watch is not None and note is not None:
            self._watch.http(method, route or "/", status, taken, note)
        if self._access_log is not None:
            self._access_log.info(
                "http_request",
                method=method,
                route=route,
                status=status,
                reply_bytes=len(reply.body),
                ms=round(taken / 1e6, 3),
            )
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(
        self, found: Found, head: Head, receive: Receive, note: Traced | None
    ) -> Reply | None:
        """Return the reply, ``None`` if the client left."""
        body: bytes | Reply | None = b""
        if found.endpoint.types:
            body = await self._body(head, receive)
        if not isinstance(body, bytes):
            return body and self._front.readable(body, head)
        if not found.endpoint.at_once and self._waiting() > self._limits.waiting:
            self._counters.add("unanswered", "http", Unanswered.OVERLOADED.value)
            return self._front.readable(self._overloaded, head)
        if self._watch is not None:
            self._watch.works_on(note)
        reply = self._front.answer(found, head, body)
        if isinstance(reply, Future):
            settled: Reply = await asyncio.wrap_future(reply)
            return settled
        return reply

    async def _body(self, head: Head, receive: Receive) -> bytes | Reply | None:
        """Return the body, or why there is none; ``None`` if the client left.

        That it comes in time is the business of the connection.
        """
        announced = head.headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > self._max_body:
            return self._too_large
        message = await receive()
        body: bytes = message.get("body", b"")
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._max_body:
                return self._too_large
        return body if message["type"] == "http.request" else None


def _has_body(head: Head) -> bool:
    length = head.headers.get(b"content-length", b"0")
    return length != b"0" or b"transfer-encoding" in head.headers
