"""Unicode normalisation: the one place where typed text becomes what is compared.

Labels and prefixes go through the same function, so that what the C library
compares byte by byte is comparable: NFKC, case folded, typographic quotes and
apostrophes as the plain ones, invisible characters left out, control characters
taken as white space, runs of white space one space, trimmed. A prefix keeps one
trailing space, because "new " and "new" ask for different completions.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from espalier.errors import InvalidTextError

# NFKC and case folding do not commute: folding can expose a new compatibility
# form. Two rounds settle every assigned code point; a third would change nothing.
# Decomposed before folding, as Unicode (3.13, D146) says: the iota below a Greek
# letter becomes a letter of its own, and which marks it then follows must not
# depend on how they were typed.
_ROUNDS = 3

# Keyboards and word processors choose them, people do not: ' and primes, " and guillemets.
_APOSTROPHES: Final = "\u2018\u2019\u201a\u201b\u2039\u203a\u02bb\u02bc\u2032"
_QUOTES: Final = "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u301d\u301e\u301f"
# Soft hyphen, zero-width space, word joiner, byte order mark, and marks and embeddings of
# writing direction. The joiners U+200C and U+200D stay: Persian and the scripts of India
# tell words apart by them.
_INVISIBLE: Final = (
    "\u00ad\u200b\u2060\ufeff\u200e\u200f\u061c"
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_PLAIN: Final = str.maketrans(
    dict.fromkeys(_APOSTROPHES, "'") | dict.fromkeys(_QUOTES, '"') | dict.fromkeys(_INVISIBLE)
)
_VISIBLE: Final = str.maketrans(dict.fromkeys(_INVISIBLE))
# Finding none takes a tenth of the time of replacing none.
_UNSEEN: Final = re.compile(f"[{_INVISIBLE}]")
_UNPLAIN: Final = re.compile(f"[{_APOSTROPHES}{_QUOTES}{_INVISIBLE}]")


def _fold(text: str) -> str:
    for _ in range(_ROUNDS):
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", text).casefold())
        if folded == text:
            break
        text = folded
    return text


def _plain(text: str) -> str:
    return text.translate(_PLAIN) if _UNPLAIN.search(text) else text


def _collapse(text: str) -> str:
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)
    return " ".join(text.split())


def normalise(text: str) -> str:
    """Return the form in which queries are compared.

    Idempotent. Raises:
        InvalidTextError: ``text`` is no string, or holds a lone surrogate.
    """
    if not isinstance(text, str):
        raise InvalidTextError(f"a query must be a string, not {type(text).__name__}")
    if text.isascii():
        return _collapse(text.lower())
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidTextError(
            f"text has a lone surrogate at position {error.start}; "
            "send valid Unicode (UTF-8 on the wire)"
        ) from None
    # Before folding, so that a mark finds its letter; afterwards, for what folding exposes.
    return _collapse(_plain(_fold(_collapse(_plain(text)))))


def normalise_prefix(text: str) -> str:
    """Return the normalised prefix, with one trailing space if it was typed."""
    prefix = normalise(text)
    if not text.isascii():
        text = text.rstrip(_INVISIBLE)
    if prefix and (text[-1].isspace() or unicodedata.category(text[-1]) == "Cc"):
        return prefix + " "
    return prefix


def visible(text: str) -> str:
    """Return ``text`` without the invisible characters that normalising leaves out."""
    return text.translate(_VISIBLE) if _UNSEEN.search(text) else text


def utf16_length(text: str) -> int:
    """Return the length of ``text`` in UTF-16 code units, as browsers count."""
    return len(text) if text.isascii() else len(text) + sum(c > "\uffff" for c in text)


class Query(str):
    """Query text that does not print itself by accident.

    A ``str`` in every respect but ``repr``, which shows length and a short hash
    of the process instead of the text, so that a query in a traceback, a log
    line or an f-string with ``!r`` says nothing about the person who typed it.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<query of {len(self)} characters #{hash(self) & 0xFFFF:04x}>"
