"""Servers that a Redis client finds on its port and that are none, or no good one."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

# A busy machine may leave a thread waiting.
PATIENCE = 30.0
_DRIP_SECONDS = 0.002

Answer = Callable[[socket.socket, bytes], None]


@contextlib.contextmanager
def server(answer: Answer) -> Iterator[str]:
    """Serve on a port: PONG and OK until a connection asks about sessions, then ``answer``."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def talk(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65_536):
                if b"session:" in data:
                    answer(connection, data)
                    return
                connection.sendall(b"+PONG\r\n" if b"PING" in data else b"+OK\r\n" * _count(data))

    def listen() -> None:
        with contextlib.suppress(OSError):
            while not ended.is_set():
                connection, _ = listener.accept()
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(PATIENCE)


def _count(data: bytes) -> int:
    """Return how many commands came together."""
    return max(1, sum(line.startswith(b"*") for line in data.split(b"\r\n")))


def says(text: bytes) -> Answer:
    """Return the answer that is always the same."""
    return lambda connection, _: connection.sendall(text)


def hangs(connection: socket.socket, _: bytes) -> None:
    """Say nothing until the caller hangs up."""
    while connection.recv(1_024):
        pass


def drips(connection: socket.socket, _: bytes) -> None:
    """Answer one byte at a time, each soon after the one before."""
    connection.sendall(b"*")
    for _digit in range(2_000):
        connection.sendall(b"1")
        time.sleep(_DRIP_SECONDS)


NONSENSE = {
    "http": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "zeros": bytes(4_096),
    "noise": bytes(range(256)) * 20,
    "a huge string": b"$999999999999\r\n",
    "a huge list": b"*999999999\r\n" + b":1\r\n" * 100,
    "deep lists": b"*1\r\n" * 100_000,
    "negative": b"*-5\r\n:1\r\n",
    "an error": b"-LOADING Redis is loading the dataset in memory\r\n" * 3,
    "only statuses": b"+OK\r\n" * 3,
    "numbers for lists": b":1\r\n" * 3,
    "a time of words": b"*1\r\n$4\r\n12 a\r\n:1\r\n*2\r\n$3\r\nnow\r\n$1\r\n0\r\n",
    "an entry without time": b"*1\r\n$4\r\nnike\r\n:1\r\n*2\r\n$2\r\n99\r\n$1\r\n0\r\n",
    "no utf-8": b"*1\r\n$4\r\n12 \xff\r\n:1\r\n*2\r\n$2\r\n99\r\n$1\r\n0\r\n",
    "numbers in the list": b"*1\r\n:7\r\n:1\r\n*2\r\n$2\r\n99\r\n$1\r\n0\r\n",
    "a time too short": b"*1\r\n$4\r\n12 a\r\n:1\r\n*1\r\n$2\r\n99\r\n",
    "nothing": b"",
}
