"""How the sidecar runs: ``[serve]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from espalier.addresses import UNIX, is_of_this_machine
from espalier.errors import ConfigError
from espalier.schema import (
    Between,
    Conflict,
    Each,
    EachName,
    Matches,
    OneOf,
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
        False,
        meaning="whether other machines may reach the admin address; "
        "needs admin_client_ca or admin_token_file",
    )
    tls_certificate: Path | None = setting(
        None, meaning="PEM file, chain included, of all TCP addresses; read anew when it changes"
    )
    tls_key: Path | None = setting(None, meaning="PEM file of its private key, not encrypted")
    tls_client_ca: Path | None = setting(
        None, meaning="PEM file: clients must have a certificate of one of these authorities"
    )
    admin_client_ca: Path | None = setting(
        None, meaning="the same for the admin address; that of the others where not set"
    )
    token_file: Path | None = setting(
        None, meaning="bearer tokens, one a line, of which every call needs one"
    )
    admin_token_file: Path | None = setting(
        None, meaning="the same for the admin address, which takes no others"
    )
    plain_tokens: bool = setting(
        False, meaning="whether tokens may cross a network without TLS of our own"
    )
    index_roots: tuple[str, ...] = setting(
        (),
        Each(r"/.*", "a list of whole paths of folders"),
        "folders that indexes may be loaded from; none: those of the indexes configured",
    )
    watch_seconds: float = setting(
        1.0,
        Between(0, 3_600, "seconds"),
        "between two looks at certificates, tokens and index paths that are links; 0: never",
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
    metrics: str | None = setting(
        None, ADDRESS, "address where Prometheus reads /metrics; /healthz and /readyz as well"
    )
    demo: bool = setting(
        False, meaning="a page to try it, at / of the HTTP front; not for the public"
    )
    demo_catalogue: Path | None = setting(
        None, meaning="products for that page to search (TSV), as written by demo-log"
    )
    demo_products: Path | None = setting(
        None, meaning="an index of them, whose answers the page shows beside"
    )
    otel: bool = setting(
        False, meaning="send traces and metrics by OTLP, as the OTEL_ variables say"
    )
    trace_share: float = setting(
        0.01, Between(0, 1, "of the calls"), "traced, unless OTEL_TRACES_SAMPLER says otherwise"
    )
    log_level: str = setting(
        "info", Matches(r"info|warning|error", "info, warning or error"), "least that is logged"
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
    events: str = setting(
        "off",
        OneOf(("off", "drop", "block", "durable")),
        "keep what users do, in files; a report is acknowledged when it is queued (drop), in a "
        "file (block) or on the disk (durable)",
    )
    events_dir: Path | None = setting(
        None, meaning="folder of the event files; events in the state folder where not set"
    )
    events_text: str = setting(
        "hash",
        OneOf(("full", "hash", "none")),
        "what event files keep of texts people typed; only full can be learned from",
    )
    events_application: str = setting(
        "type-ahead", Matches(r".{1,100}", "1 to 100 characters"), "what event files say made them"
    )
    events_file_mib: int = setting(
        64, Between(1, 65_536, "MiB"), "until an event file is finished and another begun"
    )
    events_file_seconds: int = setting(
        3_600, Between(1, 2_592_000, "seconds"), "after which it is finished in any case"
    )
    events_compress: bool = setting(False, meaning="compress finished event files with gzip")
    events_keep_days: float = setting(
        30.0, Between(0, 36_500, "days"), "until an event file is removed; 0: never"
    )
    events_keep_mib: int = setting(
        10_240,
        Between(0, 1_000_000_000, "MiB"),
        "of event files; the oldest are removed above that; 0: none are",
    )
    events_waiting: int = setting(
        10_000,
        Between(1_000, 10_000_000, "events"),
        "that may wait to be written in a worker, reported ones and others apart",
    )
    events_late_hours: float = setting(
        72.0, Between(0.01, 87_600, "hours"), "after which a reported event is left out"
    )
    events_skew_seconds: float = setting(
        300.0, Between(0, 86_400, "seconds"), "a reported event may be ahead of the clock here"
    )
    grace_seconds: float = setting(
        10.0, Between(0, 3_600, "seconds"), "calls may take to finish after SIGTERM", reloads=True
    )

    def __post_init__(self) -> None:
        """Check every value."""
        check_values(self, "serve")

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what is wrong with several values together."""
        yield from self._conflicts_of_tls()
        yield from self._conflicts_of_tokens()
        if self.demo and self.http is None:
            yield Conflict(
                ("demo", "http"), "serve.demo is a page of the HTTP front; set serve.http as well"
            )
        if self.demo and self.token_file is not None:
            yield Conflict(
                ("demo", "token_file"),
                "serve.demo is a page for everybody who reaches it, and has no token to show; "
                "leave out serve.token_file or serve.demo",
            )
        if self.demo_products is not None and self.demo_catalogue is None:
            yield Conflict(
                ("demo_products", "demo_catalogue"),
                "serve.demo_products is shown beside a search; name its products in "
                "serve.demo_catalogue",
            )
        if self.sessions == "shared" and self.state_dir is None:
            yield Conflict(
                ("sessions", "state_dir"),
                "serve.sessions is shared; name a folder for it in serve.state_dir",
            )
        if self.events != "off" and self.state_dir is None:
            for key, what in (("events_dir", "a folder"), ("session_key_file", "a secret")):
                if getattr(self, key) is None:
                    yield Conflict(
                        ("events", key, "state_dir"),
                        f"serve.events needs {what}; name a folder for both in serve.state_dir, "
                        "or set serve.events_dir and serve.session_key_file",
                    )
        if "://" in self.sessions and self.session_key_file is None:
            yield Conflict(
                ("sessions", "session_key_file"),
                "serve.sessions names a Redis server; name a file with a secret for the session "
                "ids in serve.session_key_file, as made by: head -c 32 /dev/urandom",
            )

    def _conflicts_of_tls(self) -> Iterator[Conflict]:
        if (self.tls_certificate is None) != (self.tls_key is None):
            lacks = "tls_key" if self.tls_key is None else "tls_certificate"
            yield Conflict(
                ("tls_certificate", "tls_key"),
                f"serve.{lacks} is not set; TLS needs a certificate and its key",
            )
        for key in ("tls_client_ca", "admin_client_ca"):
            if getattr(self, key) is not None and self.tls_certificate is None:
                yield Conflict(
                    (key, "tls_certificate"),
                    f"serve.{key} is about certificates of clients, which only TLS asks for; "
                    "set serve.tls_certificate and serve.tls_key",
                )
        if self.admin_client_ca is not None and (self.admin or "").startswith(UNIX):
            yield Conflict(
                ("admin_client_ca", "admin"),
                "serve.admin is a Unix socket, which has no TLS; leave serve.admin_client_ca out",
            )
        if (
            not self.admin_remote
            and self.admin
            and not is_of_this_machine(self.admin, look_up=False)
        ):
            yield Conflict(("admin", "admin_remote"), admin_reached_by_others(self.admin))
        if self.admin_remote and self.admin_client_ca is None and self.admin_token_file is None:
            yield Conflict(
                ("admin_remote", "admin_client_ca", "admin_token_file"),
                "serve.admin_remote lets other machines change what is suggested; say who may, "
                "with serve.admin_token_file or serve.admin_client_ca",
            )

    def _conflicts_of_tokens(self) -> Iterator[Conflict]:
        for key in self.tokens_in_plain(look_up=False):
            file = "admin_token_file" if key == "admin" else "token_file"
            yield Conflict((file, key, "tls_certificate", "plain_tokens"), _read_by_others(key))

    def refuse_plain_tokens(self) -> None:
        """Refuse addresses where tokens would cross a network as they are, names looked up.

        Raises:
            ConfigError: There is one.
        """
        for key in self.tokens_in_plain():
            raise ConfigError(_read_by_others(key))

    def tokens_in_plain(self, *, look_up: bool = True) -> Iterator[str]:
        """Yield the keys of addresses where tokens would cross a network as they are.

        Without ``look_up`` names of hosts are taken to be of this machine.
        """
        if self.tls_certificate is not None or self.plain_tokens:
            return
        roles = {
            "listen": self.token_file,
            "http": self.token_file,
            "metrics": self.token_file,
            "admin": self.admin_token_file,
        }
        for key, file in roles.items():
            address = getattr(self, key)
            if file is None or address is None:
                continue
            if not is_of_this_machine(address, look_up=look_up):
                yield key


def admin_reached_by_others(address: str) -> str:
    """Return what is wrong with an admin address of other machines that nobody meant."""
    return (
        f"serve.admin: {address} can be reached from other machines, and whoever reaches it can "
        "change what is suggested; use 127.0.0.1, a unix:PATH, or set serve.admin_remote, and "
        "serve.admin_token_file or serve.admin_client_ca"
    )


def _read_by_others(key: str) -> str:
    return (
        f"serve.{key} can be reached from other machines, and tokens would go there in plain; "
        "set serve.tls_certificate and serve.tls_key, or serve.plain_tokens where something "
        "else encrypts"
    )
