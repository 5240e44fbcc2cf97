"""Gathers the values of settings from a TOML table, environment variables and flags.

Every layer puts its values over those of the layers before. A value is checked when
it is put, so that an error can say where it stands; rules for several values come
last. What is known of a setting is in `schema`.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from espalier.errors import ConfigError
from espalier.schema import Conflict, check_one, conflicts_of, kinds_of

_PREFIX: Final = "ESPALIER_"
_OF_KUBERNETES: Final = re.compile(r"_(SERVICE_HOST|SERVICE_PORT.*|PORT|PORT_\d.*)$")
# Of two letters in fifteen: no two variables of different tables are as near.
_SLIP: Final = 0.92


def refuse_unknown(name: str, known: list[str], where: str) -> None:
    """Raise ``ConfigError`` naming the nearest known name, unless ``name`` is known."""
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    raise ConfigError(
        f"{where}: nobody knows the setting {name!r}; did you mean {near[0]!r}? "
        f"Known: {', '.join(sorted(known))}"
    )


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value came from: its name in errors, the folder relative paths start from."""

    where: str
    folder: Path = Path()
    is_text: bool = True


def read_document(path: Path) -> dict[str, Any]:
    """Return what stands in a TOML file.

    Raises:
        ConfigError: It cannot be read, or is not TOML.
    """
    try:
        # Editors of other systems begin a file with a mark that TOML does not know.
        return tomllib.loads(path.read_bytes().decode().removeprefix("\ufeff"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check --config") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: lists in it are nested deeper than settings are") from None


def table_problems(
    path: Path,
    document: Mapping[str, Any],
    tables: Sequence[str],
    known: Container[str],
    classes: Mapping[str, type],
) -> dict[str, str]:
    """Return what is wrong at the top of a file, by name.

    Only ``tables`` may stand there, and of these only ``known`` ones have settings; those
    of ``classes`` are told apart from names nobody knows.
    """
    problems = {}
    for name, value in document.items():
        homes = [table for table, one in classes.items() if name in kinds_of(one)]
        if name not in tables and homes:
            problems[name] = (
                f"{path}: {name} is a setting of {' and '.join(f'[{one}]' for one in homes)}; "
                f"write [{homes[0]}] above it"
            )
        elif name not in tables:
            near = difflib.get_close_matches(name, tables, n=1, cutoff=0.0)[0]
            problems[name] = (
                f"{path}: settings stand in the tables "
                f"{', '.join(f'[{one}]' for one in tables)}; "
                f"{name!r} is none of them, did you mean [{near}]?"
            )
        elif not isinstance(value, dict):
            problems[name] = f"{path}: {name} must be a table; write [{name}] above its settings"
        elif value and name not in known:
            problems[name] = f"{path}: this version knows no settings of [{name}]; leave it empty"
    return problems


def entries_of(settings: type, table: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield dotted keys and values of a TOML table, as `Gathered.put` takes them."""
    kinds = kinds_of(settings)
    for name, value in table.items():
        if name in kinds and dataclasses.is_dataclass(kinds[name].base) and isinstance(value, dict):
            yield from ((f"{name}.{part}", item) for part, item in value.items())
        else:
            yield name, value


class Gathered:
    """The values given for settings so far, later ones over earlier ones.

    Attributes:
        origins: Where each value came from, by dotted key; a name of a table of paths counts
            as a key.
    """

    def __init__(self, settings: type) -> None:
        """Begin with no value for any field of ``settings``."""
        self.origins: dict[str, str] = {}
        self._settings = settings
        self._values: dict[str, Any] = {}

    def put(self, key: str, value: object, source: Source) -> None:
        """Store ``value`` under a possibly dotted ``key``.

        Raises:
            ConfigError: Nobody knows the key, or it cannot have that value.
        """
        settings, values, where = self._settings, self._values, source.where
        name, _, rest = key.partition(".")
        refuse_unknown(name, list(kinds_of(settings)), where)
        kind = kinds_of(settings)[name]
        if dataclasses.is_dataclass(kind.base):
            if not rest:
                below = ", ".join(f"{name}.{part}" for part in kinds_of(kind.base))
                raise ConfigError(f"{where}: {name} is a table; set one of {below}")
            settings, values = kind.base, values.setdefault(name, {})
            where = f"{where}, table {name}"
            name, _, rest = rest.partition(".")
            refuse_unknown(name, list(kinds_of(settings)), where)
            kind = kinds_of(settings)[name]
        if rest and kind.base is not Mapping:
            raise ConfigError(f"{where}: {name} has no settings below it; set {name} itself")
        new: object
        if rest:
            new = {**values.get(name, {}), **_one_path(rest, value, source.folder)}
        else:
            parsed = kind.parse(value) if isinstance(value, str) and source.is_text else value
            new = kind.convert(parsed, source.folder)
        check_one(settings, name, new, f"{where}: {name}")
        values[name] = new
        if kind.base is Mapping and not rest:
            self.origins = {k: v for k, v in self.origins.items() if not k.startswith(f"{key}.")}
            self.origins |= {f"{key}.{one}": source.where for one in values[name]}
        else:
            self.origins[key] = source.where

    def build(self) -> Any:
        """Return the settings.

        Raises:
            ConfigError: Values are fine alone and not together.
        """
        return self._made(self._settings, self._values)

    def conflicts(self) -> list[Conflict]:
        """Return everything that keeps the values from being used together."""
        found = list(conflicts_of(_unchecked(self._settings, self._values)))
        for name, kind in kinds_of(self._settings).items():
            if dataclasses.is_dataclass(kind.base):
                below = conflicts_of(_unchecked(kind.base, self._values.get(name, {})))
                found += [
                    Conflict(tuple(f"{name}.{key}" for key in one.keys), one.says) for one in below
                ]
        return found

    def _made(self, settings: type, values: Mapping[str, Any]) -> Any:
        kinds = kinds_of(settings)
        return settings(
            **{
                name: self._made(kinds[name].base, value)
                if dataclasses.is_dataclass(kinds[name].base)
                else value
                for name, value in values.items()
            }
        )


def _one_path(name: str, value: object, folder: Path) -> dict[str, object]:
    return {name: folder / Path(value).expanduser() if isinstance(value, str) else value}


def _unchecked(settings: Any, values: Mapping[str, Any]) -> Any:
    """Return ``settings(**values)`` as far as that goes: nobody looks at the values."""
    made = object.__new__(settings)
    for item in dataclasses.fields(settings):
        if item.name in values:
            value = values[item.name]
        elif item.default_factory is not dataclasses.MISSING:
            value = item.default_factory()
        else:
            value = item.default
        object.__setattr__(made, item.name, value)
    return made


def from_environment(
    env: Mapping[str, str], table: str, settings: type
) -> dict[str, tuple[str, str]]:
    """Return variable and text by dotted key, of the variables that belong to ``table``.

    An empty variable counts as one that is not set, as manifests and shells leave them
    behind: that one should turn off tokens which the file asks for would be a surprise.
    """
    keys: dict[str, str] = {}
    for name, kind in kinds_of(settings).items():
        if dataclasses.is_dataclass(kind.base):
            keys |= {f"{name}_{part}".upper(): f"{name}.{part}" for part in kinds_of(kind.base)}
        else:
            keys[name.upper()] = name
    prefix = f"{_PREFIX}{table.upper()}_"
    known = {prefix + name: key for name, key in keys.items()}
    found = {}
    for variable, text in sorted(env.items()):
        # Kubernetes adds such variables for every service; they are not meant for us.
        if not variable.startswith(_PREFIX) or _OF_KUBERNETES.search(variable):
            continue
        if variable.startswith(prefix):
            refuse_unknown(variable, list(known), "environment")
            if text:
                found[known[variable]] = (variable, text)
        elif near := difflib.get_close_matches(variable, known, n=1, cutoff=_SLIP):
            # It may be of something else that begins with our name; a slip in the name of
            # the table is so near that it is not.
            raise ConfigError(
                f"environment: nobody knows the setting {variable!r}; did you mean {near[0]!r}?"
            )
    return found


def parse_assignments(assignments: list[str]) -> dict[str, str]:
    """Return ``{key: value}`` of ``key=value`` texts, as ``--set`` takes them.

    Raises:
        ConfigError: One of them has no ``=`` or no key.
    """
    parsed = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigError("--set takes key=value, as in --set min_users=1")
        parsed[key.strip()] = value.strip()
    return parsed
