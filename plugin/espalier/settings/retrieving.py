"""How indexes of products are trained: ``[retrieval]``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from espalier.schema import (
    Between,
    Conflict,
    OneOf,
    check_values,
    setting,
)
from espalier.settings.training import TrainSettings
from espalier.settings.values import ATTRIBUTES, NAME, attribute_columns, attribute_conflicts


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """How an index of products is trained: ``[retrieval]``."""

    stemmer: str = setting("english", NAME, "a language of Snowball, or none: makes words")
    word_ngrams: int = setting(2, Between(1, 3, "words"), "of the longest phrase")
    char_ngrams: int = setting(3, OneOf((0, 3, 4, 5)), "characters of an n-gram; 0: none")
    phrase_weight: float = setting(0.2, Between(0, 10), "of phrases, against words")
    char_weight: float = setting(0.2, Between(0, 10), "of character n-grams, against words")
    text_weight: float = setting(0.3, Between(0, 10), "of more text, against the title")
    idf: bool = setting(True, meaning="rare words and n-grams count more; else all of a kind alike")
    attributes: tuple[str, ...] = setting(
        (), ATTRIBUTES, "columns of the catalogue products can be filtered by: category, brand"
    )
    k1: float = setting(0.5, Between(0, 10), "BM25: where repeating a word stops to count")
    b: float = setting(0.5, Between(0, 1), "BM25: how much a long title is held against it")
    relevant: float = setting(2.33, Between(0, 1e6), "lowest grade of a pair that counts")
    pair_weight: float = setting(0.5, Between(0, 10), "of a paired query, against a title")
    indexer: str = setting("kmeans", NAME, "kmeans or an entry point")
    ranker: str = setting("envelope", NAME, "envelope, linear or an entry point")
    negatives: str = setting("tfn", NAME, "tfn or an entry point: rows a node is trained on")
    arity: int = setting(32, Between(2, 256, "children"), "groups a cluster is split into")
    max_leaf: int = setting(64, Between(1, 65_536, "products"), "products in one leaf cluster")
    kmeans_iterations: int = setting(20, Between(1, 1_000), "rounds of one bisection, at most")
    beam: int = setting(80, Between(1, 100, "nodes"), "kept per level")
    pool: int = setting(300, Between(1, 1_000, "products"), "the tree hands to the scorer")
    keep: float = setting(
        1.0,
        Between(0, 1, above_low=True),
        "share of weights kept; the features that say least for their room go first",
    )
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

    def conflicts(self) -> Iterator[Conflict]:
        """Yield what is wrong with several values together."""
        yield from attribute_conflicts("retrieval.attributes", self.attributes)

    @property
    def attribute_columns(self) -> dict[str, str]:
        """Name and column of each attribute."""
        return dict(attribute_columns(self.attributes))

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
