"""Beam search over linear rankers in float64, and what an answer must be up to ties.

Where two nodes score alike to within rounding, which of them the beam keeps is
anybody's choice. So the search carries two sets through the levels: what every correct
beam holds (*sure*), and what some correct beam may hold (*possible*). An answer is right
if it has all sure labels, only possible ones, and the exact score of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

PRODUCTS: Final = {"sigmoid", "l1-hinge", "l2-hinge", "l3-hinge"}
# Products of float32 lose their order where they lose their digits.
_UNDERFLOW: Final = -80.0


def log_transform(post_processor: str, margin: F64) -> F64:
    """Return the logarithm of a transformed margin; the margin itself for noop."""
    if post_processor == "noop":
        return margin
    if post_processor.endswith("sigmoid"):
        return -np.logaddexp(0.0, -margin)
    power = int(post_processor.removeprefix("log-")[1])
    return np.asarray(-(np.maximum(0.0, 1.0 - margin) ** power))


@dataclass(frozen=True, slots=True)
class Expected:
    """What a right answer to one question may be.

    Attributes:
        score: Exact score of each label, ``(n_labels,)``; NaN where no beam comes.
        sure: Labels every right answer has.
        possible: Labels a right answer may have.
        is_open: Some beam had to choose between equals.
    """

    score: F64
    sure: Mask
    possible: Mask
    is_open: bool


def tolerance(post_processor: str, score: F64) -> F64:
    """Return how far apart scores may be and still be ties: 1e-5, relative above 1.

    Products are compared as logarithms, more sharply than asked: 5e-4 there is 0.05 %
    of a score, whatever its size.
    """
    if post_processor in PRODUCTS:
        return np.full_like(score, 5e-4)
    return 1e-5 * np.maximum(1.0, np.abs(score))


def _choose(
    post_processor: str, score: F64, sure: Mask, possible: Mask, keep: int
) -> tuple[Mask, Mask]:
    """Return the candidates that are surely, and possibly, among the best ``keep``."""
    near = tolerance(post_processor, score)
    close = np.abs(score[:, None] - score) <= np.maximum(near[:, None], near)
    if post_processor in PRODUCTS:
        low = score < _UNDERFLOW
        close |= low[:, None] & low
    above = score > score[:, None]
    rivals = ((above | close) & possible).sum(1) - possible  # not itself
    betters = (above & ~close & sure).sum(1)
    return sure & (rivals < keep), possible & (betters < keep)


def expect(
    layers: list[tuple[Any, NDArray[np.int64], float]],
    post_processor: str,
    row: Any,
    beam: int,
    k: int,
) -> Expected:
    """Search for one row.

    Args:
        layers: Weights ``(features or features + 1, children)``, parents, bias.
        post_processor: How margins become scores.
        row: Features, ``(1, features)``.
        beam: Nodes kept per level.
        k: Labels wanted.
    """
    x = row.toarray().astype(np.float64)[0]
    score = np.zeros(1)
    sure = possible = np.ones(1, bool)
    is_open = False
    for depth, (weights, parents, bias) in enumerate(layers):
        constant = np.array([np.float64(np.float32(bias))] if bias > 0 else [])
        own = log_transform(
            post_processor, weights.T.astype(np.float64) @ np.concatenate([x, constant])
        )
        score = own if post_processor == "noop" else score[parents] + own
        keep = k if depth == len(layers) - 1 else beam
        sure, possible = _choose(post_processor, score, sure[parents], possible[parents], keep)
        is_open = is_open or (depth < len(layers) - 1 and bool((sure != possible).any()))
    shown = np.exp(score) if post_processor in PRODUCTS else score
    return Expected(np.where(possible, shown, np.nan), sure, possible, is_open)


def problem_with(
    expected: Expected, post_processor: str, labels: NDArray[Any], scores: NDArray[Any]
) -> str | None:
    """Return what is wrong with an answer, best first, or None."""
    if len(set(labels.tolist())) < len(labels):
        return "a label twice"
    if (np.diff(scores) > 0).any():
        return "scores ascend"
    if not expected.possible[labels].all():
        return f"label {labels[~expected.possible[labels]][0]} is out of reach of the beam"
    if np.setdiff1d(np.flatnonzero(expected.sure), labels).size:
        return f"label {np.setdiff1d(np.flatnonzero(expected.sure), labels)[0]} is missing"
    exact = expected.score[labels]
    near = 1e-5 * (
        np.maximum(1.0, np.abs(exact))
        if post_processor.startswith("log-") or post_processor == "noop"
        else 1.0
    )
    off = np.abs(scores - exact) > near
    if post_processor in PRODUCTS:
        off |= (np.abs(scores - exact) > 1e-3 * exact) & (exact > 1e-30)
    if off.any():
        first = int(np.argmax(off))
        return f"label {labels[first]} scores {scores[first]}, not {exact[first]}"
    return None
