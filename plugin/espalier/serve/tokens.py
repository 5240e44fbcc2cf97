"""Bearer tokens: who calls must know one of them.

A file has one token a line, so that a new one can be added before the old one goes;
empty lines and lines that begin with ``#`` do not count. What is kept of a token is its
SHA-256, and every comparison looks at every token to its end, so that the time it takes
says nothing of how much of a token was right.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from google.rpc.status_pb2 import Status

from espalier.errors import ConfigError
from espalier.serve.errors import UnauthenticatedError, status_of
from espalier.serve.secret_files import read_secret

LEAST_CHARACTERS: Final = 32
"""Of a token: 128 bits as hexadecimal digits."""
HEADER: Final = "authorization"
"""Where a token stands, in gRPC metadata as in HTTP."""

_SCHEME: Final = b"bearer "
# What RFC 6750 lets a token be made of.
_TOKEN: Final = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
_MAKE_ONE: Final = "make one with: openssl rand -hex 32"

_MISSING: Final = status_of(
    UnauthenticatedError(
        "the call has no token; send one as authorization: Bearer TOKEN",
        token="missing",  # noqa: S106 - that there is none
    )
)
_UNKNOWN: Final = status_of(
    UnauthenticatedError(
        "the token of the call is none that is valid here",
        token="unknown",  # noqa: S106 - what is wrong with it
    )
)


class _Metadatum(NamedTuple):
    """One entry of the metadata of a call, as grpcio's core hands it over."""

    key: str
    value: str | bytes


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens that are valid.

    Attributes:
        digests: SHA-256 of each.
    """

    digests: tuple[bytes, ...]

    @classmethod
    def read(cls, path: Path, setting: str) -> Tokens:
        """Return the tokens in a file, which ``setting`` names.

        Raises:
            ConfigError: It cannot be read, others can read it, or it holds no usable tokens.
        """
        digests = []
        for number, line in enumerate(read_secret(path, setting).splitlines(), start=1):
            token = line.strip()
            if not token or token.startswith(b"#"):
                continue
            if _TOKEN.fullmatch(token) is None:
                raise ConfigError(
                    f"{path}: line {number} is no token, which has letters, digits and "
                    f"-._~+/ only; {_MAKE_ONE}"
                )
            if len(token) < LEAST_CHARACTERS:
                raise ConfigError(
                    f"{path}: the token in line {number} has {len(token)} characters, fewer "
                    f"than {LEAST_CHARACTERS}; {_MAKE_ONE}"
                )
            digests.append(sha256(token).digest())
        if not digests:
            raise ConfigError(f"{path}: holds no token, so nobody could call; {_MAKE_ONE}")
        return cls(tuple(digests))

    def refusal(self, header: bytes | None) -> Status | None:
        """Return why a call with this header is refused, ``None`` if it is not."""
        if header is None or header[: len(_SCHEME)].lower() != _SCHEME:
            return _MISSING
        token = header[len(_SCHEME) :].strip()
        if not token:
            return _MISSING
        given, found = sha256(token).digest(), False
        for digest in self.digests:
            found |= hmac.compare_digest(digest, given)
        return None if found else _UNKNOWN

    def as_message(self) -> Sequence[str]:
        """Return what `of` understands."""
        return [digest.hex() for digest in self.digests]

    @classmethod
    def of(cls, message: Iterable[str]) -> Tokens:
        """Return the tokens in a message."""
        return cls(tuple(map(bytes.fromhex, message)))


class Guard:
    """Asks calls for a token; which are valid may change at any time.

    Attributes:
        tokens: Those that are; replaced as a whole.
    """

    __slots__ = ("tokens",)

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    def refusal(self, metadata: Iterable[_Metadatum]) -> Status | None:
        """Return why a gRPC call is refused, ``None`` if it is not."""
        for key, value in metadata:
            if key == HEADER:
                header = value if isinstance(value, bytes) else value.encode()
                return self.tokens.refusal(header)
        return _MISSING
