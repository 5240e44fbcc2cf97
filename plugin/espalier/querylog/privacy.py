"""Which queries a privacy rule keeps out, before anything is learnt from them.

Rules look at the normalised text, so that full-width digits and capitals hide nothing;
digits of every script count as digits. Patterns are RE2 expressions evaluated by DuckDB:
matching is linear in the text, whatever an operator writes.

===================  ==================================================================
rule                 a query is kept out if it ...
===================  ==================================================================
``blocked_query``    is a line of ``blocklist``
``blocked_word``     has a word of ``blocked_words``
``email``            has an e-mail address
``card``             has 13 to 19 digits, in groups of four or more, with a valid check
                     digit (Luhn: ISO/IEC 7812-1, annex B)
``long_number``      has nine digits in a row, or the shape of a US social security
                     number or of an IBAN
``phone``            has a telephone number: international (``+`` or ``00``), national
                     with a leading 0, or North American (3-3-4 digits)
``pii_pattern``      matches one of ``pii_patterns``
``blocked_pattern``  matches a line of ``blocked_patterns``
===================  ==================================================================

``drop_pii = false`` switches off ``email`` to ``pii_pattern``. An index takes the lists
along, hashed, whether ``drop_pii`` is on, and the patterns an operator wrote, as they are
(:class:`KeptOut`), for the queries it puts together out of words.
A query is counted under the first rule that fits. In the three files a line is an entry;
blank lines and lines that begin with ``# `` are not.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Protocol

import duckdb
import marisa_trie

from espalier import re2
from espalier.errors import ConfigError, InvalidTextError
from espalier.settings import LogSettings
from espalier.text import normalise

BLOCKED_QUERY: Final = "blocked_query"
BLOCKED_WORD: Final = "blocked_word"
BLOCKED_PATTERN: Final = "blocked_pattern"
CARD: Final = "card"
PII_PATTERN: Final = "pii_pattern"

# (^|[^0-9]) and ($|[^0-9]) stand where other dialects would look around: RE2 does not.
_PHONE: Final = (
    r"(^|[^0-9])(\+|00) ?[1-9]([ ./()-]{0,2}[0-9]){7,14}($|[^0-9])"
    r"|(^|[^0-9.,])\(?0[1-9]([ ./)-]{0,2}[0-9]){7,11}($|[^0-9])"
    r"|(^|[^0-9])(\+?1[ .-]?)?(\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}($|[^0-9])"
)
_LONG_NUMBER: Final = (
    r"[0-9]{9}"
    r"|(^|[^0-9])[0-9]{3}-[0-9]{2}-[0-9]{4}($|[^0-9])"
    r"|(^|[^a-z0-9])[a-z]{2}[0-9]{2} ?([0-9]{4} ?){3}"
)
PII: Final = (
    ("email", r"[^\s@]+@[^\s@]+\.[^\s@]{2,}"),
    ("long_number", _LONG_NUMBER),
    ("phone", _PHONE),
)
"""RE2 patterns of the built-in rules, over normalised text."""

RULES: Final = (
    BLOCKED_QUERY, BLOCKED_WORD, "email", CARD, "long_number", "phone", PII_PATTERN,
    BLOCKED_PATTERN,
)  # fmt: skip
"""Names of all rules, in the order in which they are tried."""

_CARD_CANDIDATE: Final = r"[0-9]{13}|[0-9]{4}[ -][0-9]{4}"
_CARD_RUN: Final = re.compile(r"[0-9]{4,}(?:[ -][0-9]{4,})*")
_CARD_DIGITS: Final = range(13, 20)
_WORDS: Final = re.compile(r"\w+")


class _Entries(Protocol):
    def __len__(self) -> int: ...
    def __contains__(self, key: str, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...


@dataclass(frozen=True, slots=True)
class KeptOut:
    """What an index can keep out by itself, of queries nobody has typed.

    Attributes:
        queries: Normalised queries that are blocked, ascending.
        words: Normalised words that block the query they stand in, ascending.
        numbers: Whether e-mail addresses and long numbers are kept out.
        patterns: RE2 expressions an operator gave, in the order in which they are tried.
    """

    queries: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    numbers: bool = False
    patterns: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is anything for the section BLCK."""
        return bool(self.queries or self.words or self.numbers)


NOTHING: Final = KeptOut()


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one run, files read and patterns tried out.

    Attributes:
        queries: Normalised queries that are blocked.
        words: Normalised words that block the query they stand in.
        patterns: (rule, RE2 pattern), in the order in which they are tried.
        cards: Whether card numbers are looked for.
    """

    queries: _Entries
    words: _Entries
    patterns: tuple[tuple[str, str], ...]
    cards: bool

    @property
    def kept_out(self) -> KeptOut:
        """What of the rules holds for texts that stand in no log, too."""
        return KeptOut(
            tuple(sorted(self.queries)),
            tuple(sorted(self.words)),
            self.cards,
            tuple(text for rule, text in self.patterns if rule in {PII_PATTERN, BLOCKED_PATTERN}),
        )

    def blocked(self, text: str) -> str | None:
        """Return the list rule a normalised query breaks, if any."""
        if text in self.queries:
            return BLOCKED_QUERY
        if self.words and any(
            word in self.words for word in (*text.split(), *_WORDS.findall(text))
        ):
            return BLOCKED_WORD
        return None


def load_rules(settings: LogSettings) -> Rules:
    """Read the files the settings name and try every pattern in them.

    Raises:
        ConfigError: A file cannot be read, an entry is not one word or not Unicode
            text, or a pattern is not RE2; named with its line.
    """
    patterns = [*PII] if settings.drop_pii else []
    if settings.drop_pii:
        patterns += [(PII_PATTERN, pattern) for pattern in settings.pii_patterns]
    if settings.blocked_patterns:
        for number, pattern in _entries(settings.blocked_patterns):
            _try_pattern(pattern, f"{settings.blocked_patterns}, line {number}")
            patterns.append((BLOCKED_PATTERN, pattern))
    return Rules(
        _list(settings.blocklist, one_word=False),
        _list(settings.blocked_words, one_word=True),
        tuple(patterns),
        settings.drop_pii,
    )


def has_card_number(text: str) -> bool:
    """Return whether whole groups of digits next to each other make a card number."""
    for run in _CARD_RUN.findall(text):
        groups = re.split("[ -]", run)
        for start in range(len(groups)):
            digits = ""
            for group in groups[start:]:
                digits += group
                if len(digits) in _CARD_DIGITS and _luhn(digits):
                    return True
    return False


def judge_labels(connection: duckdb.DuckDBPyConnection, rules: Rules) -> None:
    """Fill the column ``verdict`` of a new table ``labels`` (label, text, verdict).

    Reads the distinct texts of ``forms`` that nothing is wrong with. ``label`` numbers
    them in code point order, from 0.
    """
    connection.execute("CREATE TABLE cards (text VARCHAR)")
    connection.execute(
        f"CREATE TABLE texts AS SELECT text, {_with_ascii_digits('text')} AS digits "
        "FROM (SELECT DISTINCT text FROM forms WHERE verdict IS NULL)"
    )
    if rules.cards:
        _insert_cards(connection)
    tests = [
        f"WHEN regexp_matches(digits, {_literal(pattern)}) THEN '{rule}'"
        for rule, pattern in rules.patterns
    ]
    if rules.cards:
        # After "email", which is the first pattern.
        tests.insert(1, f"WHEN cards.text IS NOT NULL THEN '{CARD}'")
    verdict = f"CASE {' '.join(tests)} END" if tests else "CAST(NULL AS VARCHAR)"
    connection.execute(
        "CREATE TABLE labels AS "
        "SELECT row_number() OVER (ORDER BY texts.text) - 1 AS label, texts.text AS text, "
        f"{verdict} AS verdict FROM texts LEFT JOIN cards ON cards.text = texts.text"
    )
    connection.execute("DROP TABLE texts")
    connection.execute("DROP TABLE cards")


def _insert_cards(connection: duckdb.DuckDBPyConnection) -> None:
    found: list[tuple[str]] = []
    result = connection.execute(
        f"SELECT text, digits FROM texts WHERE regexp_matches(digits, {_literal(_CARD_CANDIDATE)})"
    )
    while rows := result.fetchmany(10_000):
        found.extend((text,) for text, digits in rows if has_card_number(digits))
    if found:
        connection.executemany("INSERT INTO cards VALUES (?)", found)


def _luhn(digits: str) -> bool:
    """Return whether the last of ``digits`` is the check digit of the others."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) << (place & 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


@cache
def _digit_table() -> tuple[str, str]:
    """Return the decimal digits of all scripts but ours, and the digit each one is."""
    digits = [
        chr(code)
        for code in range(128, sys.maxunicode + 1)
        if unicodedata.category(chr(code)) == "Nd"
    ]
    return "".join(digits), "".join(str(unicodedata.digit(digit)) for digit in digits)


def _with_ascii_digits(column: str) -> str:
    """Return the SQL of a text with the digits of every script written 0 to 9."""
    foreign, ours = _digit_table()
    return (
        f"CASE WHEN strlen({column}) = length({column}) THEN {column} "
        f"ELSE translate({column}, '{foreign}', '{ours}') END"
    )


def _literal(pattern: str) -> str:
    return "'" + pattern.replace("'", "''") + "'"


def _try_pattern(pattern: str, where: str) -> None:
    what = re2.fault(pattern)
    if what is not None:
        raise ConfigError(f"{where}: not an RE2 expression ({what})")


def _entries(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the entries of a file with their line numbers."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    for number, line in enumerate(lines, 1):
        entry = line.strip()
        if entry and not entry.startswith("# "):
            yield number, entry


def _list(path: Path | None, *, one_word: bool) -> _Entries:
    if path is None:
        return frozenset[str]()
    found: list[str] = []
    for number, entry in _entries(path):
        try:
            text = normalise(entry)
        except InvalidTextError as error:
            raise ConfigError(f"{path}, line {number}: {error}") from None
        if one_word and " " in text:
            raise ConfigError(f"{path}, line {number}: has a space; write one word a line")
        found.append(text)
    entries: _Entries = marisa_trie.Trie(found)
    return entries
