"""Variants in shadow: lists that nobody saw, beside those that were shown.

A shadow changes nothing, so it has no acceptance of its own. What can be said is how its
lists differ, how long they take, and what it would have made of the suggestions people
accepted. That favours what was shown: nobody can accept what only the shadow had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import duckdb

from espalier.analysis.metrics import Metric
from espalier.analysis.moments import Estimate, level
from espalier.analysis.reading import ACCEPTANCE, SHADOW
from espalier.analysis.totals import QUANTILES, sums_by_variant

SHADOW_METRICS: Final[Mapping[str, Metric]] = {
    one.name: one
    for one in (
        Metric(
            "same_first",
            "same first suggestion",
            "share of the lists that begin with the same suggestion",
            "coalesce(places[1] = 1, false)::INTEGER",
            "1",
        ),
        Metric(
            "overlap",
            "same suggestions",
            "suggestions in both lists, as a share of the longer one",
            "len(list_filter(places, lambda place: place > 0))",
            "greatest(live, len(places))",
        ),
        Metric(
            "no_suggestions",
            "no suggestions",
            "share of the lists that are empty",
            "(len(places) = 0)::INTEGER",
            "1",
            better=-1,
        ),
        Metric(
            "kept",
            "accepted ones kept",
            "of the suggestions people accepted, the share that is in its list too",
            "coalesce(ordinal > 0 AND list_contains(places, ordinal), false)::INTEGER",
            "(ordinal > 0)::INTEGER",
        ),
        Metric(
            "kept_first",
            "accepted ones first",
            "of the suggestions people accepted, the share that it has in the first place",
            "coalesce(ordinal > 0 AND places[1] = ordinal, false)::INTEGER",
            "(ordinal > 0)::INTEGER",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class ShadowFigures:
    """What comparisons say of one variant.

    Attributes:
        units: People whose lists were compared.
        compared: Lists.
        failed: Lists it could not make.
        metrics: By name, of SHADOW_METRICS.
        latency: Milliseconds at QUANTILES; None without a list.
    """

    units: int
    compared: int
    failed: int
    metrics: Mapping[str, Estimate]
    latency: tuple[float, ...] | None

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "units": self.units,
            "compared": self.compared,
            "failed": self.failed,
            "metrics": {name: one.to_json() for name, one in self.metrics.items()},
            "latency_ms": None
            if self.latency is None
            else {f"p{q * 100:.0f}": v for q, v in zip(QUANTILES, self.latency, strict=True)},
        }


def analyse_shadows(
    connection: duckdb.DuckDBPyConnection, experiment: str, alpha: float, tuned_for: float
) -> dict[str, ShadowFigures]:
    """Return what the shadows of an experiment in ``events`` did, by variant.

    Args:
        connection: With the table ``events``.
        experiment: Its name.
        alpha: Probability of an interval that ever misses the truth.
        tuned_for: Units at which intervals are narrowest.
    """
    connection.execute(
        f"""
        CREATE TABLE taken AS SELECT list, any_value(ordinal) AS ordinal FROM events
        WHERE kind = {ACCEPTANCE} AND list IS NOT NULL AND ordinal > 0 GROUP BY list;
        """
    )
    connection.execute(
        f"""
        CREATE TABLE shadows AS
        SELECT e.unit, e.shadow.variant AS variant, e.shadow.places AS places,
               coalesce(e.shadow.live, 0) AS live, coalesce(t.ordinal, 0) AS ordinal,
               coalesce(e.shadow.failed, false) AS failed, e.shadow.latency_us AS latency_us
        FROM events e LEFT JOIN taken t USING (list)
        WHERE e.kind = {SHADOW} AND e.shadow.experiment = $experiment
          AND e.shadow.variant IS NOT NULL AND e.unit IS NOT NULL
        """,
        {"experiment": experiment},
    )
    connection.execute(
        "CREATE VIEW compared AS FROM shadows WHERE NOT failed AND places IS NOT NULL"
    )
    sums = sums_by_variant(connection, "compared", list(SHADOW_METRICS.values()))
    rows = connection.execute(
        """
        SELECT variant, count(DISTINCT unit), count(*) FILTER (NOT failed),
               count(*) FILTER (failed), quantile_disc(latency_us, $quantiles)
        FROM shadows GROUP BY variant ORDER BY variant
        """,
        {"quantiles": list(QUANTILES)},
    ).fetchall()
    return {
        variant: ShadowFigures(
            int(units),
            int(compared),
            int(failed),
            {
                name: level(of[variant], alpha, tuned_for)
                if variant in of
                else Estimate(None, None)
                for name, of in sums.items()
            },
            None if times is None else tuple(each / 1_000.0 for each in times),
        )
        for variant, units, compared, failed, times in rows
    }
