"""Which store a configuration asks for."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from espalier.errors import ConfigError
from espalier.sessions.base import SessionStore
from espalier.sessions.memory import MemorySessionStore
from espalier.sessions.shared import Notice, SharedSessionStore
from espalier.settings import ServeSettings

FILE_NAME = "sessions.est"
_LEAST_KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Opened:
    """A store, and what an operator should know about how it was opened."""

    store: SessionStore
    notices: tuple[Notice, ...] = ()


def open_sessions(settings: ServeSettings, *, shared_path: Path | None = None) -> Opened:
    """Open the store that ``serve.sessions`` names; ``auto`` depends on ``serve.state_dir``.

    Args:
        settings: What was configured.
        shared_path: ``SharedSessionStore.shared_path`` of a process that outlives this
            one, in place of the file in the state folder.

    Raises:
        ConfigError: The key file cannot be used, or redis-py is not installed.
    """
    kind = settings.sessions
    if kind == "auto":
        kind = "memory" if settings.state_dir is None else "shared"
    if kind == "memory":
        return Opened(
            MemorySessionStore(
                ttl_seconds=settings.session_ttl_seconds,
                max_queries=settings.session_queries,
                max_sessions=settings.max_sessions,
            )
        )
    if kind == "shared":
        assert settings.state_dir is not None  # noqa: S101 - the settings refuse it otherwise
        shared = SharedSessionStore(
            shared_path or settings.state_dir / FILE_NAME,
            ttl_seconds=settings.session_ttl_seconds,
            max_queries=settings.session_queries,
            max_sessions=settings.max_sessions,
        )
        return Opened(shared, tuple(shared.notices))
    return Opened(_open_redis(settings, kind))


def _open_redis(settings: ServeSettings, url: str) -> SessionStore:
    try:
        from espalier.sessions.redis import RedisSessionStore  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if error.name != "redis":
            raise
        raise ConfigError(
            "serve.sessions names a Redis server, which needs redis-py; "
            "install espalier with the extra [redis]"
        ) from None
    assert settings.session_key_file is not None  # noqa: S101 - the settings refuse it otherwise
    key = key_from(settings.session_key_file)
    try:
        return RedisSessionStore(
            url,
            key=key,
            ttl_seconds=settings.session_ttl_seconds,
            max_queries=settings.session_queries,
            budget_seconds=settings.session_budget_ms / 1_000,
            connections=settings.threads,
        )
    except ValueError:
        # The text of the error would hold the URL, and with it a password.
        raise ConfigError(
            "serve.sessions is no URL of a Redis server; write redis://HOST:PORT/NUMBER, "
            "rediss:// with TLS or unix:///PATH"
        ) from None


def key_from(path: Path) -> bytes:
    """Return the key that the secret in a file stands for.

    Raises:
        ConfigError: It cannot be read, or is no secret.
    """
    try:
        secret = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); serve.session_key_file holds the secret "
            "of the session ids, the same on all hosts"
        ) from None
    if len(secret) < _LEAST_KEY_BYTES:
        raise ConfigError(
            f"{path}: {len(secret)} bytes are no secret; write at least {_LEAST_KEY_BYTES} random "
            "ones, as with: head -c 32 /dev/urandom"
        )
    return blake2b(secret, digest_size=32).digest()
