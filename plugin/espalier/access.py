"""How clients get in: whom they trust, and how they show who they are.

::

    from espalier.access import Access
    from espalier.client import Client

    access = Access(ca=Path("ca.pem"), token_file=Path("token"))
    with Client("completion.example:50051", access=access) as client:
        ...

A token stands in a file, never in a command line or an environment, which others can
read. The file may be the one of the service: the first token in it is sent. When a
token is refused the file is read anew, so a token can be exchanged while clients run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from espalier.addresses import UNIX, is_of_this_machine
from espalier.errors import InputError

ENVIRONMENT: Final = {
    "tls": "ESPALIER_TLS",
    "ca": "ESPALIER_CA",
    "certificate": "ESPALIER_CLIENT_CERTIFICATE",
    "key": "ESPALIER_CLIENT_KEY",
    "server_name": "ESPALIER_SERVER_NAME",
    "token_file": "ESPALIER_TOKEN_FILE",
    "plain_token": "ESPALIER_PLAIN_TOKEN",
}
"""The variable of every field of `Access`."""

_TRUE: Final = {"1", "true"}


@dataclass(frozen=True, slots=True)
class Access:
    """What a client needs besides an address. Nothing of it concerns Unix sockets but the token.

    Attributes:
        tls: Whether to ask for TLS; so do ``ca`` and ``certificate`` by themselves.
        ca: Authorities to trust, as PEM; those of the system where not given.
        certificate, key: What to show a service that asks for certificates, as PEM.
        server_name: Name that the certificate of the service must have; that of the address
            where not given.
        token_file: File with the token to send.
        plain_token: Whether to send it over a network without TLS of ours.
    """

    tls: bool = False
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""
    token_file: Path | None = None
    plain_token: bool = False

    def __post_init__(self) -> None:
        """Check what goes together."""
        if (self.certificate is None) != (self.key is None):
            raise InputError("a certificate and its key belong together; give both or none")

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Self:
        """Return what the variables of `ENVIRONMENT` say."""

        def path(name: str) -> Path | None:
            text = env.get(ENVIRONMENT[name], "")
            return Path(text) if text else None

        def flag(name: str) -> bool:
            return env.get(ENVIRONMENT[name], "").lower() in _TRUE

        return cls(
            tls=flag("tls"),
            ca=path("ca"),
            certificate=path("certificate"),
            key=path("key"),
            server_name=env.get(ENVIRONMENT["server_name"], ""),
            token_file=path("token_file"),
            plain_token=flag("plain_token"),
        )

    def secures(self, target: str) -> bool:
        """Return whether connections to ``target`` are TLS."""
        if target.startswith(UNIX):
            return False
        return self.tls or self.ca is not None or self.certificate is not None

    def token(self, target: str) -> Token | None:
        """Return the token to send to ``target``, ``None`` without one.

        Raises:
            InputError: The file cannot be used, or others could read the token on its way.
        """
        if self.token_file is None:
            return None
        if not (self.secures(target) or self.plain_token or _is_near(target)):
            raise InputError(
                f"{target} is on another machine, and the token would go there in plain; ask for "
                "TLS, or for a plain token where something else encrypts"
            )
        return Token(self.token_file)


class Token:
    """A token that calls carry.

    Attributes:
        metadata: How they do.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.metadata = self._read()

    def renewed(self) -> bool:
        """Read the file anew; return whether it has another token now."""
        before, self.metadata = self.metadata, self._read()
        return self.metadata != before

    def _read(self) -> tuple[tuple[str, str], ...]:
        lines = read(self._path).splitlines()
        tokens = [line.strip() for line in lines if not line.startswith(b"#") and line.strip()]
        if not tokens or not tokens[0].isascii():
            raise InputError(f"{self._path}: holds no token; write the one of the service there")
        return (("authorization", f"Bearer {tokens[0].decode('ascii')}"),)


def _is_near(target: str) -> bool:
    # dns:///HOST:PORT, ipv4:HOST:PORT and so on; what has a port needs no scheme.
    scheme, _, rest = target.partition(":")
    if scheme in {"dns", "ipv4", "ipv6"}:
        target = rest.rpartition("/")[2]
    if target.startswith(UNIX) or ":" in target:
        return is_of_this_machine(target)
    return is_of_this_machine(f"{target}:0")


def read(path: Path) -> bytes:
    """Return the bytes of a file that a client was told to use.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
