"""Addresses as settings and flags write them: who can reach one."""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

UNIX: Final = "unix:"
"""What an address of a Unix socket begins with."""


def is_of_this_machine(address: str, *, look_up: bool = True) -> bool:
    """Return whether HOST:PORT or ``unix:PATH`` can be reached from this machine alone.

    A name is looked up, or else taken to be of this machine, as is one that nobody knows:
    whoever listens there or calls it will say what is wrong with it.
    """
    if address.startswith(UNIX):
        return True
    host = address.rpartition(":")[0].removeprefix("[").removesuffix("]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        if not look_up:
            return True
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return True
    return all(ipaddress.ip_address(place[0]).is_loopback for *_, place in found)
