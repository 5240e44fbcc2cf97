"""What a replay came to, as JSON and as text.

The JSON::

    {
      "people": 120, "episodes": 900, "keystrokes": 5400, "seconds": 12.3,
      "outcomes": {"accepted": 500, "typed": 380, "abandoned": 20},
      "failed": {"<status or reason>": 3},         episodes that a failed call ended
      "all": {"people": 120, "episodes": 900,
              "acceptance_rate": {"value": 0.5, "interval": [low, high]},
              "keystrokes_saved": {"value": 0.3, "interval": [low, high]}},
      "experiments": {"<experiment>": {"<variant>": {as "all"}, ...}, ...}
    }

Intervals are those of `espalier experiments report`: over people, null for fewer than 100.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from espalier.analysis.moments import Estimate, Moments, level
from espalier.analysis.report import ALPHA
from espalier.evaluate.table import aligned
from espalier.replay.typist import Episode, Outcome


@dataclass(slots=True)
class _Totals:
    """Of one person in one variant."""

    episodes: int = 0
    submitted: int = 0
    accepted: int = 0
    saved: float = 0.0


@dataclass(frozen=True, slots=True)
class Group:
    """The people of a variant, or all.

    Attributes:
        acceptance_rate: Share of the episodes in which a suggestion was accepted.
        keystrokes_saved: Mean share of the query submitted that was not typed.
    """

    people: int
    episodes: int
    acceptance_rate: Estimate
    keystrokes_saved: Estimate

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "people": self.people,
            "episodes": self.episodes,
            "acceptance_rate": self.acceptance_rate.to_json(),
            "keystrokes_saved": self.keystrokes_saved.to_json(),
        }


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """All of it.

    Attributes:
        people: Who typed.
        keystrokes: Completions asked for.
        seconds: It took.
        outcomes: Episodes by how they ended.
        failed: Episodes that a failed call ended, by its reason.
        whole: Everybody.
        experiments: By experiment and variant.
    """

    people: int
    keystrokes: int
    seconds: float
    outcomes: Mapping[Outcome, int]
    failed: Mapping[str, int]
    whole: Group
    experiments: Mapping[str, Mapping[str, Group]]

    def to_json(self) -> dict[str, Any]:
        """Return the report in the shape the module shows."""
        return {
            "people": self.people,
            "episodes": self.whole.episodes,
            "keystrokes": self.keystrokes,
            "seconds": round(self.seconds, 3),
            "outcomes": {one.value: self.outcomes.get(one, 0) for one in Outcome},
            "failed": dict(self.failed),
            "all": self.whole.to_json(),
            "experiments": {
                name: {variant: group.to_json() for variant, group in groups.items()}
                for name, groups in self.experiments.items()
            },
        }

    def table(self) -> str:
        """Return aligned text for a terminal."""
        rows = [_row("everybody", self.whole)]
        for name, groups in self.experiments.items():
            rows += [_row(f"{name}: {variant}", group) for variant, group in groups.items()]
        head = ["", "people", "episodes", "accepted", "keystrokes saved"]
        ended = ", ".join(f"{self.outcomes.get(one, 0):,} {one.value}" for one in Outcome)
        failed = ", ".join(f"{count:,} {reason}" for reason, count in self.failed.items())
        rate = self.keystrokes / self.seconds if self.seconds > 0 else 0.0
        said = f"{self.keystrokes:,} keystrokes in {self.seconds:.1f} s ({rate:,.0f} a second)"
        lines = [aligned(head, rows), "", f"{said}; episodes: {ended}"]
        if failed:
            lines.append(f"failed episodes, in no figure: {failed}")
        return "\n".join(lines)


@dataclass(slots=True)
class Tally:
    """Adds up episodes as they end. For one thread at a time."""

    keystrokes: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    _whole: dict[str, _Totals] = field(default_factory=lambda: defaultdict(_Totals))
    _variants: dict[tuple[str, str], dict[str, _Totals]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(_Totals))
    )

    def add(self, person: str, episode: Episode) -> None:
        """Take an episode into account."""
        self.keystrokes += episode.keystrokes
        self.outcomes[episode.outcome] += 1
        groups = [self._whole, *(self._variants[pair] for pair in episode.variants.items())]
        for group in groups:
            totals = group[person]
            totals.episodes += 1
            totals.submitted += episode.outcome is not Outcome.ABANDONED
            totals.accepted += episode.outcome is Outcome.ACCEPTED
            totals.saved += episode.saved

    def report(self, people: int, seconds: float) -> ReplayReport:
        """Return what came of it."""
        experiments: dict[str, dict[str, Group]] = {}
        for (name, variant), totals in sorted(self._variants.items()):
            experiments.setdefault(name, {})[variant] = _group(totals.values())
        return ReplayReport(
            people,
            self.keystrokes,
            seconds,
            dict(self.outcomes),
            dict(sorted(self.failed.items())),
            _group(self._whole.values()),
            experiments,
        )


def _group(totals: Iterable[_Totals]) -> Group:
    each = list(totals)
    episodes = np.array([one.episodes for one in each], dtype=np.float64)
    accepted = np.array([one.accepted for one in each], dtype=np.float64)
    submitted = np.array([one.submitted for one in each], dtype=np.float64)
    saved = np.array([one.saved for one in each], dtype=np.float64)
    return Group(
        len(each),
        int(episodes.sum()),
        level(Moments.of(accepted, episodes), ALPHA),
        level(Moments.of(saved, submitted), ALPHA),
    )


def _row(name: str, group: Group) -> list[str]:
    return [
        name,
        f"{group.people:,}",
        f"{group.episodes:,}",
        _cell(group.acceptance_rate),
        _cell(group.keystrokes_saved),
    ]


def _cell(found: Estimate) -> str:
    if found.value is None:
        return "-"
    if found.interval is None:
        return f"{found.value:.4f}"
    return f"{found.value:.4f} ({found.interval.low:.4f} to {found.interval.high:.4f})"
