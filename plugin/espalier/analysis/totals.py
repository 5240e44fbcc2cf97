"""From episodes to sums over units: what is left of ten million events is a page of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import numpy as np

from espalier.analysis.metrics import Metric
from espalier.analysis.moments import Moments
from espalier.evaluate.measures import FloatArray

QUANTILES: Final = (0.5, 0.95, 0.99)
_DAY: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class UnitTotals:
    """The totals of each unit for one metric.

    Attributes:
        keys: A stable number of each unit, ``(units,)``.
        variants: Its variant.
        numerators, denominators: Its totals.
    """

    keys: np.ndarray[Any, np.dtype[np.uint64]]
    variants: np.ndarray[Any, np.dtype[np.object_]]
    numerators: FloatArray
    denominators: FloatArray


def count_units(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Return how many units each variant has, exposed and in one variant only."""
    rows = connection.execute(
        "SELECT variant, count(*) FROM units GROUP BY variant ORDER BY variant"
    ).fetchall()
    return {variant: int(count) for variant, count in rows}


def count_episodes(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[int, int]]:
    """Return how many episodes and lists each variant has."""
    rows = connection.execute(
        "SELECT variant, count(*), sum(lists) FROM episodes GROUP BY variant"
    ).fetchall()
    return {variant: (int(count), int(lists)) for variant, count, lists in rows}


def moments(
    connection: duckdb.DuckDBPyConnection, metrics: Sequence[Metric]
) -> dict[str, dict[str, Moments]]:
    """Return for each metric and variant the sums over units.

    A unit without an episode counts with totals of 0.
    """
    return sums_by_variant(connection, "episodes", metrics, count_units(connection))


def sums_by_variant(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    metrics: Sequence[Metric],
    units: Mapping[str, int] | None = None,
) -> dict[str, dict[str, Moments]]:
    """Return for each metric and variant the sums over units of a table.

    Args:
        connection: Has the table.
        table: Its name; it has ``unit``, ``variant`` and what ``metrics`` are made of.
        metrics: What is added up.
        units: Units of each variant, those without a row included; None: there are no others.
    """
    columns = ", ".join(
        f"sum({one.numerator})::BIGINT AS n{i}, sum({one.denominator})::BIGINT AS d{i}"
        for i, one in enumerate(metrics)
    )
    # In wide integers, so that no order of adding changes a digit.
    sums = ", ".join(
        f"sum(n{i}), sum(d{i}), sum(n{i}::HUGEINT * n{i}), sum(n{i}::HUGEINT * d{i}), "
        f"sum(d{i}::HUGEINT * d{i})"
        for i in range(len(metrics))
    )
    found: dict[str, dict[str, Moments]] = {one.name: {} for one in metrics}
    rows = connection.execute(
        f"SELECT variant, count(*), {sums} FROM (SELECT unit, variant, {columns} "
        f"FROM {table} GROUP BY unit, variant) GROUP BY variant ORDER BY variant"
    ).fetchall()
    for variant, seen, *numbers in rows:
        count = seen if units is None else units[variant]
        for i, one in enumerate(metrics):
            found[one.name][variant] = _moments(count, numbers[5 * i : 5 * i + 5], one)
    for by_variant in found.values():
        for variant, count in (units or {}).items():
            by_variant.setdefault(variant, Moments(count, 0.0, 0.0, 0.0, 0.0, 0.0))
    return found


def course(
    connection: duckdb.DuckDBPyConnection, metric: Metric
) -> list[tuple[int, dict[str, Moments]]]:
    """Return the sums as they stood at the end of each day: (day since 1970, by variant).

    A unit that comes back on a later day has other totals from then on: its running
    totals give what its squares grow by that day, and these add up.
    """
    rows = connection.execute(
        f"""
        SELECT day, variant, sum(is_new::INTEGER), sum(n), sum(d),
               sum(nn * nn - (nn - n) * (nn - n)), sum(nn * dd - (nn - n) * (dd - d)),
               sum(dd * dd - (dd - d) * (dd - d))
        FROM (
            SELECT day, unit, variant, n, d, row_number() OVER days = 1 AS is_new,
                   sum(n) OVER days AS nn, sum(d) OVER days AS dd
            FROM (
                SELECT unit, any_value(variant) AS variant, begun // {_DAY} AS day,
                       sum({metric.numerator})::HUGEINT AS n,
                       sum({metric.denominator})::HUGEINT AS d
                FROM episodes GROUP BY unit, day)
            WINDOW days AS (PARTITION BY unit ORDER BY day
                            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW))
        GROUP BY day, variant ORDER BY day
        """
    ).fetchall()
    standing: dict[str, list[int]] = {}
    found: list[tuple[int, dict[str, Moments]]] = []
    for day, variant, *grown in rows:
        now = standing.setdefault(variant, [0] * 6)
        standing[variant] = [old + int(more) for old, more in zip(now, grown, strict=True)]
        reached = {
            name: _moments(numbers[0], numbers[1:], metric) for name, numbers in standing.items()
        }
        if found and found[-1][0] == day:
            found.pop()
        found.append((int(day), reached))
    return found


def unit_totals(connection: duckdb.DuckDBPyConnection, metric: Metric) -> UnitTotals:
    """Return the totals of every unit, in the order of their keys."""
    found = connection.execute(
        f"""
        SELECT units.unit AS key, any_value(units.variant) AS variant,
               coalesce(sum({metric.numerator}), 0)::DOUBLE / {metric.scale} AS n,
               coalesce(sum(CASE WHEN episodes.unit IS NULL THEN 0 ELSE {metric.denominator} END),
                        0)::DOUBLE AS d
        FROM units LEFT JOIN episodes USING (unit) GROUP BY key ORDER BY key
        """
    ).fetchnumpy()
    return UnitTotals(
        np.asarray(found["key"], dtype=np.uint64),
        np.asarray(found["variant"], dtype=np.object_),
        np.asarray(found["n"], dtype=np.float64),
        np.asarray(found["d"], dtype=np.float64),
    )


def latencies(connection: duckdb.DuckDBPyConnection) -> Mapping[str, tuple[float, ...]]:
    """Return by variant the :data:`QUANTILES` of the time a list took, in milliseconds."""
    rows = connection.execute(
        "SELECT acts.variant, quantile_disc(latency_us, $quantiles) FROM acts "
        "WHERE latency_us IS NOT NULL GROUP BY acts.variant",
        {"quantiles": list(QUANTILES)},
    ).fetchall()
    return {variant: tuple(each / 1_000.0 for each in times) for variant, times in rows}


def _moments(units: int, numbers: Sequence[int], metric: Metric) -> Moments:
    n, d, nn, nd, dd = (float(number or 0) for number in numbers)
    return Moments(
        int(units),
        n / metric.scale,
        d,
        nn / (metric.scale * metric.scale),
        nd / metric.scale,
        dd,
    )
