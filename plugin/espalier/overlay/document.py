"""Overlay files: JSON, an object a rule, for people and programs to edit.

.. code-block:: json

    {
      "espalier_overlay": 1,
      "rules": [
        {"block": "rolex replica"},
        {"block_word": "fake"},
        {"block_pattern": "^cheap .* online$"},
        {"pin": "Summer sale", "position": 1, "min_prefix": 2},
        {"boost": "garden hose", "by": 0.5},
        {"boost_word": "refurbished", "by": -1}
      ]
    }
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

from espalier.errors import InputError
from espalier.files import new_file
from espalier.overlay.rules import Rule, from_json, to_json

VERSION: Final = 1
MAX_BYTES: Final = 256 << 20
"""Size of a file, at most."""

_VERSION_KEY: Final = "espalier_overlay"
_Made = TypeVar("_Made")


def dumps(rules: Iterable[Rule]) -> str:
    """Return the text of a file, a rule a line."""
    lines = ",\n    ".join(json.dumps(to_json(rule), ensure_ascii=False) for rule in rules)
    body = f"[\n    {lines}\n  ]" if lines else "[]"
    return f'{{\n  "{_VERSION_KEY}": {VERSION},\n  "rules": {body}\n}}\n'


def loads(text: str | bytes, make: Callable[[Iterable[Rule]], _Made]) -> _Made:
    """Return what ``make`` makes of the rules in the text of a file.

    Raises:
        InputError: It is not JSON, not an overlay, or a rule cannot be kept.
    """
    try:
        whole = json.loads(text, parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise InputError(f"byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise InputError(f"line {error.lineno}: not JSON ({error.msg}); correct it") from None
    except RecursionError:
        raise InputError("nested too deeply; a rule is a plain object") from None
    version = whole.get(_VERSION_KEY) if isinstance(whole, dict) else None
    if version != VERSION or isinstance(version, bool):
        raise InputError(
            f'not an overlay this version reads; it begins with "{_VERSION_KEY}": {VERSION}'
        )
    if strange := sorted(whole.keys() - {_VERSION_KEY, "rules"}):
        raise InputError(f"unknown field {strange[0]!r}; an overlay has rules and nothing else")
    rules = whole.get("rules", [])
    if not isinstance(rules, list):
        raise InputError("rules is not a list; write a list of objects, one a rule")
    return make([from_json(entry, number) for number, entry in enumerate(rules, 1)])


def load(path: Path, make: Callable[[Iterable[Rule]], _Made]) -> _Made:
    """Read a file. Errors of :func:`loads` name it.

    Raises:
        InputError: It cannot be read, or is no overlay.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: above {MAX_BYTES >> 20} MiB; split its rules or drop some")
    try:
        return loads(data, make)
    except InputError as error:
        raise type(error)(f"{path}: {error}") from None


def save(path: Path, rules: Iterable[Rule], *, mode: int = 0o666) -> None:
    """Write a file with the permissions ``mode``, less the umask.

    Raises:
        StorageError: It cannot be written.
    """
    with new_file(path, mode=mode) as file:
        file.write(dumps(rules).encode())


def _refuse(constant: str) -> Any:
    raise InputError(f"{constant} is not a number of JSON; write a finite one")
