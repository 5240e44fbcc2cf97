"""The indexes a process serves, by name."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import espalier
from espalier.errors import ConfigError
from espalier.filters import Filter
from espalier.native import Source
from espalier.serve.errors import UnknownIndexError
from espalier.serve.log import EventLog

# The first call pays for page faults; nobody typing should.
_WARM_UP_PREFIXES = ("", *"abcdefghijklmnopqrstuvwxyz0123456789")


class Suggested(Protocol):
    """One suggestion, as `espalier.Suggestion`."""

    @property
    def text(self) -> str:
        """The normalised query."""
        ...

    @property
    def display_text(self) -> str:
        """The form to show."""
        ...

    @property
    def score(self) -> float:
        """Higher is better."""
        ...

    @property
    def source(self) -> str:
        """Name of the `espalier.index.Source` that found it."""
        ...

    @property
    def matched_code_points(self) -> int:
        """Code points of ``text`` that the prefix accounts for."""
        ...

    @property
    def matched_utf16(self) -> int:
        """The same in UTF-16 code units."""
        ...


class Contributed(Protocol):
    """What a feature did, as `espalier.index.Contribution`."""

    @property
    def value(self) -> float:
        """Of the feature; NaN where it is not known."""
        ...

    @property
    def contribution(self) -> float:
        """What it added to the score."""
        ...


class Explained(Protocol):
    """A suggestion and what its score is made of, as `espalier.index.Explanation`."""

    @property
    def suggestion(self) -> Suggested:
        """The suggestion."""
        ...

    @property
    def average(self) -> float:
        """Score of an average candidate."""
        ...

    @property
    def features(self) -> Mapping[str, Contributed]:
        """Every feature by name; empty for what is not scored."""
        ...


class Completing(Protocol):
    """What the service needs of an index: `espalier.Index`, or a fake of it."""

    def complete(
        self,
        prefix: str,
        previous: Sequence[str] = (),
        *,
        k: int = 10,
        sources: Source | None = None,
        previous_age: Sequence[float] | None = None,
        where: Filter | None = None,
    ) -> Sequence[Suggested]:
        """Return at most ``k`` completions of ``prefix``, best first.

        ``previous`` are the queries of the session, most recent first, and
        ``previous_age`` the seconds since each, where known; ``sources`` where
        suggestions may come from, ``None`` for everywhere.

        Raises:
            LimitError: The normalised prefix is too long.
            UnsupportedError: ``where`` asks for something the index has not.
        """
        ...

    def explain(
        self,
        prefix: str,
        previous: Sequence[str] = (),
        *,
        k: int = 10,
        sources: Source | None = None,
        previous_age: Sequence[float] | None = None,
        where: Filter | None = None,
    ) -> Sequence[Explained]:
        """Complete, and tell what every score is made of. Arguments as in ``complete``."""
        ...

    def close(self) -> None:
        """Release the file; no call may be under way."""
        ...


@dataclass(frozen=True, slots=True)
class ServedIndex:
    """An open index under the name clients ask for it.

    Attributes:
        revision: The training fingerprint, which every reply carries.
    """

    name: str
    revision: str
    index: Completing


class Indexes:
    """Served indexes by name; the first is the default. Immutable."""

    def __init__(self, served: Iterable[ServedIndex]) -> None:
        self._by_name: Mapping[str, ServedIndex] = {one.name: one for one in served}
        if not self._by_name:
            raise ConfigError("nothing to serve: name at least one index")
        self.default = next(iter(self._by_name.values()))

    def __iter__(self) -> Iterator[ServedIndex]:
        return iter(self._by_name.values())

    def get(self, name: str) -> ServedIndex:
        """Return the index called ``name``, the default one for "".

        Raises:
            UnknownIndexError: No index has that name.
        """
        if not name:
            return self.default
        found = self._by_name.get(name)
        if found is None:
            served = ",".join(self._by_name)
            raise UnknownIndexError(
                f"no index of that name is served; leave index empty or use one of: {served}",
                field="index",
                served=served,
            )
        return found

    def close(self) -> None:
        """Close every index; no call may be under way."""
        for one in self:
            one.index.close()


def load_indexes(paths: Mapping[str, Path], *, verify: bool, log: EventLog) -> Indexes:
    """Open, check and warm every index of ``paths``; all of them or none.

    With ``verify`` every checksum is compared first.

    Raises:
        IndexFileError: A file cannot be used; its message names the file.
    """
    with ExitStack() as opened:
        served = []
        for name, path in paths.items():
            started = time.monotonic()
            index = espalier.open(path, verify=verify)
            opened.callback(index.close)
            for prefix in _WARM_UP_PREFIXES:
                index.complete(prefix)
            served.append(ServedIndex(name, index.info.fingerprint, index))
            log.info(
                "index_loaded",
                index=name,
                path=str(path),
                revision=index.info.fingerprint,
                labels=index.info.labels,
                bytes=index.info.bytes,
                verified=verify,
                seconds=round(time.monotonic() - started, 3),
            )
        indexes = Indexes(served)
        opened.pop_all()
        return indexes
