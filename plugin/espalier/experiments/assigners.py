"""Who else may decide which variant somebody gets, in place of the hash.

An experiment names its assigner:

===============================  ====================================================
``hash``                         the hash of its seed and the unit; no assigner at all
``openfeature``                  the provider that is registered with OpenFeature
``openfeature:MODULE:FACTORY``   the provider that ``FACTORY()`` of a module returns
any other name                   an entry point of the group ``espalier.assigners``: a
                                 function without arguments that returns an `Assigner`
===============================  ====================================================

It is asked in the process that completes, with every keystroke of those who take part,
so it should answer from memory; one that fails puts nobody into any variant.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from typing import Any, Final, Protocol

from espalier.errors import ConfigError
from espalier.experiments.model import Experiment, Participant
from espalier.experiments.tables import HASH

GROUP: Final = "espalier.assigners"
OPENFEATURE: Final = "openfeature"


class Assigner(Protocol):
    """Decides who gets which variant. Safe to use from many threads."""

    def assign(self, experiment: Experiment, who: Participant) -> str | None:
        """Return the name of the variant, ``None`` for none.

        Only asked where the experiment runs and ``who`` is eligible and has its unit,
        which is ``who.unit_of(experiment.unit)``.
        """
        ...


def assigner_named(name: str) -> Assigner | None:
    """Return the assigner an experiment names, ``None`` for the hash.

    Raises:
        ConfigError: There is none of that name, or it cannot be made.
    """
    if name == HASH:
        return None
    kind, _, rest = name.partition(":")
    if kind == OPENFEATURE:
        from espalier.experiments.openfeature import OpenFeatureAssigner  # noqa: PLC0415 - an extra

        provider = _made(_found(rest), name) if rest else None
        return OpenFeatureAssigner(provider, f"espalier.{rest}")
    known = {point.name: point for point in entry_points(group=GROUP)}
    if name not in known:
        others = ", ".join(sorted({HASH, OPENFEATURE, *known}))
        raise ConfigError(
            f"no assigner is called {name}; install the package that has it as an entry point "
            f"of {GROUP}, or use one of: {others}"
        )
    try:
        factory = known[name].load()
    except Exception as error:
        raise _unusable(name, error) from error
    made: Any = _made(factory, name)
    if not callable(getattr(made, "assign", None)):
        raise ConfigError(f"assigner {name} has no method assign(experiment, who)")
    assigner: Assigner = made
    return assigner


def assigners_of(experiments: Iterable[Experiment]) -> dict[str, Assigner | None]:
    """Return the assigners that experiments name, each made once.

    Raises:
        ConfigError: As `assigner_named`.
    """
    return {name: assigner_named(name) for name in {one.assigner for one in experiments}}


def _found(place: str) -> Callable[[], object]:
    module, _, factory = place.partition(":")
    try:
        found: Callable[[], object] = getattr(importlib.import_module(module), factory)
    except Exception as error:
        raise _unusable(f"{OPENFEATURE}:{place}", error) from error
    return found


def _made(factory: Callable[[], object], name: str) -> Any:
    # Foreign code, which may raise anything.
    try:
        return factory()
    except Exception as error:
        raise _unusable(name, error) from error


def _unusable(name: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"assigner {name} cannot be made: {type(error).__name__}: {error}; see that its package "
        "is installed where the service runs"
    )
