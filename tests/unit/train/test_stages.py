"""Stages are found by name: those that ship, and those of installed packages."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from espalier.errors import ConfigError
from espalier.settings import TrainSettings
from espalier.train.blender import BLENDERS, LinearBlender, TreeBlender
from espalier.train.index import INDEXERS
from espalier.train.match import MATCHERS
from espalier.train.rank import RANKERS
from espalier.train.stages import make_blender, make_indexer, make_matcher, make_ranker

SETTINGS = TrainSettings()


class Taxonomy:
    """A stage of somebody else."""

    def __init__(self, settings: TrainSettings) -> None:
        """Keep the settings."""
        self.settings = settings


def test_what_ships_is_found_without_an_installed_package() -> None:
    """Every name the documentation gives makes its stage."""
    for name, kind in INDEXERS.items():
        assert type(make_indexer(replace(SETTINGS, indexer=name))) is kind
    for name, matcher in MATCHERS.items():
        assert type(make_matcher(replace(SETTINGS, negatives=name))) is matcher
    for name, ranker in RANKERS.items():
        assert type(make_ranker(replace(SETTINGS, ranker=name))) is ranker
    assert sorted(INDEXERS) == ["hybrid", "kmeans", "must-link", "trie"]
    assert sorted(MATCHERS) == ["man", "tfn", "tfn+man"]
    assert sorted(BLENDERS) == ["fixed", "linear", "trees"]
    assert isinstance(make_blender(replace(SETTINGS, blender="trees")), TreeBlender)
    assert isinstance(make_blender(replace(SETTINGS, blender="linear")), LinearBlender)
    assert make_blender(replace(SETTINGS, blender="fixed")) is None


def test_an_entry_point_provides_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group is searched by name, and the factory gets the settings."""
    module = ModuleType("somebody_else")
    module.Taxonomy = Taxonomy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "somebody_else", module)
    groups: list[str] = []

    def find(group: str) -> dict[str, EntryPoint]:
        groups.append(group)
        return {"taxonomy": EntryPoint("taxonomy", "somebody_else:Taxonomy", group)}

    settings = replace(SETTINGS, indexer="taxonomy")
    stage = make_indexer(settings, find)

    assert groups == ["espalier.indexers"]
    assert isinstance(stage, Taxonomy)
    assert stage.settings is settings


def test_a_name_that_ships_means_the_same_everywhere() -> None:
    """An installed package cannot replace it."""

    def find(group: str) -> dict[str, EntryPoint]:
        return {"trie": EntryPoint("trie", "nowhere:Nothing", group)}

    assert type(make_indexer(replace(SETTINGS, indexer="trie"), find)) is INDEXERS["trie"]


def test_an_unknown_name_is_refused_with_the_nearest_known_one() -> None:
    """The error also says how to provide a stage."""
    with pytest.raises(ConfigError, match=r"did you mean 'hybrid'.*espalier\.indexers"):
        make_indexer(replace(SETTINGS, indexer="hybrd"))
    with pytest.raises(ConfigError, match=r"no matcher is called 'tfm'"):
        make_matcher(replace(SETTINGS, negatives="tfm"))
    with pytest.raises(ConfigError, match=r"no ranker is called"):
        make_ranker(replace(SETTINGS, ranker="boosted"))
    with pytest.raises(ConfigError, match=r"no blender is called 'fixd'; did you mean 'fixed'"):
        make_blender(replace(SETTINGS, blender="fixd"))


def test_an_entry_point_that_cannot_be_loaded_is_named() -> None:
    """A broken package is a configuration error, not a traceback."""

    def find(group: str) -> dict[str, EntryPoint]:
        return {"taxonomy": EntryPoint("taxonomy", "no_such_module:Taxonomy", group)}

    with pytest.raises(ConfigError, match=r"no_such_module:Taxonomy.*reinstall"):
        make_indexer(replace(SETTINGS, indexer="taxonomy"), find)
