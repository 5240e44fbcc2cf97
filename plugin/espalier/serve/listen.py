"""Addresses: refuse one that is taken before grpcio sees it.

grpcio says "failed to bind" and no more, and would take over a Unix socket that
another process still listens on. So we try first, and say why not.
"""

from __future__ import annotations

import errno
import socket
import stat
from pathlib import Path

from espalier.errors import EspalierError, InputError

# sun_path holds 108 bytes, a NUL included.
_UNIX_PATH_BYTES = 107

_MAX_PORT = 65_535
_EXPECTED = "use HOST:PORT, as in 127.0.0.1:50051"


class ListenError(EspalierError):
    """An address nobody can listen on, at least not now."""


class AddressError(ListenError, InputError):
    """No address at all."""


def claim_tcp(address: str) -> None:
    """Check that HOST:PORT is free; port 0 always is.

    Raises:
        ListenError: It is in use, not ours, not permitted, or no address.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    # getaddrinfo would take a number modulo 65,536, and a name from /etc/services.
    if not port.isdecimal():
        raise AddressError(f"cannot listen on {address}: {_EXPECTED}")
    if int(port) > _MAX_PORT:
        raise AddressError(f"cannot listen on {address}: ports end at {_MAX_PORT:,}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ListenError(f"cannot listen on {address}: {_why(error)}; {_EXPECTED}") from error
    for family, kind, protocol, _, place in found:
        with socket.socket(family, kind, protocol) as probe:
            # As the server itself: connections of a predecessor that are still
            # closing are no reason to refuse; somebody listening is.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind(place)
                probe.listen(1)
            except OSError as error:
                raise ListenError(f"cannot listen on {address}: {_why(error)}") from error


def claim_unix(path: Path) -> None:
    """Check that nobody listens on the Unix socket ``path``; a left-over one is removed.

    Raises:
        ListenError: It is in use, too long, or something else than a socket.
    """
    if len(bytes(path)) > _UNIX_PATH_BYTES:
        raise ListenError(f"{path}: longer than the {_UNIX_PATH_BYTES} bytes of a Unix socket")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ListenError(f"cannot listen on {path}: {_why(error)}") from error
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"{path}: exists and is no socket; choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise ListenError(f"cannot listen on {path}: another process does; stop it first")


def _why(error: Exception) -> str:
    match error:
        case socket.gaierror():
            return str(error.strerror)
        case OSError(errno=errno.EADDRINUSE):
            return "the port is in use; stop who uses it, or choose another (port 0: any)"
        case OSError(errno=errno.EADDRNOTAVAIL):
            return "this machine does not have that address"
        case OSError(errno=errno.EACCES):
            return "not permitted; ports below 1024 need a privilege"
        case OSError():
            return error.strerror or type(error).__name__
    return "not an address"
