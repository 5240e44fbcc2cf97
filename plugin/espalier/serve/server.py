"""The gRPC server of one worker: what it takes at most, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from espalier.serve import health as health_module
from espalier.serve import reflection
from espalier.serve.calls import Limits, Watch
from espalier.serve.counters import Counting
from espalier.serve.credentials import Credentials
from espalier.serve.health import Health
from espalier.serve.listen import ListenError, claim_unix
from espalier.serve.loop import CallLoop
from espalier.serve.rpc import Method
from espalier.serve.tls import GrpcCertificates
from espalier.serve.tokens import Guard

# A request is a prefix and at most 32 queries that count; 256 KiB is beyond any
# of them. The largest reply, 100 suggestions of the longest kind, is below 1 MiB.
MAX_REQUEST_BYTES: Final = 256 * 1024
MAX_REPLY_BYTES: Final = 1024 * 1024
MAX_METADATA_BYTES: Final = 16 * 1024
MAX_STREAMS: Final = 256
"""Calls of one connection at the same time; a client lets further ones wait."""
HANDSHAKE_SECONDS: Final = 10
"""For a connection to become one, TLS included."""

_AGE_GRACE_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.02
# Time for replies that are computed to get out, once nothing else is to be done.
_FLUSH_SECONDS: Final = 0.2


def options(*, connection_age: float, keepalive: float) -> list[tuple[str, int]]:
    """Return channel arguments.

    Args:
        connection_age: Seconds after which clients reconnect.
        keepalive: Seconds without a word after which a client is asked whether it is there;
            it has a third of that to answer.
    """
    return [
        # Workers share the port; that nobody else does, the supervisor sees to.
        ("grpc.so_reuseport", 1),
        ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
        ("grpc.max_send_message_length", MAX_REPLY_BYTES),
        # Above the first size calls are refused by chance, above the second always.
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.max_concurrent_streams", MAX_STREAMS),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
        # Find clients that vanished without a word, also between calls.
        ("grpc.keepalive_time_ms", round(keepalive * 1000)),
        ("grpc.keepalive_timeout_ms", round(keepalive * 1000 / 3)),
        # The core goes by this one, a minute if it is not set.
        ("grpc.http2.ping_timeout_ms", round(keepalive * 1000 / 3)),
        ("grpc.keepalive_permit_without_calls", 1),
        # Clients may ping as often, calls or no calls; more often ends the connection.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        # A connection lives on one worker: now and then clients must choose anew, or those
        # of a worker that was away for a moment would never come back.
        ("grpc.max_connection_age_ms", round(connection_age * 1000)),
        ("grpc.max_connection_age_grace_ms", _AGE_GRACE_SECONDS * 1000),
        # Nobody reads it, and every connection and call would be traced for it.
        ("grpc.enable_channelz", 0),
        ("grpc.max_channel_trace_event_memory_per_node", 0),
    ]


class Server:
    """A gRPC server with health and reflection beside ``methods``.

    Args:
        methods: By full name; the services proper.
        health: What health checks are answered from.
        counters: Told how calls end.
        crashed: Called if nothing can be answered any more.
        threads: As for `CallLoop`.
        credentials: What TCP connections and calls need; nothing by default.
        connection_age: Seconds after which a client has to connect anew.
        keepalive: Seconds without a word after which a client must show that it is there.
        watch: Told how calls go.
    """

    def __init__(
        self,
        methods: Mapping[str, Method],
        health: Health,
        *,
        counters: Counting,
        crashed: Callable[[Exception], object],
        limits: Limits | None = None,
        threads: int = 1,
        credentials: Credentials | None = None,
        connection_age: float = 1_800.0,
        keepalive: float = 60.0,
        watch: Watch | None = None,
    ) -> None:
        tls, tokens = (None, None) if credentials is None else (credentials.tls, credentials.tokens)
        self._certificates = None if tls is None else GrpcCertificates(tls)
        self._guard = None if tokens is None else Guard(tokens)
        services = {name.split("/")[1] for name in methods} | {health_module.SERVICE_NAME}
        self._loop = CallLoop(
            {**methods, **health.methods(), **reflection.methods_of(services)},
            options=options(connection_age=connection_age, keepalive=keepalive),
            counters=counters,
            crashed=crashed,
            limits=limits,
            threads=threads,
            watch=watch,
            guard=self._guard,
        )

    @property
    def waiting(self) -> int:
        """Calls that nobody works on yet."""
        return self._loop.waiting

    @property
    def unanswered(self) -> int:
        """Calls that were let in and not answered yet."""
        return self._loop.unanswered

    def listen(self, address: str) -> str:
        """Listen on HOST:PORT, beside others that share it; return it with the port taken.

        Raises:
            ListenError: It cannot be had.
        """
        host, _, _ = address.rpartition(":")
        return f"{host}:{self._bind(address, address, self._certificates)}"

    def listen_unix(self, path: Path) -> str:
        """Listen on a Unix socket; return its address as a client writes it.

        Raises:
            ListenError: It cannot be had.
        """
        claim_unix(path)
        self._bind(f"unix:{path}", str(path))
        return f"unix:{path}"

    def _bind(self, target: str, shown: str, certificates: GrpcCertificates | None = None) -> int:
        try:
            return self._loop.listen(target, certificates)
        except OSError as error:
            raise ListenError(f"cannot listen on {shown}: it was taken just now") from error

    def renew(self, credentials: Credentials) -> None:
        """Let new connections need these, and calls from now on; of kinds there are already."""
        if self._certificates is not None and credentials.tls is not None:
            self._certificates.renew(credentials.tls)
        if self._guard is not None and credentials.tokens is not None:
            self._guard.tokens = credentials.tokens

    def start(self) -> None:
        """Begin to answer."""
        self._loop.start()

    def drain(self, grace_seconds: float, hurry: Callable[[float], bool]) -> int:
        """Take no new calls, finish those under way, and end.

        Args:
            grace_seconds: How long they may take; what is left then is cut off.
            hurry: Waits for the given seconds; true if it shall end at once.

        Returns:
            How many calls were cut off. If any, threads may still be busy with them.
        """
        self._loop.stop_accepting()
        deadline = time.monotonic() + grace_seconds
        # Health watchers hold their streams open for ever; the grace is for calls.
        while self._loop.unanswered and time.monotonic() < deadline:
            if hurry(_POLL_SECONDS):
                break
        left = self._loop.unanswered
        if not left:
            self._loop.wait(_FLUSH_SECONDS)
        self._loop.cancel_all()
        self._loop.wait(_FLUSH_SECONDS + 1.0)
        return left
