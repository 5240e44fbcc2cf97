"""Blender: how the model's score and popularity become one number.

A fixed linear combination, stored in the index::

    score = blend_model * log(model score) + blend_popularity * log(share of the prefix's users)

Both are logarithms, so the blend is a weighted product of two estimates of the
same thing: how likely this label is, given the prefix.
"""

from __future__ import annotations

from dataclasses import dataclass

from espalier.settings import TrainSettings


@dataclass(frozen=True, slots=True)
class Blend:
    """Weights of the blend."""

    model: float
    popularity: float


def choose_blend(settings: TrainSettings) -> Blend:
    """Return the weights the settings ask for."""
    return Blend(settings.blend_model, settings.blend_popularity)
