"""`make run`: from the tree to a sidecar that answers, with one command."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import grpc
import pytest

from espalier.client import Client

ROOT = Path(__file__).resolve().parent.parent
# What make leaves in an environment it has set up.
MARK = Path(sys.prefix) / ".espalier-run"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def port() -> int:
    """Return the port of the service."""
    return free_port()


@pytest.fixture
def web() -> int:
    """Return the port of the page."""
    return free_port()


@pytest.fixture
def make_run(port: int, web: int, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start `make run` in a process group of its own, as a terminal does."""
    if not MARK.exists():
        pytest.skip("runs inside an environment that make has set up")
    process = subprocess.Popen(
        ["make", "run", f"PORT={port}", f"WEB={web}", f"VENV={sys.prefix}", f"DEMO={tmp_path}"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "MAKEFLAGS"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    # Nothing hangs for ever: the group ends, and with it the reading below.
    watchdog = threading.Timer(300, os.killpg, (process.pid, signal.SIGKILL))
    watchdog.start()
    with process:
        yield process
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
    watchdog.cancel()


@pytest.mark.slow
def test_make_run_shows_completions_and_then_serves(
    make_run: subprocess.Popen[str], port: int, web: int
) -> None:
    """Two lists, the second one with a previous query, differ; then service and page answer."""
    assert make_run.stdout is not None
    printed = ""
    for line in make_run.stdout:
        printed += line
        if line.startswith("Serving on"):
            break

    shown = re.split(r"^\$ espalier complete .*\n", printed, flags=re.MULTILINE)[1:]
    assert len(shown) == 2, printed
    assert "synthetic" in printed
    first, second = (re.findall(r"^ *\d+  (.+?)  ", one, re.MULTILINE) for one in shown)
    assert len(first) == len(second) == 5
    assert first != second

    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    grpc.channel_ready_future(channel).result(60)
    with Client(channel=channel) as client:
        answer = client.complete("c")
    assert answer.suggestions

    site = f"http://127.0.0.1:{web}/"
    assert site in printed
    with urlopen(site, timeout=60) as page:
        assert b"Espalier" in page.read()
    with urlopen(f"http://127.0.0.1:{web}/demo/search?q=tent", timeout=60) as found:
        lists = json.load(found)["lists"]
    assert [len(one["products"]) for one in lists] == [8, 8]
    with urlopen(f"http://127.0.0.1:{web}/demo/about", timeout=60) as told:
        assert "last-query-only" in json.load(told)["experiments"]["variant"]
