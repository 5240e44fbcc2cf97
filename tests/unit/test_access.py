"""What a client needs to get in, and what it refuses to give away."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from espalier.access import ENVIRONMENT, Access
from espalier.addresses import is_of_this_machine
from espalier.client import CallError, Client
from espalier.errors import InputError
from integration.certificates import Authority, token_file

TOKEN = "t" * 40


def test_the_environment_says_everything_flags_say() -> None:
    """One variable a field, and nothing where none is set."""
    env = {
        "ESPALIER_TLS": "true",
        "ESPALIER_CA": "/ca",
        "ESPALIER_CLIENT_CERTIFICATE": "/c",
        "ESPALIER_CLIENT_KEY": "/k",
        "ESPALIER_SERVER_NAME": "name",
        "ESPALIER_TOKEN_FILE": "/t",
        "ESPALIER_PLAIN_TOKEN": "1",
    }
    everything = Access(
        tls=True,
        ca=Path("/ca"),
        certificate=Path("/c"),
        key=Path("/k"),
        server_name="name",
        token_file=Path("/t"),
        plain_token=True,
    )

    assert Access.from_environment(env) == everything
    assert Access.from_environment({}) == Access()
    assert set(ENVIRONMENT) == set(Access.__dataclass_fields__)


@pytest.mark.parametrize(
    ("target", "goes"),
    [
        ("127.0.0.1:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/run/admin", True),
        ("ipv4:127.0.0.1:1", True),
        ("dns:///localhost:1", True),
        ("192.0.2.1:1", False),
        ("ipv4:192.0.2.1:1", False),
        ("dns:///192.0.2.1:1", False),
        ("dns://8.8.8.8/192.0.2.1:1", False),
    ],
)
def test_a_token_does_not_cross_a_network_in_plain(
    tmp_path: Path, target: str, *, goes: bool
) -> None:
    """Unless TLS carries it, or somebody says that something else does."""
    file = token_file(tmp_path / "t", TOKEN)
    if goes:
        assert Access(token_file=file).token(target) is not None
    else:
        with pytest.raises(InputError, match="in plain"):
            Access(token_file=file).token(target)

    assert Access(token_file=file, tls=True).token(target) is not None
    assert Access(token_file=file, plain_token=True).token(target) is not None


def test_a_token_is_read_anew_when_asked(tmp_path: Path) -> None:
    """The first of the file is sent; whether it is another one is known."""
    token = Access(token_file=token_file(tmp_path / "t", "# mine", TOKEN)).token("unix:x")
    assert token is not None
    first = token.metadata
    same = token.renewed()
    token_file(tmp_path / "t", "u" * 40, TOKEN)

    assert first == (("authorization", f"Bearer {TOKEN}"),)
    assert not same
    assert token.renewed()
    assert token.metadata == (("authorization", f"Bearer {'u' * 40}"),)


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    """Half a pair, no token in the file, no file."""
    with pytest.raises(InputError, match="belong together"):
        Access(certificate=tmp_path)
    with pytest.raises(InputError, match="holds no token"):
        Access(token_file=token_file(tmp_path / "t")).token("unix:x")
    with pytest.raises(InputError, match="cannot be read"):
        Access(token_file=tmp_path / "none").token("unix:x")


def test_addresses_of_this_machine_are_told_from_others() -> None:
    """What nobody knows is left to who listens there or calls it."""
    near = ["127.0.0.1:1", "[::1]:1", "localhost:1", "unix:x", "no-such-host.invalid:1"]
    far = ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"]

    assert [is_of_this_machine(address) for address in near + far] == [True] * 5 + [False] * 3
    assert is_of_this_machine("far.example:1", look_up=False)


class Recording:
    """A channel that answers everything with nothing, and remembers what calls carried."""

    def __init__(self) -> None:
        self.carried: list[object] = []

    def unary_unary(self, _method: str, **_options: object) -> Callable[..., None]:
        """Return what a stub calls."""
        return lambda _request, *, timeout, metadata: self.carried.append((timeout, metadata))

    def close(self) -> None:
        """Do nothing."""


def test_every_call_of_the_client_carries_the_token(tmp_path: Path) -> None:
    """Whatever it asks; a method that is added must be asked here."""
    channel: Any = Recording()
    access = Access(token_file=token_file(tmp_path / "t", TOKEN))
    asked: dict[str, tuple[tuple[object, ...], dict[str, object]]] = {
        "complete": (("c",), {}),
        "retrieve": (("c",), {}),
        "record": (("c",), {"session": "s"}),
        "record_events": (([],), {}),
        "delete": (("s",), {}),
    }
    with Client("unix:x", channel=channel, access=access) as client:
        methods = {name for name in dir(client) if not name.startswith("_")} - {"close"}
        for name, (arguments, named) in asked.items():
            getattr(client, name)(*arguments, **named)

    assert methods == asked.keys()
    assert channel.carried == [(1.0, (("authorization", f"Bearer {TOKEN}"),))] * len(asked)


@pytest.mark.parametrize("served_with_tls", [True, False])
def test_who_knocks_in_the_wrong_way_is_told_how_to_get_in(
    tmp_path: Path, *, served_with_tls: bool
) -> None:
    """In plain at a service with a certificate, and the other way round."""
    authority = Authority(tmp_path, "ours")
    pair = authority.issue("server")
    server = grpc.server(ThreadPoolExecutor(1))
    shown = grpc.ssl_server_credentials([(pair.key.read_bytes(), pair.certificate.read_bytes())])
    port = (
        server.add_secure_port("127.0.0.1:0", shown)
        if served_with_tls
        else server.add_insecure_port("127.0.0.1:0")
    )
    server.start()
    access = Access() if served_with_tls else Access(ca=authority.path)
    try:
        with (
            Client(f"127.0.0.1:{port}", access=access, timeout=20) as client,
            pytest.raises(CallError, match="name its authority"),
        ):
            client.complete("c")
    finally:
        server.stop(None).wait()
