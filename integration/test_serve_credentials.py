"""Certificates and tokens of a running service: who gets in, who does not, and renewal."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from espalier.access import Access
from espalier.admin import Admin
from espalier.client import CallError, Client, open_channel
from integration.certificates import DAY, Authority, Pair, token_file
from integration.processes import PATIENCE, Sidecar, espalier

OLD, NEW, ADMIN = "old-" + "a" * 40, "new-" + "b" * 40, "admin-" + "c" * 40
SERVING = health_pb2.HealthCheckResponse.SERVING


@dataclass(frozen=True, slots=True)
class Site:
    """A service that asks for everything, and who may have it."""

    folder: Path
    servers: Authority
    users: Authority
    admins: Authority
    shown: Pair
    user: Access
    admin: Access
    sidecar: Sidecar

    def complete(self, access: Access, **more: Any) -> int:
        """Return the number of completions somebody gets, on a connection of their own."""
        with Client(self.sidecar.address, timeout=PATIENCE, access=access, **more) as client:
            return len(client.complete("c").suggestions)

    def revisions(self, access: Access) -> int:
        """Return how many revisions somebody sees on the admin address."""
        with Admin(self.sidecar.admin, timeout=PATIENCE, access=access) as admin:
            return len(admin.indexes().revisions)

    def get(
        self, path: str, *, ca: Path | None = None, shown: Pair | None = None, token: str = ""
    ) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and JSON of a reply of the HTTP front."""
        context = ssl.create_default_context(cafile=ca or self.servers.path)
        if shown is not None:
            context.load_cert_chain(shown.certificate, shown.key)
        connection = http.client.HTTPSConnection(
            self.sidecar.http, timeout=PATIENCE, context=context
        )
        try:
            connection.request("GET", path, headers={"Authorization": token} if token else {})
            reply = connection.getresponse()
            found = {name.lower(): value for name, value in reply.getheaders()}
            return reply.status, found, json.loads(reply.read())
        finally:
            connection.close()

    def metrics(self) -> str:
        """Return the numbers, as a scraper hears them that shows what a user does."""
        context = ssl.create_default_context(cafile=self.servers.path)
        shown = pair_of(self.user)
        context.load_cert_chain(shown.certificate, shown.key)
        assert self.user.token_file is not None
        (token, *_) = self.user.token_file.read_text().split()
        asks = Request(
            f"https://{self.sidecar.metrics}/metrics", headers={"Authorization": f"Bearer {token}"}
        )
        with urlopen(asks, context=context, timeout=PATIENCE) as reply:  # noqa: S310 - an address of our own service
            return str(reply.read().decode())

    def told(self, event: str) -> list[dict[str, Any]]:
        """Return what the log has of an event."""
        return [one for one in self.sidecar.events() if one["event"] == event]

    def health(self, name: str, *, ca: Path | None = None) -> int:
        """Return what somebody without a token hears on the admin address."""
        asks = tokenless(self.admin, ca=ca)
        with open_channel(asks, self.sidecar.admin, []) as channel:
            request = health_pb2.HealthCheckRequest(service=name)
            stub = health_pb2_grpc.HealthStub(channel)
            return int(stub.Check(request, timeout=PATIENCE).status)


def access(ca: Authority, shown: Pair | None, tokens: Path | None) -> Access:
    """Return how somebody tries to get in."""
    certificate, key = (None, None) if shown is None else (shown.certificate, shown.key)
    return Access(ca=ca.path, certificate=certificate, key=key, token_file=tokens)


def tokenless(has: Access, *, ca: Path | None = None) -> Access:
    """Return the same without a token, perhaps trusting somebody else."""
    return Access(ca=ca or has.ca, certificate=has.certificate, key=has.key)


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def site(demo_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Yield a service with TLS, client certificates and tokens on every address."""
    folder = tmp_path_factory.mktemp("credentials")
    servers, users, admins = (
        Authority.in_folder(folder, name) for name in ("servers", "users", "admins")
    )
    shown = servers.issue("service")
    user = access(
        servers,
        users.issue("user", for_clients=True),
        token_file(folder / "tokens", OLD),
    )
    admin = access(
        servers,
        admins.issue("operator", for_clients=True),
        token_file(folder / "admin_tokens", ADMIN),
    )
    settings = {
        "tls_certificate": shown.certificate,
        "tls_key": shown.key,
        "tls_client_ca": users.path,
        "admin_client_ca": admins.path,
        "token_file": user.token_file,
        "admin_token_file": admin.token_file,
        "watch_seconds": 0.1,
    }
    with Sidecar(
        *("--index", demo_index, "--workers", "1", "--http", "127.0.0.1:0"),
        *("--admin", "127.0.0.1:0", "--metrics", "127.0.0.1:0"),
        *(word for item in settings.items() for word in ("--set", "{}={}".format(*item))),
    ) as sidecar:
        yield Site(folder, servers, users, admins, shown, user, admin, sidecar)


def _answers(ask: Callable[[], bool]) -> bool:
    """Return what an answer says, false where there is none yet."""
    try:
        return ask()
    except (OSError, CallError, grpc.RpcError):
        return False


def pair_of(has: Access) -> Pair:
    """Return the certificate somebody shows."""
    assert has.certificate is not None
    assert has.key is not None
    return Pair(has.certificate, has.key)


def test_who_has_everything_gets_in_everywhere(site: Site) -> None:
    """gRPC, HTTP and the admin address, by the client, a verb and any HTTP client."""
    seen = espalier(
        *("indexes", "list", "--admin", site.sidecar.admin, "--json"),
        *("--ca", site.servers.path, "--key", site.admin.key or ""),
        *("--certificate", site.admin.certificate or ""),
        ESPALIER_TOKEN_FILE=str(site.admin.token_file),
    )
    status, _, found = site.get("/suggest?q=c", shown=pair_of(site.user), token=f"Bearer {OLD}")

    assert site.complete(site.user) == 10
    assert site.revisions(site.admin) == 1
    assert (status, len(found[1])) == (200, 10)
    assert (seen.returncode, seen.stderr) == (0, "")
    assert len(json.loads(seen.stdout)["revisions"]) == 1


BAD: dict[str, Callable[[Site], Pair | None]] = {
    "missing": lambda _: None,
    "expired": lambda site: site.users.issue("e", for_clients=True, begins=-3 * DAY, ends=-DAY),
    "self-signed": lambda site: site.users.issue("s", for_clients=True, self_signed=True),
    "of another authority": lambda site: site.servers.issue("a", for_clients=True),
    "of an admin": lambda site: pair_of(site.admin),
    "for servers": lambda site: site.users.issue("f"),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_a_client_with_a_bad_certificate_does_not_get_in(
    site: Site, make: Callable[[Site], Pair | None]
) -> None:
    """Over gRPC and HTTP alike, tokens or not; others go on."""
    shown = make(site)
    with pytest.raises(CallError) as caught:
        site.complete(access(site.servers, shown, site.user.token_file))
    with pytest.raises((OSError, http.client.HTTPException)):
        site.get("/readyz", shown=shown)

    assert caught.value.code == grpc.StatusCode.UNAVAILABLE
    assert site.complete(site.user) == 10


def test_the_admin_address_asks_for_certificates_of_its_own(site: Site) -> None:
    """That of a user is none, with whatever token."""
    with pytest.raises(CallError, match="UNAVAILABLE"):
        site.revisions(access(site.servers, pair_of(site.user), site.admin.token_file))


def test_a_client_that_does_not_trust_the_service_says_why(site: Site) -> None:
    """Another name than the certificate's, an authority that did not sign it, plain TCP."""
    other_name = Access(
        ca=site.user.ca,
        certificate=site.user.certificate,
        key=site.user.key,
        server_name="other.example",
    )
    with pytest.raises(CallError, match="Hostname Verification Check failed"):
        site.complete(other_name)
    with pytest.raises(CallError, match="CERTIFICATE_VERIFY_FAILED"):
        site.complete(access(site.users, pair_of(site.user), None))
    with pytest.raises(CallError, match="UNAVAILABLE"):
        site.complete(Access())
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        site.get("/readyz", ca=site.users.path, shown=pair_of(site.user))

    assert site.complete(site.user) == 10


@pytest.mark.parametrize(
    ("header", "what", "challenge"),
    [
        ("", "missing", 'Bearer realm="espalier"'),
        (f"Basic {OLD}", "missing", 'Bearer realm="espalier", error="invalid_token"'),
        (f"Bearer {'x' * 44}", "unknown", 'Bearer realm="espalier", error="invalid_token"'),
        (f"Bearer {ADMIN}", "unknown", 'Bearer realm="espalier", error="invalid_token"'),
        ("Bearer ", "missing", 'Bearer realm="espalier", error="invalid_token"'),
    ],
)
def test_a_call_without_a_valid_token_is_told_so(
    site: Site, header: str, what: str, challenge: str
) -> None:
    """One reason over gRPC and HTTP, with a challenge there; nothing was done."""
    metadata = [("authorization", header)] if header else None
    with open_channel(tokenless(site.user), site.sidecar.address, []) as channel:
        method: Any = channel.unary_unary("/espalier.v1.CompletionService/Complete")
        with pytest.raises(grpc.RpcError) as caught:
            method(b"", metadata=metadata, timeout=PATIENCE)
    error = CallError(caught.value)
    status, headers, found = site.get("/suggest?q=c", shown=pair_of(site.user), token=header)

    assert (error.code, error.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    assert error.metadata == {"token": what}
    assert (status, headers["www-authenticate"]) == (401, challenge)
    assert found["details"][0]["reason"] == "UNAUTHENTICATED"
    assert found["details"][0]["metadata"] == {"token": what}


def test_tokens_of_users_are_none_of_admins(site: Site) -> None:
    """The certificate of an admin does not help."""
    with pytest.raises(CallError) as caught:
        site.revisions(access(site.servers, pair_of(site.admin), site.user.token_file))

    assert caught.value.reason == "UNAUTHENTICATED"


def test_health_needs_no_token_and_reflection_does(site: Site) -> None:
    """Probes have none; who lists methods wants to call them."""
    with open_channel(tokenless(site.user), site.sidecar.address, []) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")

        def services(**more: Any) -> int:
            (reply,) = reflection.ServerReflectionInfo(iter([request]), timeout=PATIENCE, **more)
            return len(reply.list_services_response.service)

        assert health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE).status == SERVING
        with pytest.raises(grpc.RpcError) as caught:
            services()
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert services(metadata=[("authorization", f"Bearer {OLD}")]) >= 3
    assert site.get("/healthz", shown=pair_of(site.user))[0] == 200
    assert site.get("/readyz", shown=pair_of(site.user))[0] == 200


def test_tokens_are_rotated_while_clients_call(site: Site) -> None:
    """First both are valid, then one; a client reads its file anew and notices nothing."""
    mine = token_file(site.folder / "mine", OLD)
    tokens = site.user.token_file
    assert tokens is not None
    renewed = len(site.told("credentials_renewed"))
    long_lived = access(site.servers, pair_of(site.user), mine)
    with Client(site.sidecar.address, timeout=PATIENCE, access=long_lived) as client:
        assert client.complete("c").suggestions
        token_file(tokens, NEW, OLD)
        until(lambda: len(site.told("credentials_renewed")) == renewed + 1)
        assert client.complete("c").suggestions
        token_file(mine, NEW)
        assert client.complete("c").suggestions
        token_file(tokens, NEW)
        until(lambda: len(site.told("credentials_renewed")) == renewed + 2)
        assert client.complete("c").suggestions
    token_file(mine, OLD)
    with pytest.raises(CallError, match="none that is valid"):
        site.complete(long_lived)

    assert site.get("/suggest?q=c", shown=pair_of(site.user), token=f"Bearer {OLD}")[0] == 401
    assert site.get("/suggest?q=c", shown=pair_of(site.user), token=f"Bearer {NEW}")[0] == 200
    token_file(tokens, OLD)
    until(lambda: len(site.told("credentials_renewed")) == renewed + 3)


def test_a_broken_pair_changes_nothing_and_a_good_one_does(site: Site) -> None:
    """Workers that start meanwhile show what the others do; connections of before go on."""
    good = Pair(site.folder / "good.crt", site.folder / "good.key")
    for mine, theirs in zip(
        (good.certificate, good.key), (site.shown.certificate, site.shown.key), strict=True
    ):
        mine.write_bytes(theirs.read_bytes())
    with Client(site.sidecar.address, timeout=PATIENCE, access=site.user) as before:
        assert before.complete("c").suggestions
        site.shown.certificate.write_bytes(b"no certificate")
        until(lambda: site.told("credentials_refused"))
        until(lambda: site.health("credentials/certificates") != SERVING)
        assert site.complete(site.user) == 10
        front = site.sidecar.workers()[1]
        os.kill(front, signal.SIGKILL)
        until(lambda: site.sidecar.workers()[1] != front)
        until(lambda: _answers(lambda: site.get("/readyz", shown=pair_of(site.user))[0] == 200))
        metrics = site.metrics()
        elsewhere = Authority.in_folder(site.folder, "elsewhere")
        site.shown.replace_with(elsewhere.issue("service"))
        site.sidecar.send(signal.SIGHUP)
        name = "credentials/certificates"
        until(lambda: _answers(lambda: site.health(name, ca=elsewhere.path) == SERVING))
        moved = access(elsewhere, pair_of(site.user), site.user.token_file)

        assert site.complete(moved) == 10
        assert site.get("/readyz", ca=elsewhere.path, shown=pair_of(site.user))[0] == 200
        with pytest.raises(CallError, match="CERTIFICATE_VERIFY_FAILED"):
            site.complete(site.user)
        assert before.complete("c").suggestions
    assert 'espalier_credentials_healthy{part="certificates"} 0' in metrics
    assert 'espalier_credentials_healthy{part="tokens"} 1' in metrics
    assert "espalier_certificate_expiry_timestamp_seconds " in metrics
    assert 'outcome="INVALID_CONFIG"' in metrics
    (refused,) = site.told("credentials_refused")[:1]
    assert "no certificate and its key" in refused["error"]
    site.shown.replace_with(good)
    site.sidecar.send(signal.SIGHUP)
    until(lambda: _answers(lambda: site.complete(site.user) == 10))


REFUSED: dict[str, tuple[Callable[[Authority, Path], dict[str, Any]], str]] = {
    "an expired certificate": (
        lambda one, _: _tls(one.issue("old", begins=-3 * DAY, ends=-DAY)),
        "has expired; renew it",
    ),
    "the key of another": (
        lambda one, _: _tls(Pair(one.issue("a").certificate, one.issue("b").key)),
        "key values mismatch",
    ),
    "tokens everybody can read": (
        lambda _, folder: {"token_file": _open_to_all(token_file(folder / "t", OLD))},
        "is open to others",
    ),
    "a token that is too short": (
        lambda _, folder: {"token_file": token_file(folder / "t", "secret")},
        "fewer than 32",
    ),
    "no token": (
        lambda _, folder: {"token_file": token_file(folder / "t")},
        "holds no token",
    ),
    "tokens in plain": (
        lambda _, folder: {
            "token_file": token_file(folder / "t", OLD),
            "listen": "0.0.0.0:0",
        },
        "would go there in plain",
    ),
    "a remote admin without tokens": (
        lambda _one, _folder: {"admin": "0.0.0.0:0", "admin_remote": "true"},
        "say who may",
    ),
}


def _tls(pair: Pair) -> dict[str, Any]:
    return {"tls_certificate": pair.certificate, "tls_key": pair.key}


def _open_to_all(path: Path) -> Path:
    path.chmod(0o644)
    return path


@pytest.mark.parametrize(("make", "says"), REFUSED.values(), ids=REFUSED)
def test_a_service_that_would_not_be_safe_does_not_start(
    demo_index: Path,
    tmp_path: Path,
    make: Callable[[Authority, Path], dict[str, Any]],
    says: str,
) -> None:
    """One line, and what to do; never a token."""
    settings = make(Authority(tmp_path, "ours"), tmp_path)
    done = espalier(
        *("serve", "--index", demo_index, "--set", "listen=127.0.0.1:0"),
        *(word for item in settings.items() for word in ("--set", "{}={}".format(*item))),
    )

    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert OLD not in done.stderr
