"""Finds the stages by the names in the configuration.

A name is a stage that ships with Espalier, or an entry point of an installed
package: a callable that takes the ``TrainSettings`` and returns the stage::

    [project.entry-points."espalier.indexers"]
    taxonomy = "my_package.taxonomy:TaxonomyIndexer"

    [train]
    indexer = "taxonomy"

An entry point may not take the name of a stage that ships: a configuration must
mean the same wherever it is read.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from espalier.errors import ConfigError
from espalier.settings import TrainSettings
from espalier.train.blender import BLENDERS, Blender
from espalier.train.index import INDEXERS, Indexer
from espalier.train.match import MATCHERS, Matcher
from espalier.train.rank import RANKERS, Ranker

Stage = TypeVar("Stage")
FindEntryPoints = Callable[[str], Mapping[str, EntryPoint]]


def installed(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name."""
    return {point.name: point for point in entry_points(group=group)}


def make_indexer(settings: TrainSettings, find: FindEntryPoints = installed) -> Indexer:
    """Return the indexer named ``settings.indexer``; see ``_make`` for errors."""
    return _make("indexer", settings.indexer, INDEXERS, settings, find)


def make_matcher(settings: TrainSettings, find: FindEntryPoints = installed) -> Matcher:
    """Return the matcher named ``settings.negatives``; see ``_make`` for errors."""
    return _make("matcher", settings.negatives, MATCHERS, settings, find)


def make_ranker(settings: TrainSettings, find: FindEntryPoints = installed) -> Ranker:
    """Return the ranker named ``settings.ranker``; see ``_make`` for errors."""
    return _make("ranker", settings.ranker, RANKERS, settings, find)


def make_blender(settings: TrainSettings, find: FindEntryPoints = installed) -> Blender | None:
    """Return the blender named ``settings.blender``, None for the one that learns nothing."""
    return _make("blender", settings.blender, BLENDERS, settings, find)


def _make(
    kind: str,
    name: str,
    shipped: Mapping[str, Callable[[TrainSettings], Stage]],
    settings: TrainSettings,
    find: FindEntryPoints,
) -> Stage:
    """Build a stage.

    Raises:
        ConfigError: Nobody provides the name, or what provides it cannot be loaded.
    """
    if name in shipped:
        return shipped[name](settings)
    group = f"espalier.{kind}s"
    points = find(group)
    if name not in points:
        known = sorted({*shipped, *points})
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise ConfigError(
            f"no {kind} is called {name!r}; did you mean {near!r}? Known: {', '.join(known)}. "
            f"A package provides one through the entry point group {group}"
        )
    try:
        factory: Callable[[TrainSettings], Stage] = points[name].load()
    except Exception as error:
        raise ConfigError(
            f"the {kind} {name!r} is provided by {points[name].value} and cannot be loaded "
            f"({type(error).__name__}: {error}); reinstall the package that provides it"
        ) from error
    return factory(settings)
