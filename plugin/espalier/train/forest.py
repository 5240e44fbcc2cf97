"""Boosted trees as the scorer of candidates: LambdaMART, trained by LightGBM.

LightGBM is needed here and nowhere else: what it learned becomes a
:class:`~espalier.train.forest_model.Forest`, and serving reads that. The same
rows, settings and version of LightGBM give the same trees on any number of
threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from espalier.errors import ConfigError
from espalier.native import FOREST_LEAVES, FOREST_THRESHOLDS, FOREST_TREES
from espalier.progress import NO_PROGRESS, Progress
from espalier.train.forest_model import Forest, ForestTree
from espalier.train.questions import F32, Questions

CUTOFF: Final = 10
"""Ranks that count, for the gradient and for stopping: as many as are shown."""
_FEWEST_HELD_OUT: Final = 10
"""Fewer held-out questions say nothing about when to stop."""


@dataclass(frozen=True, slots=True)
class ForestSettings:
    """How trees are grown.

    Attributes:
        trees: Trees at most; fewer if the held-out questions stop gaining.
        leaves: Leaves of a tree, 2 to 32.
        learning_rate: Share of each tree's answer that is kept.
        min_rows_in_leaf: Training rows below every leaf, at least.
        l2: Regularisation of leaf values.
        max_bins: Values of a feature that can be told apart, 2 to 255.
        feature_share: Share of the features each tree may look at.
        patience: Trees without gain on the held-out questions before stopping.
        held_out: Share of the questions kept for that.
        seed: Of every random choice.
        cutoff: Ranks that count for the gradient; for stopping, ``CUTOFF`` of them do.
    """

    trees: int = 200
    leaves: int = 31
    learning_rate: float = 0.1
    min_rows_in_leaf: int = 50
    l2: float = 1.0
    max_bins: int = 255
    feature_share: float = 1.0
    patience: int = 30
    held_out: float = 0.1
    seed: int = 0
    cutoff: int = CUTOFF


def train_forest(
    x: F32,
    group: NDArray[np.integer],
    relevant: NDArray[np.generic],
    settings: ForestSettings,
    *,
    names: tuple[str, ...],
    features_id: int,
    threads: int = 1,
    progress: Progress = NO_PROGRESS,
) -> Forest:
    """Train trees to rank the wanted candidates of each question first.

    Args:
        x: Features of every candidate, ``(n_rows, n_features)``; NaN: not known.
        group: Number of candidates of each question, ``(n_questions,)``.
        relevant: Above 0 where a candidate was wanted, ``(n_rows,)``.
        settings: How trees are grown.
        names: Name of every feature.
        features_id: Fingerprint of the list of features, stored in the index.
        threads: LightGBM's threads; the result does not depend on them.
        progress: Gets a step per tree.

    Raises:
        ConfigError: A setting is out of range, or LightGBM is not installed.
        InputError: The shapes contradict each other, or no question can be learned from.
    """
    _check(settings)
    lightgbm = load_lightgbm()
    questions = Questions.answered(x, group, relevant)
    held = questions.held_out(settings.seed, settings.held_out)
    stops = held.sum() >= _FEWEST_HELD_OUT and not held.all()
    with progress.stage("forest", settings.trees) as advance:
        booster = _boost(
            lightgbm,
            questions.only(~held) if stops else questions,
            questions.only(held) if stops else None,
            settings=settings,
            threads=threads,
            advance=advance,
        )
    dump = booster.dump_model(num_iteration=booster.best_iteration)
    return forest_of_dump(dump, names=names, features_id=features_id)


def _check(settings: ForestSettings) -> None:
    """Raise for a setting that cannot be used."""
    ranges: dict[str, tuple[float, float]] = {
        "trees": (1, FOREST_TREES),
        "leaves": (2, FOREST_LEAVES),
        "learning_rate": (1e-6, 1),
        "min_rows_in_leaf": (1, 2**31 - 1),
        "l2": (0, 1e6),
        "max_bins": (2, FOREST_THRESHOLDS),
        "feature_share": (0.01, 1),
        "patience": (1, FOREST_TREES),
        "held_out": (0, 0.9),
        "seed": (0, 2**31 - 1),
        "cutoff": (1, 10_000),
    }
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        if not low <= value <= high:
            raise ConfigError(
                f"forest setting {name} is {value}; give a number from {low:g} to {high:g}"
            )


def load_lightgbm() -> Any:
    """Return the library.

    Raises:
        ConfigError: It is not installed, or the system lacks what it links to.
    """
    # Threads that wait by spinning take a busy machine's cores from those that work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import lightgbm  # noqa: PLC0415 - serving and linear scorers do without
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"boosted trees are trained by LightGBM, which cannot be loaded "
            f"({type(error).__name__}: {error}): install lightgbm and the OpenMP "
            "runtime (libgomp), or set blender=linear"
        ) from error
    return lightgbm


def _boost(
    lightgbm: Any,
    learn: Questions,
    held: Questions | None,
    *,
    settings: ForestSettings,
    threads: int,
    advance: Callable[[int], None],
) -> Any:
    """Return the trained booster. All calls into LightGBM are here and in the parser."""
    params = {
        "objective": "lambdarank",
        "lambdarank_truncation_level": settings.cutoff,
        "metric": "None",
        "num_leaves": settings.leaves,
        "learning_rate": settings.learning_rate,
        "min_data_in_leaf": settings.min_rows_in_leaf,
        "lambda_l2": settings.l2,
        "max_bin": settings.max_bins,
        "feature_fraction": settings.feature_share,
        "feature_pre_filter": False,
        "seed": settings.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(
        learn.x, learn.relevant.astype(np.int32), group=learn.group, params=params
    )

    def step(_: Any) -> None:
        advance(1)

    if held is None:
        return lightgbm.train(params, data, settings.trees, callbacks=[step])
    other = lightgbm.Dataset(
        held.x, held.relevant.astype(np.int32), group=held.group, reference=data, params=params
    )

    def reciprocal_rank(score: NDArray[np.float64], _: Any) -> tuple[str, float, bool]:
        # Computed here: LightGBM adds its own measures up thread by thread.
        return "reciprocal rank", held.reciprocal_rank(score, CUTOFF), True

    return lightgbm.train(
        params,
        data,
        settings.trees,
        valid_sets=[other],
        feval=reciprocal_rank,
        callbacks=[step, lightgbm.early_stopping(settings.patience, verbose=False)],
    )


# ---- from LightGBM's dump --------------------------------------------------------


def forest_of_dump(dump: dict[str, Any], *, names: tuple[str, ...], features_id: int) -> Forest:
    """Return the trees of ``Booster.dump_model()``; a tree without a split becomes bias."""
    bias, trees = 0.0, []
    for info in dump["tree_info"]:
        structure = info["tree_structure"]
        if "split_feature" in structure:
            trees.append(_tree_of(structure))
        else:
            bias += structure["leaf_value"]
    nothing = np.zeros(len(names), np.float32)
    return Forest(names, features_id, float(np.float32(bias)), nothing, nothing, tuple(trees))


_MISSING: Final = {("NaN", True): -np.inf, ("NaN", False): np.inf}
"""A feature that was always known in training has no side of its own for NaN: it counts as 0."""


def _tree_of(structure: dict[str, Any]) -> ForestTree:
    """Return one tree: inner nodes land in their places between the leaves."""
    leaves: list[tuple[float, int]] = []
    nodes: dict[int, tuple[int, np.float32, float, int, float]] = {}

    def visit(node: dict[str, Any]) -> tuple[float, int]:
        """Return the sum and the number of the rows below, and note what is there."""
        if "split_feature" not in node:
            leaves.append((node["leaf_value"], node["leaf_count"]))
            return node["leaf_value"] * node["leaf_count"], node["leaf_count"]
        first = len(leaves)
        left_sum, left_rows = visit(node["left_child"])
        place = len(leaves) - 1
        right_sum, right_rows = visit(node["right_child"])
        rows = left_rows + right_rows
        nodes[place] = (
            node["split_feature"],
            float_threshold(node["threshold"]),
            _MISSING.get((node["missing_type"], node["default_left"]), 0.0),
            first,
            (left_sum + right_sum) / rows,
        )
        return left_sum + right_sum, rows

    visit(structure)
    feature, threshold, missing, first, expected = zip(
        *(nodes[place] for place in range(len(nodes))), strict=True
    )
    return ForestTree(
        np.array(feature, np.int64),
        np.array(threshold, np.float32),
        np.array(missing, np.float32),
        np.array(first, np.int64),
        np.array([value for value, _ in leaves], np.float32),
        np.array(expected, np.float32),
    )


_ZERO: Final = np.float32(1e-35)
"""LightGBM takes what is not farther from 0 for 0."""


def float_threshold(threshold: float) -> np.float32:
    """Return the float32 by which every float32 goes where LightGBM sends it.

    It is the largest that is not above; LightGBM compares in double precision.
    """
    if abs(threshold) <= float(_ZERO):
        return _ZERO if threshold >= 0 else np.nextafter(-_ZERO, np.float32(-1))
    with np.errstate(over="ignore"):
        nearest = np.float32(threshold)
    return nearest if float(nearest) <= threshold else np.nextafter(nearest, np.float32(-np.inf))
