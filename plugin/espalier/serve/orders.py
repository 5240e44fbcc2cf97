"""What the supervisor tells a worker to do, as the first message between them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from espalier.schema import kinds_of
from espalier.serve.credentials import NO_CREDENTIALS, Credentials
from espalier.settings import ServeSettings

_KINDS = {name: kind.base for name, kind in kinds_of(ServeSettings).items()}
_PATHS = tuple(name for name, base in _KINDS.items() if base is Path)
_LISTS = tuple(name for name, base in _KINDS.items() if base is tuple)


@dataclass(frozen=True, slots=True)
class IndexOrder:
    """One index file to open.

    Attributes:
        name: What clients ask for.
        path: Where the file was found; for people.
        file: Where to open it: a descriptor that the supervisor holds, so that it is the
            same file whenever a worker starts, whatever stands at ``path`` by then.
        revision: Its fingerprint, "" if nobody has opened it yet.
        active: Whether it answers; else it is kept ready.
    """

    name: str
    path: Path
    file: Path
    revision: str = ""
    active: bool = True

    def as_message(self) -> dict[str, Any]:
        """Return what `of` understands."""
        return {item.name: _plain(getattr(self, item.name)) for item in dataclasses.fields(self)}

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> IndexOrder:
        """Return the order in a message."""
        paths = {"path": Path(message["path"]), "file": Path(message["file"])}
        return cls(**{**message, **paths})


@dataclass(frozen=True, slots=True)
class RulesOrder:
    """The rules of one index.

    Attributes:
        file: Where to read them, as `IndexOrder.file`.
        version: Counts their changes, as long as the supervisor runs.
    """

    file: Path
    version: int

    def as_message(self) -> dict[str, Any]:
        """Return what `of` understands."""
        return {"file": str(self.file), "version": self.version}

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> RulesOrder:
        """Return the order in a message."""
        return cls(Path(message["file"]), message["version"])


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
        indexes: What to open, the default first; every name has an active one.
        overlays: Rules by the name of the index they are for.
        unwell: Names of indexes whose newest load failed.
        http: Whether it is the HTTP front that listens there.
        page: Where its numbers go, ``None`` if nobody reads them.
        credentials: What its listeners show and ask for.
        experiments: As `experiment_book` has them.
    """

    number: int
    settings: ServeSettings
    address: str
    unix: Path | None
    sessions: Path | None
    verify: bool
    indexes: tuple[IndexOrder, ...] = ()
    overlays: Mapping[str, RulesOrder] = field(default_factory=dict)
    unwell: tuple[str, ...] = ()
    http: bool = False
    page: Path | None = None
    credentials: Credentials = NO_CREDENTIALS
    experiments: Mapping[str, Any] = field(default_factory=dict)

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
            "indexes": [one.as_message() for one in self.indexes],
            "overlays": {name: one.as_message() for name, one in self.overlays.items()},
            "unwell": _plain(self.unwell),
            "http": self.http,
            "page": _plain(self.page),
            "credentials": self.credentials.as_message(),
            "experiments": dict(self.experiments),
        }

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Orders:
        """Return the orders in a message."""
        settings = dict(message["settings"])
        settings["index"] = {name: Path(path) for name, path in settings["index"].items()}
        for name in _LISTS:
            settings[name] = tuple(settings[name])
        for name in _PATHS:
            settings[name] = _path(settings[name])
        return cls(
            number=message["number"],
            settings=ServeSettings(**settings),
            address=message["address"],
            unix=_path(message["unix"]),
            sessions=_path(message["sessions"]),
            verify=message["verify"],
            indexes=tuple(IndexOrder.of(one) for one in message["indexes"]),
            overlays={name: RulesOrder.of(one) for name, one in message["overlays"].items()},
            unwell=tuple(message["unwell"]),
            experiments=message["experiments"],
            http=message["http"],
            page=_path(message["page"]),
            credentials=Credentials.of(message["credentials"]),
        )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return list(value) if isinstance(value, tuple) else value
