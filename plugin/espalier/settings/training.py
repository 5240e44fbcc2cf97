"""How logs are read and indexes trained: ``[train]`` and ``[train.log]``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from espalier.schema import (
    Between,
    Conflict,
    EachPattern,
    OneOf,
    check_values,
    setting,
)
from espalier.settings.values import (
    ATTRIBUTES,
    COLUMN,
    NAME,
    attribute_columns,
    attribute_conflicts,
)


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
    query_column: str = setting("query", COLUMN, "text that was submitted")
    user_column: str | None = setting("user", COLUMN, "who typed it")
    session_column: str | None = setting("session", COLUMN, "which session it belongs to")
    time_column: str | None = setting("time", COLUMN, "when it was submitted")
    results_column: str | None = setting(None, COLUMN, "number of results found")
    attributes: tuple[str, ...] = setting(
        (),
        ATTRIBUTES,
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
        yield from attribute_conflicts("train.log.attributes", self.attributes)

    @property
    def attribute_columns(self) -> dict[str, str]:
        """Name and column of each attribute."""
        return dict(attribute_columns(self.attributes))


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
    indexer: str = setting("hybrid", NAME, "kmeans, trie, hybrid, must-link or an entry point")
    ranker: str = setting("linear", NAME, "linear, envelope or an entry point")
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
        "tfn", NAME, "tfn, man, tfn+man or an entry point: rows a node is trained on"
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
        "trees", NAME, "trees, linear, fixed or an entry point: scores the candidates"
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
