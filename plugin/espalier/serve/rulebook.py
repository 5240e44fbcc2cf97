"""The rules of every index, where they are kept, and how workers come by them.

In the state folder each index has an overlay file, ``overlay.NAME.json``, of mode 0600
since it tells what an operator wants nobody to see. Workers never read that: what they
load is a copy in memory that the supervisor holds, so that all of them go by the same
rules, whoever edits the file meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from espalier.overlay import Overlay
from espalier.overlay.document import dumps
from espalier.serve.held import HeldFile, Identity, hold_bytes
from espalier.serve.orders import RulesOrder

_MODE = 0o600


@dataclass(frozen=True, slots=True)
class _Page:
    overlay: Overlay
    version: int
    file: HeldFile
    kept: Identity | None


class Rulebook:
    """The rules of each index by name.

    Args:
        folder: Where they are kept; ``None`` keeps them as long as this object.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._pages: dict[str, _Page] = {}
        self._retired: list[HeldFile] = []
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def persisted(self) -> bool:
        """Whether rules survive this object."""
        return self._folder is not None

    def open(self, names: Iterable[str]) -> None:
        """Read the rules of the indexes that have any.

        Raises:
            InputError: A file cannot be used. To begin without its blocks would show what
                somebody wanted nobody to see.
        """
        for name in names:
            path = self._path(name)
            kept = None if path is None else Identity.of(path)
            if name not in self._pages and path is not None and kept is not None:
                self._turn(name, Overlay.load(path), kept)

    def get(self, name: str) -> Overlay:
        """Return the rules of an index; it may have none."""
        page = self._pages.get(name)
        return Overlay() if page is None else page.overlay

    def orders(self) -> dict[str, RulesOrder]:
        """Return where workers find the rules, by index; those without any are left out."""
        return {name: RulesOrder(one.file.path, one.version) for name, one in self._pages.items()}

    def put(self, name: str, overlay: Overlay) -> None:
        """Keep other rules from now on.

        Raises:
            StorageError: They cannot be written, and those of before stand.
        """
        path = self._path(name)
        if path is not None:
            overlay.save(path, mode=_MODE)
        self._turn(name, overlay, None if path is None else Identity.of(path))

    def edited(self, name: str) -> Overlay | None:
        """Return the rules in the file of an index if somebody else wrote it, else ``None``.

        A file that is gone is no reason to unblock anything.

        Raises:
            InputError: It cannot be used.
        """
        path = self._path(name)
        now = None if path is None else Identity.of(path)
        page = self._pages.get(name)
        if path is None or now is None or (page is not None and page.kept == now):
            return None
        return Overlay.load(path)

    def forget(self) -> None:
        """Let go of rules that no worker will ask for any more."""
        for file in self._retired:
            file.close()
        self._retired.clear()

    def close(self) -> None:
        """Let go of everything."""
        self.forget()
        for page in self._pages.values():
            page.file.close()
        self._pages.clear()

    def _path(self, name: str) -> Path | None:
        return None if self._folder is None else self._folder / f"overlay.{name}.json"

    def _turn(self, name: str, overlay: Overlay, kept: Identity | None) -> None:
        before = self._pages.get(name)
        file = hold_bytes(f"overlay.{name}", dumps(overlay.rules).encode())
        version = 1 if before is None else before.version + 1
        self._pages[name] = _Page(overlay, version, file, kept)
        if before is not None:
            self._retired.append(before.file)
