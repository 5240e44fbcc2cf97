"""A configuration as a whole: what is wrong with a file, what holds, and what can change."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from espalier.errors import ConfigError
from espalier.experiments import Experiment, as_table, problems_of
from espalier.gather import Gathered, Source, entries_of, read_document, table_problems
from espalier.schema import Secretive, check_of
from espalier.settings import CLASSES, EXPERIMENTS, KNOWN, TABLES, Loaded, Settings

S = TypeVar("S", bound=Settings)

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_OPEN_SECRET = re.compile(r"[a-z]+")


# ---- what is wrong ------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a file.

    Attributes:
        table: Where, "" if the file as a whole is to blame.
        key: Dotted, below the table; "" if the table as a whole is to blame.
        message: What is wrong and how to mend it; names file, table and key.
    """

    table: str
    key: str
    message: str


def problems_in(path: Path) -> list[Problem]:
    """Return everything that is wrong with a TOML file, in its order."""
    try:
        document = read_document(path)
    except ConfigError as error:
        return [Problem("", "", str(error))]
    at_the_top = table_problems(path, document, TABLES, KNOWN, CLASSES)
    found: list[Problem] = []
    for table, value in document.items():
        if table in at_the_top:
            found.append(Problem(table, "", at_the_top[table]))
        elif table in CLASSES:
            found += _problems_of(path, table, value)
        elif table == EXPERIMENTS:
            served = _indexes_of(document)
            where = f"{path}, [{table}]"
            found += [Problem(table, *one) for one in problems_of(value, where, served)]
    return found


def _problems_of(path: Path, table: str, values: Mapping[str, object]) -> Iterator[Problem]:
    settings = CLASSES[table]
    gathered = Gathered(settings)
    source = Source(f"{path}, [{table}]", path.parent, is_text=False)
    broken = set()
    for key, value in entries_of(settings, values):
        try:
            gathered.put(key, value, source)
        except ConfigError as error:
            broken.add(key)
            yield Problem(table, key, str(error))
    for conflict in gathered.conflicts():
        # What a broken key should have said nobody knows.
        if broken.isdisjoint(conflict.keys):
            yield Problem(table, conflict.keys[0], f"{source.where}: {conflict.says}")


def _indexes_of(document: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the names of the indexes in a file, ``None`` if flags will have to name them."""
    serve = document.get("serve")
    named = serve.get("index") if isinstance(serve, dict) else None
    return tuple(named) if isinstance(named, dict) and named else None


# ---- what can change ----------------------------------------------------------------


def taken_over(running: S, wanted: S) -> tuple[S, list[str]]:
    """Return ``running`` with all of ``wanted`` that needs no restart, and the keys that do.

    A table of paths takes other paths for the names it has; names come and go by restart.
    """
    taken: dict[str, Any] = {}
    left: list[str] = []
    for item in dataclasses.fields(running):
        old, new = getattr(running, item.name), getattr(wanted, item.name)
        if old == new:
            continue
        if not item.metadata.get("reloads"):
            left.append(item.name)
        elif isinstance(old, Mapping):
            left += [f"{item.name}.{name}" for name in sorted(old.keys() ^ new.keys())]
            taken[item.name] = {name: new.get(name, path) for name, path in old.items()}
        else:
            taken[item.name] = new
    return dataclasses.replace(running, **taken), left


# ---- what holds ---------------------------------------------------------------------


def as_toml(loaded: Loaded[Any], table: str) -> str:
    """Return settings as TOML, every value with where it came from and what it is for.

    Paths are whole, so that the text means the same wherever it is put. What may hold a
    secret is left out, and that said.
    """
    return "\n".join([f"[{table}]", *_lines(loaded.settings, loaded.origins, table, "")]) + "\n"


def experiments_as_toml(experiments: Iterable[Experiment]) -> str:
    """Return experiments as TOML, with all that is not given filled in."""
    lines: list[str] = []
    for one in experiments:
        table = as_table(one)
        above = f"{EXPERIMENTS}.{_key(one.name)}"
        plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
        lines += ["", f"[{above}]", *(f"{key} = {_value(value)}" for key, value in plain.items())]
        if table["eligible"]:
            lines += ["", f"[{above}.eligible]"]
            lines += [f"{_key(key)} = {_value(value)}" for key, value in table["eligible"].items()]
        for name, values in table["variants"].items():
            lines += ["", f"[{above}.variants.{_key(name)}]"]
            lines += [f"{key} = {_value(value)}" for key, value in values.items()]
    return "".join(f"{line}\n" for line in lines)


def _lines(settings: Any, origins: Mapping[str, str], table: str, above: str) -> Iterator[str]:
    below: list[str] = []
    for item in dataclasses.fields(settings):
        key, value = above + item.name, getattr(settings, item.name)
        notes = [_one_line(item.metadata.get("meaning", ""))]
        if item.metadata.get("reloads"):
            notes.append("read anew on SIGHUP")
        if dataclasses.is_dataclass(value):
            below += ["", f"[{table}.{key}]", *_lines(value, origins, table, f"{key}.")]
        elif isinstance(value, Mapping):
            below += ["", f"[{table}.{key}]  # {'; '.join(filter(None, notes))}"]
            below += [
                f"{_key(name)} = {_value(part)}  # {_origin(origins, f'{key}.{name}')}"
                for name, part in value.items()
            ]
        else:
            line = f"{item.name} = {_value(value)}"
            if isinstance(check_of(settings.__class__, item.name), Secretive) and not (
                _OPEN_SECRET.fullmatch(str(value))
            ):
                line = f"# {item.name} is set, and not shown: it may hold a password"
            yield f"{line}  # {'; '.join(filter(None, [_origin(origins, key), *notes]))}"
    yield from below


def _origin(origins: Mapping[str, str], key: str) -> str:
    return _one_line(origins.get(key, "default"))


def _one_line(text: str) -> str:
    # A file name may hold anything; here it must not end the comment it stands in.
    return "".join(c if c.isprintable() else "?" for c in text)


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _value(name)


def _value(value: object) -> str:
    match value:
        case None | bool():
            return {None: '""', True: "true", False: "false"}[value]
        case Path():
            return _value(str(value.absolute()))
        case dt.datetime():
            return value.isoformat()
        case tuple() | list():
            return f"[{', '.join(map(_value, value))}]"
        case str():
            # JSON escapes what TOML wants escaped, but for one character.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
