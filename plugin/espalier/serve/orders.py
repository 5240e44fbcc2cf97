"""What the supervisor tells a worker to do, as the first message between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier.settings import ServeSettings


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is told when it starts.

    Attributes:
        number: Its own, from 0.
        settings: Of the whole service.
        address: HOST:PORT that the supervisor holds.
        unix: The socket of this worker alone, ``None`` for none.
        sessions: The table of sessions that the supervisor holds, ``None`` where sessions
            are kept elsewhere.
        verify: Whether to compare the checksums of the indexes first.
    """

    number: int
    settings: ServeSettings
    address: str
    unix: Path | None
    sessions: Path | None
    verify: bool

    def as_message(self) -> dict[str, Any]:
        """Return what `of` understands."""
        settings = {
            item.name: getattr(self.settings, item.name)
            for item in dataclasses.fields(self.settings)
        }
        return {
            "number": self.number,
            "settings": {name: _plain(value) for name, value in settings.items()},
            "address": self.address,
            "unix": _plain(self.unix),
            "sessions": _plain(self.sessions),
            "verify": self.verify,
        }

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Orders:
        """Return the orders in a message."""
        settings = dict(message["settings"])
        settings["index"] = {name: Path(path) for name, path in settings["index"].items()}
        for name in ("unix", "state_dir", "session_key_file"):
            settings[name] = _path(settings[name])
        return cls(
            number=message["number"],
            settings=ServeSettings(**settings),
            address=message["address"],
            unix=_path(message["unix"]),
            sessions=_path(message["sessions"]),
            verify=message["verify"],
        )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return list(value) if isinstance(value, tuple) else value
