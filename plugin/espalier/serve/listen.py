"""Addresses: refuse one that is taken, and hold it for the workers that share it.

grpcio says "failed to bind" and no more, and would take over a Unix socket that
another process still listens on. So we try first, and say why not.

Workers share a port through ``SO_REUSEPORT``, which any process of the same user may
join: two services on one port would each get some of the calls. Therefore a port is
first bound alone, which fails if anybody listens. So that two of us who start at the
same moment do not both succeed, an abstract Unix socket of the port's name is bound
before: it exists once per network namespace, as the port does, and goes with its
process. Then the port is bound, not listened on, for as long as the service runs:
workers come and go, the port stays ours.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import ExitStack
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


class Reservation:
    """A TCP address held for the processes that will listen on it.

    Attributes:
        address: HOST:PORT, with the port taken.
    """

    def __init__(self, address: str, held: ExitStack) -> None:
        self.address = address
        self._held = held

    def close(self) -> None:
        """Let others have it."""
        self._held.close()


def reserve_tcp(address: str) -> Reservation:
    """Check that HOST:PORT is free and hold it; port 0 takes any.

    Raises:
        ListenError: It is in use, not ours, not permitted, or no address.
    """
    host, _, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    # getaddrinfo would take a number modulo 65,536, and a name from /etc/services.
    if not port.isdecimal():
        raise AddressError(f"cannot listen on {address}: {_EXPECTED}")
    if int(port) > _MAX_PORT:
        raise AddressError(f"cannot listen on {address}: ports end at {_MAX_PORT:,}")
    try:
        found = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ListenError(f"cannot listen on {address}: {_why(error)}; {_EXPECTED}") from error
    taken = int(port)
    with ExitStack() as held:
        for family, _, _, _, place in found:
            try:
                if taken:
                    held.enter_context(_locked(place[0], taken))
                    _refuse_listener(family, place[0], taken)
                    held.enter_context(bind_shared(family, place[0], taken))
                else:
                    # A name may stand for several addresses: the port of the first serves all.
                    held.enter_context(holder := bind_shared(family, place[0], 0))
                    taken = holder.getsockname()[1]
                    held.enter_context(_locked(place[0], taken))
            except OSError as error:
                raise ListenError(f"cannot listen on {address}: {_why(error)}") from error
        return Reservation(f"{host}:{taken}", held.pop_all())


def _locked(host: object, port: int) -> socket.socket:
    """Return a socket that only one process can have per address."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        lock.bind(f"\0espalier {host} {port}")
    except OSError:
        lock.close()
        raise
    return lock


def _refuse_listener(family: int, host: object, port: int) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the server itself: connections of a predecessor that are still
        # closing are no reason to refuse; somebody listening is.
        _prepare(probe, family)
        probe.bind((host, port))
        probe.listen(1)


def bind_shared(family: int, host: object, port: int) -> socket.socket:
    """Return a socket that is bound beside others of one service and does not listen yet.

    Raises:
        OSError: The address cannot be had.
    """
    holder = socket.socket(family, socket.SOCK_STREAM)
    try:
        _prepare(holder, family)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((host, port))
    except OSError:
        holder.close()
        raise
    return holder


def _prepare(sock: socket.socket, family: int) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def claim_unix(path: Path) -> None:
    """Check that nobody listens on the Unix socket ``path``; a left-over one is removed.

    Raises:
        ListenError: It is in use, too long, or something else than a socket.
    """
    if len(bytes(path)) > _UNIX_PATH_BYTES:
        raise ListenError(f"{path}: longer than the {_UNIX_PATH_BYTES} bytes of a Unix socket")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ListenError(
            f"cannot listen on {path}: {path.parent} is no folder we can write; make it, or "
            "choose another path"
        )
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ListenError(f"cannot listen on {path}: {_why(error)}") from error
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"{path}: exists and is no socket; choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # Who listens may hang, and have no room for one more to wait.
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:
            pass
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            # Of another user or kind: not ours to remove.
            raise ListenError(
                f"cannot listen on {path}: {error.strerror}; remove it, or choose another path"
            ) from error
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
