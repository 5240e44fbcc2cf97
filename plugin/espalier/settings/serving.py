"""How the sidecar runs: ``[serve]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from espalier.schema import (
    Between,
    Conflict,
    Each,
    EachName,
    Matches,
    Secretive,
    check_values,
    setting,
)
from espalier.settings.values import ADDRESS, NAME


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """How the sidecar runs: ``[serve]``."""

    index: Mapping[str, Path] = setting(
        dict,
        EachName(NAME),
        "what to serve, by name; the first is the default; names need a restart",
        reloads=True,
    )
    listen: str = setting("127.0.0.1:50051", ADDRESS, "address of the gRPC service")
    unix: Path | None = setting(
        None, meaning="Unix sockets as well: this path with .0 and so on, one a worker"
    )
    admin: str | None = setting(
        None,
        Matches(rf"unix:.+|{ADDRESS.pattern}", "HOST:PORT or unix:PATH"),
        "address where indexes and rules are changed",
    )
    admin_remote: bool = setting(
        False, meaning="whether other machines may reach the admin address"
    )
    index_roots: tuple[str, ...] = setting(
        (),
        Each(r"/.*", "a list of whole paths of folders"),
        "folders that indexes may be loaded from; none: those of the indexes configured",
    )
    watch_seconds: float = setting(
        1.0,
        Between(0, 3_600, "seconds"),
        "between two looks at index paths that are links; 0: never",
        reloads=True,
    )
    http: str | None = setting(None, ADDRESS, "address of the HTTP front; none where not set")
    http_origins: tuple[str, ...] = setting(
        (),
        Each(r"\*|https?://[^/\s*]+", "origins as https://shop.example, or * for all"),
        "of web pages that may ask the HTTP front",
    )
    http_max_age_seconds: int = setting(
        30,
        Between(0, 86_400, "seconds"),
        "a browser may keep completions without a session; so long may a blocked query show",
    )
    http_access_log: bool = setting(
        False, meaning="log every HTTP request: route, status and time, never what was asked"
    )
    workers: int = setting(
        0, Between(0, 256, "processes"), "that answer calls; 0: one for each processor"
    )
    threads: int = setting(
        1,
        Between(1, 256, "threads"),
        "of each worker; more only where sessions are kept by another process",
    )
    max_waiting: int = setting(
        256, Between(1, 100_000, "calls"), "waiting in a worker; further ones are turned away"
    )
    max_open: int = setting(
        4_096, Between(1, 1_000_000, "calls"), "of every kind in a worker; further ones are unread"
    )
    connection_age_seconds: int = setting(
        1_800, Between(1, 604_800, "seconds"), "until a client has to connect anew"
    )
    keepalive_seconds: int = setting(
        60, Between(1, 7_200, "seconds"), "of silence until a client is asked if it is there"
    )
    state_dir: Path | None = setting(None, meaning="folder for what survives a restart")
    sessions: str = setting(
        "auto",
        Secretive(
            r"auto|memory|shared|(rediss?|unix)://\S+",
            "auto, memory, shared, or a URL: redis://HOST:PORT/NUMBER, rediss:// or unix://",
        ),
        "where sessions are; auto: shared with a state folder, else memory",
    )
    session_key_file: Path | None = setting(
        None, meaning="secret that session ids are hashed with, where hosts share sessions"
    )
    session_budget_ms: float = setting(
        2.0, Between(0.1, 1_000, "ms"), "that a call to Redis may take in all"
    )
    session_ttl_seconds: int = setting(
        1_800, Between(1, 604_800, "seconds"), "without a query until a session is forgotten"
    )
    session_queries: int = setting(5, Between(1, 32, "queries"), "remembered per session")
    max_sessions: int = setting(
        1_000_000, Between(1, 100_000_000, "sessions"), "remembered; the oldest goes first"
    )
    grace_seconds: float = setting(
        10.0, Between(0, 3_600, "seconds"), "calls may take to finish after SIGTERM", reloads=True
    )

    def __post_init__(self) -> None:
        """Check every value."""
        check_values(self, "serve")

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what is wrong with several values together."""
        if self.sessions == "shared" and self.state_dir is None:
            yield Conflict(
                ("sessions", "state_dir"),
                "serve.sessions is shared; name a folder for it in serve.state_dir",
            )
        if "://" in self.sessions and self.session_key_file is None:
            yield Conflict(
                ("sessions", "session_key_file"),
                "serve.sessions names a Redis server; name a file with a secret for the session "
                "ids in serve.session_key_file, as made by: head -c 32 /dev/urandom",
            )
