"""What a listener shows and asks for, and where an operator keeps it.

The supervisor reads the files and tells every worker what is in them, so all of them
always go by the same, a worker that starts while a file is half written begins with
what the others have, and no worker ever holds a token.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from espalier.serve.tls import Tls, read_authorities, read_pair
from espalier.serve.tokens import Tokens
from espalier.settings import ServeSettings

CERTIFICATES: Final = "certificates"
TOKENS: Final = "tokens"
ADMIN_TOKENS: Final = "admin_tokens"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one kind of listener.

    Attributes:
        tls: ``None`` for plain TCP.
        tokens: ``None`` where calls need none.
    """

    tls: Tls | None = None
    tokens: Tokens | None = None

    def as_message(self) -> dict[str, Any]:
        """Return what `of` understands."""
        return {
            "tls": None if self.tls is None else self.tls.as_message(),
            "tokens": None if self.tokens is None else self.tokens.as_message(),
        }

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Credentials:
        """Return the credentials in a message."""
        tls, tokens = message["tls"], message["tokens"]
        return cls(
            None if tls is None else Tls.of(tls),
            None if tokens is None else Tokens.of(tokens),
        )


NO_CREDENTIALS: Final = Credentials()
"""Plain TCP, and calls from anybody."""


@dataclass(frozen=True, slots=True)
class Held:
    """Of both kinds of listener, as the supervisor holds them."""

    serve: Credentials = NO_CREDENTIALS
    admin: Credentials = NO_CREDENTIALS


def files_of(settings: ServeSettings) -> dict[str, tuple[Path, ...]]:
    """Return the files of credentials that settings name, by part: what is read together."""
    named = {
        CERTIFICATES: (
            settings.tls_certificate,
            settings.tls_key,
            settings.tls_client_ca,
            settings.admin_client_ca,
        ),
        TOKENS: (settings.token_file,),
        ADMIN_TOKENS: (settings.admin_token_file,),
    }
    found = {
        part: tuple(path for path in paths if path is not None) for part, paths in named.items()
    }
    return {part: paths for part, paths in found.items() if paths}


def with_read(held: Held, part: str, settings: ServeSettings) -> Held:
    """Return ``held`` with a part of it read anew.

    Raises:
        ConfigError: One of its files cannot be used.
    """
    if part == CERTIFICATES:
        return _with_certificates(held, settings)
    name = "token_file" if part == TOKENS else "admin_token_file"
    tokens = Tokens.read(getattr(settings, name), name)
    if part == TOKENS:
        return dataclasses.replace(held, serve=dataclasses.replace(held.serve, tokens=tokens))
    return dataclasses.replace(held, admin=dataclasses.replace(held.admin, tokens=tokens))


def _with_certificates(held: Held, settings: ServeSettings) -> Held:
    assert settings.tls_certificate is not None  # noqa: S101 - the settings refuse it otherwise
    assert settings.tls_key is not None  # noqa: S101 - the same
    pair = read_pair(settings.tls_certificate, settings.tls_key)
    ours = theirs = None
    if settings.tls_client_ca is not None:
        ours = theirs = read_authorities(settings.tls_client_ca, "tls_client_ca")
    if settings.admin_client_ca is not None:
        theirs = read_authorities(settings.admin_client_ca, "admin_client_ca")
    return Held(
        dataclasses.replace(held.serve, tls=dataclasses.replace(pair, client_ca=ours)),
        dataclasses.replace(held.admin, tls=dataclasses.replace(pair, client_ca=theirs)),
    )
