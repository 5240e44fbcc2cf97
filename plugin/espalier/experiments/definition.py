"""Experiments from the table ``[experiments]`` of a configuration, everything checked.

::

    [experiments.wider-beam]
    namespace = "ranking"               # others there get other people
    namespace_to = 5000
    coverage = 2000                     # of 10,000: a fifth of those eligible
    end = 2026-03-01T00:00:00Z
    eligible = { country = ["de", "at"] }

    [experiments.wider-beam.variants]   # the first is the control
    control = { weight = 5000 }
    wide = { weight = 5000, beam = 40, context = 2 }

Shares are whole numbers of 0.01 %, so nobody has to wonder what a sum of fractions is.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from itertools import combinations, pairwise
from typing import Any, Final

from espalier.errors import ConfigError
from espalier.experiments.assignment import shares_of
from espalier.experiments.clashes import clashes
from espalier.experiments.model import (
    BASIS,
    INTERLEAVED,
    NAME,
    Experiment,
    Mode,
    Parameters,
    Variant,
)
from espalier.experiments.tables import HASH, ExperimentTable, VariantTable
from espalier.gather import Gathered, Source

MAX_EXPERIMENTS: Final = 100
MAX_VARIANTS: Final = 16
_TABLES: Final = ("eligible", "variants")
_MOMENTS: Final = {"start", "end"}
_PLACE: Final = 10
"""Places in a namespace are this far apart, in 0.01 %."""


def read_experiments(
    table: Mapping[str, Any], where: str, indexes: Collection[str] | None = None
) -> tuple[Experiment, ...]:
    """Return the experiments of a table.

    Args:
        table: As read from TOML.
        where: What errors call it.
        indexes: Names of the indexes served, the default first; ``None`` if not known.

    Raises:
        ConfigError: The first thing that is wrong.
    """
    reading = _Reading(where, indexes)
    experiments = reading.experiments(table)
    for _, message in reading.problems:
        raise ConfigError(message)
    return experiments


def problems_of(
    table: Mapping[str, Any], where: str, indexes: Collection[str] | None = None
) -> list[tuple[str, str]]:
    """Return everything that is wrong with a table: dotted key and message."""
    reading = _Reading(where, indexes)
    reading.experiments(table)
    return reading.problems


def as_table(experiment: Experiment) -> dict[str, Any]:
    """Return what `read_experiments` makes the same experiment of, defaults included."""
    low, high = experiment.namespace_share
    ranged = experiment.mode is Mode.SPLIT and not any(one.weight for one in experiment.variants)
    table: dict[str, Any] = {
        "mode": experiment.mode.value,
        "seed": experiment.seed,
        "unit": experiment.unit,
        "coverage": experiment.coverage,
        "namespace": experiment.namespace,
        "namespace_from": round(low * BASIS),
        "namespace_to": round(high * BASIS),
        "start": experiment.start,
        "end": experiment.end,
        "index": experiment.index,
        "assigner": experiment.assigner,
        "eligible": {name: list(values) for name, values in experiment.eligible.items()},
        "variants": {
            one.name: _share_of(one, experiment.mode, ranged=ranged)
            | {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in one.parameters.given().items()
            }
            for one in experiment.variants
        },
    }
    return {name: value for name, value in table.items() if value is not None}


def as_message(experiments: Iterable[Experiment]) -> dict[str, Any]:
    """Return experiments as `of_message` takes them, in what JSON can write."""
    tables = {one.name: as_table(one) for one in experiments}
    for table in tables.values():
        for moment in _MOMENTS & table.keys():
            table[moment] = table[moment].isoformat()
    return tables


def of_message(message: Mapping[str, Any]) -> tuple[Experiment, ...]:
    """Return the experiments in a message."""
    return read_experiments(
        {
            name: table
            | {key: dt.datetime.fromisoformat(table[key]) for key in _MOMENTS & table.keys()}
            for name, table in message.items()
        },
        "experiments",
    )


def _share_of(variant: Variant, mode: Mode, *, ranged: bool) -> dict[str, int]:
    if mode is not Mode.SPLIT:
        return {}
    if not ranged:
        return {"weight": variant.weight}
    low, high = variant.share
    return {"range_from": round(low * BASIS), "range_to": round(high * BASIS)}


class _Reading:
    """Reads a table and notes what is wrong, by dotted key."""

    def __init__(self, where: str, indexes: Collection[str] | None) -> None:
        self.problems: list[tuple[str, str]] = []
        self._where = where
        self._indexes = indexes

    def experiments(self, table: Mapping[str, Any]) -> tuple[Experiment, ...]:
        found = []
        if len(table) > MAX_EXPERIMENTS:
            self._note("", f"has {len(table)} experiments; {MAX_EXPERIMENTS} is the most")
        for name, values in table.items():
            if not NAME.holds(name):
                self._note(name, f"{name!r} is no name of an experiment; use {NAME.allowed}")
            elif not isinstance(values, dict):
                self._note(name, f"{name} must be a table; write [experiments.{name}] above it")
            else:
                before = len(self.problems)
                experiment = self._experiment(name, values)
                # What a broken one should have been nobody knows.
                if len(self.problems) == before:
                    found.append(experiment)
        for one, other in combinations(found, 2):
            for key, message in clashes(one, other, self._default):
                self._note(f"{other.name}.{key}", message)
        return tuple(found)

    @property
    def _default(self) -> str:
        return next(iter(self._indexes), "") if self._indexes else ""

    def _note(self, key: str, message: str) -> None:
        self.problems.append((key, f"{self._where}: {message}"))

    def _put(self, settings: type, key: str, values: Mapping[str, Any]) -> Any:
        """Return ``settings`` with ``values``, as far as they can be used."""
        gathered = Gathered(settings)
        for name, value in values.items():
            try:
                gathered.put(name, value, Source(f"{self._where}, {key}", is_text=False))
            except ConfigError as error:
                self.problems.append((f"{key}.{name}", str(error)))
        return gathered.build()

    def _experiment(self, name: str, values: Mapping[str, Any]) -> Experiment:
        plain = {key: value for key, value in values.items() if key not in _TABLES}
        table: ExperimentTable = self._put(ExperimentTable, name, plain)
        mode = Mode(table.mode)
        experiment = Experiment(
            name,
            self._variants(name, values.get("variants"), mode, table.coverage),
            mode=mode,
            seed=table.seed or name,
            unit=table.unit,
            coverage=table.coverage,
            namespace=table.namespace,
            namespace_share=(table.namespace_from / BASIS, table.namespace_to / BASIS),
            start=table.start,
            end=table.end,
            eligible=self._eligible(name, values.get("eligible", {})),
            index=table.index,
            assigner=table.assigner,
        )
        if table.namespace_from >= table.namespace_to:
            self._note(
                f"{name}.namespace_to",
                f"{name}.namespace_to = {table.namespace_to} must be above namespace_from, "
                f"which is {table.namespace_from}",
            )
        elif not -(-table.namespace_from // _PLACE) * _PLACE < table.namespace_to:
            self._note(
                f"{name}.namespace_to",
                f"{name} has the part {table.namespace_from} to {table.namespace_to} of its "
                f"namespace, in which nobody is; people stand there in steps of {_PLACE}",
            )
        if not table.namespace and experiment.namespace_share != (0.0, 1.0):
            self._note(f"{name}.namespace", f"{name} has a part of a namespace; name the namespace")
        if table.start is not None and table.end is not None and table.start >= table.end:
            self._note(f"{name}.end", f"{name}.end must be after its start")
        if mode is not Mode.SPLIT and table.assigner != HASH:
            self._note(
                f"{name}.assigner",
                f"{name}.assigner = {table.assigner} decides who gets which variant, and with "
                f"mode = {mode.value} nobody does; leave it out",
            )
        if mode is Mode.SHADOW and any(one.parameters.given() for one in experiment.variants[:1]):
            self._note(
                f"{name}.variants.{experiment.control.name}",
                f"{name}.variants.{experiment.control.name} is what everybody gets, with or "
                "without the experiment; leave out its parameters",
            )
        self._check_index(f"{name}.index", table.index)
        return experiment

    def _eligible(self, name: str, values: Any) -> Mapping[str, tuple[str, ...]]:
        key = f"{name}.eligible"
        if not isinstance(values, dict):
            self._note(key, f"{key} must be a table of attributes and lists of values")
            return {}
        for attribute, wanted in values.items():
            if not (
                isinstance(wanted, list) and wanted and all(isinstance(one, str) for one in wanted)
            ):
                self._note(f"{key}.{attribute}", f"{key}.{attribute} must be a list of texts")
                return {}
        return {attribute: tuple(wanted) for attribute, wanted in values.items()}

    def _variants(self, name: str, values: Any, mode: Mode, coverage: int) -> tuple[Variant, ...]:
        key = f"{name}.variants"
        if not isinstance(values, dict) or not 2 <= len(values) <= MAX_VARIANTS:
            self._note(key, f"{key} must be a table of 2 to {MAX_VARIANTS} variants")
            return ()
        if mode is Mode.INTERLEAVE and len(values) != 2:
            self._note(key, f"{key} has {len(values)} variants; a list is drafted from two")
        tables: dict[str, VariantTable] = {}
        for variant, given in values.items():
            if not NAME.holds(variant) or variant == INTERLEAVED:
                self._note(
                    f"{key}.{variant}",
                    f"{key}: {variant!r} cannot be a variant; use {NAME.allowed}, "
                    f"and not {INTERLEAVED}",
                )
            elif not isinstance(given, dict):
                self._note(f"{key}.{variant}", f"{key}.{variant} must be a table")
            else:
                tables[variant] = self._put(VariantTable, f"{key}.{variant}", given)
                self._check_index(f"{key}.{variant}.index", tables[variant].index or "")
                if tables[variant].sources == ():
                    self._note(
                        f"{key}.{variant}.sources",
                        f"{key}.{variant}.sources is empty, and without a source there is "
                        "nothing to suggest; name some, or leave it out for all",
                    )
        shares = self._shares(key, tables, mode, coverage)
        fields = [item.name for item in dataclasses.fields(Parameters)]
        return tuple(
            Variant(
                variant,
                share,
                table.weight or 0,
                Parameters(**{field: getattr(table, field) for field in fields}),
            )
            for (variant, table), share in zip(tables.items(), shares, strict=True)
        )

    def _shares(
        self, key: str, tables: Mapping[str, VariantTable], mode: Mode, coverage: int
    ) -> list[tuple[float, float]]:
        """Return the range of hashes of each variant."""
        weights = [table.weight for table in tables.values()]
        ends = [(table.range_from, table.range_to) for table in tables.values()]
        ranged = any(end is not None for pair in ends for end in pair)
        if mode is not Mode.SPLIT:
            if ranged or any(weight is not None for weight in weights):
                self._note(
                    key,
                    f"{key} have shares, and with mode = {mode.value} all get the same answer; "
                    "say with coverage how many take part",
                )
            return [(0.0, coverage / BASIS), *[(0.0, 0.0)] * (len(tables) - 1)][: len(tables)]
        if ranged:
            return self._ranges(key, tables, coverage)
        if any(weight is None for weight in weights) or sum(filter(None, weights)) != BASIS:
            given = ", ".join("none" if one is None else str(one) for one in weights)
            self._note(
                key, f"{key} have the weights {given}; give each one, with a sum of {BASIS:,}"
            )
        return shares_of([(weight or 0) / BASIS for weight in weights], coverage / BASIS)

    def _ranges(
        self, key: str, tables: Mapping[str, VariantTable], coverage: int
    ) -> list[tuple[float, float]]:
        found = []
        for name, table in tables.items():
            low, high = table.range_from, table.range_to
            if low is None or high is None or low > high or table.weight is not None:
                self._note(
                    f"{key}.{name}",
                    f"{key}.{name} must have range_from and range_to, not below it, and no "
                    "weight, as another variant has a range",
                )
                low = high = 0
            found.append((low, high))
        for (_, end), (start, _) in pairwise(sorted(pair for pair in found if pair[0] < pair[1])):
            if start < end:
                self._note(key, f"{key} have ranges that overlap between {start} and {end}")
        if coverage != BASIS:
            self._note(key, f"{key} have ranges, which say how many take part; leave out coverage")
        return [(low / BASIS, high / BASIS) for low, high in found]

    def _check_index(self, key: str, name: str) -> None:
        if name and self._indexes is not None and name not in self._indexes:
            served = ", ".join(self._indexes)
            self._note(key, f"{key} = {name} is not served; use one of: {served}")
