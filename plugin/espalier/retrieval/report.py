"""What training an index of products did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from espalier.querylog.kinds import Bad, explain


@dataclass(frozen=True, slots=True)
class RetrievalTrainReport:
    """Counts of a training run.

    Attributes:
        out: The index.
        products, paired: Products, and those with a pair.
        queries, pairs: Distinct queries and pairs that count.
        features: That the index knows.
        questions: Queries that taught the blender; 0: there is none.
        bytes: Of the index.
        seconds: That it took.
        bad: Rows left out, by kind.
    """

    out: Path
    products: int
    paired: int
    queries: int
    pairs: int
    features: int
    questions: int
    bytes: int
    seconds: float
    bad: Mapping[str, Bad]

    def to_json(self) -> dict[str, object]:
        """Return a dictionary that ``json`` can write."""
        return {
            "out": str(self.out),
            "products": self.products,
            "paired_products": self.paired,
            "queries": self.queries,
            "pairs": self.pairs,
            "features": self.features,
            "blend_questions": self.questions,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 2),
            "rows_bad": {kind: bad.to_json() for kind, bad in self.bad.items()},
        }

    def table(self) -> str:
        """Return the same for people."""
        of = f"{self.products:,} products, {self.paired:,} of them paired with"
        taught = f"the fusion was taught with {self.questions:,} queries"
        untaught = "candidates are ordered by the tree: blender=none, or too few queries"
        lines = [
            f"{self.out}: {of} {self.queries:,} queries ({self.pairs:,} pairs)",
            f"{self.features:,} features, {self.bytes:,} bytes, {self.seconds:.1f} s",
            taught if self.questions else untaught,
        ]
        if self.bad:
            lines.append(f"left out: {explain(self.bad)}")
        return "\n".join(lines)
