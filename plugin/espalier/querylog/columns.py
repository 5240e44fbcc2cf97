"""Which column of a log is which: the mapping of the settings onto a file.

Roles are our names for the columns, column names are the log's. ``user``,
``session`` and ``time`` are used where the log has them; a role whose name was
changed in the settings must be found, and so must every attribute, whose role is
``attribute_0`` and so on in the order of the settings. Names match exactly or, failing
that, but for case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields
from pathlib import Path
from typing import Final

from espalier.errors import LogError
from espalier.settings import LogSettings

ROLES: Final = ("user", "session", "time", "query", "results")
"""What every log may have a column for."""
EVENT: Final = "event"
"""The identity of a row, which event files have: rows with the same one are one."""

_DEFAULTS: Final = {item.name: item.default for item in fields(LogSettings)}
_NAMES_SHOWN: Final = 30
_NAME: Final = re.compile(r"[^\W\d][\w.@:-]{0,40}")


def attribute_roles(settings: LogSettings) -> tuple[str, ...]:
    """Return the roles of the attributes, in the order of the settings."""
    return tuple(f"attribute_{number}" for number in range(len(settings.attributes)))


def roles_of(settings: LogSettings) -> tuple[str, ...]:
    """Return the columns of the table all logs are read into, in its order."""
    return (*ROLES, *attribute_roles(settings), EVENT)


def wanted_columns(settings: LogSettings) -> dict[str, str]:
    """Return the column name of each role the settings give one."""
    names = {role: getattr(settings, f"{role}_column") for role in ROLES}
    names |= zip(attribute_roles(settings), settings.attribute_columns.values(), strict=True)
    return {role: name for role, name in names.items() if name}


def must_exist(settings: LogSettings) -> set[str]:
    """Return the roles a log cannot be without: the query, and every name that was set."""
    wanted = wanted_columns(settings)
    return {"query"} | {
        role for role, name in wanted.items() if name != _DEFAULTS.get(f"{role}_column")
    }


def map_columns(
    names: Sequence[str],
    settings: LogSettings,
    path: Path,
    *,
    needed: AbstractSet[str] | None = None,
) -> dict[str, int]:
    """Return the position of each role among the column ``names`` of a file.

    Args:
        names: Columns of the file.
        settings: Names the roles should have.
        path: The file, for the error.
        needed: Roles that must be found; ``must_exist(settings)`` when None.

    Raises:
        LogError: A needed role is missing, or two columns fit one role.
    """
    found: dict[str, int] = {}
    for role, wanted in wanted_columns(settings).items():
        fits = [i for i, name in enumerate(names) if name == wanted] or [
            i for i, name in enumerate(names) if name.casefold() == wanted.casefold()
        ]
        if len(fits) > 1:
            raise LogError(
                f"{path}: {len(fits)} columns fit {wanted!r}; rename all but one, "
                f"or name another with {_how_to_name(role, settings)}"
            )
        if fits:
            found[role] = fits[0]
    missing = (must_exist(settings) if needed is None else needed) - set(found)
    if missing:
        raise missing_error(missing, settings, path, describe_names(names))
    return found


def missing_error(
    missing: AbstractSet[str], settings: LogSettings, path: Path, found: str
) -> LogError:
    """Return the error that names the missing column, what was found and the setting."""
    role = min(missing, key=roles_of(settings).index)
    wanted = wanted_columns(settings)[role]
    return LogError(
        f"{path}: no column {wanted!r} for the {role.partition('_')[0]}; {found}. "
        f"Name the right one: {_how_to_name(role, settings)}"
    )


def _how_to_name(role: str, settings: LogSettings) -> str:
    if role in ROLES:
        return f"--set log.{role}_column=NAME"
    name = list(settings.attribute_columns)[attribute_roles(settings).index(role)]
    return f"--set 'log.attributes=[\"{name}=COLUMN\"]'"


def describe_names(names: Sequence[str]) -> str:
    """Return the columns found as a clause that shows no data.

    Where some "name" does not look like one, the first line is most likely a row
    of somebody's queries, and only the number of fields is told.
    """
    if not names:
        return "columns found: none"
    if all(_NAME.fullmatch(name) for name in names):
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        return "columns found: " + ", ".join(names[:_NAMES_SHOWN]) + more
    return (
        f"the first line has {len(names)} field{'s' * (len(names) != 1)} and does not look like "
        "a header; if there is none, put a line with the column names above the rows"
    )
