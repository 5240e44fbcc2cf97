"""A weighted sum as the scorer of candidates: listwise logistic regression.

The chance that a candidate is the wanted one of its question is taken to be
proportional to exp(score) (ListNet's top-one probability: Cao et al., ICML 2007);
the weights make what was wanted as likely as they can, by L-BFGS. Everything is
added up in the same order whatever the number of threads.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from espalier.errors import ConfigError
from espalier.progress import NO_PROGRESS, Progress
from espalier.train.forest_model import Forest
from espalier.train.questions import F32, Questions

F64 = NDArray[np.float64]

_BLOCK_ROWS: Final = 1 << 15
"""Rows worked on together: their doubles stay in the cache."""


@dataclass(frozen=True, slots=True)
class LinearSettings:
    """How weights are found.

    Attributes:
        l2: Regularisation, on features of unit variance and the mean loss of a question.
        iterations: Steps of L-BFGS, at most.
    """

    l2: float = 1e-4
    iterations: int = 200


def train_linear(
    x: F32,
    group: NDArray[np.integer],
    relevant: NDArray[np.generic],
    settings: LinearSettings,
    *,
    names: tuple[str, ...],
    features_id: int,
    threads: int = 1,
    progress: Progress = NO_PROGRESS,
) -> Forest:
    """Train weights to rank the wanted candidates of each question first.

    Arguments and errors are those of :func:`~espalier.train.forest.train_forest`. A
    value that is not known counts as the feature's mean; a feature that never varies
    gets no weight.
    """
    if not 0 <= settings.l2 <= 1e6 or not 1 <= settings.iterations <= 1_000_000:
        raise ConfigError(
            f"linear settings l2 {settings.l2} and iterations {settings.iterations}; "
            "give 0 to 1e6, and 1 to a million"
        )
    questions = Questions.answered(x, group, relevant)
    mean, scale = _standard(questions.x)
    blocks = _blocks(questions)
    with (
        progress.stage("linear scorer", settings.iterations) as advance,
        ThreadPoolExecutor(max(threads, 1)) as pool,
    ):

        def loss(weight: F64) -> tuple[float, F64]:
            def of_block(part: slice) -> tuple[float, F64]:
                return _block_loss(questions, part, mean, scale, weight)

            total, gradient = 0.0, np.zeros_like(weight)
            for part_loss, part_gradient in pool.map(of_block, blocks):
                total += part_loss
                gradient += part_gradient
            n = len(questions)
            penalty = 0.5 * settings.l2 * float(np.square(weight).sum())
            return total / n + penalty, gradient / n + settings.l2 * weight

        weight = _minimise(loss, len(mean), settings.iterations, advance) * scale
    return Forest(
        names,
        features_id,
        float(np.float32(-(weight * mean).sum())),
        weight.astype(np.float32),
        mean.astype(np.float32),
        (),
    )


def _minimise(
    loss: Callable[[F64], tuple[float, F64]],
    n: int,
    iterations: int,
    advance: Callable[[int], None],
) -> F64:
    def step(_: F64) -> None:
        advance(1)

    found = minimize(
        loss,
        np.zeros(n),
        jac=True,
        method="L-BFGS-B",
        callback=step,
        options={"maxiter": iterations},
    )
    return np.asarray(found.x, np.float64)


def _standard(x: F32) -> tuple[F64, F64]:
    """Return each feature's mean and one over its deviation, 0 for a constant."""
    mean, scale = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for feature in range(x.shape[1]):
        known = x[:, feature]
        known = known[~np.isnan(known)].astype(np.float64)
        if len(known):
            mean[feature], deviation = known.mean(), known.std()
            # A constant has a deviation of rounding errors.
            if deviation > 1e-9 * max(1.0, abs(mean[feature])):
                scale[feature] = 1 / deviation
    return mean, scale


def _blocks(questions: Questions) -> list[slice]:
    """Return ranges of whole questions of about ``_BLOCK_ROWS`` rows."""
    ends = np.searchsorted(
        questions.begin, np.arange(_BLOCK_ROWS, questions.begin[-1] + _BLOCK_ROWS, _BLOCK_ROWS)
    )
    edges = np.unique(np.minimum(np.append(0, ends), len(questions))).tolist()
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def _block_loss(
    questions: Questions, part: slice, mean: F64, scale: F64, weight: F64
) -> tuple[float, F64]:
    """Return the loss of some questions and its gradient.

    einsum without optimisation adds in a fixed order; a BLAS may not.
    """
    begin = questions.begin[part.start : part.stop + 1]
    rows = slice(int(begin[0]), int(begin[-1]))
    starts, sizes = begin[:-1] - begin[0], np.diff(begin)
    x = (questions.x[rows].astype(np.float64) - mean) * scale
    x[np.isnan(x)] = 0
    score = np.einsum("rf,f->r", x, weight, optimize=False)
    score -= np.repeat(np.maximum.reduceat(score, starts), sizes)
    chance = np.exp(score)
    total = np.add.reduceat(chance, starts)
    chance /= np.repeat(total, sizes)
    wanted = questions.relevant[rows].astype(np.float64)
    wanted /= np.repeat(np.add.reduceat(wanted, starts), sizes)
    loss = float(np.log(total).sum() - (wanted * score).sum())
    return loss, np.einsum("rf,r->f", x, chance - wanted, optimize=False)
