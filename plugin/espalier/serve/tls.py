"""Certificates: read, checked as a client would check them, and handed to the servers.

What is checked is what is used: the bytes are read once, and never again from a path
that may lead elsewhere by then. A pair is tried in a handshake with itself, in memory,
so a key of another certificate, one that has expired or one that is for clients only is
found before any client finds it.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc

from espalier.errors import ConfigError
from espalier.serve.held import hold_bytes
from espalier.serve.secret_files import read_secret, read_trusted

_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL
)
_NOT_YET, _EXPIRED = 9, 10  # of X509_V_ERR


@dataclass(frozen=True, slots=True)
class Tls:
    """What a TLS server shows, and whom it lets in.

    Attributes:
        chain: Its certificate and those above it, as PEM.
        key: The private key of the certificate, as PEM.
        client_ca: Authorities one of which must have signed the certificate of a client, as
            PEM; ``None`` if clients need none.
        begins, expires: When the certificate is valid, in Unix time.
    """

    chain: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None
    begins: float = 0.0
    expires: float = 0.0

    def as_message(self) -> dict[str, Any]:
        """Return what `of` understands."""
        return {
            "chain": self.chain.decode("latin-1"),
            "key": self.key.decode("latin-1"),
            "client_ca": None if self.client_ca is None else self.client_ca.decode("latin-1"),
            "begins": self.begins,
            "expires": self.expires,
        }

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Tls:
        """Return the certificates in a message."""
        ca = message["client_ca"]
        return cls(
            message["chain"].encode("latin-1"),
            message["key"].encode("latin-1"),
            None if ca is None else ca.encode("latin-1"),
            message["begins"],
            message["expires"],
        )


def read_pair(certificate: Path, key: Path) -> Tls:
    """Return a certificate and its key, which clients need no certificate for.

    Raises:
        ConfigError: They cannot be read, others can read the key, or no client would accept
            them now.
    """
    pair = Tls(
        read_trusted(certificate, "tls_certificate"), read_secret(key, "tls_key"), client_ca=None
    )
    try:
        context = server_context(pair)
    except _EncryptedKeyError:
        raise ConfigError(
            f"{key}: the key is encrypted; nobody could enter its password at a restart, so "
            "store it without, as with: openssl pkey -in KEY -out PLAIN"
        ) from None
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"{certificate} and {key} are no certificate and its key as PEM "
            f"({_reason_of(error)}); write both anew"
        ) from None
    certificates = _certificates_in(pair.chain)
    if not certificates:
        raise ConfigError(
            f"{certificate}: has no block that begins with BEGIN CERTIFICATE; write it anew with: "
            "openssl x509 -in OLD -out NEW"
        )
    try:
        shown = _handshake(context, certificates[0])
    except ssl.SSLCertVerificationError as error:
        raise ConfigError(f"{certificate}: {_fault_of(error)}") from None
    except ssl.SSLError as error:
        raise ConfigError(
            f"{certificate}: no handshake succeeds ({_reason_of(error)}); have it issued again"
        ) from None
    begins = float(ssl.cert_time_to_seconds(str(shown["notBefore"])))
    expires = float(ssl.cert_time_to_seconds(str(shown["notAfter"])))
    return Tls(pair.chain, pair.key, None, begins, expires)


def read_authorities(path: Path, setting: str) -> bytes:
    """Return certificates of authorities as PEM, from the file that ``setting`` names.

    Raises:
        ConfigError: It cannot be read, others can write it, or it holds none.
    """
    data = read_trusted(path, setting)
    try:
        _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), data)
    except (ssl.SSLError, ValueError) as error:  # the second for none at all
        raise ConfigError(
            f"{path}, named by serve.{setting}, holds no certificates as PEM "
            f"({_reason_of(error)}); write it anew"
        ) from None
    return data


def server_context(tls: Tls) -> ssl.SSLContext:
    """Return a context for the server side of connections.

    Raises:
        SSLError: The bytes cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with ExitStack() as held:
        # The library reads files only; these have no name that others could use.
        chain, key = hold_bytes("chain", tls.chain), hold_bytes("key", tls.key)
        held.callback(chain.close)
        held.callback(key.close)
        context.load_cert_chain(chain.path, key.path, password=_no_password)
    if tls.client_ca is not None:
        _trust(context, tls.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class RenewableContext(ssl.SSLContext):
    """A context whose connections are those of another one, which may be replaced.

    A context in use takes a new chain, but lets go of no authority and of no session that
    a client may resume. So each new connection begins with the context of the moment.

    Attributes:
        current: That context.
    """

    current: ssl.SSLContext

    @classmethod
    def of(cls, tls: Tls) -> RenewableContext:
        """Return a context that begins with ``tls``."""
        made = cls(ssl.PROTOCOL_TLS_SERVER)
        made.renew(tls)
        return made

    def renew(self, tls: Tls) -> None:
        """Let new connections begin with ``tls``."""
        context = server_context(tls)
        context.set_alpn_protocols(["http/1.1"])
        self.current = context

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        """Begin a connection; what asyncio calls."""
        return self.current.wrap_bio(*arguments, **named)


class GrpcCertificates:
    """The same for gRPC: what its core asks at the beginning of every connection."""

    def __init__(self, tls: Tls) -> None:
        self._current = self._known = _configuration(tls)
        made: Any = grpc.dynamic_ssl_server_credentials(
            self._current, self._fetch, tls.client_ca is not None
        )
        # Made for grpcio's own server, which takes it apart in the same way.
        self.credentials = made._credentials  # noqa: SLF001 - the loop stands on what is below grpcio

    def renew(self, tls: Tls) -> None:
        """Let new connections begin with ``tls``."""
        self._current = _configuration(tls)

    def _fetch(self) -> Any:
        """Return what is new, ``None`` if nothing is."""
        current = self._current
        if current is self._known:
            return None
        self._known = current
        return current


def _configuration(tls: Tls) -> Any:
    return grpc.ssl_server_certificate_configuration([(tls.key, tls.chain)], tls.client_ca)


class _EncryptedKeyError(Exception):
    """A private key that needs a password."""


def _no_password() -> str:
    raise _EncryptedKeyError


def _trust(context: ssl.SSLContext, authorities: bytes) -> None:
    context.load_verify_locations(cadata="\n".join(_certificates_in(authorities)))


def _certificates_in(data: bytes) -> list[str]:
    # Files of authorities have comments around their certificates, in any encoding.
    return [found.decode("ascii") for found in _CERTIFICATE.findall(data)]


def _handshake(server: ssl.SSLContext, certificate: str) -> Mapping[str, Any]:
    """Return the certificate as a client sees it that trusts exactly this one."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(cadata=certificate)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(up, down, server_side=True)
    theirs = client.wrap_bio(down, up)
    # Client, server, client and, for TLS 1.3, server again.
    for side in (theirs, ours, theirs, ours):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    shown = theirs.getpeercert()
    assert shown is not None  # noqa: S101 - the handshake would have failed
    return shown


def _fault_of(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return "the certificate has expired; renew it"
    if error.verify_code == _NOT_YET:
        return "the certificate is not valid yet; check the clock"
    return f"no client would accept the certificate ({error.verify_message}); have it issued again"


def _reason_of(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(reason or error).replace("_", " ").lower()
