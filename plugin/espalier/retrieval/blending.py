"""The fusion: what is known of candidates, and which were wanted, become a scorer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from espalier.native import retrieval_feature_names, retrieval_features_id
from espalier.progress import Progress
from espalier.settings import RetrievalSettings
from espalier.train.forest import ForestSettings, train_forest
from espalier.train.linear import LinearSettings, train_linear

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]

RANKS: Final = 50
"""Ranks that count when the fusion is learned: a result page, and what re-rankers take."""
FEWEST_QUESTIONS: Final = 100
"""Fewer queries teach a blender nothing."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Candidates of many queries.

    Attributes:
        rows: Features of the candidates of each, ``(n, n_features)``.
        relevant: Which of them were wanted, ``(n,)``.
    """

    rows: list[F32] = field(default_factory=list)
    relevant: list[NDArray[np.bool_]] = field(default_factory=list)

    def add(self, labels: U32, rows: F32, wanted: I64) -> None:
        """Add those of a query, unless all of them are wanted or none is."""
        hits = np.isin(labels, wanted)
        if hits.any() and not hits.all():
            self.rows.append(rows)
            self.relevant.append(hits)


def learn_scorer(
    answers: Answers, settings: RetrievalSettings, *, threads: int, progress: Progress
) -> tuple[bytes, int]:
    """Return the scorer's section, and how many queries taught it; none where they are few."""
    if len(answers.relevant) < FEWEST_QUESTIONS:
        return b"", 0
    group = np.array([len(one) for one in answers.relevant])
    data = np.concatenate(answers.rows), group, np.concatenate(answers.relevant)
    if not settings.blend_pairs:
        # What never varies is never looked at.
        data[0][:, retrieval_feature_names().index("log_pairs")] = 0
    names, features_id = retrieval_feature_names(), retrieval_features_id()
    if settings.blender == "linear":
        forest = train_linear(
            *data,
            LinearSettings(),
            names=names,
            features_id=features_id,
            threads=threads,
            progress=progress,
        )
    else:
        forest = train_forest(
            *data,
            ForestSettings(
                trees=settings.blend_trees,
                leaves=settings.blend_leaves,
                learning_rate=settings.blend_learning_rate,
                feature_share=0.5,
                # Few queries are all there is: none is spent on when to stop.
                held_out=0.0,
                cutoff=RANKS,
                seed=settings.seed % (2**31 - 1),
            ),
            names=names,
            features_id=features_id,
            threads=threads,
            progress=progress,
        )
    return forest.section(), len(answers.relevant)
