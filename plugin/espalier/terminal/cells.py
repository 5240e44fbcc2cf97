"""Text on a grid of cells: what a terminal gets, how wide it is, where it can be cut."""

from __future__ import annotations

import re
import unicodedata

from espalier.console import cells, printable

_SPACE = re.compile(r"\s")
_JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)


def fit(text: str, width: int, more: str = "…") -> str:
    """Return ``text`` as a terminal may get it, its beginning if it exceeds ``width`` cells.

    ``more``, one cell wide, ends what was cut.
    """
    shown = _on_screen(text)
    if cells(shown) <= width:
        return shown
    room = width - 1
    end = 0
    for character in shown:
        room -= cells(character)
        if room < 0:
            break
        end += 1
    return shown[:end] + more if width > 0 else ""


def fit_end(text: str, width: int, more: str = "…") -> str:
    """Return ``text`` as a terminal may get it, its end if it exceeds ``width`` cells."""
    shown = _on_screen(text)
    if cells(shown) <= width:
        return shown
    room = width - 1
    start = len(shown)
    for character in reversed(shown):
        room -= cells(character)
        if room < 0:
            break
        start -= 1
    # A mark whose letter was cut away would land on the sign before it.
    while start < len(shown) and not cells(shown[start]):
        start += 1
    return more + shown[start:] if width > 0 else ""


def without_last(text: str) -> str:
    """Return ``text`` without what a reader takes for its last character.

    That is a letter with its marks, or an emoji with all it was joined of.
    """
    end = len(text)
    while end:
        end -= 1
        if _extends(text[end]) or text[end - 1 : end] == _JOINER:
            continue
        break
    return text[:end]


def _extends(character: str) -> bool:
    if ord(character) in _SKIN_TONES or character == _JOINER:
        return True
    return unicodedata.category(character) in {"Mn", "Me", "Mc"}


def _on_screen(text: str) -> str:
    # Japanese is typed with a space of its own, which `printable` would spell out.
    return printable(_SPACE.sub(" ", text))
