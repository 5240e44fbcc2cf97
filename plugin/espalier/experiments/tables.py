"""The tables of a configuration that experiments stand in: their keys, types and ranges."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from espalier.experiments.model import ATTRIBUTE, BASIS, SESSION, USER, Mode, Parameters
from espalier.schema import Between, Matches, OneOf, setting

HASH: Final = "hash"
"""The assigner that is built in."""

_SHARE: Final = Between(0, BASIS, "(0.01 %)")
_TEXT: Final = Matches(r"(?s).{1,128}", "text of 1 to 128 characters")


@dataclass(frozen=True, slots=True)
class HasZone:
    """A moment, not a time of day somewhere."""

    allowed = "a date and time with its zone, as in 2026-01-31T00:00:00Z"

    def holds(self, value: dt.datetime) -> bool:
        """Return whether ``value`` has one."""
        return value.tzinfo is not None


@dataclass(frozen=True, slots=True)
class ExperimentTable:
    """The settings of an experiment but for its tables."""

    mode: str = setting("split", OneOf(tuple(one.value for one in Mode)), "of the variants")
    seed: str = setting("", meaning="of the hash; the name of the experiment if empty")
    unit: str = setting(
        USER,
        Matches(rf"{USER}|{SESSION}|{ATTRIBUTE}.{{1,64}}", "user, session or attribute:NAME"),
        "what is assigned",
    )
    coverage: int = setting(BASIS, _SHARE, "of the units eligible")
    namespace: str = setting("", meaning="where experiments exclude each other")
    namespace_from: int = setting(0, _SHARE, "where its part of the namespace begins")
    namespace_to: int = setting(BASIS, _SHARE, "and where it ends")
    start: dt.datetime | None = setting(None, HasZone(), "when it begins")
    end: dt.datetime | None = setting(None, HasZone(), "when it is over")
    index: str = setting("", meaning="whose calls it concerns; the default one if empty")
    assigner: str = setting(HASH, _TEXT, "who decides: hash, openfeature:..., or a plug-in")


@dataclass(frozen=True, slots=True)
class VariantTable(Parameters):
    """The settings of a variant."""

    weight: int | None = setting(None, _SHARE, "of the units taken")
    range_from: int | None = setting(None, _SHARE, "where its hashes begin, instead of a weight")
    range_to: int | None = setting(None, _SHARE, "and where they end")
