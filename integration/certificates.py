"""Certificate authorities of a moment, and certificates good and bad."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HERE = ("localhost", "127.0.0.1")
DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path

    def replace_with(self, other: Pair) -> None:
        """Become ``other``, first the certificate and then the key."""
        for mine, theirs in ((self.certificate, other.certificate), (self.key, other.key)):
            new = mine.with_name(f"{mine.name}.new")
            new.write_bytes(theirs.read_bytes())
            new.chmod(0o600)
            new.replace(mine)


class Authority:
    """Signs certificates; its own is in a file.

    Attributes:
        path: That file.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Write ``NAME.pem`` to a folder, and everything that is issued later beside it."""
        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = _named(f"{name} authority")
        certificate = (
            _began(self._subject, self._subject, self._key.public_key(), -DAY, 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, SHA256())
        )
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(certificate.public_bytes(Encoding.PEM))

    @classmethod
    def in_folder(cls, folder: Path, name: str) -> Self:
        """Return an authority with a folder of its own in ``folder``."""
        (folder / name).mkdir()
        return cls(folder / name, name)

    def issue(
        self,
        name: str,
        *,
        hosts: Sequence[str] = HERE,
        begins: dt.timedelta = -DAY,
        ends: dt.timedelta = 30 * DAY,
        for_clients: bool = False,
        self_signed: bool = False,
        password: bytes | None = None,
    ) -> Pair:
        """Write a certificate and its key; valid between two times from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(name)
        purpose = (
            ExtendedKeyUsageOID.CLIENT_AUTH if for_clients else ExtendedKeyUsageOID.SERVER_AUTH
        )
        certificate = (
            _began(
                subject, subject if self_signed else self._subject, key.public_key(), begins, ends
            )
            .add_extension(
                x509.SubjectAlternativeName([_general(host) for host in hosts]), critical=False
            )
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .sign(key if self_signed else self._key, SHA256())
        )
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        pair.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        pair.key.write_bytes(
            key.private_bytes(
                Encoding.PEM,
                PrivateFormat.PKCS8,
                NoEncryption() if password is None else BestAvailableEncryption(password),
            )
        )
        pair.key.chmod(0o600)
        return pair


def token_file(path: Path, *tokens: str) -> Path:
    """Write tokens, one a line, as a service wants them kept; return where."""
    new = path.with_name(f"{path.name}.new")
    new.write_text("".join(f"{token}\n" for token in tokens), encoding="ascii")
    new.chmod(0o600)
    return new.replace(path)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _began(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begins: dt.timedelta,
    ends: dt.timedelta,
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
    )
