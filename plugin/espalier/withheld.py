"""Texts that patterns keep out of answers, and answers that are full all the same.

C decides about labels before it ranks. What it puts together out of words no pattern
has been tried against, so that is done with the finished answer, and what falls out
is replaced.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from espalier.errors import IndexCorruptError, UnsupportedError
from espalier.native import NO_LABEL, RawSuggestion, Source

if TYPE_CHECKING:
    from espalier.overlay import Overlay
    from espalier.re2 import PatternSet

GENERATED: Final = 72
"""Suggestions of one answer that are no labels, at most: 40 generated (``native/src/tails.h``)
and one for each of 32 previous queries."""

META_KEY: Final = "kept_out_patterns"
"""Where META has the patterns an index was trained with; absent if there are none."""

_EVERYWHERE: Final = Source.MODEL | Source.POPULAR | Source.CORRECTED

Ask = Callable[[int, int], list[RawSuggestion]]
"""Asks for as many suggestions, from these sources (0: the usual ones)."""


class TrainedPatterns:
    """The patterns an index was trained with, for what is suggested and is no label."""

    __slots__ = ("_engine",)

    def __init__(self, engine: PatternSet) -> None:
        """Ask ``engine``; see :func:`trained_patterns`."""
        self._engine = engine

    def allowed(self, found: Sequence[RawSuggestion]) -> list[RawSuggestion]:
        """Return what may be suggested; what an overlay pins, somebody wants there."""
        # Labels were judged when the log was read.
        doubtful = [one.text for one in found if one.label == NO_LABEL and not one.pinned]
        if not doubtful:
            return list(found)
        verdicts = self._engine.match([_with_ascii_digits(text) for text in doubtful])
        gone = {text for text, hit in zip(doubtful, verdicts, strict=True) if hit}
        return [one for one in found if one.pinned or one.text not in gone]


def trained_patterns(patterns: object, where: str) -> TrainedPatterns | None:
    """Compile what META has at ``META_KEY``; None if there is nothing.

    Args:
        patterns: The value, which may be anything: the file may be damaged.
        where: The file, for messages.

    Raises:
        IndexCorruptError: These are no RE2 expressions.
        UnsupportedError: RE2 is not installed. An index that promises to keep something
            back is of no use where it cannot.
    """
    if not patterns:
        return None
    try:
        from espalier import re2  # noqa: PLC0415 - large, and most indexes do without
    except ImportError:
        raise UnsupportedError(
            f"{where} has patterns of queries it must not suggest, and they need the package "
            "duckdb: install it, or train without blocked_patterns and pii_patterns"
        ) from None
    if not isinstance(patterns, list) or not all(isinstance(one, str) for one in patterns):
        raise _damaged(where, "they are no list of texts")
    for number, pattern in enumerate(patterns, 1):
        if re2.fault(pattern) is not None:
            raise _damaged(where, f"number {number} is not an RE2 expression")
    return TrainedPatterns(re2.PatternSet(patterns))


def _damaged(where: str, what: str) -> IndexCorruptError:
    return IndexCorruptError(
        f"{where}: the patterns in META cannot be used, {what}; restore the file or train it again",
        section="META",
    )


def answer(
    ask: Ask,
    k: int,
    sources: int,
    withheld: Callable[[list[RawSuggestion]], list[RawSuggestion]],
    *,
    looked_at: bool,
) -> list[RawSuggestion]:
    """Return ``k`` suggestions, less only if fewer may be suggested.

    Args:
        ask: Asks the index.
        k: Suggestions wanted.
        sources: Where from, 0 for everywhere usual.
        withheld: Returns those that may be suggested, in the same order.
        looked_at: Whether somebody will want to know what the last question found.
    """
    found = ask(k, sources)
    left = _settled(found, withheld(found), k)
    if len(left) == len(found) or len(left) == k:
        return left
    asked = k
    if len(found) == k:
        # Behind what was cut off there are at most as many again that can fall out.
        asked = k + GENERATED
        found = ask(asked, sources)
        left = _settled(found, withheld(found), k)
    others = (sources or _EVERYWHERE) & ~Source.TAIL
    if len(left) == k or not others:
        return left
    # What fell out was a better variant of a label.
    labels = ask(k, int(others))
    more = _settled(labels, withheld(labels), k)
    if len(more) > len(left):
        return more
    if looked_at:
        ask(asked, sources)
    return left


def _settled(
    found: Sequence[RawSuggestion], left: Sequence[RawSuggestion], k: int
) -> list[RawSuggestion]:
    """Return the best ``k`` of what is left, pins where they stood before."""
    if len(left) == len(found):
        return list(left[:k])
    kept = [one for one in left if not one.pinned]
    place = {one.text: at for at, one in enumerate(found) if one.pinned}
    for one in left:
        if one.pinned:
            kept.insert(place[one.text], one)
    return kept[:k]


def by_overlay(
    found: Sequence[RawSuggestion], overlay: Overlay, *, resolved: bool
) -> list[RawSuggestion]:
    """Return what the patterns of ``overlay`` allow.

    ``resolved`` says that the labels that match are known, and are not among these.
    """
    doubtful = [one.text for one in found if not resolved or one.label == NO_LABEL]
    verdicts = zip(doubtful, overlay.allowed(doubtful), strict=True)
    gone = {text for text, allowed in verdicts if not allowed}
    return [one for one in found if one.text not in gone]


def _with_ascii_digits(text: str) -> str:
    """Return ``text`` with the digits of every script written 0 to 9, as training reads it."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
