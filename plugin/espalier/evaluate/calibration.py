"""Whether the score of the first suggestion means the same for everybody.

A score has no unit; what it promises is learned from half of the users: their rows
are cut into ten bins of equal size by the score of the first suggestion, and the share
of a bin whose first suggestion was the wanted query is what such a score predicts. The
other users' rows fall into the same bins, and what is observed there stands beside the
prediction. A score that can be trusted observes what it predicts, and more with every
bin. (Reliability diagrams: DeGroot and Fienberg, "The comparison and evaluation of
forecasters", The Statistician 32, 1983.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from espalier.evaluate.intervals import Interval, Resampled
from espalier.evaluate.outcomes import Outcome
from espalier.evaluate.questions import Questions

BINS: Final = 10


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Rows of the observed users whose score is between ``low`` and ``high``.

    Attributes:
        low: Lowest score.
        high: Highest score.
        rows: Number of rows.
        predicted: Share of right first suggestions among the other users' rows.
        observed: The share among these.
        interval: 95 % bootstrap interval of ``observed``, over users.
    """

    low: float
    high: float
    rows: int
    predicted: float
    observed: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """Bins by rising score, fewer than ten where scores repeat.

    Attributes:
        learned_rows: Rows that the predictions come from.
        bins: None without rows on both sides.
        error: Mean distance of observed and predicted, weighted by rows (expected
            calibration error).
    """

    learned_rows: int
    bins: tuple[CalibrationBin, ...]
    error: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the ``calibration`` object."""
        return {
            "learned_rows": self.learned_rows,
            "error": self.error,
            "bins": [
                {
                    "low": one.low,
                    "high": one.high,
                    "rows": one.rows,
                    "predicted": one.predicted,
                    "observed": one.observed,
                    "observed_interval": None if one.interval is None else one.interval.to_json(),
                }
                for one in self.bins
            ],
        }


NO_CALIBRATION = Calibration(0, (), None)


def calibration_of(outcome: Outcome, questions: Questions, *, seed: int) -> Calibration:
    """Bin the rows of one system that have a suggestion; every second user is learned from."""
    scored = np.isfinite(outcome.top_scores)
    scores = outcome.top_scores
    right = (outcome.ranks == 1).astype(np.float64)
    units = questions.unit_numbers()
    learned = scored & (units % 2 == 0)
    observed = scored & (units % 2 == 1)
    if not (learned.any() and observed.any()):
        return Calibration(int(learned.sum()), (), None)
    edges = np.unique(np.quantile(scores[learned], np.arange(1, BINS) / BINS))
    places = np.searchsorted(edges, scores, side="right")
    masks = {str(place): observed & (places == place) for place in range(len(edges) + 1)}
    drawn = Resampled({"right": right}, masks, units, questions.units, seed=seed)
    bins = []
    for place, (name, inside) in enumerate(masks.items()):
        before = learned & (places == place)
        if not (inside.any() and before.any()):
            continue
        bins.append(
            CalibrationBin(
                float(scores[inside].min()),
                float(scores[inside].max()),
                int(inside.sum()),
                float(right[before].mean()),
                float(right[inside].mean()),
                drawn.of_mean("right", name),
            )
        )
    rows = sum(one.rows for one in bins)
    error = sum(one.rows * abs(one.observed - one.predicted) for one in bins) / max(1, rows)
    return Calibration(int(learned.sum()), tuple(bins), error if rows else None)
