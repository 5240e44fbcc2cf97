"""Who can reach the admin listener."""

from __future__ import annotations

from pathlib import Path

import pytest

from espalier.errors import ConfigError
from espalier.serve.admin import AdminAddress
from espalier.serve.listen import ListenError, reserve_tcp


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.9.9.9:0", "localhost:0", "[::1]:0"])
def test_addresses_of_this_machine_are_fine(address: str) -> None:
    """A port is taken, and free again afterwards."""
    try:
        taken = AdminAddress(address, remote=False)
    except ListenError as error:
        assert address.startswith("[")
        pytest.skip(str(error))
    taken.close()

    assert not taken.address.endswith(":0")
    reserve_tcp(taken.address).close()


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
def test_addresses_others_can_reach_must_be_meant(address: str) -> None:
    """There is no password."""
    with pytest.raises(ConfigError, match="admin_remote"):
        AdminAddress(address, remote=False)


def test_an_address_for_everybody_can_be_meant() -> None:
    """Behind a firewall, or a proxy that asks who is there."""
    AdminAddress("0.0.0.0:0", remote=True).close()


def test_an_address_that_does_not_exist_is_said_so() -> None:
    """By who knows about addresses."""
    with pytest.raises(ListenError, match="cannot listen on"):
        AdminAddress("no-such-host.invalid:1", remote=False)


def test_a_unix_socket_is_claimed_and_removed(tmp_path: Path) -> None:
    """What is there and no socket is left alone."""
    precious = tmp_path / "precious"
    precious.write_text("text")
    with pytest.raises(ListenError, match="is no socket"):
        AdminAddress(f"unix:{precious}", remote=False)
    address = AdminAddress(f"unix:{tmp_path / 'admin'}", remote=False)
    (tmp_path / "admin").touch()
    address.close()

    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious"]
