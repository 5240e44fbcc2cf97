"""How far to trust a figure: bootstrap over users.

Rows of one user resemble each other, so rows are not resampled one by one but
user by user (the cluster bootstrap: Field and Welsh, "Bootstrapping clustered
data", J. R. Stat. Soc. B 69, 2007, section 2). A mean over rows is a ratio of
two sums, so it is enough to resample the sums of each user.

Figures that are compared come from the same replicates: of two systems asked the same
questions, the difference is resampled and not each by itself (a paired comparison).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from espalier.evaluate.measures import BoolArray, FloatArray, IntArray

REPLICATES = 1000
COVERAGE = 0.95

# Replicates drawn at once: their weights are one matrix (replicates, units), which
# must stay small beside the index whatever the number of users.
_BLOCK_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """Both ends of a 95 % confidence interval."""

    low: float
    high: float

    def to_json(self) -> list[float]:
        """Return ``[low, high]``."""
        return [self.low, self.high]


def sums_by_unit(values: FloatArray, units: IntArray, n_units: int) -> FloatArray:
    """Return the sum of ``values`` (shape ``(rows,)``) over each unit, ``(n_units,)``."""
    sums: FloatArray = np.bincount(units, weights=values, minlength=n_units).astype(np.float64)
    return sums


def resample(sums: FloatArray, *, seed: int, replicates: int = REPLICATES) -> FloatArray:
    """Draw units with replacement and add up their sums.

    ``sums`` is ``(units, columns)``; the result is ``(replicates, columns)``. The
    same draw serves all columns, so that figures of one replicate may be
    compared and divided. Equal input and seed give equal output.
    """
    n_units = len(sums)
    rng = np.random.default_rng(seed)
    block = max(1, min(replicates, _BLOCK_CELLS // max(1, n_units)))
    drawn = np.empty((replicates, sums.shape[1]))
    for start in range(0, replicates, block):
        size = min(block, replicates - start)
        weights = np.stack(
            [np.bincount(rng.integers(0, n_units, n_units), minlength=n_units) for _ in range(size)]
        )
        drawn[start : start + size] = weights.astype(np.float64) @ sums
    return drawn


def ratio_interval(numerator: FloatArray, denominator: FloatArray) -> Interval | None:
    """Return the percentile interval of ``numerator / denominator`` over replicates.

    Both have shape ``(replicates,)``. Replicates without a denominator say
    nothing and are left out; ``None`` if none is left.
    """
    usable = denominator > 0
    if not usable.any():
        return None
    ratios = numerator[usable] / denominator[usable]
    tail = (1.0 - COVERAGE) / 2.0
    low, high = np.quantile(ratios, [tail, 1.0 - tail])
    return Interval(float(low), float(high))


class Resampled:
    """The replicates of several values over several sets of rows, drawn together.

    Equal units and an equal seed draw the same users, whatever the values are.
    """

    def __init__(
        self,
        values: Mapping[str, FloatArray],
        masks: Mapping[str, BoolArray],
        units: IntArray,
        n_units: int,
        *,
        seed: int,
    ) -> None:
        """Draw. ``values`` and ``masks`` have shape ``(rows,)``; no name is empty."""
        self._column: dict[tuple[str, str], int] = {}
        columns: list[FloatArray] = []
        for bucket, mask in masks.items():
            # "" is no value: the column that counts the rows.
            for name, of_rows in {"": np.ones(len(units)), **values}.items():
                self._column[name, bucket] = len(columns)
                columns.append(sums_by_unit(of_rows * mask, units, n_units))
        self._drawn = resample(np.stack(columns, axis=1), seed=seed)

    def of_mean(self, name: str, bucket: str) -> Interval | None:
        """Return the interval of the mean over the bucket's rows, ``None`` without rows."""
        return ratio_interval(self._of(name, bucket), self._of("", bucket))

    def of_ratio(self, name: str, base: str, bucket: str) -> Interval | None:
        """Return the interval of one sum over another, ``None`` where that is always 0."""
        return ratio_interval(self._of(name, bucket), self._of(base, bucket))

    def _of(self, name: str, bucket: str) -> FloatArray:
        drawn: FloatArray = self._drawn[:, self._column[name, bucket]]
        return drawn
