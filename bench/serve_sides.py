"""Servers to compare the sidecar with: ``python -m bench.serve_sides KIND ...``.

``empty``, ``empty_asyncio``
    a handler that returns the same bytes to everybody, on ``grpc.server`` with its pool of
    threads and on ``grpc.aio``: what a Python service costs before it does anything
``empty_loop``
    the same handler on our own `CallLoop`
``threads``, ``asyncio``
    our own handlers of an index on the same two servers

Each prints the port it serves on.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.rpc.status_pb2 import Status

import espalier
from espalier.serve.calls import Limits
from espalier.serve.counters import Counters
from espalier.serve.domain import Completer
from espalier.serve.indexes import Indexes, ServedIndex
from espalier.serve.log import JsonLog
from espalier.serve.loop import CallLoop
from espalier.serve.rpc import Unary
from espalier.serve.server import options
from espalier.serve.service import SERVICE_NAME, CompletionService
from espalier.sessions.memory import MemorySessionStore

KINDS = ("empty", "empty_asyncio", "empty_loop", "threads", "asyncio")
METHOD = "Complete"
THREADS = 8
CONNECTION_AGE = 3_600.0
KEEPALIVE = 60.0

Answer = Callable[[bytes, float], bytes]


def main() -> None:
    """Serve until the end of standard input."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("kind", choices=KINDS)
    arguments.add_argument("--index", type=Path, help="of `threads` and `asyncio`")
    arguments.add_argument("--bytes", type=int, help="that an empty handler returns")
    chosen = arguments.parse_args()
    empty = chosen.kind.startswith("empty")
    answer = answer_with(bytes(chosen.bytes)) if empty else answer_of(chosen.index)
    if chosen.kind.endswith("asyncio"):
        asyncio.run(serve_asyncio(answer))
    elif chosen.kind.endswith("loop"):
        serve_loop(answer)
    else:
        serve_threads(answer)


def answer_with(reply: bytes) -> Answer:
    """Return what gives the same reply to everybody."""
    return lambda _data, _time_left: reply


def answer_of(path: Path) -> Answer:
    """Return the completion of the service itself, as a function of bytes."""
    log = JsonLog()
    index = espalier.open(path)
    completer = Completer(
        Indexes([ServedIndex("default", index.info.fingerprint, index)]),
        MemorySessionStore(),
        context_queries=5,
        log=log,
        counters=Counters(),
    )
    methods: Mapping[str, Unary] = CompletionService(completer).methods(log)
    answer = methods[f"/{SERVICE_NAME}/{METHOD}"].answer

    def checked(data: bytes, time_left: float) -> bytes:
        outcome = answer(data, time_left)
        if isinstance(outcome, Status):
            raise TypeError(outcome.message)
        if not isinstance(outcome, bytes):
            raise TypeError(f"{METHOD} answers at once")
        return outcome

    return checked


def handlers_of(behaviour: Callable[..., Any]) -> grpc.GenericRpcHandler:
    """Return what grpcio serves."""
    handler: Any = grpc.unary_unary_rpc_method_handler(behaviour)
    return grpc.method_handlers_generic_handler(SERVICE_NAME, {METHOD: handler})


def serve_threads(answer: Answer) -> None:
    """Serve with a pool of threads."""

    def behave(data: bytes, context: grpc.ServicerContext) -> bytes:
        return answer(data, context.time_remaining())

    server = grpc.server(futures.ThreadPoolExecutor(THREADS), handlers=[handlers_of(behave)])
    say(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    sys.stdin.read()
    server.stop(0).wait()


def serve_loop(answer: Answer) -> None:
    """Serve on the loop of the sidecar, with its options."""
    loop = CallLoop(
        {f"/{SERVICE_NAME}/{METHOD}": Unary(answer)},
        options=options(connection_age=CONNECTION_AGE, keepalive=KEEPALIVE),
        counters=Counters(),
        crashed=lambda error: print(f"the loop ended: {error}", file=sys.stderr),
        limits=Limits(waiting=100_000),
    )
    say(loop.listen("127.0.0.1:0"))
    loop.start()
    sys.stdin.read()
    loop.stop_accepting()
    loop.cancel_all()
    loop.wait(1.0)


async def serve_asyncio(answer: Answer) -> None:
    """Serve on an event loop."""

    async def behave(data: bytes, context: Any) -> bytes:
        left = context.time_remaining()
        return answer(data, math.inf if left is None else left)

    server = grpc.aio.server(handlers=[handlers_of(behave)])
    say(server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True).start()
    await ended.wait()
    await server.stop(0)


def say(port: int) -> None:
    """Tell who started us where we serve."""
    print(port, flush=True)


if __name__ == "__main__":
    main()
