"""Typed settings out of TOML, environment variables and flags, for any dataclass.

A setting is a dataclass field; its type says how text is read, and its metadata
holds the rule (``check``), a sentence (``meaning``) and whether a running service
takes a new value (``reloads``). Rules that concern several settings are what the
class yields from ``conflicts()``. What exists in ``espalier.settings`` is declared
there; this module only knows how.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import math
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, Protocol, Union

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
class EachPattern:
    """A list of RE2 expressions."""

    @property
    def allowed(self) -> str:
        """What may stand there."""
        return "a list of RE2 expressions, which know no look-ahead and no back references"

    def holds(self, value: tuple[str, ...]) -> bool:
        """Return whether every part of ``value`` is one."""
        if not value:
            return True
        # The engine takes a while to load, and few give patterns.
        from espalier.re2 import fault  # noqa: PLC0415

        return not any(map(fault, value))


@dataclass(frozen=True, slots=True)
class Secretive(Matches):
    """The same for text that may hold a password: what was given is not repeated."""


@dataclass(frozen=True, slots=True)
class EachName:
    """A table whose every name keeps a rule."""

    rule: Matches

    @property
    def allowed(self) -> str:
        """What may stand there."""
        return f"a table of paths; an index name must be {self.rule.allowed}"

    def holds(self, value: Mapping[str, object]) -> bool:
        """Return whether every name of ``value`` keeps the rule."""
        return all(map(self.rule.holds, value))


class Conflict(NamedTuple):
    """Values that are fine alone and not together: the keys, and what to do."""

    keys: tuple[str, ...]
    says: str


def setting(
    default: Any, check: Check | None = None, meaning: str = "", *, reloads: bool = False
) -> Any:
    """Return a dataclass field with a default, the rule it keeps and a sentence about it.

    A callable default makes the value. ``reloads`` says that a running service takes a new
    value on SIGHUP.
    """
    metadata = {"check": check, "meaning": meaning, "reloads": reloads}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def check_values(settings: Any, table: str) -> None:
    """Check the type and the rule of every field, then the rules for several of them.

    Raises:
        ConfigError: naming the first field that has an unusable value, and what it may be.
    """
    for item in dataclasses.fields(settings):
        name = f"{table}.{item.name}"
        check_one(settings.__class__, item.name, getattr(settings, item.name), name)
    for conflict in conflicts_of(settings):
        raise ConfigError(conflict.says)


def conflicts_of(settings: Any) -> Iterator[Conflict]:
    """Yield what its class finds wrong with several values of ``settings`` together."""
    yield from getattr(settings, "conflicts", lambda: ())()


def check_one(settings: type, name: str, value: object, shown: str) -> None:
    """Check one value; ``shown`` is what an error calls it.

    Raises:
        ConfigError: It cannot be used.
    """
    kind = kinds_of(settings)[name]
    if not kind.holds(value):
        got = "one of others" if isinstance(value, dict | tuple) else type(value).__name__
        raise ConfigError(f"{shown} must be {kind.name}, not {got}")
    check = check_of(settings, name)
    if check is not None and value is not None and not check.holds(value):
        if not isinstance(check, Secretive):
            shown = f"{shown} = {value}"
        raise ConfigError(f"{shown} cannot be used; it must be {check.allowed}")


def check_of(settings: type, name: str) -> Check | None:
    """Return the rule of a setting, ``None`` if any value of its type will do."""
    found: Check | None = settings.__dataclass_fields__[name].metadata.get("check")  # type: ignore[attr-defined]
    return found


@dataclass(frozen=True, slots=True)
class Kind:
    """The type of a setting: how it is named, recognised and read from text."""

    name: str
    base: type
    optional: bool

    def holds(self, value: object) -> bool:
        """Return whether ``value`` is of this kind."""
        if value is None:
            return self.optional
        if isinstance(value, bool) or self.base is bool:
            return isinstance(value, bool) and self.base is bool
        if self.base is float:
            return isinstance(value, int | float)
        if self.base is tuple:
            return isinstance(value, tuple) and all(isinstance(part, str) for part in value)
        if self.base is Mapping:
            return isinstance(value, Mapping) and all(isinstance(p, Path) for p in value.values())
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
    dt.datetime: "a date and time, as in 2026-01-31T00:00:00Z",
}


def _name_and_path(part: str) -> tuple[str, str]:
    name, equals, path = part.partition("=")
    return (name, path) if equals else ("default", part)


@functools.cache
def kinds_of(settings: Any) -> dict[str, Kind]:
    """Return the kind of every setting, by name."""
    kinds: dict[str, Kind] = {}
    for name, hint in typing.get_type_hints(settings).items():
        if typing.get_origin(hint) is ClassVar:
            continue
        if isinstance(hint, types.UnionType) or typing.get_origin(hint) is Union:
            options = set(typing.get_args(hint))
        else:
            options = {hint}
        optional = type(None) in options
        (option,) = options - {type(None)}
        base = typing.get_origin(option) or option
        kinds[name] = Kind(_KIND_NAMES.get(base, "a table"), base, optional)
    return kinds
