"""Rules that settings of several tables obey."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from espalier.schema import Conflict, Each, Matches
from espalier.text import normalise

NAME: Final = Matches(
    r"[A-Za-z][A-Za-z0-9._+-]*", "a name of letters, digits, '.', '_', '+' and '-'"
)
INDEX_NAME: Final = NAME
"""What an index that is served may be called."""
ADDRESS: Final = Matches(
    r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]\s]+):\d{1,5}", "HOST:PORT, as in 127.0.0.1:50051"
)
COLUMN: Final = Matches(r"(?s).+", "a column name that is not empty")
ATTRIBUTES: Final = Each(
    r"[^\s:=]{1,64}(=(?s:.+))?",
    "a list of columns, as NAME or NAME=COLUMN; a name has no space, ':' or '='",
)
MOST_ATTRIBUTES: Final = 16


def attribute_columns(entries: Sequence[str]) -> list[tuple[str, str]]:
    """Return name and column of each attribute that a setting lists."""
    cut = [entry.partition("=") for entry in entries]
    return [(normalise(name), column or name) for name, _, column in cut]


def attribute_conflicts(key: str, entries: Sequence[str]) -> Iterator[Conflict]:
    """Yield what is wrong with the attributes in the setting ``key`` together."""
    names = [name for name, _ in attribute_columns(entries)]
    if len(set(names)) < len(names) or len(names) > MOST_ATTRIBUTES:
        yield Conflict(
            ("attributes",),
            f"{key} has {len(names)} names, {len(set(names))} of them different; "
            f"give at most {MOST_ATTRIBUTES}, each once",
        )
