"""Typed settings out of TOML, environment variables and flags, for any dataclass.

A setting is a dataclass field; its type says how text is read, and its metadata
holds the rule (``check``) and a sentence (``meaning``). What exists in
``espalier.settings`` is declared there; this module only knows how.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, Union

from espalier.errors import ConfigError


class Check(Protocol):
    """A rule one value must keep; ``allowed`` finishes the sentence "must be ..."."""

    @property
    def allowed(self) -> str:
        """What may stand there, as the end of "must be ..."."""

    def holds(self, value: Any) -> bool:
        """Return whether ``value`` keeps the rule."""


@dataclass(frozen=True, slots=True)
class Between:
    """A number from ``low`` (or above it, with ``above_low``) to ``high``."""

    low: float
    high: float
    unit: str = ""
    above_low: bool = False

    @property
    def allowed(self) -> str:
        """What may stand there."""
        start = "above" if self.above_low else "from"
        until = "and at most" if self.above_low else "to"
        unit = f" {self.unit}" if self.unit else ""
        return f"{start} {self.low:,} {until} {self.high:,}{unit}"

    def holds(self, value: float) -> bool:
        """Return whether ``value`` keeps the rule."""
        if not math.isfinite(value) or (self.above_low and value == self.low):
            return False
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few values."""

    values: tuple[object, ...]

    @property
    def allowed(self) -> str:
        """What may stand there."""
        return "one of " + ", ".join(str(value) for value in self.values)

    def holds(self, value: object) -> bool:
        """Return whether ``value`` keeps the rule."""
        return value in self.values


@dataclass(frozen=True, slots=True)
class Matches:
    """Text that matches a whole pattern; ``allowed`` describes it to a person."""

    pattern: str
    allowed: str

    def holds(self, value: str) -> bool:
        """Return whether ``value`` keeps the rule."""
        return re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True, slots=True)
class Each:
    """A list of texts that each match a whole pattern."""

    pattern: str
    allowed: str

    def holds(self, value: tuple[str, ...]) -> bool:
        """Return whether every part of ``value`` keeps the rule."""
        return all(re.fullmatch(self.pattern, part) for part in value)


@dataclass(frozen=True, slots=True)
class Secretive(Matches):
    """The same for text that may hold a password: what was given is not repeated."""


def setting(default: Any, check: Check, meaning: str) -> Any:
    """Return a dataclass field with a default, the rule it keeps and a sentence about it."""
    return field(default=default, metadata={"check": check, "meaning": meaning})


def check_values(settings: Any, table: str) -> None:
    """Check the type and the rule of every field.

    Raises:
        ConfigError: naming the first field that has an unusable value, and what it may be.
    """
    kinds = _kinds(settings.__class__)
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        kind = kinds[item.name]
        name = f"{table}.{item.name}"
        if not kind.holds(value):
            raise ConfigError(f"{name} must be {kind.name}, not {type(value).__name__}")
        check: Check | None = item.metadata.get("check")
        if check is not None and value is not None and not check.holds(value):
            shown = name if isinstance(check, Secretive) else f"{name} = {value}"
            raise ConfigError(f"{shown} cannot be used; it must be {check.allowed}")


@dataclass(frozen=True, slots=True)
class _Kind:
    """The type of a setting: how it is named, recognised and read from text."""

    name: str
    base: type
    optional: bool

    def holds(self, value: object) -> bool:
        if value is None:
            return self.optional
        if isinstance(value, bool) or self.base is bool:
            return isinstance(value, bool) and self.base is bool
        if self.base is float:
            return isinstance(value, int | float)
        if self.base is tuple:
            return isinstance(value, tuple) and all(isinstance(part, str) for part in value)
        return isinstance(value, self.base)

    def convert(self, value: object, folder: Path) -> object:
        """Return a TOML value as this kind; what does not fit is returned as it came."""
        if self.optional and value == "":
            return None
        if self.base is Path and isinstance(value, str) and value:
            return folder / Path(value).expanduser()
        if self.base is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if self.base is tuple and isinstance(value, list):
            return tuple(value)
        if self.base is Mapping and isinstance(value, dict):
            paths = value.items()
            return {k: folder / Path(v).expanduser() if isinstance(v, str) else v for k, v in paths}
        return value

    def parse(self, text: str) -> object:
        """Return text from a flag or the environment as a TOML value of this kind."""
        if self.base is bool:
            return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
        if self.base in {int, float}:
            for number in (int, float)[: 1 + (self.base is float)]:
                try:
                    return number(text.replace("_", ""))
                except ValueError:
                    continue
        if self.base is tuple:
            try:
                return tomllib.loads(f"value = {text}")["value"]
            except tomllib.TOMLDecodeError:
                return text
        if self.base is Mapping:
            return dict(_name_and_path(part) for part in text.split(",") if part)
        return text


_KIND_NAMES: Final[dict[type, str]] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
    tuple: 'a list of texts, as in ["a", "b"]',
    Mapping: "a table of names and paths",
}


def _name_and_path(part: str) -> tuple[str, str]:
    name, equals, path = part.partition("=")
    return (name, path) if equals else ("default", part)


@functools.cache
def _kinds(settings: Any) -> dict[str, _Kind]:
    kinds: dict[str, _Kind] = {}
    for name, hint in typing.get_type_hints(settings).items():
        if isinstance(hint, types.UnionType) or typing.get_origin(hint) is Union:
            options = set(typing.get_args(hint))
        else:
            options = {hint}
        optional = type(None) in options
        (option,) = options - {type(None)}
        base = typing.get_origin(option) or option
        kinds[name] = _Kind(_KIND_NAMES.get(base, "a table"), base, optional)
    return kinds


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


def put(values: dict[str, Any], settings: type, key: str, value: Any, source: Source) -> None:
    """Store ``value`` under a possibly dotted ``key``; nested tables become dictionaries."""
    name, _, rest = key.partition(".")
    refuse_unknown(name, list(_kinds(settings)), source.where)
    kind = _kinds(settings)[name]
    if dataclasses.is_dataclass(kind.base):
        if not rest and not isinstance(value, dict):
            below = ", ".join(f"{name}.{part}" for part in _kinds(kind.base))
            raise ConfigError(f"{source.where}: {name} is a table; set one of {below}")
        inside = dataclasses.replace(source, where=f"{source.where}, table {name}")
        for part, item in ({rest: value} if rest else value).items():
            put(values.setdefault(name, {}), kind.base, part, item, inside)
    elif rest and kind.base is Mapping:
        values[name] = {**values.get(name, {}), rest: source.folder / Path(value).expanduser()}
    elif rest:
        raise ConfigError(f"{source.where}: {name} has no settings below it; set {name} itself")
    else:
        parsed = kind.parse(value) if source.is_text else value
        values[name] = kind.convert(parsed, source.folder)


def from_environment(env: Mapping[str, str], table: str, settings: type) -> dict[str, str]:
    """Return ``{dotted key: text}`` of the variables that belong to ``table``."""
    keys: dict[str, str] = {}
    for name, kind in _kinds(settings).items():
        if dataclasses.is_dataclass(kind.base):
            keys |= {f"{name}_{part}".upper(): f"{name}.{part}" for part in _kinds(kind.base)}
        else:
            keys[name.upper()] = name
    prefix = f"ESPALIER_{table.upper()}_"
    found = {}
    for variable, text in sorted(env.items()):
        if not variable.startswith(prefix):
            continue
        short = variable.removeprefix(prefix)
        # Kubernetes adds such variables for every service; they are not meant for us.
        if re.search(r"(^|_)(SERVICE_HOST|SERVICE_PORT.*|PORT|PORT_\d.*)$", short):
            continue
        refuse_unknown(variable, [prefix + key for key in keys], "environment")
        found[keys[short]] = text
    return found


def build(settings: type, values: dict[str, Any]) -> Any:
    """Return ``settings(**values)``, nested tables built first."""
    kinds = _kinds(settings)
    return settings(
        **{
            name: build(kinds[name].base, value)
            if dataclasses.is_dataclass(kinds[name].base)
            else value
            for name, value in values.items()
        }
    )


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
