"""What was seen lately, in bounded memory."""

from __future__ import annotations

from collections.abc import Hashable


class Seen:
    """Remembers at least the last ``least`` things, and at most twice as many."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._young: set[Hashable] = set()
        self._old: set[Hashable] = set()

    def __contains__(self, thing: Hashable) -> bool:
        """Return whether ``thing`` is remembered."""
        return thing in self._young or thing in self._old

    def add(self, thing: Hashable) -> None:
        """Remember ``thing``; what was added longest ago may go."""
        self._young.add(thing)
        if len(self._young) >= self._least:
            self._old, self._young = self._young, set()
