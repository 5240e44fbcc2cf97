"""The grpcio server: its limits, its threads, its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from espalier.serve.health import Health
from espalier.serve.listen import ListenError, claim_tcp, claim_unix
from espalier.serve.service import SERVICE_NAME

# A request is a prefix and at most 32 queries that count; 256 KiB is beyond any
# of them. The largest reply, 100 suggestions of the longest kind, is below 1 MiB.
MAX_REQUEST_BYTES: Final = 256 * 1024
MAX_REPLY_BYTES: Final = 1024 * 1024
MAX_METADATA_BYTES: Final = 16 * 1024

OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    # One process, one port: a second server on it is a mistake, not a second worker.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_send_message_length", MAX_REPLY_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    # Find clients that vanished without a word, also between calls.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Clients may ping as often, calls or no calls; more often ends the connection.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
)

_POLL_SECONDS = 0.02
# Time for replies that are computed to get out, once nothing else is to be done.
_FLUSH_SECONDS = 0.2


class CountingPool(ThreadPoolExecutor):
    """A thread pool that knows how many calls it has not finished."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads, thread_name_prefix="call")
        self._unfinished = 0
        self._count_lock = threading.Lock()

    @property
    def unfinished(self) -> int:
        """Calls queued or running."""
        return self._unfinished

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Count, then do as any pool."""
        with self._count_lock:
            self._unfinished += 1
        try:
            future = super().submit(fn, *args, **kwargs)
        except BaseException:
            self._finish()
            raise
        future.add_done_callback(self._finish)
        return future

    def _finish(self, _future: Future[Any] | None = None) -> None:
        with self._count_lock:
            self._unfinished -= 1


class Server:
    """A gRPC server with health and reflection around one service.

    Args:
        service: Handlers of the service proper.
        health: What health checks are answered from.
        threads: Calls answered at the same time.
    """

    def __init__(self, service: grpc.GenericRpcHandler, health: Health, *, threads: int) -> None:
        self._pool = CountingPool(threads)
        self._server = grpc.server(self._pool, handlers=[service], options=OPTIONS)
        health_pb2_grpc.add_HealthServicer_to_server(health.servicer, self._server)
        names = (
            SERVICE_NAME,
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            reflection.SERVICE_NAME,
        )
        reflection.enable_server_reflection(names, self._server)

    def listen(self, address: str) -> str:
        """Listen on HOST:PORT; return the address with the port taken.

        Raises:
            ListenError: It cannot be had.
        """
        claim_tcp(address)
        host, _, _ = address.rpartition(":")
        return f"{host}:{self._bind(address, address)}"

    def listen_unix(self, path: Path) -> str:
        """Listen on a Unix socket; return its address as a client writes it.

        Raises:
            ListenError: It cannot be had.
        """
        claim_unix(path)
        self._bind(f"unix:{path}", str(path))
        return f"unix:{path}"

    def _bind(self, target: str, shown: str) -> int:
        try:
            return self._server.add_insecure_port(target)
        except RuntimeError as error:
            raise ListenError(f"cannot listen on {shown}: it was taken just now") from error

    def start(self) -> None:
        """Begin to answer."""
        self._server.start()

    def drain(self, grace_seconds: float, hurry: Callable[[float], bool]) -> int:
        """Take no new calls, finish those under way, and end.

        Args:
            grace_seconds: How long they may take; what is left then is cut off.
            hurry: Waits for the given seconds; true if it shall end at once.

        Returns:
            How many calls were cut off. If any, their threads may still be busy.
        """
        # Later than ours, so that what is left at our deadline was not just cancelled.
        stopped = self._server.stop(grace_seconds + _FLUSH_SECONDS)
        deadline = time.monotonic() + grace_seconds
        # Health watchers hold their streams open for ever, so the server alone
        # would always use up its grace; ours are the calls in the pool.
        while self._pool.unfinished and time.monotonic() < deadline:
            if hurry(_POLL_SECONDS):
                break
        left = self._pool.unfinished
        self._server.stop(0 if left else _FLUSH_SECONDS)
        stopped.wait(_FLUSH_SECONDS + 1.0)
        self._pool.shutdown(wait=not left, cancel_futures=True)
        return left
