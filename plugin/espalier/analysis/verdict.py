"""What the figures come to, in plain words."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from espalier.analysis.interleaving import Interleaving
from espalier.analysis.metrics import Metric
from espalier.analysis.mismatch import THRESHOLD, RatioTest
from espalier.analysis.moments import Estimate, Moments
from espalier.analysis.sequences import FEWEST_ALIKE, FEWEST_UNITS
from espalier.analysis.shadow import ShadowFigures
from espalier.evaluate.intervals import Interval


class Outcome(enum.Enum):
    """What a verdict says."""

    NO_DATA = "no_data"
    NOT_YET = "not_yet"
    BETTER = "better"
    WORSE = "worse"
    RATIO_MISMATCH = "ratio_mismatch"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one variant, or of the experiment where ``variant`` is "".

    Attributes:
        outcome: In a word.
        variant: Whom it is about.
        text: A sentence for people.
    """

    outcome: Outcome
    variant: str
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {"outcome": self.outcome.value, "variant": self.variant, "text": self.text}


def no_data(experiment: str) -> Verdict:
    """Return that nobody was exposed."""
    return Verdict(
        Outcome.NO_DATA,
        "",
        f"no data: no unit was exposed to {experiment!r} alone; check its name and the files",
    )


def of_ratio(test: RatioTest) -> Verdict:
    """Return that the shares are not what they were meant to be."""
    found = ", ".join(
        f"{name} {share:.2%} instead of {test.expected[name]:.2%}"
        for name, share in test.observed.items()
    )
    return Verdict(
        Outcome.RATIO_MISMATCH,
        "",
        f"ratio mismatch: do not trust: {found} (p = {test.p_value:.2g}, below {THRESHOLD:g}); "
        "something besides the variant decides who is counted",
    )


def of_difference(
    variant: str, metric: Metric, sums: Mapping[str, Moments], control: str, found: Estimate
) -> Verdict:
    """Return what the difference of a variant to the control says.

    Args:
        variant: Its name.
        metric: What was compared.
        sums: Of both.
        control: Name of the control.
        found: The difference.
    """
    fewest = min(sums[variant].units, sums[control].units)
    if fewest < FEWEST_UNITS:
        return Verdict(
            Outcome.NOT_YET,
            variant,
            f"not yet: {fewest:,} units in the smaller variant, {FEWEST_UNITS} are needed before "
            f"{metric.title} can be compared",
        )
    alike = min(sums[variant].alike, sums[control].alike)
    if found.value is not None and alike < FEWEST_ALIKE:
        return Verdict(
            Outcome.NOT_YET,
            variant,
            f"not yet: a few units did most of what was done in a variant, which is worth that of "
            f"{alike:.0f} equally active ones; {FEWEST_ALIKE} are needed before {metric.title} can "
            "be compared",
        )
    if found.value is None or found.interval is None:
        return Verdict(
            Outcome.NOT_YET, variant, f"not yet: {metric.title} has not been seen to vary"
        )
    span = _span(found.interval, metric)
    if not excludes_zero(found.interval):
        return Verdict(
            Outcome.NOT_YET,
            variant,
            f"not yet: {metric.title} of variant {variant} minus that of {control} is anywhere "
            f"{span}",
        )
    is_better = (found.value > 0) == (metric.better > 0)
    base = sums[control].ratio
    relative = f", {found.value / base:+.1%}" if base else ""
    return Verdict(
        Outcome.BETTER if is_better else Outcome.WORSE,
        variant,
        f"variant {variant} {'better' if is_better else 'worse'} by "
        f"{abs(found.value):.{metric.digits}f} in {metric.title}{relative} (difference {span})",
    )


def of_interleaving(found: Interleaving) -> Verdict:
    """Return which of two interleaved variants people prefer."""
    first, second = found.variants
    if found.preference.value is None or found.preference.interval is None:
        return Verdict(
            Outcome.NOT_YET,
            second,
            f"not yet: {found.units:,} units accepted what only one variant gave, "
            f"{FEWEST_UNITS} are needed",
        )
    low, high = found.preference.interval.low, found.preference.interval.high
    shares = f"{(1 + found.preference.value) / 2:.1%} of the points"
    span = f"({(1 + low) / 2:.1%} to {(1 + high) / 2:.1%})"
    if not excludes_zero(found.preference.interval):
        return Verdict(Outcome.NOT_YET, second, f"not yet: variant {second} has {shares} {span}")
    is_better = found.preference.value > 0
    return Verdict(
        Outcome.BETTER if is_better else Outcome.WORSE,
        second,
        f"variant {second} {'better' if is_better else 'worse'} than {first}: {shares} {span}",
    )


def of_shadow(variant: str, found: ShadowFigures) -> Verdict:
    """Return how the lists of a variant that nobody saw differ from those shown."""
    same, kept = (found.metrics[name].value for name in ("same_first", "kept"))
    parts = [f"variant {variant}, in shadow: {found.compared:,} lists compared"]
    if same is not None:
        parts.append(f"{same:.1%} begin with the same suggestion")
    if kept is not None:
        parts.append(f"{kept:.1%} of the suggestions people accepted are in its lists too")
    return Verdict(Outcome.SHADOW, variant, ", ".join(parts))


def excludes_zero(interval: Interval) -> bool:
    """Return whether the sign of what is estimated is known."""
    return interval.low > 0 or interval.high < 0


def _span(interval: Interval, metric: Metric) -> str:
    return f"between {interval.low:+.{metric.digits}f} and {interval.high:+.{metric.digits}f}"
