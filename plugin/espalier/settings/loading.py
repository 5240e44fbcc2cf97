"""From a file, the environment and flags to the settings of a table."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar, overload

from espalier.errors import ConfigError
from espalier.experiments import Experiment, read_experiments
from espalier.gather import (
    Gathered,
    Source,
    entries_of,
    from_environment,
    read_document,
    table_problems,
)
from espalier.settings.retrieving import RetrievalSettings
from espalier.settings.serving import ServeSettings
from espalier.settings.training import LogSettings, TrainSettings

TABLES: Final = ("train", "retrieval", "serve", "experiments")

Settings: TypeAlias = TrainSettings | RetrievalSettings | ServeSettings


CLASSES: Final[Mapping[str, type[TrainSettings | RetrievalSettings | ServeSettings]]] = {
    "train": TrainSettings,
    "retrieval": RetrievalSettings,
    "serve": ServeSettings,
}
"""What may stand in each table but ``[experiments]``, which `espalier.experiments` reads."""

EXPERIMENTS: Final = "experiments"
KNOWN: Final = frozenset({*CLASSES, EXPERIMENTS})
"""Tables that something may stand in."""


_S = TypeVar("_S", bound=Settings)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[_S]):
    """Settings, and where each value that is no default came from, by dotted key."""

    settings: _S
    origins: Mapping[str, str]


@overload
def load_settings(
    path: Path | None,
    table: Literal["train"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> TrainSettings: ...
@overload
def load_settings(
    path: Path | None,
    table: Literal["retrieval"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> RetrievalSettings: ...
@overload
def load_settings(
    path: Path | None,
    table: Literal["serve"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> ServeSettings: ...
def load_settings(
    path: Path | None,
    table: Literal["train", "retrieval", "serve"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings of one table.

    Args:
        path: TOML file, or None for defaults.
        table: ``"train"``, ``"retrieval"`` or ``"serve"``.
        overrides: What ``--set`` gave, dotted key to text.
        env: Environment variables, ``os.environ`` when None.

    Raises:
        ConfigError: An unknown key or table, a value of the wrong type or outside
            its range, a file that is missing, not UTF-8 or not TOML.
    """
    return load(path, table, overrides, env).settings


@overload
def load(
    path: Path | None,
    table: Literal["train"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, str | Mapping[str, Path]] | None = None,
) -> Loaded[TrainSettings]: ...
@overload
def load(
    path: Path | None,
    table: Literal["retrieval"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, str | Mapping[str, Path]] | None = None,
) -> Loaded[RetrievalSettings]: ...
@overload
def load(
    path: Path | None,
    table: Literal["serve"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, str | Mapping[str, Path]] | None = None,
) -> Loaded[ServeSettings]: ...
def load(
    path: Path | None,
    table: Literal["train", "retrieval", "serve"],
    overrides: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, str | Mapping[str, Path]] | None = None,
) -> Loaded[Any]:
    """Return the settings of one table and where they came from.

    As `load_settings`; ``flags`` are the values of flags of their own, by the setting they
    name, and win over everything.
    """
    settings = CLASSES[table]
    gathered = Gathered(settings)
    if path is not None:
        document = read_document(path)
        for problem in table_problems(path, document, TABLES, KNOWN, CLASSES).values():
            raise ConfigError(problem)
        source = Source(f"{path}, [{table}]", path.parent, is_text=False)
        for key, value in entries_of(settings, document.get(table, {})):
            gathered.put(key, value, source)
    environment = from_environment(os.environ if env is None else env, table, settings)
    for key, (variable, text) in environment.items():
        gathered.put(key, text, Source(f"environment, {variable}"))
    for key, text in (overrides or {}).items():
        gathered.put(key, text, Source("--set"))
    for key, given in (flags or {}).items():
        gathered.put(key, given, Source("--" + key.replace("_", "-")))
    return Loaded(gathered.build(), gathered.origins)


def load_experiments(
    path: Path | None, indexes: Collection[str] | None = None
) -> tuple[Experiment, ...]:
    """Return the experiments of a file.

    Args:
        path: TOML file, or None for no experiments.
        indexes: Names of the indexes served, the default first; None if not known.

    Raises:
        ConfigError: Something in the table cannot be used, or the file cannot.
    """
    if path is None:
        return ()
    document = read_document(path)
    for problem in table_problems(path, document, TABLES, KNOWN, CLASSES).values():
        raise ConfigError(problem)
    return read_experiments(document.get(EXPERIMENTS, {}), f"{path}, [{EXPERIMENTS}]", indexes)


def as_json(settings: Settings | LogSettings) -> dict[str, object]:
    """Return the settings as a dictionary that ``json`` can write; paths become text."""

    def plain(value: object) -> object:
        if isinstance(value, Path):
            return str(value)
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, tuple):
            return list(value)
        return value

    return {
        item.name: as_json(value)
        if isinstance(value := getattr(settings, item.name), LogSettings)
        else plain(value)
        for item in dataclasses.fields(settings)
    }
