"""One port, one service: what is in use is refused, what is left behind is taken."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from espalier.client import Client
from integration.processes import PATIENCE, Sidecar, environment, espalier

IN_USE = re.compile(r"espalier: error: cannot listen on 127\.0\.0\.1:\d+: the port is in use; .*\n")


def test_a_second_service_on_the_port_is_refused(demo_index: Path) -> None:
    """Although both could share it: each would get some of the calls."""
    with Sidecar("--index", demo_index) as sidecar:
        done = espalier("serve", "--index", demo_index, "--listen", sidecar.address)
        assert (done.returncode, done.stdout) == (1, "")
        assert IN_USE.fullmatch(done.stderr)
        with Client(sidecar.address, timeout=PATIENCE) as client:
            assert client.complete("a").header.index == "default"


def test_a_second_service_on_the_state_folder_is_refused(demo_index: Path, tmp_path: Path) -> None:
    """It would write its rules over those of the first."""
    options = ("--index", demo_index, "--set", f"state_dir={tmp_path / 'state'}")
    with Sidecar(*options) as sidecar:
        done = espalier("serve", *options, "--listen", "127.0.0.1:0")
        with Client(sidecar.address, timeout=PATIENCE) as client:
            assert client.complete("a").header.index == "default"

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"espalier: error: another service uses the state folder .*\n", done.stderr)


@pytest.mark.parametrize("shares", [False, True])
def test_a_port_of_another_program_is_refused(demo_index: Path, *, shares: bool) -> None:
    """Whether that one would share it or not."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = espalier("serve", "--index", demo_index, "--listen", f"127.0.0.1:{port}")

    assert done.returncode == 1
    assert IN_USE.fullmatch(done.stderr)


def test_of_services_that_start_at_the_same_moment_one_serves(demo_index: Path) -> None:
    """The others say that the port is in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "espalier", "serve", "--index", str(demo_index)]
    rivals = [
        subprocess.Popen(
            [*command, "--listen", address, "--set", "workers=1"],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        with Client(address, timeout=PATIENCE) as client:
            running = rivals
            while len(running) > 1:
                running = [one for one in running if one.poll() is None]
            (survivor,) = running
            assert survivor.stdout is not None
            assert survivor.stdout.readline() == f"listening on {address}\n"
            assert client.complete("a").header.index == "default"
        survivor.send_signal(signal.SIGTERM)
        refused = [one.communicate(timeout=PATIENCE) for one in rivals if one is not survivor]
        assert all(IN_USE.fullmatch(err) and not out for out, err in refused)
        survivor.communicate(timeout=PATIENCE)
        assert survivor.returncode == 0
    finally:
        for one in rivals:
            one.kill()
            one.communicate()


def test_every_worker_has_a_unix_socket_of_its_own(demo_index: Path, tmp_path: Path) -> None:
    """Left-over sockets of a service that was killed are no obstacle."""
    path = tmp_path / "s"
    arguments = ("--index", demo_index, "--unix", path, "--workers", "2")
    for _ in range(2):
        with Sidecar(*arguments, addresses=3) as sidecar:
            assert sidecar.addresses[1:] == [f"unix:{path}.0", f"unix:{path}.1"]
            ids: set[str] = set()
            for address in sidecar.addresses[1:]:
                with Client(address, timeout=PATIENCE) as client:
                    ids.update(client.complete("a").suggestion_set_id[:16] for _ in range(5))
            assert len(ids) == 2
            again = espalier("serve", *arguments, "--listen", "127.0.0.1:0")
            assert "another process does; stop it first" in again.stderr
            sidecar.send(signal.SIGKILL)
            sidecar.wait()
