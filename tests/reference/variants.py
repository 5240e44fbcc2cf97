"""Which texts a person takes for the same, from the rules of ``native/src/variants.h``.

The library compares hashes; here the keys themselves are compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LEAST_LETTERS: Final = 4
JOINERS: Final = re.compile("[-'\u2010\u2019\u00ad]")
DIRECTIONS: Final = frozenset({b"to", b"from"})


@dataclass(frozen=True)
class Keys:
    """What a text is compared by: its words, and its letters without their spacing."""

    words: object
    letters: object


def _trailing_letters(text: bytes) -> int:
    return len(text) - len(text.rstrip(b"abcdefghijklmnopqrstuvwxyz"))


def singular(text: bytes, *, may_lose_s: bool = True) -> bytes:
    """Return a word as the plural rule leaves it; only its last letters a to z count."""
    letters = _trailing_letters(text)
    if letters < LEAST_LETTERS:
        return text
    if may_lose_s and re.search(rb"[^sui]s$", text):
        text, letters = text[:-1], letters - 1
    if letters < LEAST_LETTERS or not text.endswith(b"e"):
        return text
    if text.endswith(b"ie"):
        return text[:-2] + b"y"
    return text[:-1] if re.search(rb"(x|o|ss|ch|sh)e$", text) else text


def _spelled(part: str) -> bytes:
    """Return a word without its hyphens; between two digits they leave a boundary."""
    pieces = [piece.encode() for piece in JOINERS.split(part) if piece]
    return _joined(pieces)


def _joined(pieces: list[bytes]) -> bytes:
    text = b""
    for piece in pieces:
        both = text[-1:].isdigit() and piece[:1].isdigit()
        text += (b" " if both else b"") + piece
    return text


def keys(text: str) -> Keys:
    """Return what a text is compared by."""
    words = [spelled for part in text.split(" ") if (spelled := _spelled(part))]
    if not words:
        whole = ("whole", text)
        return Keys(whole, whole)
    plain = [singular(word) if re.fullmatch(rb"[a-z]+", word) else word for word in words]
    ordered = any(word in DIRECTIONS for word in words)
    long_end = _trailing_letters(words[-1]) >= LEAST_LETTERS
    return Keys(
        ("row", *plain) if ordered else ("bag", *sorted(plain)),
        singular(_joined(words), may_lose_s=long_end),
    )


def same(a: str, b: str) -> bool:
    """Return whether two texts are variants of each other."""
    left, right = keys(a), keys(b)
    return left.words == right.words or left.letters == right.letters
