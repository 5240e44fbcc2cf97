"""A worker without a service: ``python fake_worker.py FD``, obedient to its orders.

``fail``, ``crash`` and ``hang`` say how to start badly; ``deaf`` ignores being told to
drain and to terminate; ``cut_off`` is what it says in the end.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from typing import Any

from espalier.errors import InputError
from espalier.serve.control import Channel, receive


def main() -> int:
    """Do as told."""
    wire = socket.socket(fileno=int(sys.argv[1]))
    orders = receive(wire)
    assert orders is not None
    if "crash" in orders:
        return int(orders["crash"])
    end = threading.Event()
    if orders.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: end.set())

    def drain(params: Mapping[str, Any]) -> None:
        grace.append(params["grace"])
        if not orders.get("deaf") and not orders.get("slow"):
            end.set()

    def refuse(_params: Mapping[str, Any]) -> None:
        raise InputError("not me")

    grace: list[float] = []
    handlers = {
        "drain": drain,
        "who": lambda _: {"number": orders["number"], "pid": os.getpid()},
        "die": lambda _: os._exit(9),
        "sometimes": refuse if orders["number"] == 1 else (lambda _: None),
    }
    channel = Channel(wire, handlers, lambda: os._exit(3))
    channel.start()
    if "fail" in orders:
        channel.request("failed", {"message": orders["fail"], "exit_code": 2}, timeout=30)
        return 2
    if orders.get("hang"):
        end.wait()
    channel.request("ready", timeout=30)
    end.wait()
    channel.request("stopped", {"calls_cut_off": orders.get("cut_off", 0)}, timeout=30)
    return 0


if __name__ == "__main__":
    sys.exit(main())
