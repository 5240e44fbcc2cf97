"""Certificates are tried before anybody sees them."""

from __future__ import annotations

import os
import shutil
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from espalier.errors import ConfigError
from espalier.serve.tls import RenewableContext, Tls, read_authorities, read_pair
from integration.certificates import DAY, Authority, Pair


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority and a folder for what it issues."""
    return Authority(tmp_path_factory.mktemp("tls"), "ours")


@pytest.fixture(scope="module")
def good(authority: Authority) -> Pair:
    """Return a certificate nothing is wrong with. Shared: copy it before changing it."""
    return authority.issue("good")


def test_a_good_pair_is_read_with_its_time(good: Pair) -> None:
    """Without an authority for clients, and without a word of the key where it is shown."""
    tls = read_pair(good.certificate, good.key)

    assert round(tls.expires - tls.begins) == round(31 * DAY.total_seconds())
    assert tls.client_ca is None
    assert "PRIVATE" not in repr(tls)
    assert Tls.of(tls.as_message()) == tls


def _renamed(pair: Pair) -> Pair:
    """Return a pair whose certificate has another word for what it is, as openssl -trustout."""
    text = pair.certificate.read_bytes().replace(b" CERTIFICATE--", b" TRUSTED CERTIFICATE--")
    renamed = pair.certificate.with_name("renamed.pem")
    renamed.write_bytes(text)
    return Pair(renamed, pair.key)


BAD: dict[str, tuple[Callable[[Authority, Pair], Pair], str]] = {
    "expired": (lambda a, _: a.issue("e", begins=-3 * DAY, ends=-DAY), "has expired; renew it"),
    "not valid yet": (lambda a, _: a.issue("n", begins=DAY), "not valid yet; check the clock"),
    "for clients": (lambda a, _: a.issue("c", for_clients=True), "purpose"),
    "key of another": (lambda a, g: Pair(g.certificate, a.issue("o").key), "key values mismatch"),
    "encrypted key": (lambda a, _: a.issue("p", password=b"x"), "the key is encrypted"),
    "another word": (lambda _, g: _renamed(g), "openssl x509 -in"),
    "no certificate": (lambda _, g: Pair(g.key, g.key), "no certificate and its key as PEM"),
    "nothing there": (lambda _, g: Pair(Path("/no/such"), g.key), "No such file"),
    "a folder": (lambda _, g: Pair(Path("/tmp"), g.key), "Is a directory"),  # noqa: S108 - any folder does
}


@pytest.mark.parametrize(("make", "says"), BAD.values(), ids=BAD)
def test_what_no_client_would_accept_is_refused(
    authority: Authority, good: Pair, make: Callable[[Authority, Pair], Pair], says: str
) -> None:
    """The error names the file and the way out."""
    pair = make(authority, good)

    with pytest.raises(ConfigError, match=says) as caught:
        read_pair(pair.certificate, pair.key)

    assert str(pair.certificate) in str(caught.value) or str(pair.key) in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "fine"), [(0o600, True), (0o440, True), (0o644, False), (0o660, False), (0o604, False)]
)
def test_a_key_that_others_can_read_is_refused(
    good: Pair, tmp_path: Path, mode: int, *, fine: bool
) -> None:
    """Its group may read it, as where a cluster mounts secrets; nobody else, and never write."""
    key = Path(shutil.copy(good.key, tmp_path / "key"))
    key.chmod(mode)
    if fine:
        assert read_pair(good.certificate, key).key
        return

    with pytest.raises(ConfigError, match="is open to others"):
        read_pair(good.certificate, key)


def test_a_pipe_is_not_waited_for(good: Pair, tmp_path: Path) -> None:
    """Nor anything else that is no file."""
    os.mkfifo(tmp_path / "pipe", 0o600)

    with pytest.raises(ConfigError, match="is not a file"):
        read_pair(good.certificate, tmp_path / "pipe")


def test_authorities_need_a_certificate(authority: Authority, good: Pair, tmp_path: Path) -> None:
    """Comments around it do not matter, whatever their encoding; others must not write it."""
    commented = tmp_path / "commented.pem"
    commented.write_bytes(b"# Autorit\xe9 de certification\n" + authority.path.read_bytes())
    commented.chmod(0o644)

    assert read_authorities(commented, "tls_client_ca") == commented.read_bytes()
    with pytest.raises(ConfigError, match=r"serve\.tls_client_ca, holds no certificates"):
        read_authorities(good.key, "tls_client_ca")
    commented.chmod(0o646)
    with pytest.raises(ConfigError, match="is open to others"):
        read_authorities(commented, "tls_client_ca")


def shakes_hands(server: ssl.SSLContext, trusted: Path, shown: Pair | None = None) -> bool:
    """Return whether a client that trusts an authority, and shows a certificate, gets in."""
    client = ssl.create_default_context(cafile=trusted)
    if shown is not None:
        client.load_cert_chain(shown.certificate, shown.key)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(up, down, server_side=True)
    theirs = client.wrap_bio(down, up, server_hostname="localhost")
    try:
        for side in (theirs, ours, theirs, ours):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
        theirs.write(b"x")
        return ours.read(1) == b"x"
    except ssl.SSLError:
        return False


def test_new_connections_see_what_was_renewed(authority: Authority, tmp_path: Path) -> None:
    """The certificate shown, and the authorities asked for: those from before count no more."""
    other = Authority(tmp_path, "other")
    mine, theirs = (one.issue("me", for_clients=True) for one in (authority, other))

    def tls(server: Authority, clients: Authority) -> Tls:
        pair = server.issue("server")
        return Tls(pair.certificate.read_bytes(), pair.key.read_bytes(), clients.path.read_bytes())

    context = RenewableContext.of(tls(authority, authority))
    before = [shakes_hands(context, authority.path, one) for one in (mine, theirs, None)]
    context.renew(tls(other, other))
    after = [shakes_hands(context, other.path, one) for one in (mine, theirs, None)]

    assert before == [True, False, False]
    assert after == [False, True, False]
    assert not shakes_hands(context, authority.path, theirs)
