"""A gRPC client that speaks HTTP/2 itself, as little of it as calls need.

For clients that misbehave, which a library would not let us be, and for load: a call
costs it a tenth of what it costs the server, so that one processor of client can keep
one of server busy. Compression of headers is switched off, so requests are written from
a template and replies are told apart by their last bytes.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Self

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_ACK = _END_STREAM = 1
_END_HEADERS = 4
_HEADER_TABLE_SIZE, _INITIAL_WINDOW_SIZE = 1, 4
_LARGEST_WINDOW = 2**31 - 1
_FIRST_WINDOW = 65_535
_FRAME_HEAD = 9
_READ_BYTES = 1 << 18
_OK = b"\x0bgrpc-status\x010"

Header = tuple[bytes, bytes]


class Finished(NamedTuple):
    """A call that is over.

    Attributes:
        stream: Its number, as `RawConnection.call` returned it.
        ok: Whether the status is OK.
    """

    stream: int
    ok: bool


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return an HTTP/2 frame."""
    length = struct.pack(">I", len(payload))[1:]
    return length + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _literal(text: bytes) -> bytes:
    """Return a string as HPACK writes it without Huffman coding."""
    if len(text) < 127:
        return bytes((len(text),)) + text
    rest, head = len(text) - 127, bytearray((127,))
    while rest >= 128:
        head.append(rest % 128 + 128)
        rest //= 128
    head.append(rest)
    return bytes(head) + text


def _header_block(path: str, extra: Sequence[Header]) -> bytes:
    """Return the headers of a gRPC call, none of them to be remembered."""
    # Static table: 3 is POST, 6 http, 4 :path, 1 :authority, 31 content-type.
    block = b"\x83\x86\x04" + _literal(path.encode()) + b"\x01" + _literal(b"localhost")
    block += b"\x0f\x10" + _literal(b"application/grpc")
    block += b"\x00" + _literal(b"te") + _literal(b"trailers")
    for name, value in extra:
        block += b"\x00" + _literal(name) + _literal(value)
    return block


def connect(address: str) -> socket.socket:
    """Return a socket connected to HOST:PORT or ``unix:PATH``."""
    if address.startswith("unix:"):
        made = socket.socket(socket.AF_UNIX)
        made.connect(address.removeprefix("unix:"))
        return made
    host, _, port = address.rpartition(":")
    made = socket.create_connection((host, int(port)))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


class RawConnection:
    """One connection.

    Args:
        address: HOST:PORT or ``unix:PATH``.
        path: ``/package.Service/Method`` that calls are of which name none.
        headers: Sent with every call besides those that gRPC needs.
        window: Bytes of a reply the server may send before it is told that they were
            read, which this client never does.

    Attributes:
        going_away: Whether the server said that it takes no new calls here.
        message_bytes: Of replies so far, five before each message included.
    """

    def __init__(
        self,
        address: str,
        path: str,
        *,
        headers: Sequence[Header] = (),
        window: int = _LARGEST_WINDOW,
    ) -> None:
        self.socket = connect(address)
        settings = struct.pack(">HIHI", _HEADER_TABLE_SIZE, 0, _INITIAL_WINDOW_SIZE, window)
        start = _PREFACE + frame(_SETTINGS, 0, 0, settings)
        if window > _FIRST_WINDOW:
            grown = struct.pack(">I", _LARGEST_WINDOW - _FIRST_WINDOW)
            start += frame(_WINDOW_UPDATE, 0, 0, grown)
        self.socket.sendall(start)
        self._path = path
        self._headers = headers
        self._templates: dict[str, tuple[bytes, bytes]] = {}
        self._next = 1
        self._rest = b""
        self.going_away = False
        self.message_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def fileno(self) -> int:
        """Return the file descriptor, for ``select``."""
        return self.socket.fileno()

    def call(self, message: bytes | None, path: str | None = None) -> int:
        """Send a call; return its stream. Without a message only its headers are sent."""
        stream = self._next
        self._next += 2
        number = struct.pack(">I", stream)
        head, block = self._template(self._path if path is None else path)
        data = head + number + block
        if message is not None:
            body = b"\0" + struct.pack(">I", len(message)) + message
            data += struct.pack(">I", len(body))[1:] + bytes((_DATA, _END_STREAM)) + number + body
        self.socket.sendall(data)
        return stream

    def _template(self, path: str) -> tuple[bytes, bytes]:
        """Return what stands before and after the stream's number in the frame of headers."""
        found = self._templates.get(path)
        if found is None:
            block = _header_block(path, self._headers)
            head = struct.pack(">I", len(block))[1:] + bytes((_HEADERS, _END_HEADERS))
            found = self._templates[path] = head, block
        return found

    def cancel(self, stream: int) -> None:
        """Cancel a call."""
        self.socket.sendall(frame(_RST_STREAM, 0, stream, struct.pack(">I", 8)))

    def receive(self) -> list[Finished]:
        """Read what is there, at least something; return the calls that are over.

        Raises:
            EOFError: The server closed the connection.
            BlockingIOError: The socket does not block, and nothing is there.
        """
        data = self.socket.recv(_READ_BYTES)
        if not data:
            raise EOFError
        buffer = self._rest + data if self._rest else data
        finished: list[Finished] = []
        at, end = 0, len(buffer)
        while end - at >= _FRAME_HEAD:
            until = at + _FRAME_HEAD + int.from_bytes(buffer[at : at + 3], "big")
            if until > end:
                break
            kind, flags = buffer[at + 3], buffer[at + 4]
            if kind == _HEADERS:
                if flags & _END_STREAM:
                    stream = int.from_bytes(buffer[at + 5 : at + 9], "big")
                    finished.append(Finished(stream, buffer.find(_OK, at, until) >= 0))
            elif kind == _DATA:
                self.message_bytes += until - at - _FRAME_HEAD
            else:
                self._control(kind, flags, buffer[at:until], finished)
            at = until
        self._rest = buffer[at:]
        return finished

    def _control(self, kind: int, flags: int, whole: bytes, finished: list[Finished]) -> None:
        if kind == _RST_STREAM:
            finished.append(Finished(int.from_bytes(whole[5:9], "big"), ok=False))
        elif kind == _GOAWAY:
            self.going_away = True
        elif kind in {_SETTINGS, _PING} and not flags & _ACK:
            answer = b"" if kind == _SETTINGS else whole[_FRAME_HEAD:]
            # Who has closed already needs no acknowledgement.
            with contextlib.suppress(OSError):
                self.socket.sendall(frame(kind, _ACK, 0, answer))
