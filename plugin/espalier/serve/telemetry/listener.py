"""The metrics listener: what Prometheus scrapes, and health over HTTP.

==============  =====================================================================
``/metrics``    every number of the service
``/healthz``    200 while the supervisor runs
``/readyz``     200 while every worker answers calls, else 503
==============  =====================================================================

It runs in threads of the supervisor: a handful, each for one request and some seconds, so
whoever sends slowly keeps others waiting at most, and completions not at all. There is
nothing in an answer that a user typed. Certificates and tokens are those of the service;
``/metrics`` asks for a token where calls need one, health is open to probes.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from espalier.serve.credentials import NO_CREDENTIALS, Credentials
from espalier.serve.listen import ListenError, bind_shared
from espalier.serve.log import EventLog, place_of
from espalier.serve.telemetry.exposition import CONTENT_TYPE
from espalier.serve.tls import Tls, server_context

_REQUEST_SECONDS: Final = 5.0
"""From a connection to its end."""
_AT_ONCE: Final = 8
_BACKLOG: Final = 64
_STOP_SECONDS: Final = 2.0

_JSON: Final = "application/json"


class MetricsListener:
    """Answers scrapes and probes, from `start` to `stop`.

    Args:
        address: HOST:PORT that the supervisor holds.
        text: Returns the numbers.
        ready: Whether requests should be sent to this service.
        log: Told of faults.
        credentials: Returns what connections show and ask for from now on.

    Raises:
        ListenError: The address cannot be had.
    """

    def __init__(
        self,
        address: str,
        *,
        text: Callable[[], bytes],
        ready: Callable[[], bool],
        log: EventLog,
        credentials: Callable[[], Credentials] = lambda: NO_CREDENTIALS,
    ) -> None:
        self._text = text
        self._credentials = credentials
        self._tls: Tls | None = None
        self._context: ssl.SSLContext | None = None
        self._ready = ready
        self._log = log
        self._servers = [_Server(one, self._answer, self._connected) for one in _listening(address)]
        self._threads = [
            threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
            for server in self._servers
        ]

    def start(self) -> None:
        """Begin to answer."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; what is being answered has a moment."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join(_STOP_SECONDS)

    def _connected(self, connection: socket.socket) -> socket.socket:
        """Return a connection with TLS around it, if there is TLS here; no handshake yet."""
        tls = self._credentials().tls
        if tls is None:
            return connection
        # Two threads may make it at the same time; either will do.
        context = self._context
        if context is None or self._tls is not tls:
            context = server_context(tls)
            self._context, self._tls = context, tls
        return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def _answer(self, path: str, token: bytes | None) -> tuple[HTTPStatus, str, bytes]:
        """Return status, content type and body."""
        if path == "/metrics":
            tokens = self._credentials().tokens
            if tokens is not None and (refused := tokens.refusal(token)) is not None:
                body = json.dumps({"message": refused.message}).encode()
                return HTTPStatus.UNAUTHORIZED, _JSON, body
            try:
                return HTTPStatus.OK, CONTENT_TYPE, self._text()
            except Exception as error:  # noqa: BLE001 - the next scrape may go well
                self._log.error(
                    "scrape_failed", exception=type(error).__name__, raised_at=place_of(error)
                )
                return HTTPStatus.INTERNAL_SERVER_ERROR, _JSON, b"{}"
        if path == "/healthz" or (path == "/readyz" and self._ready()):
            return HTTPStatus.OK, _JSON, b'{"status":"SERVING"}'
        if path == "/readyz":
            return HTTPStatus.SERVICE_UNAVAILABLE, _JSON, b'{"status":"NOT_SERVING"}'
        known = b'{"message":"no such path; there are /metrics, /healthz and /readyz"}'
        return HTTPStatus.NOT_FOUND, _JSON, known


class _Handler(BaseHTTPRequestHandler):
    """One request, after which the connection ends."""

    protocol_version = "HTTP/1.1"
    server_version = "espalier"
    sys_version = ""
    # Of a single read; what ends a slow request as a whole is `_Server.process_request`.
    timeout = _REQUEST_SECONDS
    server: _Server

    def do_GET(self) -> None:
        """Answer."""
        token = self.headers.get("authorization")
        given = None if token is None else token.encode("latin-1", "replace")
        self._reply(*self.server.answer(self.path.partition("?")[0], given))

    do_HEAD = do_GET  # noqa: N815 - their name

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - theirs
        """Say nothing: it would quote what was sent."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Say what is wrong without quoting it."""
        del message, explain
        self.requestline = ""
        self._reply(HTTPStatus(code), _JSON, b"{}")

    def _reply(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        # Of a request that could not be read there is no version to answer in.
        self.request_version = "HTTP/1.1"
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Connection", "close")
        self.end_headers()
        if getattr(self, "command", "") != "HEAD":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    """So many requests at a time, on a socket that is bound already."""

    daemon_threads = True

    def __init__(
        self,
        listening: socket.socket,
        answer: Callable[[str, bytes | None], tuple[HTTPStatus, str, bytes]],
        connected: Callable[[socket.socket], socket.socket],
    ) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.answer = answer
        self._connected = connected
        self._free = threading.BoundedSemaphore(_AT_ONCE)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, if there is one to spare soon."""
        if not self._free.acquire(timeout=_REQUEST_SECONDS):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and hang up when the time is over."""
        try:
            # With TLS around it, what was accepted is an empty shell: only this can be hung up.
            connection = self._connected(request)
            late = threading.Timer(_REQUEST_SECONDS, _hang_up, [connection])
            late.daemon = True
            late.start()
            try:
                if isinstance(connection, ssl.SSLSocket):
                    connection.do_handshake()
                super().process_request_thread(connection, client_address)
            except OSError:
                # No handshake came about, or it ended in the middle.
                self.shutdown_request(connection)
            finally:
                late.cancel()
        except OSError:
            # The client left before there was TLS around anything.
            self.shutdown_request(request)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Forget it: the client left."""


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # Below TLS, whose own shutdown is nothing for a second thread.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _listening(address: str) -> list[socket.socket]:
    host, _, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    opened: list[socket.socket] = []
    try:
        for family, _, _, _, place in socket.getaddrinfo(
            bare, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            opened.append(bind_shared(family, place[0], int(port)))
            opened[-1].listen(_BACKLOG)
    except OSError as error:
        for one in opened:
            one.close()
        raise ListenError(f"cannot listen on {address}: it was taken just now") from error
    return opened
