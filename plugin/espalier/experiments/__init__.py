"""Experiments: what they are, and which variant somebody gets.

``model``  an experiment, its variants and what they change
"""

from espalier.experiments.model import (
    BASIS,
    INTERLEAVED,
    Assignment,
    Experiment,
    Mode,
    Parameters,
    Participant,
    Reason,
    Variant,
)

__all__ = [
    "BASIS",
    "INTERLEAVED",
    "Assignment",
    "Experiment",
    "Mode",
    "Parameters",
    "Participant",
    "Reason",
    "Variant",
]
