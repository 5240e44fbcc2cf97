"""The rules of an overlay, one class a kind, and their form in a file.

==================  ==========================================================  ===========
rule                what it does                                                in a file
==================  ==========================================================  ===========
``Block``           the query is never suggested                                ``block``
``BlockWord``       no query with this word is                                  ``block_word``
``BlockPattern``    no query that matches this RE2 expression is                ``block_pattern``
``Pin``             the query stands at a position, in the index or not         ``pin``
``Boost``           a number is added to the query's score; below 0 demotes it  ``boost``
``BoostWord``       the same for every query with the word                      ``boost_word``
==================  ==========================================================  ===========

A block beats pins and boosts. A word is found as it stands between spaces, and between
any other characters that are neither letters, marks nor digits: a blocked ``word``
blocks "foo-word" and "word's", not "words". In scripts written without spaces it is
found anywhere. ``Block`` compares the whole query: the same words in another order, or
with another plural, are another query.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from espalier.errors import InputError, InvalidTextError
from espalier.text import normalise

MAX_TEXT_BYTES: Final = 4096
"""UTF-8 bytes of a query, a word or a display text, at most."""
MAX_PATTERN: Final = 1000
"""Characters of a pattern, at most."""
MAX_POSITION: Final = 100
"""The last place a query can be pinned to."""
MAX_MIN_PREFIX: Final = 1024
"""Code points a pin can wait for, at most."""
MAX_BOOST: Final = 1e6
"""The largest boost either way."""


@dataclass(frozen=True, slots=True)
class Block:
    """The query ``text`` is never suggested."""

    name: ClassVar[str] = "block"
    text: str


@dataclass(frozen=True, slots=True)
class BlockWord:
    """No query with the word ``text`` is suggested."""

    name: ClassVar[str] = "block_word"
    text: str


@dataclass(frozen=True, slots=True)
class BlockPattern:
    """No query that matches the RE2 expression ``text`` is suggested.

    It is searched for anywhere in the normalised text; ``^`` and ``$`` anchor it.
    """

    name: ClassVar[str] = "block_pattern"
    text: str


@dataclass(frozen=True, slots=True)
class Pin:
    """The query ``text`` stands at a fixed place.

    Attributes:
        text: The query; it need not be in the index.
        position: The place in the list, 1 for the first. Of two pins of one position
            the earlier rule comes first.
        min_prefix: Code points that must have been typed; 0 pins it to the empty
            prefix as well.
        display: The form that is shown; "" for ``text`` as it was given.
    """

    name: ClassVar[str] = "pin"
    text: str
    position: int = 1
    min_prefix: int = 1
    display: str = ""


@dataclass(frozen=True, slots=True)
class Boost:
    """``by`` is added to the score of the query ``text``; a negative number demotes."""

    name: ClassVar[str] = "boost"
    text: str
    by: float


@dataclass(frozen=True, slots=True)
class BoostWord:
    """``by`` is added to the score of every query with the word ``text``."""

    name: ClassVar[str] = "boost_word"
    text: str
    by: float


Rule = Block | BlockWord | BlockPattern | Pin | Boost | BoostWord
KINDS: Final[Mapping[str, type[Rule]]] = {
    kind.name: kind for kind in (Block, BlockWord, BlockPattern, Pin, Boost, BoostWord)
}
_WORDS: Final = (BlockWord, BoostWord)


def key_of(rule: Rule) -> tuple[str, str]:
    """Return what two rules of one overlay must not share."""
    return rule.name, rule.text


def settle(rule: Rule, number: int, fault: Callable[[str], str | None]) -> Rule:
    """Return the rule with its text normalised.

    Args:
        rule: The rule as somebody wrote it.
        number: Its place in the list, from 1, for messages.
        fault: Tells what is wrong with a pattern.

    Raises:
        InvalidTextError: A lone surrogate in a text.
        InputError: The rule cannot be kept; the message has its number and the fix.
    """
    if not isinstance(rule, Rule):
        raise InputError(f"rule {number}: a {type(rule).__name__}; give a rule of espalier.overlay")
    where = f"rule {number} ({rule.name})"
    if isinstance(rule, BlockPattern):
        _check_pattern(rule, where, fault)
        return rule
    text = _text(rule.text, where, "text")
    if not text:
        raise InputError(f"{where}: its text is empty; remove the rule or name what it is about")
    if isinstance(rule, _WORDS) and " " in text:
        raise InputError(f"{where}: a word has no space in it; write a rule for the whole query")
    if isinstance(rule, Pin):
        return _settle_pin(rule, text, where)
    if isinstance(rule, Boost | BoostWord):
        by: Any = rule.by  # whatever the caller or a file gave
        if isinstance(by, bool) or not isinstance(by, int | float) or not abs(by) <= MAX_BOOST:
            raise InputError(f"{where}: by must be a number within {MAX_BOOST:,.0f} of 0")
    return dataclasses.replace(rule, text=text)


def to_json(rule: Rule) -> dict[str, Any]:
    """Return the rule as an object of a file; what is at its default is left out."""
    fields: dict[str, Any] = {rule.name: rule.text}
    for field in dataclasses.fields(rule):
        value = getattr(rule, field.name)
        if field.name != "text" and value != field.default:
            fields[field.name] = value
    return fields


def from_json(entry: Any, number: int) -> Rule:
    """Return the rule an object of a file describes.

    Raises:
        InputError: It has not exactly one kind, or a field its kind does not have.
    """
    if not isinstance(entry, dict):
        raise InputError(f"rule {number}: not an object; write {{'block': 'query'}}")
    found = [name for name in KINDS if name in entry]
    if len(found) != 1:
        raise InputError(f"rule {number}: needs exactly one of {', '.join(KINDS)}")
    kind = KINDS[found[0]]
    known = [field.name for field in dataclasses.fields(kind) if field.name != "text"]
    if strange := sorted(entry.keys() - {kind.name, *known}):
        allowed = f"it may have {', '.join(known)}" if known else "it has no other field"
        raise InputError(f"rule {number} ({kind.name}): unknown field {strange[0]!r}; {allowed}")
    rest = {name: entry[name] for name in known if name in entry}
    try:
        return kind(entry[kind.name], **rest)
    except TypeError:  # a field without default is missing
        raise InputError(f"rule {number} ({kind.name}): needs {', '.join(known)}") from None


def _text(text: Any, where: str, what: str) -> str:
    if not isinstance(text, str):
        raise InputError(f"{where}: its {what} must be a string")
    try:
        settled = normalise(text)
    except InvalidTextError as error:
        raise InvalidTextError(f"{where}: {error}") from None
    for form in (settled, text.strip()):
        if len(form.encode()) > MAX_TEXT_BYTES:
            raise InputError(f"{where}: its {what} is above {MAX_TEXT_BYTES:,} bytes; shorten it")
    return settled


def _check_pattern(rule: BlockPattern, where: str, fault: Callable[[str], str | None]) -> None:
    text: Any = rule.text
    if not isinstance(text, str) or not 0 < len(text) <= MAX_PATTERN:
        raise InputError(f"{where}: its pattern must be a string of 1 to {MAX_PATTERN} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidTextError(f"{where}: its pattern has a lone surrogate; remove it") from None
    what = fault(text)
    if what is not None:
        raise InputError(f"{where}: not an RE2 expression ({what})")


def _settle_pin(rule: Pin, text: str, where: str) -> Pin:
    for name, least, most in (("position", 1, MAX_POSITION), ("min_prefix", 0, MAX_MIN_PREFIX)):
        value = getattr(rule, name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise InputError(f"{where}: {name} must be a whole number from {least} to {most:,}")
    _text(rule.display, where, "display")
    # Shown as it was written, until somebody says otherwise.
    display = " ".join((rule.display or rule.text).split())
    return dataclasses.replace(rule, text=text, display="" if display == text else display)
