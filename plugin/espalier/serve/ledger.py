"""Which revisions of which index are loaded, and which of them answer. Immutable."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from espalier.errors import LimitError
from espalier.serve.errors import (
    IndexActiveError,
    NoPreviousRevisionError,
    UnknownIndexError,
    UnknownRevisionError,
)
from espalier.serve.held import HeldFile
from espalier.serve.orders import IndexOrder

MAX_REVISIONS = 8
"""Revisions of one index that may be loaded."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file that was checked.

    Attributes:
        name: What clients ask for.
        path: Where it was found.
        file: The file itself.
        revision: Its fingerprint.
        labels: Queries or products it knows.
        bytes: Its size.
        loaded_ns: Unix time in nanoseconds.
        products: Whether its labels are products, and it completes nothing.
    """

    name: str
    path: Path
    file: HeldFile
    revision: str
    labels: int
    bytes: int
    loaded_ns: int
    products: bool = False

    def order(self, *, active: bool) -> IndexOrder:
        """Return what a worker is told about it."""
        return IndexOrder(self.name, self.path, self.file.path, self.revision, active)


@dataclass(frozen=True, slots=True)
class Failure:
    """A load that failed."""

    name: str
    path: Path
    reason: str
    message: str
    failed_ns: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known under one name.

    Attributes:
        revisions: What is loaded, by revision, the oldest first.
        active: The revision that answers, "" if none does yet.
        previous: The one that did before, "" if it is gone or there was none.
        failure: Of the newest load, if that failed.
    """

    revisions: Mapping[str, Loaded] = field(default_factory=dict)
    active: str = ""
    previous: str = ""
    failure: Failure | None = None

    def kept(self) -> list[str]:
        """Return the revisions that are loaded."""
        return list(self.revisions)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Entries by name, the default first."""

    entries: Mapping[str, Entry]

    @property
    def default(self) -> str:
        """The name of the default index."""
        return next(iter(self.entries))

    def named(self, name: str) -> str:
        """Return ``name``, the default one for "".

        Raises:
            UnknownIndexError: Nothing is loaded under it.
        """
        name = name or self.default
        self.entry(name)
        return name

    def entry(self, name: str) -> Entry:
        """Return what is known under a name.

        Raises:
            UnknownIndexError: Nothing is loaded under it.
        """
        try:
            return self.entries[name]
        except KeyError:
            raise UnknownIndexError.among(self.entries) from None

    def find(self, name: str, revision: str) -> Loaded:
        """Return a loaded revision.

        Raises:
            UnknownIndexError, UnknownRevisionError: As named.
        """
        revisions = self.entry(name).revisions
        found = revisions.get(revision)
        if found is None:
            loaded = ",".join(revisions)
            raise UnknownRevisionError(
                f"{name}: no such revision is loaded; load its file, or use one of: {loaded}",
                field="revision",
                loaded=loaded,
            )
        return found

    def orders(self) -> tuple[IndexOrder, ...]:
        """Return what a worker is to open."""
        return tuple(
            one.order(active=one.revision == entry.active)
            for entry in self.entries.values()
            for one in entry.revisions.values()
        )

    def unwell(self) -> tuple[str, ...]:
        """Return the names whose newest load failed."""
        return tuple(name for name, entry in self.entries.items() if entry.failure is not None)

    # ---- changes --------------------------------------------------------------------

    def loaded(self, one: Loaded) -> Ledger:
        """Return the ledger with a revision more.

        Raises:
            LimitError: There are as many as there may be.
        """
        entry = self.entries.get(one.name, Entry())
        if len(entry.revisions) >= MAX_REVISIONS:
            raise LimitError(
                f"{one.name}: {MAX_REVISIONS} revisions are loaded already; unload one first"
            )
        revisions = {**entry.revisions, one.revision: one}
        return self._with(one.name, dataclasses.replace(entry, revisions=revisions))

    def activated(self, name: str, revision: str) -> Ledger:
        """Return the ledger in which a loaded revision answers.

        What answered becomes the previous one, and what was the previous one goes.

        Raises:
            UnknownIndexError, UnknownRevisionError: As named.
        """
        self.find(name, revision)
        entry = self.entry(name)
        if entry.active == revision:
            return self
        gone = {entry.previous} - {revision}
        revisions = {key: one for key, one in entry.revisions.items() if key not in gone}
        return self._with(
            name,
            dataclasses.replace(entry, revisions=revisions, active=revision, previous=entry.active),
        )

    def rolled_back(self, name: str) -> Ledger:
        """Return the ledger in which the previous revision answers; there is none then.

        Raises:
            UnknownIndexError, NoPreviousRevisionError: As named.
        """
        entry = self.entry(name)
        if not entry.previous:
            raise NoPreviousRevisionError(
                f"{name}: nothing answered before that is still loaded; load and activate "
                "the revision wanted",
                field="index",
            )
        return self._with(name, dataclasses.replace(entry, active=entry.previous, previous=""))

    def unloaded(self, name: str, revision: str) -> Ledger:
        """Return the ledger without a revision, which need not be there.

        Raises:
            UnknownIndexError, IndexActiveError: As named.
        """
        entry = self.entry(name)
        if revision not in entry.revisions:
            return self
        if revision == entry.active:
            raise IndexActiveError(
                f"{name}: that revision answers; activate another first", field="revision"
            )
        revisions = {key: one for key, one in entry.revisions.items() if key != revision}
        if not revisions:
            # Loaded under a new name and never activated.
            rest = {key: one for key, one in self.entries.items() if key != name}
            return Ledger(rest)
        previous = "" if entry.previous == revision else entry.previous
        return self._with(name, dataclasses.replace(entry, revisions=revisions, previous=previous))

    def failed(self, failure: Failure) -> Ledger:
        """Return the ledger with a failure noted, if its name is known."""
        entry = self.entries.get(failure.name)
        if entry is None:
            return self
        return self._with(failure.name, dataclasses.replace(entry, failure=failure))

    def mended(self, name: str) -> Ledger:
        """Return the ledger without a failure under a name."""
        entry = self.entries.get(name)
        if entry is None or entry.failure is None:
            return self
        return self._with(name, dataclasses.replace(entry, failure=None))

    def _with(self, name: str, entry: Entry) -> Ledger:
        return Ledger({**self.entries, name: entry})
