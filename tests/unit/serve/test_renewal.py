"""What changes in files of credentials comes to hold, and what is broken does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from espalier.errors import ConfigError, EspalierError
from espalier.serve.counters import Counters
from espalier.serve.credentials import Credentials, Held
from espalier.serve.errors import WorkerUnavailableError
from espalier.serve.renewal import Renewal
from espalier.settings import ServeSettings
from integration.certificates import DAY, Authority, Pair, token_file

ONE, TWO = "1" * 40, "2" * 40


class Told:
    """A log and a health that remember."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.health: dict[str, bool] = {}

    def info(self, event: str, **fields: object) -> None:
        """Remember an event."""
        self.events.append((event, fields))

    warning = error = info

    def tell(self, name: str, well: bool) -> None:
        """Remember how something is."""
        self.health[name] = well

    def names(self) -> list[str]:
        """Return the events so far."""
        return [name for name, _ in self.events]


class Site:
    """Files of credentials, what reads them, and what it said."""

    def __init__(self, folder: Path, **more: object) -> None:
        self.authority = Authority(folder, "ours")
        self.pair: Pair = self.authority.issue("server")
        self.tokens = token_file(folder / "tokens", ONE)
        self.told = Told()
        self.counters = Counters()
        self.now = time.time()
        self.spread: list[Held] = []
        self.fails: EspalierError | None = None
        settings: dict[str, Any] = {
            "tls_certificate": self.pair.certificate,
            "tls_key": self.pair.key,
            "token_file": self.tokens,
            **more,
        }
        self.renewal = Renewal(
            ServeSettings(**settings),
            log=self.told,
            counters=self.counters,
            told=self.told.tell,
            clock=lambda: self.now,
        )

    def look(self, *, at_all: bool = False) -> None:
        """Look once."""

        def spread(held: Held) -> None:
            if self.fails is not None:
                raise self.fails
            self.spread.append(held)

        self.renewal.look(spread, at_all=at_all)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return a service with a certificate and a token."""
    return Site(tmp_path)


def test_nothing_changes_while_files_stand_still(site: Site) -> None:
    """And everything is well."""
    for at_all in (False, True, False):
        site.look(at_all=at_all)

    assert site.spread == []
    assert site.told.events == []
    assert site.told.health == {"credentials/certificates": True, "credentials/tokens": True}


def test_files_that_changed_hold_once_they_stand_still(site: Site) -> None:
    """Between a certificate and its key there may be a moment; SIGHUP does not wait."""
    before = site.renewal.held
    site.pair.replace_with(site.authority.issue("next"))
    site.look()
    assert site.spread == []
    site.look()
    (held,) = site.spread
    site.look()
    token_file(site.tokens, ONE, TWO)
    site.look(at_all=True)

    assert held.serve.tls != before.serve.tls
    assert held.serve.tokens == before.serve.tokens
    assert len(site.spread) == 2
    assert site.told.names() == ["credentials_renewed", "credentials_renewed"]


def test_half_a_pair_is_never_tried(site: Site) -> None:
    """Where a look falls between the two renames, the next sees both."""
    new = site.authority.issue("next")
    site.pair.certificate.write_bytes(new.certificate.read_bytes())
    site.look()
    site.pair.key.write_bytes(new.key.read_bytes())
    site.look()
    site.look()

    assert site.told.names() == ["credentials_renewed"]


BROKEN: dict[str, Callable[[Site], object]] = {
    "a key that is gone": lambda site: site.pair.key.unlink(),
    "a certificate cut short": lambda site: site.pair.certificate.write_bytes(b"-----BEGIN"),
    "the key of another": lambda site: site.pair.key.write_bytes(
        site.authority.issue("other").key.read_bytes()
    ),
    "an expired certificate": lambda site: site.pair.replace_with(
        site.authority.issue("old", begins=-3 * DAY, ends=-DAY)
    ),
}


@pytest.mark.parametrize("break_", BROKEN.values(), ids=BROKEN)
def test_a_broken_pair_changes_nothing(site: Site, break_: Callable[[Site], object]) -> None:
    """It is said once, counted, shown in health, and mended by the next good one."""
    before = site.renewal.held
    break_(site)
    for _ in range(4):
        site.look()
    health = dict(site.told.health)
    gauges = dict(site.renewal.numbers())
    said = site.told.names()
    site.pair.replace_with(site.authority.issue("next"))
    site.look(at_all=True)

    assert said == ["credentials_refused"]
    assert site.told.events[0][1]["part"] == "certificates"
    assert site.counters.get("credential_reads", "certificates", "INVALID_CONFIG") == 1
    assert health == {"credentials/certificates": False, "credentials/tokens": True}
    assert gauges["credentials_healthy", "certificates"] == 0
    assert gauges["credentials_healthy", "tokens"] == 1
    (held,) = site.spread
    assert held != before
    assert site.told.health["credentials/certificates"]


def test_rights_that_were_put_right_are_seen(site: Site) -> None:
    """What the error says to type is enough, though it writes nothing."""
    token_file(site.tokens, ONE, TWO)
    site.tokens.chmod(0o644)
    site.look(at_all=True)
    refused = dict(site.told.health)
    site.tokens.chmod(0o600)
    site.look()
    site.look()

    assert not refused["credentials/tokens"]
    assert site.told.health["credentials/tokens"]
    (held,) = site.spread
    assert held.serve.tokens is not None
    assert held.serve.tokens.refusal(f"Bearer {TWO}".encode()) is None


def test_broken_tokens_do_not_keep_certificates_from_being_renewed(site: Site) -> None:
    """Parts are read apart."""
    token_file(site.tokens, "short")
    site.pair.replace_with(site.authority.issue("next"))
    site.look(at_all=True)

    (held,) = site.spread
    assert held.serve.tokens is not None
    assert held.serve.tokens.refusal(f"Bearer {ONE}".encode()) is None
    assert site.told.health == {"credentials/certificates": True, "credentials/tokens": False}


def test_workers_that_did_not_follow_are_told_again(site: Site) -> None:
    """Until they do."""
    token_file(site.tokens, TWO)
    site.fails = WorkerUnavailableError("a worker did not reply")
    site.look(at_all=True)
    site.look()
    site.fails = None
    site.look()
    site.look()

    assert site.told.names().count("credentials_not_everywhere") == 2
    assert len(site.spread) == 1


def test_what_expires_is_said_in_time_and_not_all_the_time(site: Site) -> None:
    """Fourteen days before at most, at a quarter of what was left then, and at the end."""
    assert site.renewal.expires is not None
    said = []
    for left in (20.0, 6.0, 5.0, 1.5, 1.0, -1.0, -2.0):
        site.now = site.renewal.expires - left * DAY.total_seconds()
        site.look()
        said.append(len(site.told.events))

    assert said == [0, 1, 1, 2, 2, 3, 3]
    assert site.told.names() == ["certificate_expires"] * 2 + ["certificate_expired"]
    assert not site.told.health["credentials/certificates"]


def test_a_service_does_not_start_with_what_it_cannot_use(tmp_path: Path) -> None:
    """There is no last good one yet."""
    with pytest.raises(ConfigError, match="No such file"):
        Site(tmp_path, tls_client_ca=tmp_path / "none.pem")


def test_the_admin_address_has_its_own_authority_and_tokens(tmp_path: Path) -> None:
    """Who may complete may not therefore change what is suggested."""
    other = Authority.in_folder(tmp_path, "admins")
    mine = Authority.in_folder(tmp_path, "users")
    admin_tokens = token_file(tmp_path / "admin_tokens", TWO)
    held = Site(
        tmp_path,
        tls_client_ca=mine.path,
        admin_client_ca=other.path,
        admin_token_file=admin_tokens,
    ).renewal.held

    assert held.serve.tls is not None
    assert held.admin.tls is not None
    assert held.serve.tls.client_ca == mine.path.read_bytes()
    assert held.admin.tls.client_ca == other.path.read_bytes()
    assert held.serve.tokens != held.admin.tokens
    assert Credentials.of(held.serve.as_message()) == held.serve
