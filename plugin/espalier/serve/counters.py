"""What a process has done, in numbers: `telemetry.families` says which there are.

The numbers are in a `Page`. Where that is shared with the supervisor they go on when
a successor takes over; of a process of its own they end with it.
"""

from __future__ import annotations

import enum
import threading
from bisect import bisect_left
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

from espalier.serve.telemetry.families import FAMILIES, SECONDS, Kind
from espalier.serve.telemetry.page import Key, Page

_BOUNDS: Final = tuple(round(bound * 1e9) for bound in SECONDS)
_SUM: Final = len(_BOUNDS) + 1


class Unanswered(enum.Enum):
    """Why no work was done for a call."""

    EXPIRED = "expired"  # its deadline passed while it waited
    CANCELLED = "cancelled"  # its client left while it waited
    OVERLOADED = "overloaded"  # too many calls waited: the soft limit
    REFUSED = "refused"  # too many calls were open: the hard limit
    UNAUTHENTICATED = "unauthenticated"  # it had no token that is valid
    NO_REQUEST = "no_request"  # its request message did not come in time, or at all


class Counting(Protocol):
    """Where counts go. Safe to use from many threads."""

    def add(self, family: str, *labels: str) -> None:
        """Count one of ``family``, told apart by ``labels``."""
        ...

    def observe(self, family: str, nanoseconds: int, *labels: str) -> None:
        """Note how long something took."""
        ...


class Counters:
    """Counts in a page.

    Args:
        page: Where they are kept; of this process alone by default.
        alone: Whether only one thread counts the same thing, which saves a lock. (Nor would
            another come between reading a word and writing it, as CPython switches threads;
            but that is nowhere promised.)
    """

    def __init__(self, page: Page | None = None, *, alone: bool = False) -> None:
        self._page = Page.private() if page is None else page
        self._words = self._page.words
        self._places = {key: first for key, first, _ in self._page.find()}
        # What predecessors counted is not what this process did.
        self._before = self._page.read()
        self._adding = threading.Lock()
        self.lock: AbstractContextManager[object] = nullcontext() if alone else threading.Lock()
        self.alone = alone

    def add(self, family: str, *labels: str) -> None:
        """Count one of ``family``, told apart by ``labels``."""
        key = (family, *labels)
        place = self._places.get(key) or self._place(key)
        if self.alone:
            self._words[place] += 1
        else:
            with self.lock:
                self._words[place] += 1

    def advance(self, family: str, by: int, *labels: str) -> None:
        """Count so many of ``family``."""
        place = self.place(family, *labels)
        with self.lock:
            self._words[place] += by

    def set(self, family: str, value: int, *labels: str) -> None:
        """Let a gauge be ``value``, from 0 on."""
        self._words[self.place(family, *labels)] = value

    def observe(self, family: str, nanoseconds: int, *labels: str) -> None:
        """Note how long something took."""
        key = (family, *labels)
        place = self._places.get(key) or self._place(key)
        if self.alone:
            observe(self._words, place, nanoseconds)
        else:
            with self.lock:
                observe(self._words, place, nanoseconds)

    def place(self, family: str, *labels: str) -> int:
        """Return where the numbers of a series are among `words`; it is there from now on."""
        key = (family, *labels)
        return self._places.get(key) or self._place(key)

    @property
    def words(self) -> memoryview[int]:
        """Where the numbers are; who changes them there holds `lock` while it does."""
        return self._words

    def begin(self, *families: str) -> None:
        """Let the series that `Family.series` names be there, at 0 if they are new."""
        for family in families:
            for labels in FAMILIES[family].series:
                self.place(family, *labels)

    def get(self, family: str, *labels: str) -> int:
        """Return one count, 0 if nothing was counted."""
        place = self._places.get((family, *labels))
        return 0 if place is None else self._words[place]

    def read(self) -> dict[Key, list[int]]:
        """Return every number."""
        return self._page.read()

    def snapshot(self) -> dict[str, dict[str, int]]:
        """Return what this process counted: family, then labels joined by a space."""
        found: dict[str, dict[str, int]] = {}
        for (family, *labels), count in sorted(self._counted()):
            found.setdefault(family, {})[" ".join(labels)] = count
        return found

    def totals(self) -> dict[str, int]:
        """Return the same added up by family and last label, as in ``calls_ok``."""
        found: dict[str, int] = {}
        for (family, *labels), count in sorted(self._counted()):
            name = "_".join((family, *labels[-1:])).lower()
            found[name] = found.get(name, 0) + count
        return found

    def _counted(self) -> list[tuple[Key, int]]:
        numbers = self._page.read()
        return [
            (key, numbers[key][0] - self._before.get(key, [0])[0])
            for key in numbers
            if FAMILIES[key[0]].kind is Kind.COUNTER
            and numbers[key][0] != self._before.get(key, [0])[0]
        ]

    def _place(self, key: Key) -> int:
        family = FAMILIES[key[0]]
        if len(key) != 1 + len(family.labels):
            raise ValueError(f"{key[0]} takes the labels {' '.join(family.labels) or 'none'}")
        with self._adding:
            if key not in self._places:
                self._places[key] = self._page.add(key, family.width)
            return self._places[key]


def observe(words: memoryview[int], place: int, nanoseconds: int) -> None:
    """Note how long something took in the histogram at ``place``."""
    words[place + bisect_left(_BOUNDS, nanoseconds)] += 1
    words[place + _SUM] += nanoseconds
