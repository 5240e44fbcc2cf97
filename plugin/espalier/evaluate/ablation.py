"""What each part is worth: the loss with one source or one feature group switched off.

Every ablated system is asked the questions ``all_sources`` is asked, on the same
index, so each row gives a difference; a delta is the mean of these differences, and
its interval comes from resampling users, both systems together. Below 0 the part
helps. The parts do not add up: what one no longer finds, another often does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from espalier.evaluate.buckets import masks
from espalier.evaluate.contract import Violations
from espalier.evaluate.intervals import Resampled
from espalier.evaluate.outcomes import Outcomes
from espalier.evaluate.questions import Questions
from espalier.evaluate.summary import Figures, Intervals, by_mask, rows_of_measures

WHOLE: Final = "all_sources"
"""The system that others are compared with."""


@dataclass(frozen=True, slots=True)
class AblatedFigures:
    """One system with a part switched off.

    Attributes:
        mrr10: Its MRR@10.
        delta: That minus the MRR@10 of ``all_sources`` on the same rows.
        delta_interval: 95 % bootstrap interval of the delta, paired, over users.
        candidate_recall: Its candidate recall.
        violations: Broken promises.
    """

    mrr10: Figures
    delta: Figures
    delta_interval: Intervals
    candidate_recall: Figures
    violations: Violations

    def to_json(self) -> dict[str, Any]:
        """Return the figures by name."""
        return {
            "mrr10": dict(self.mrr10),
            "delta": dict(self.delta),
            "delta_interval": {
                bucket: None if interval is None else interval.to_json()
                for bucket, interval in self.delta_interval.items()
            },
            "candidate_recall": dict(self.candidate_recall),
            "violations": self.violations.to_json(),
        }


def ablation_of(
    whole: Outcomes, ablated: Outcomes, questions: Questions, *, seed: int
) -> Mapping[str, AblatedFigures]:
    """Compare each of ``ablated`` with ``all_sources``, which ``whole`` holds."""
    chosen = masks(questions.prefix_lengths(), whole.seen)
    full = rows_of_measures(whole.by_system[WHOLE], questions)["mrr10"]
    rows = {
        name: rows_of_measures(outcome, questions) for name, outcome in ablated.by_system.items()
    }
    drawn = Resampled(
        {name: by_measure["mrr10"] - full for name, by_measure in rows.items()},
        chosen,
        questions.unit_numbers(),
        questions.units,
        seed=seed,
    )
    return {
        name: AblatedFigures(
            mrr10=by_mask(rows[name]["mrr10"], chosen),
            delta=by_mask(rows[name]["mrr10"] - full, chosen),
            delta_interval={bucket: drawn.of_mean(name, bucket) for bucket in chosen},
            candidate_recall=by_mask(rows[name]["candidate_recall"], chosen),
            violations=outcome.violations,
        )
        for name, outcome in ablated.by_system.items()
    }
