"""Addresses that cannot be had are refused with the reason."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from espalier.serve.listen import ListenError, claim_unix, reserve_tcp


def share(port: int) -> socket.socket:
    """Return a socket that listens as a worker does."""
    worker = socket.socket()
    worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    worker.bind(("127.0.0.1", port))
    worker.listen()
    return worker


def test_a_reserved_port_is_ours_until_it_is_given_back() -> None:
    """Workers share it, nobody else of us gets it, and afterwards it is free."""
    reserved = reserve_tcp("127.0.0.1:0")
    port = int(reserved.address.rpartition(":")[2])
    with share(port), share(port):
        pass
    # No worker listens now, as while they start: the port is still taken.
    with pytest.raises(ListenError, match="the port is in use"):
        reserve_tcp(reserved.address)
    with socket.socket() as foreign, pytest.raises(OSError, match="in use"):
        foreign.bind(("127.0.0.1", port))
    reserved.close()
    reserve_tcp(reserved.address).close()


def test_a_holder_that_does_not_listen_gets_no_connection() -> None:
    """Every connection goes to a worker."""
    reserved = reserve_tcp("127.0.0.1:0")
    port = int(reserved.address.rpartition(":")[2])
    with share(port) as worker:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", port)):
                worker.settimeout(30.0)
                worker.accept()[0].close()
    reserved.close()


def test_a_port_with_connections_still_closing_can_be_had() -> None:
    """A service that restarts does not wait a minute for its own connections."""
    first = reserve_tcp("127.0.0.1:0")
    port = int(first.address.rpartition(":")[2])
    with share(port) as worker, socket.create_connection(("127.0.0.1", port)) as client:
        served, _ = worker.accept()
        # Who closes first keeps the port in TIME_WAIT.
        served.close()
        assert client.recv(1) == b""
    first.close()

    reserve_tcp(first.address).close()


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", "0.0.0.0:0"])
def test_port_zero_is_always_free(address: str) -> None:
    """The system chooses, one port for every address of a name."""
    reserved = reserve_tcp(address)
    assert reserved.address.rpartition(":")[0] == address.rpartition(":")[0]
    assert int(reserved.address.rpartition(":")[2]) > 0
    reserved.close()


@pytest.mark.parametrize("reuse", [False, True], ids=["alone", "reuse_port"])
def test_a_port_somebody_listens_on_is_refused(*, reuse: bool) -> None:
    """Even if the other one would share it."""
    with socket.socket() as other:
        if reuse:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ListenError, match="the port is in use"):
            reserve_tcp(f"127.0.0.1:{other.getsockname()[1]}")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("192.0.2.1:50051", "does not have that address"),
        ("[::zz]:50051", "cannot listen on .*::zz"),
        ("127.0.0.1:99999", "ports end at 65,535"),
        ("127.0.0.1:http", "use HOST:PORT"),
    ],
)
def test_other_faults_say_what_is_wrong(address: str, why: str) -> None:
    """The message names the address and the reason."""
    with pytest.raises(ListenError, match=why):
        reserve_tcp(address)


def test_a_unix_socket_in_use_is_refused_and_a_left_over_removed(tmp_path: Path) -> None:
    """A process that died left its socket; one that lives still answers."""
    path = tmp_path / "s"
    claim_unix(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(ListenError, match="another process does"):
            claim_unix(path)
    claim_unix(path)

    assert not path.exists()


def test_a_file_in_the_place_of_a_socket_stays(tmp_path: Path) -> None:
    """Nothing that is not a socket is removed."""
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(ListenError, match="is no socket"):
        claim_unix(path)

    assert path.read_text() == "precious"


def test_a_unix_socket_of_somebody_who_hangs_is_in_use(tmp_path: Path) -> None:
    """Nobody more may wait there, and we do not wait for that."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as waiting:
        listener.bind(str(path))
        listener.listen(0)
        for _ in range(3):
            client = waiting.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(str(path))
        with pytest.raises(ListenError, match="another process does"):
            claim_unix(path)
    assert path.exists()


def test_a_socket_that_is_not_ours_to_remove_stays(tmp_path: Path) -> None:
    """That it takes no connection does not mean that nobody uses it."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        with pytest.raises(ListenError, match="choose another path"):
            claim_unix(path)
    assert path.exists()


def test_a_unix_path_in_a_folder_there_is_not_is_refused(tmp_path: Path) -> None:
    """Before anything is loaded; nobody else is blamed."""
    with pytest.raises(ListenError, match=r"run is no folder we can write; make it"):
        claim_unix(tmp_path / "run" / "admin")


def test_a_unix_path_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """The system would cut it."""
    with pytest.raises(ListenError, match="longer than"):
        claim_unix(tmp_path / ("x" * 120))
