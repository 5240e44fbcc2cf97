"""Experiments: what they are, and which variant somebody gets.

::

    model ── assignment   (who gets which variant: GrowthBook's hash) ── assigners
       │  └─ interleaving (one list of two)
       └─ tables, clashes ── definition (from a configuration, everything checked)

Knows no index, no transport and no files; `espalier.serve` applies variants to answers.
"""

from espalier.experiments.assignment import State, assign, state_at
from espalier.experiments.definition import (
    as_message,
    as_table,
    of_message,
    problems_of,
    read_experiments,
)
from espalier.experiments.interleaving import Draft, draft
from espalier.experiments.model import (
    BASIS,
    INTERLEAVED,
    NO_TRIAL,
    Assignment,
    Experiment,
    Mode,
    Parameters,
    Participant,
    Reason,
    Trial,
    Variant,
)

__all__ = [
    "BASIS",
    "INTERLEAVED",
    "NO_TRIAL",
    "Assignment",
    "Draft",
    "Experiment",
    "Mode",
    "Parameters",
    "Participant",
    "Reason",
    "State",
    "Trial",
    "Variant",
    "as_message",
    "as_table",
    "assign",
    "draft",
    "of_message",
    "problems_of",
    "read_experiments",
    "state_at",
]
