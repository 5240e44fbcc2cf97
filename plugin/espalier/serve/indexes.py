"""The indexes a process serves, by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from espalier.catalogue import Product
from espalier.errors import ConfigError
from espalier.filters import Filter
from espalier.native import Encoded, Source
from espalier.overlay import Overlay
from espalier.serve.errors import UnknownIndexError, UnsupportedRequestError


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
        overlay: Overlay | None = None,
        keep_variants: bool = False,
        beam: int = 0,
        pool: int = 0,
        groups_off: Sequence[str] = (),
    ) -> Sequence[Suggested]:
        """Return at most ``k`` completions of ``prefix``, best first.

        ``previous`` are the queries of the session, most recent first, and
        ``previous_age`` the seconds since each, where known; ``sources`` where
        suggestions may come from, ``None`` for everywhere; ``overlay`` the rules that
        hold for the answer; ``keep_variants`` whether variants of better suggestions stay.
        ``beam`` and ``pool`` are how much is searched, 0 for the index's own, and
        ``groups_off`` the groups of features that ranking does without.

        Raises:
            LimitError: The normalised prefix is too long.
            UnsupportedError: ``where`` asks for something the index has not.
        """
        ...

    def complete_encoded(
        self,
        prefix: str,
        previous: Sequence[str] = (),
        *,
        field: int,
        k: int = 10,
        sources: Source | None = None,
        previous_age: Sequence[float] | None = None,
        where: Filter | None = None,
        overlay: Overlay | None = None,
        keep_variants: bool = False,
    ) -> Encoded | None:
        """Complete, as field number ``field`` of a message; None if only `complete` can."""
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
        overlay: Overlay | None = None,
        keep_variants: bool = False,
        beam: int = 0,
        pool: int = 0,
        groups_off: Sequence[str] = (),
    ) -> Sequence[Explained]:
        """Complete, and tell what every score is made of. Arguments as in ``complete``."""
        ...

    def close(self) -> None:
        """Release the file; no call may be under way."""
        ...


class Retrieving(Protocol):
    """What the service needs of a catalogue: `espalier.Catalogue`, or a fake of it."""

    def retrieve(
        self,
        query: str,
        *,
        k: int = 10,
        beam: int = 0,
        host: Sequence[str] = (),
        popular: bool = False,
        where: Filter | None = None,
        previous: Sequence[str] = (),
    ) -> Sequence[Product]:
        """Return at most ``k`` products, best first.

        Raises:
            LimitError: The normalised query is too long.
            UnsupportedError: ``where`` asks for something the index has not.
        """
        ...


class NoCompletions:
    """What stands for completing in an index that holds products."""

    def complete(self, *_: object, **__: object) -> NoReturn:
        """Refuse.

        Raises:
            UnsupportedRequestError: Always.
        """
        raise UnsupportedRequestError(
            "the index holds products and completes nothing; name another, or call "
            "RetrievalService.Retrieve",
            field="index",
        )

    complete_encoded = explain = complete

    def close(self) -> None:
        """Do nothing: the file is the catalogue's."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class ServedIndex:
    """An open index under the name clients ask for it.

    A call holds on to the one it found until its answer is made, so whether any still
    uses it shows in whether it is still there.

    Attributes:
        revision: The training fingerprint, which every reply carries.
        overlay: The rules that hold for its answers, patterns resolved for this index.
        catalogue: Its products; ``None`` where it completes queries.
    """

    name: str
    revision: str
    index: Completing
    overlay: Overlay | None = None
    catalogue: Retrieving | None = None


class Indexes:
    """Served indexes by name; the first is the default. Immutable."""

    def __init__(self, served: Iterable[ServedIndex]) -> None:
        self._by_name: Mapping[str, ServedIndex] = {one.name: one for one in served}
        if not self._by_name:
            raise ConfigError("nothing to serve: name at least one index")
        self.default = next(iter(self._by_name.values()))

    def __iter__(self) -> Iterator[ServedIndex]:
        return iter(self._by_name.values())

    def has(self, name: str) -> bool:
        """Return whether an index is served under a name."""
        return name in self._by_name

    def get(self, name: str) -> ServedIndex:
        """Return the index called ``name``, the default one for "".

        Raises:
            UnknownIndexError: No index has that name.
        """
        if not name:
            return self.default
        found = self._by_name.get(name)
        if found is None:
            raise UnknownIndexError.among(self._by_name)
        return found

    def catalogue(self, name: str) -> tuple[ServedIndex, Retrieving]:
        """Return the products called ``name``, the first there are for "".

        Raises:
            UnknownIndexError: No index has that name.
            UnsupportedRequestError: It holds no products, or none does.
        """
        for served in self._by_name.values() if not name else (self.get(name),):
            if served.catalogue is not None:
                return served, served.catalogue
        which = "the index holds" if name else "the served indexes hold"
        raise UnsupportedRequestError(
            f"{which} no products; serve one trained with --task retrieval", field="index"
        )
