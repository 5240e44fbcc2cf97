"""Interleaved lists: which of two variants gave the suggestion that was accepted.

Two variants draft one list by turns (team draft: Radlinski, Kurup and Joachims, "How does
clickthrough data reflect retrieval quality?", CIKM 2008), and the events say for each
suggestion whose turn it was, or nobody's where both had it. An acceptance is a point for
its variant. Points of one person resemble each other, so the preference is a ratio of
totals by unit like any other metric: (points of B - points of A) / all points, from -1 to
1, with an interval that holds at every look. It says which of the two is better, and not
by how much the acceptance rate will change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from espalier.analysis.episodes import LATE_HOURS
from espalier.analysis.moments import Estimate, Moments, level
from espalier.analysis.reading import ACCEPTANCE, IMPRESSION
from espalier.errors import LogError
from espalier.evaluate.intervals import Interval

_HOUR = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Interleaving:
    """What the credits say.

    Attributes:
        variants: The two whose lists were drafted; the control is the first.
        units: People with an acceptance from an interleaved list.
        lists: Interleaved lists shown.
        acceptances: Accepted from them.
        points: Acceptances credited to each variant.
        nobody: Acceptances of what both lists had.
        unplaced: Acceptances whose place is not known or not in the list.
        preference: For the second variant, -1 to 1.
    """

    variants: tuple[str, str]
    units: int
    lists: int
    acceptances: int
    points: tuple[int, int]
    nobody: int
    unplaced: int
    preference: Estimate

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "variants": list(self.variants),
            "units": self.units,
            "lists": self.lists,
            "acceptances": self.acceptances,
            "points": dict(zip(self.variants, self.points, strict=True)),
            "nobody": self.nobody,
            "unplaced": self.unplaced,
            "preference": self.preference.to_json(),
        }


def analyse_interleaving(
    connection: duckdb.DuckDBPyConnection, control: str, alpha: float, tuned_for: float
) -> Interleaving | None:
    """Return what the credits of the experiment in ``events`` say; None if there are none.

    Args:
        connection: With the table ``events``.
        control: Name of the first variant; "" for the first in the alphabet.
        alpha: Probability of an interval that ever misses the truth.
        tuned_for: Units at which the interval is narrowest.

    Raises:
        LogError: The credits name more than two variants.
    """
    connection.execute(
        f"CREATE TABLE drafted AS SELECT list, unit, moment, credits FROM events "
        f"WHERE kind = {IMPRESSION} AND variant IS NOT NULL AND credits IS NOT NULL "
        "AND list IS NOT NULL AND unit IS NOT NULL"
    )
    (lists,) = connection.execute("SELECT count(*) FROM drafted").fetchall()[0]
    names = _order(
        [
            name
            for (name,) in connection.execute(
                "SELECT DISTINCT unnest(credits) AS name FROM drafted ORDER BY name"
            ).fetchall()
            if name is not None
        ],
        control,
    )
    if names is None:
        return None
    # One list gives one point however often it is reported.
    rows = connection.execute(
        f"""
        CREATE TABLE points AS
        SELECT unit, credit, placed FROM (
            SELECT d.unit, d.list, e.ordinal BETWEEN 1 AND len(d.credits) AS placed,
                   d.credits[e.ordinal] AS credit,
                   row_number() OVER (PARTITION BY d.list ORDER BY e.moment, e.spot) AS place
            FROM events e JOIN drafted d USING (list)
            WHERE e.kind = {ACCEPTANCE} AND e.moment <= d.moment + {LATE_HOURS * _HOUR})
        WHERE place = 1;
        SELECT coalesce(sum(a), 0), coalesce(sum(b), 0), count(*) FILTER (a + b > 0),
               coalesce(sum((b - a) * (b - a)), 0), coalesce(sum((b - a) * (b + a)), 0),
               coalesce(sum((b + a) * (b + a)), 0)
        FROM (SELECT unit, count(*) FILTER (credit = $a) AS a, count(*) FILTER (credit = $b) AS b
              FROM points GROUP BY unit)
        """,
        {"a": names[0], "b": names[1]},
    ).fetchall()
    a, b, units, nn, nd, dd = map(int, rows[0])
    acceptances, nobody, unplaced = connection.execute(
        "SELECT count(*), count(*) FILTER (placed AND credit IS NULL), "
        "count(*) FILTER (NOT coalesce(placed, false)) FROM points"
    ).fetchall()[0]
    sums = Moments(units, float(b - a), float(a + b), float(nn), float(nd), float(dd))
    return Interleaving(
        names,
        units,
        int(lists),
        int(acceptances),
        (a, b),
        int(nobody),
        int(unplaced),
        level(sums, alpha, tuned_for, within=Interval(-1.0, 1.0)),
    )


def _order(names: Sequence[str], control: str) -> tuple[str, str] | None:
    if not names:
        return None
    found = sorted({*names, *([control] if control else [])}, key=lambda one: (one != control, one))
    if len(found) == 1:
        # All points went to one of the two: the other is known by name only.
        found.append("the other")
    if len(found) != 2:
        raise LogError(
            f"the credits name {len(found)} variants ({', '.join(found)}); interleaving compares "
            "two: check --control, or leave out files of an earlier experiment of this name"
        )
    return found[0], found[1]
