"""Every setting of the commands: its name, type, default and allowed range.

One TOML file holds the tables ``[train]`` (with ``[train.log]``), ``[retrieval]``,
``[serve]`` and ``[experiments]``. A value is looked for in this order, the first one wins:

    a flag of its own    --listen and the like
    --set key=value      keys of the command's own table, ``log.user_column`` for a nested one
    environment          ESPALIER_TRAIN_MIN_USERS=1, ESPALIER_TRAIN_LOG_USER_COLUMN=who
    the TOML file        relative paths in it start from the file's folder
    the default          below

A key nobody knows is refused, with the nearest known one named: a misspelled
setting that is silently ignored is found months later. Every value is checked
where it is stored, so settings built in code obey the same ranges.

How a file is checked as a whole, and what holds in the end is shown: ``config``.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, overload

from espalier.errors import ConfigError
from espalier.gather import (
    Gathered,
    Source,
    entries_of,
    from_environment,
    parse_assignments,
    read_document,
    table_problems,
)
from espalier.schema import (
    Between,
    Conflict,
    Each,
    EachName,
    EachPattern,
    Matches,
    OneOf,
    Secretive,
    check_values,
    setting,
)
from espalier.text import normalise

__all__ = [
    "CLASSES",
    "INDEX_NAME",
    "POST_PROCESSORS",
    "TABLES",
    "Loaded",
    "LogSettings",
    "RetrievalSettings",
    "ServeSettings",
    "Settings",
    "TrainSettings",
    "as_json",
    "load",
    "load_settings",
    "parse_assignments",
]

TABLES: Final = ("train", "retrieval", "serve", "experiments")


_NAME: Final = Matches(
    r"[A-Za-z][A-Za-z0-9._+-]*", "a name of letters, digits, '.', '_', '+' and '-'"
)
INDEX_NAME: Final = _NAME
"""What an index that is served may be called."""
_ADDRESS: Final = Matches(
    r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]+):\d{1,5}", "HOST:PORT, as in 127.0.0.1:50051"
)
_COLUMN: Final = Matches(r"(?s).+", "a column name that is not empty")


_MOST_ATTRIBUTES: Final = 16


def _attribute(entry: str) -> tuple[str, str]:
    name, _, column = entry.partition("=")
    return normalise(name), column or name


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How a query log is read: ``[train.log]``.

    The columns ``user``, ``session`` and ``time`` are used where the log has them;
    any other name given here must exist. ``None`` (an empty string in TOML) means
    that the log has no such column, whatever its header says.
    """

    format: str = setting(
        "auto", OneOf(("auto", "tsv", "csv", "jsonl", "parquet", "ubi")), "layout of the files"
    )
    delimiter: str | None = setting(
        None, OneOf((",", ";", "|")), "between the fields of CSV; a comma where not set"
    )
    query_column: str = setting("query", _COLUMN, "text that was submitted")
    user_column: str | None = setting("user", _COLUMN, "who typed it")
    session_column: str | None = setting("session", _COLUMN, "which session it belongs to")
    time_column: str | None = setting("time", _COLUMN, "when it was submitted")
    results_column: str | None = setting(None, _COLUMN, "number of results found")
    attributes: tuple[str, ...] = setting(
        (),
        Each(
            r"[^\s:=]{1,64}(=(?s:.+))?",
            "a list of columns, as NAME or NAME=COLUMN; a name has no space, ':' or '='",
        ),
        "columns suggestions can be filtered by: locale, category, brand",
    )
    session_gap_minutes: int = setting(
        30, Between(1, 10_080, "minutes"), "a longer pause starts a new session"
    )
    max_query_chars: int = setting(
        200, Between(1, 1_000, "characters"), "longer queries are dropped"
    )
    drop_pii: bool = setting(
        True, meaning="drop queries with e-mail addresses, phone, card or other long numbers"
    )
    pii_patterns: tuple[str, ...] = setting(
        (), EachPattern(), "regular expressions (RE2) of further queries to drop"
    )
    blocklist: Path | None = setting(None, meaning="file of queries to drop, one a line")
    blocked_words: Path | None = setting(
        None, meaning="file of words; queries with one are dropped"
    )
    blocked_patterns: Path | None = setting(
        None, meaning="file of regular expressions (RE2); queries that match one are dropped"
    )

    def __post_init__(self) -> None:
        """Check every value."""
        check_values(self, "train.log")

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what is wrong with several values together."""
        names = [_attribute(entry)[0] for entry in self.attributes]
        if len(set(names)) < len(names) or len(names) > _MOST_ATTRIBUTES:
            yield Conflict(
                ("attributes",),
                f"train.log.attributes has {len(names)} names, {len(set(names))} of them "
                f"different; give at most {_MOST_ATTRIBUTES}, each once",
            )

    @property
    def attribute_columns(self) -> dict[str, str]:
        """Name and column of each attribute."""
        return dict(map(_attribute, self.attributes))


POST_PROCESSORS: Final = (
    "noop", "sigmoid", "log-sigmoid", "l1-hinge", "l2-hinge", "l3-hinge",
    "log-l1-hinge", "log-l2-hinge", "log-l3-hinge",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How an index is trained: ``[train]``."""

    log: LogSettings = field(default_factory=LogSettings)
    min_users: int = setting(
        3, Between(1, 1_000_000, "users"), "distinct users behind every query and word kept"
    )
    attribute_share: float = setting(
        0.01,
        Between(0, 1),
        "of a query's users who must have typed it with an attribute value for it to have that",
    )
    empty_results: bool = setting(False, meaning="keep queries that found nothing")
    indexer: str = setting("hybrid", _NAME, "kmeans, trie, hybrid, must-link or an entry point")
    ranker: str = setting("linear", _NAME, "linear, envelope or an entry point")
    depth: int = setting(
        0, Between(0, 64, "characters"), "0: 3 for hybrid, 16 for trie, 5 for must-link"
    )
    arity: int = setting(2, Between(2, 256, "children"), "groups a cluster is split into")
    max_leaf: int = setting(50, Between(1, 65_536, "labels"), "labels in one leaf cluster")
    kmeans_iterations: int = setting(20, Between(1, 1_000), "rounds of one bisection, at most")
    label_features: str = setting(
        "label-text", OneOf(("pifa", "label-text")), "vectors the labels are clustered by"
    )
    prefix_features: str = setting(
        "position-weighted",
        OneOf(("none", "char-tfidf", "position-weighted")),
        "features of the typed prefix",
    )
    matcher: str = setting(
        "constrained", OneOf(("constrained", "unconstrained")), "beam search at query time"
    )
    negatives: str = setting(
        "tfn", _NAME, "tfn, man, tfn+man or an entry point: rows a node is trained on"
    )
    beam: int = setting(10, Between(1, 100, "nodes"), "kept per level")
    pool: int = setting(100, Between(1, 2_048, "labels"), "the model hands to the blend")
    cp: float = setting(0.5, Between(0, 1e6, above_low=True), "cost of a positive row")
    cn: float = setting(0.5, Between(0, 1e6, above_low=True), "cost of a negative row")
    epsilon: float = setting(0.1, Between(0, 10, above_low=True), "where the solver stops")
    max_iterations: int = setting(100, Between(1, 100_000), "solver passes over the rows")
    bias: float = setting(1.0, Between(0, 1e3), "value of the constant feature; 0: none")
    threshold: float = setting(0.15, Between(0, 1e3), "smaller weights are dropped")
    max_nonzeros: int = setting(0, Between(0, 2**31 - 1), "weights kept per label; 0: all")
    weight_bits: int = setting(16, OneOf((16, 32)), "bits of a stored weight")
    post_processor: str = setting("l3-hinge", OneOf(POST_PROCESSORS), "turns a margin into a score")
    prefixes_per_pair: int = setting(1, Between(1, 100), "training prefixes per event")
    context_queries: int = setting(5, Between(0, 32, "queries"), "previous queries used")
    context_decay: float = setting(
        0.7, Between(0, 1, above_low=True), "weight of a previous query against the one after it"
    )
    context_cut: float = setting(
        0.2, Between(0, 1), "share of the training rows whose session is cut at a random place"
    )
    include_first: bool = setting(True, meaning="learn from the first query of a session, too")
    blend_model: float = setting(1.0, Between(0, 1e3), "weight of the model's log score")
    blend_popularity: float = setting(1.6, Between(0, 1e3), "weight of the log popularity")
    blender: str = setting(
        "trees", _NAME, "trees, linear, fixed or an entry point: scores the candidates"
    )
    blend_share: float = setting(
        0.1, Between(0, 0.5), "of the users, left out of the index that teaches the blender"
    )
    blend_questions: int = setting(
        30_000, Between(100, 10_000_000), "the blender is taught with, at most"
    )
    blend_trees: int = setting(150, Between(1, 1_000), "trees of the blender, at most")
    blend_leaves: int = setting(16, Between(2, 32), "leaves of each")
    blend_learning_rate: float = setting(
        0.12, Between(0, 1, above_low=True), "share of each tree's answer that is kept"
    )
    tails: bool = setting(True, meaning="generate queries that nobody has typed")
    tail_context: float = setting(
        0.4, Between(0, 0.95), "share of the session's words in a generated step"
    )
    tail_follow: float = setting(
        0.5, Between(0, 1), "of that, the share of copying on from a previous query"
    )
    tail_related: float = setting(
        0.2, Between(0, 0.95), "share of words related to the session's in a generated step"
    )
    # Nothing left out takes 41 bytes a label (min_users 1, 262,000 labels). With 24 bytes
    # MRR@10 is what it was, with 8 it is 0.6 % lower, with 4 it is 1.6 %. The default leaves
    # nothing out below some six million labels.
    words_mib: float = setting(
        256.0, Between(0, 65_536, "MiB"), "for words and what follows what, at most; 0: no limit"
    )
    context_half_life_minutes: float = setting(
        30, Between(0, 1e6, "minutes"), "after which a previous query counts half; 0: never"
    )
    tail_decay: float = setting(
        0.6, Between(0, 1, above_low=True), "weight of a previous query in it against the one after"
    )
    popularity_half_life_days: float = setting(
        0.0, Between(0, 36_500, "days"), "after which a use counts half; 0: uses never fade"
    )
    holdout: float = setting(
        0.02, Between(0, 0.5), "share of the users kept out of training, to report on"
    )
    must_beat_margin: float = setting(
        0.01, Between(0, 1), "share of the old MRR@10 a new index may lose and still be published"
    )
    seed: int = setting(1, Between(0, 2**63 - 1), "of every random choice")
    threads: int = setting(0, Between(0, 1_024), "0: one per processor; never changes a byte")

    def __post_init__(self) -> None:
        """Check every value."""
        check_values(self, "train")

    @property
    def thread_count(self) -> int:
        """Threads to use: ``threads``, or one for each processor this process may use."""
        return self.threads or len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """How an index of products is trained: ``[retrieval]``."""

    stemmer: str = setting("english", _NAME, "a language of Snowball, or none: makes words")
    word_ngrams: int = setting(2, Between(1, 3, "words"), "of the longest phrase")
    char_ngrams: int = setting(3, OneOf((0, 3, 4, 5)), "characters of an n-gram; 0: none")
    phrase_weight: float = setting(0.2, Between(0, 10), "of phrases, against words")
    char_weight: float = setting(0.2, Between(0, 10), "of character n-grams, against words")
    text_weight: float = setting(0.3, Between(0, 10), "of more text, against the title")
    k1: float = setting(0.5, Between(0, 10), "BM25: where repeating a word stops to count")
    b: float = setting(0.5, Between(0, 1), "BM25: how much a long title is held against it")
    relevant: float = setting(2.33, Between(0, 1e6), "lowest grade of a pair that counts")
    pair_weight: float = setting(0.5, Between(0, 10), "of a paired query, against a title")
    indexer: str = setting("kmeans", _NAME, "kmeans or an entry point")
    ranker: str = setting("envelope", _NAME, "envelope, linear or an entry point")
    negatives: str = setting("tfn", _NAME, "tfn or an entry point: rows a node is trained on")
    arity: int = setting(32, Between(2, 256, "children"), "groups a cluster is split into")
    max_leaf: int = setting(64, Between(1, 65_536, "products"), "products in one leaf cluster")
    kmeans_iterations: int = setting(20, Between(1, 1_000), "rounds of one bisection, at most")
    beam: int = setting(80, Between(1, 100, "nodes"), "kept per level")
    pool: int = setting(300, Between(1, 1_000, "products"), "the tree hands to the scorer")
    threshold: float = setting(0.0, Between(0, 1e3), "smaller weights are dropped")
    max_nonzeros: int = setting(
        0, Between(0, 2**31 - 1), "weights kept for each title and paired query below; 0: all"
    )
    weight_bits: int = setting(16, OneOf((16, 32)), "bits of a stored weight")
    blender: str = setting("trees", OneOf(("trees", "linear", "none")), "orders the candidates")
    blend_pairs: bool = setting(
        False, meaning="the blender may look at how many queries a product was paired with"
    )
    blend_folds: int = setting(
        5, Between(2, 100), "parts of the queries, each asked of an index without it"
    )
    blend_trees: int = setting(200, Between(1, 1_000), "trees of the blender")
    blend_leaves: int = setting(31, Between(2, 32), "leaves of each")
    blend_learning_rate: float = setting(
        0.05, Between(0, 1, above_low=True), "share of each tree's answer that is kept"
    )
    seed: int = setting(1, Between(0, 2**63 - 1), "of every random choice")
    threads: int = setting(0, Between(0, 1_024), "0: one per processor; never changes a byte")

    def __post_init__(self) -> None:
        """Check every value."""
        check_values(self, "retrieval")

    def stages(self) -> TrainSettings:
        """Return what the stages of training are to know."""
        return TrainSettings(
            indexer=self.indexer,
            ranker=self.ranker,
            negatives=self.negatives,
            arity=self.arity,
            max_leaf=self.max_leaf,
            kmeans_iterations=self.kmeans_iterations,
            beam=self.beam,
            threshold=self.threshold,
            max_nonzeros=self.max_nonzeros,
            weight_bits=self.weight_bits,
            # The envelope adds weights up; what is learned is a margin.
            post_processor="noop" if self.ranker == "envelope" else "l3-hinge",
            cp=1.0,
            cn=1.0,
            min_users=1,
            seed=self.seed,
            threads=self.threads,
        )


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """How the sidecar runs: ``[serve]``."""

    index: Mapping[str, Path] = setting(
        dict,
        EachName(_NAME),
        "what to serve, by name; the first is the default; names need a restart",
        reloads=True,
    )
    listen: str = setting("127.0.0.1:50051", _ADDRESS, "address of the gRPC service")
    unix: Path | None = setting(
        None, meaning="Unix sockets as well: this path with .0 and so on, one a worker"
    )
    admin: str | None = setting(
        None,
        Matches(rf"unix:.+|{_ADDRESS.pattern}", "HOST:PORT or unix:PATH"),
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
    http: str | None = setting(None, _ADDRESS, "address of the HTTP front; none where not set")
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


Settings: TypeAlias = TrainSettings | RetrievalSettings | ServeSettings


CLASSES: Final[Mapping[str, type[TrainSettings | RetrievalSettings | ServeSettings]]] = {
    "train": TrainSettings,
    "retrieval": RetrievalSettings,
    "serve": ServeSettings,
}
"""What may stand in each table; in ``[experiments]`` nothing may yet."""


_S = TypeVar("_S", bound=Settings)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[_S]):
    """Settings, and where each value that is no default came from, by dotted key."""

    settings: _S
    origins: Mapping[str, str]


@overload
def load_settings(
    path: Path | None,
    table: Literal["train"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> TrainSettings: ...
@overload
def load_settings(
    path: Path | None,
    table: Literal["retrieval"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> RetrievalSettings: ...
@overload
def load_settings(
    path: Path | None,
    table: Literal["serve"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> ServeSettings: ...
def load_settings(
    path: Path | None,
    table: Literal["train", "retrieval", "serve"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings of one table.

    Args:
        path: TOML file, or None for defaults.
        table: ``"train"``, ``"retrieval"`` or ``"serve"``.
        overrides: What ``--set`` gave, dotted key to text.
        env: Environment variables, ``os.environ`` when None.

    Raises:
        ConfigError: An unknown key or table, a value of the wrong type or outside
            its range, a file that is missing, not UTF-8 or not TOML.
    """
    return load(path, table, overrides, env).settings


@overload
def load(
    path: Path | None,
    table: Literal["train"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, str | Mapping[str, Path]] | None = None,
) -> Loaded[TrainSettings]: ...
@overload
def load(
    path: Path | None,
    table: Literal["retrieval"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, str | Mapping[str, Path]] | None = None,
) -> Loaded[RetrievalSettings]: ...
@overload
def load(
    path: Path | None,
    table: Literal["serve"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, str | Mapping[str, Path]] | None = None,
) -> Loaded[ServeSettings]: ...
def load(
    path: Path | None,
    table: Literal["train", "retrieval", "serve"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, str | Mapping[str, Path]] | None = None,
) -> Loaded[Any]:
    """Return the settings of one table and where they came from.

    As `load_settings`; ``flags`` are the values of flags of their own, by the setting they
    name, and win over everything.
    """
    settings = CLASSES[table]
    gathered = Gathered(settings)
    if path is not None:
        document = read_document(path)
        for problem in table_problems(path, document, TABLES, CLASSES).values():
            raise ConfigError(problem)
        source = Source(f"{path}, [{table}]", path.parent, is_text=False)
        for key, value in entries_of(settings, document.get(table, {})):
            gathered.put(key, value, source)
    environment = from_environment(os.environ if env is None else env, table, settings)
    for key, (variable, text) in environment.items():
        gathered.put(key, text, Source(f"environment, {variable}"))
    for key, text in (overrides or {}).items():
        gathered.put(key, text, Source("--set"))
    for key, given in (flags or {}).items():
        gathered.put(key, given, Source("--" + key.replace("_", "-")))
    return Loaded(gathered.build(), gathered.origins)


def as_json(settings: Settings | LogSettings) -> dict[str, object]:
    """Return the settings as a dictionary that ``json`` can write; paths become text."""

    def plain(value: object) -> object:
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, tuple):
            return list(value)
        return value

    return {
        item.name: as_json(value)
        if isinstance(value := getattr(settings, item.name), LogSettings)
        else plain(value)
        for item in dataclasses.fields(settings)
    }
