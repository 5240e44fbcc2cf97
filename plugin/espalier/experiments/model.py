"""What an experiment is: variants, whom it concerns, and what its variants change.

Nothing here is checked; `espalier.experiments.definition` makes experiments of a
configuration and does that.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from espalier.schema import Between, Each, Matches, setting

_NONE: Final[Mapping[str, str]] = MappingProxyType({})
BASIS: Final = 10_000
"""Shares are whole numbers of 0.01 %, so of this."""
INTERLEAVED: Final = "interleaved"
"""What is in force in place of a variant where a list was drafted from two of them."""
USER: Final = "user"
"""A unit that is `Participant.unit`."""
SESSION: Final = "session"
"""A unit that is `Participant.session_id`."""
ATTRIBUTE: Final = "attribute:"
"""With a name behind it: a unit that is that one of `Participant.attributes`."""
NAME: Final = Matches(
    r"[A-Za-z][A-Za-z0-9._+-]{0,63}", "a name of at most 64 letters, digits, '.', '_', '+' and '-'"
)
SOURCES: Final = ("MODEL", "POPULAR", "TAIL", "CORRECTED")
"""Where suggestions come from, as `espalier.native.Source` names it."""
FEATURE_GROUPS: Final = ("popularity", "model", "language", "context", "text", "source")
"""As ``espalier.native.FEATURE_GROUPS``."""


class Mode(enum.Enum):
    """What becomes of the variants."""

    SPLIT = "split"
    SHADOW = "shadow"
    INTERLEAVE = "interleave"


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a variant changes; ``None`` for what it leaves as it is."""

    index: str | None = setting(None, NAME, "to answer from, one of those served")
    sources: tuple[str, ...] | None = setting(
        None,
        Each("|".join(SOURCES), f"a list of {', '.join(SOURCES)}"),
        "of suggestions; a request that allows fewer gets what both allow",
    )
    suggestions: int | None = setting(
        None, Between(1, 100), "in an answer, whatever the request says"
    )
    beam: int | None = setting(None, Between(1, 100, "nodes"), "of the tree kept per level")
    pool: int | None = setting(None, Between(1, 2_048, "labels"), "handed to the blend")
    context: int | None = setting(None, Between(0, 32, "queries"), "of the session used, at most")
    keep_variants: bool | None = setting(
        None, meaning="whether variants of better suggestions stay"
    )
    features_off: tuple[str, ...] | None = setting(
        None,
        Each("|".join(FEATURE_GROUPS), f"a list of {', '.join(FEATURE_GROUPS)}"),
        "groups of features the blend does without",
    )

    def search(self) -> dict[str, Any]:
        """Return what is changed of the search, as arguments of `espalier.Index.complete`."""
        search = {"beam": self.beam, "pool": self.pool, "groups_off": self.features_off}
        return {name: value for name, value in search.items() if value is not None}

    def given(self) -> dict[str, Any]:
        """Return what is changed, by name."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant.

    Attributes:
        share: The units that get it, as half-open range of hashes from 0 to 1; coverage is
            taken into account. Where nothing is split, the control has all who take part.
        weight: Its share of those units, in 0.01 %, as configured; 0 where ranges are.
    """

    name: str
    share: tuple[float, float] = (0.0, 0.0)
    weight: int = 0
    parameters: Parameters = field(default_factory=Parameters)


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment.

    Attributes:
        variants: The first is the control.
        seed: What tells its hashes from those of other experiments.
        unit: What is assigned: `USER`, `SESSION`, or `ATTRIBUTE` and a name.
        coverage: Share of the eligible units it takes, in 0.01 %.
        namespace: Where experiments exclude each other; "" for none.
        namespace_share: The part of the namespace it has, half-open, from 0 to 1.
        start, end: When it runs: from ``start`` until before ``end``, with time zone.
        eligible: Attributes and the values one of which they must have.
        index: Index whose calls it concerns; "" for the default one.
        assigner: Who decides: "hash", or a plug-in by name.
    """

    name: str
    variants: tuple[Variant, ...]
    mode: Mode = Mode.SPLIT
    seed: str = ""
    unit: str = USER
    coverage: int = BASIS
    namespace: str = ""
    namespace_share: tuple[float, float] = (0.0, 1.0)
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    eligible: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    index: str = ""
    assigner: str = "hash"

    @property
    def control(self) -> Variant:
        """What everybody gets who is in no variant."""
        return self.variants[0]

    def variant(self, name: str) -> Variant | None:
        """Return the variant called ``name``, ``None`` if there is none."""
        return next((one for one in self.variants if one.name == name), None)


class Participant(NamedTuple):
    """Who asks, as far as experiments go: ``espalier.v1.ExperimentContext`` and the session."""

    unit: str = ""
    session_id: str = ""
    attributes: Mapping[str, str] = _NONE
    forced: Mapping[str, str] = _NONE
    assigned: Mapping[str, str] = _NONE

    def unit_of(self, kind: str) -> str:
        """Return the unit of a kind, "" if this one has none."""
        if kind == USER:
            return self.unit
        if kind == SESSION:
            return self.session_id
        return self.attributes.get(kind.removeprefix(ATTRIBUTE), "")


class Reason(enum.Enum):
    """Why somebody is in a variant, or in none; as ``espalier.v1.AssignmentReason``."""

    ASSIGNED = "assigned"
    FORCED = "forced"
    EXTERNAL = "external"
    NO_UNIT = "no_unit"
    NOT_ELIGIBLE = "not_eligible"
    NOT_IN_NAMESPACE = "not_in_namespace"
    NOT_COVERED = "not_covered"
    UNKNOWN_VARIANT = "unknown_variant"
    INDEX_NOT_SERVED = "index_not_served"


@dataclass(frozen=True, slots=True)
class Assignment:
    """What became of a participant in one experiment.

    Attributes:
        variant: ``None`` where there is none.
    """

    experiment: Experiment
    variant: Variant | None
    reason: Reason


@dataclass(frozen=True, slots=True)
class Trial:
    """What experiments had to do with an answer.

    Attributes:
        variants: In force, by experiment; those that were forced as well.
        counted: The same; empty where one was forced, since testers count in no report.
        unit: Who was assigned; of several experiments with different units the first one's.
        units: Who was assigned by the experiments of ``counted`` whose unit is another.
        credits: For each suggestion of an interleaved list the variant that gave it, ``None``
            where that is nobody. Empty where nothing was interleaved.
        shadows: What is to be computed beside it.
        parameters: What the variants in force change, together.
        tested: Whether one was forced.
    """

    variants: Mapping[str, str] = field(default_factory=dict)
    counted: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    credits: tuple[str | None, ...] = ()
    shadows: tuple[tuple[Experiment, Variant], ...] = ()
    parameters: Parameters = field(default_factory=Parameters)
    tested: bool = False


NO_TRIAL: Final = Trial()
