"""Rows of candidates in groups, one group a question: what scorers are trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from espalier.errors import InputError

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Questions:
    """Candidates of many questions, those of a question together.

    Attributes:
        x: Features of every candidate, ``(n_rows, n_features)``; NaN: not known.
        begin: First row of each question and, last, ``n_rows``, ``(n_questions + 1,)``.
        relevant: Which candidates were wanted, ``(n_rows,)``.
    """

    x: F32
    begin: I64
    relevant: NDArray[np.bool_]

    @classmethod
    def answered(cls, x: F32, group: NDArray[np.integer], relevant: NDArray[np.generic]) -> Self:
        """Keep the questions that say something: a wanted candidate among others.

        Args:
            x: ``(n_rows, n_features)``.
            group: Number of candidates of each question, ``(n_questions,)``.
            relevant: Above 0 where a candidate was wanted, ``(n_rows,)``.

        Raises:
            InputError: The shapes contradict each other, a value is infinite, or no
                question is left.
        """
        wanted = np.asarray(relevant) > 0
        if x.ndim != 2 or len(x) != group.sum() or wanted.shape != (len(x),):
            raise InputError(
                f"{len(x):,} rows of features, {wanted.size:,} of relevance and questions with "
                f"{int(group.sum()):,} candidates; there must be as many of each"
            )
        if np.isinf(x).any():
            raise InputError("a feature is infinite; give NaN where a value is not known")
        question = np.repeat(np.arange(len(group)), group)
        hits = np.bincount(question[wanted], minlength=len(group))
        kept = (hits > 0) & (hits < group)
        if not kept.any():
            raise InputError(
                f"none of {len(group):,} questions has a wanted candidate among others; "
                "a scorer cannot be trained: use more questions, or candidates that hit more often"
            )
        rows = kept[question]
        begin = np.append(0, np.cumsum(group[kept])).astype(np.int64)
        return cls(np.ascontiguousarray(x[rows], np.float32), begin, wanted[rows])

    def __len__(self) -> int:
        """Return the number of questions."""
        return len(self.begin) - 1

    @property
    def group(self) -> I64:
        """Number of candidates of each question."""
        return np.diff(self.begin)

    def only(self, chosen: NDArray[np.bool_]) -> Self:
        """Return some of the questions."""
        rows = np.repeat(chosen, self.group)
        begin = np.append(0, np.cumsum(self.group[chosen])).astype(np.int64)
        return type(self)(self.x[rows], begin, self.relevant[rows])

    def held_out(self, seed: int, share: float) -> NDArray[np.bool_]:
        """Say which questions to keep for validation: by a hash of their number."""
        return hashed(np.arange(len(self), dtype=np.uint64), seed) < share

    def reciprocal_rank(self, score: NDArray[np.floating], cutoff: int) -> float:
        """Return the mean reciprocal rank of the best wanted candidate, 0 below ``cutoff``.

        A candidate with the same score counts as ranked above it.
        """
        best = np.maximum.reduceat(np.where(self.relevant, score, -np.inf), self.begin[:-1])
        above = ~self.relevant & (score >= np.repeat(best, self.group))
        rank = 1 + np.add.reduceat(above.astype(np.int64), self.begin[:-1])
        return float(np.where(rank <= cutoff, 1 / rank, 0.0).mean())


def hashed(number: NDArray[np.uint64], seed: int) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each number: splitmix64 (Steele, Lea, Flood 2014)."""
    with np.errstate(over="ignore"):
        z = number + np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
        z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2.0**53
