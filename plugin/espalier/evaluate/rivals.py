"""Two indexes on the same questions, and whether the one is worse than the other.

Both are asked every question, so what counts is the difference row by row (a paired
comparison), resampled over users. Much of what makes a row hard is hard for both and
falls out of the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from espalier.evaluate.ablation import WHOLE
from espalier.evaluate.intervals import Interval, Resampled
from espalier.evaluate.measures import CUT, FloatArray, reciprocal_rank
from espalier.evaluate.outcomes import ask_all
from espalier.evaluate.questions import Questions
from espalier.evaluate.systems import ALWAYS, Completer

_SYSTEMS = tuple(system for system in ALWAYS if system.name == WHOLE)


@dataclass(frozen=True, slots=True)
class Comparison:
    """MRR@10 of two indexes, everything on, over the same rows.

    Attributes:
        new: Of the one in question.
        old: Of the one it is compared with.
        interval: Of ``new - old``, 95 %, over users.
        rows: Questions asked.
        users: People they come from.
        margin: Share of ``old`` that may be lost.
    """

    new: float
    old: float
    interval: Interval
    rows: int
    users: int
    margin: float

    @property
    def difference(self) -> float:
        """By how much the new one is better."""
        return self.new - self.old

    @property
    def is_worse(self) -> bool:
        """Whether more than the margin is lost, and not by chance."""
        return self.interval.high < 0 and -self.difference > self.margin * self.old

    def to_json(self) -> dict[str, Any]:
        """Return all figures and the verdict."""
        return {
            "new": self.new,
            "old": self.old,
            "difference": self.difference,
            "interval": self.interval.to_json(),
            "rows": self.rows,
            "users": self.users,
            "margin": self.margin,
            "is_worse": self.is_worse,
        }

    def line(self) -> str:
        """Return the figures as a sentence without its end."""
        return (
            f"MRR@10 {self.new:.4f} against {self.old:.4f} ({self.difference:+.4f}, 95 % interval "
            f"{self.interval.low:+.4f} to {self.interval.high:+.4f}) on {self.rows:,} questions of "
            f"{self.users:,} held-out users"
        )


def compare(
    new: Completer,
    old: Completer,
    questions: Questions,
    *,
    margin: float,
    seed: int = 1,
    advance: Callable[[int], None] = lambda _: None,
) -> Comparison:
    """Ask both indexes all of ``questions``, at least one; ``seed`` draws the users."""
    after, before = (
        reciprocal_rank(
            ask_all(index, questions, _SYSTEMS, k=CUT, advance=advance).by_system[WHOLE].ranks
        )
        for index in (new, old)
    )
    interval = _interval(after - before, questions, seed)
    return Comparison(
        float(after.mean()),
        float(before.mean()),
        interval,
        len(questions.asked),
        questions.units,
        margin,
    )


def _interval(gain: FloatArray, questions: Questions, seed: int) -> Interval:
    everything = {"all": np.ones(len(gain), np.bool_)}
    units = questions.unit_numbers()
    drawn = Resampled({"gain": gain}, everything, units, questions.units, seed=seed)
    interval = drawn.of_mean("gain", "all")
    assert interval is not None  # noqa: S101 - there is a row
    return interval
