"""The blender: one score for the candidates of every source.

It learns from questions asked out of fold (``fold.py``) and becomes a section of
the index (FORMAT.md, FRST) that the C library evaluates. What ships:

=========  ==================================================================
``trees``  boosted trees for lists (LambdaMART), by LightGBM
``linear`` a weighted sum of the same features, listwise logistic regression
``fixed``  nothing learned: the weights ``blend_model``, ``blend_popularity``
=========  ==================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from espalier.native import feature_names, features_id
from espalier.progress import NO_PROGRESS, Progress
from espalier.settings import TrainSettings
from espalier.train.fold import Answers
from espalier.train.forest import ForestSettings, load_lightgbm, train_forest
from espalier.train.forest_model import Forest
from espalier.train.linear import LinearSettings, train_linear


class Blender(Protocol):
    """Learns to score candidates."""

    def learn(self, answers: Answers, *, threads: int, progress: Progress = NO_PROGRESS) -> Forest:
        """Return a scorer of the candidates' features, wanted ones highest.

        The result must not depend on ``threads``.
        """
        ...


class TreeBlender:
    """Boosted trees."""

    def __init__(self, settings: TrainSettings) -> None:
        """Take sizes and seed from the settings.

        Raises:
            ConfigError: LightGBM cannot be loaded; said now, not after minutes of work.
        """
        load_lightgbm()
        self.settings = ForestSettings(
            trees=settings.blend_trees,
            leaves=settings.blend_leaves,
            learning_rate=settings.blend_learning_rate,
            feature_share=0.5,
            seed=settings.seed % (2**31 - 1),
        )

    def learn(self, answers: Answers, *, threads: int, progress: Progress = NO_PROGRESS) -> Forest:
        """Return trees."""
        return train_forest(
            answers.x,
            answers.group,
            answers.relevant,
            self.settings,
            names=feature_names(),
            features_id=features_id(),
            threads=threads,
            progress=progress,
        )


class LinearBlender:
    """A weighted sum."""

    def __init__(self, settings: TrainSettings) -> None:
        """Need nothing of the settings."""
        del settings

    def learn(self, answers: Answers, *, threads: int, progress: Progress = NO_PROGRESS) -> Forest:
        """Return weights."""
        return train_linear(
            answers.x,
            answers.group,
            answers.relevant,
            LinearSettings(),
            names=feature_names(),
            features_id=features_id(),
            threads=threads,
            progress=progress,
        )


def no_blender(settings: TrainSettings) -> None:
    """Learn nothing."""
    del settings


BLENDERS: Final[dict[str, Callable[[TrainSettings], Blender | None]]] = {
    "trees": TreeBlender,
    "linear": LinearBlender,
    "fixed": no_blender,
}
