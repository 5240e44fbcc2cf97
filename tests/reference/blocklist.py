"""A second reader of BLCK, written from ``native/FORMAT.md`` alone.

Words are found by a regular expression and numbers by another; nothing is counted.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tests.reference.format import need
from tests.reference.words import Arrays, places

HEADER: Final = np.dtype(
    [("n_queries", "<u4"), ("n_words", "<u4"), ("bits", "<u4"), ("flags", "<u4")]
)
MOST_BITS: Final = 24
MASK: Final = 2**64 - 1
QUERY_SEED: Final = 0x5DEECE66D1CE4E5B
WORD_SEED: Final = 0xA24BAED4963EE407

WORD: Final = re.compile(r"\w+")
"""``\\w`` is what the specification calls letters, numbers and underscores."""
NUMBER: Final = re.compile(
    r"\d(?:[-./() ]{0,2}\d){8}|\+[-./() ]{0,2}\d(?:[-./() ]{0,2}\d){7}|[^ ]@"
)


def arrays(head: Any) -> Arrays:
    """Return the arrays of the section."""
    return [
        ("hash", "<u8", int(head["n_queries"]) + int(head["n_words"])),
        ("first", "<u4", (1 << int(head["bits"])) + 1),
    ]


def _mix(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
    return x ^ x >> 31


def text_hash(text: bytes, seed: int) -> int:
    """Return the hash of a text as a query or as a word."""
    h = 0x9E3779B97F4A7C15 ^ len(text) * 0xD6E8FEB86659FD93 & MASK
    whole = len(text) // 8 * 8
    for at in range(0, whole, 8):
        h = _mix(h ^ int.from_bytes(text[at : at + 8], "little"))
    rest = text[whole:]
    if len(rest) >= 4:
        h = _mix(h ^ int.from_bytes(rest[:4] + rest[-4:], "little"))
    elif rest:
        h = _mix(h ^ int.from_bytes(bytes([rest[0], rest[len(rest) // 2], rest[-1]]), "little"))
    return _mix(h ^ seed)


@dataclass(frozen=True)
class Blocklist:
    """What is never put together: hashes of queries and words, and whether numbers are."""

    hashes: frozenset[int]
    numbers: bool

    def blocks(self, text: str) -> bool:
        """Return whether a text is kept out."""
        return (
            text_hash(text.encode(), QUERY_SEED) in self.hashes
            or any(self.blocks_word(word) for word in text.split(" ") if word)
            or self.finds_number(text)
        )

    def finds_number(self, text: str) -> bool:
        """Return whether a text is kept out for an address or a number."""
        return self.numbers and NUMBER.search(text) is not None

    def hides(self, word: str, query: str) -> bool:
        """Return whether a word of a previous query gives no support."""
        in_number = self.finds_number(query) and re.search(r"\d", word) is not None
        return in_number or self.finds_number(word) or self.blocks_word(word)

    def blocks_word(self, word: str) -> bool:
        """Return whether what stands between two spaces is blocked, or a run in it."""
        found = {word, *WORD.findall(word)}
        return any(text_hash(one.encode(), WORD_SEED) in self.hashes for one in found)


NOTHING: Final = Blocklist(frozenset(), numbers=False)


def parse(data: bytes, vocabulary: Sequence[bytes] = ()) -> Blocklist:
    """Return the list, everything checked (K1 to K5)."""
    need(len(data) >= HEADER.itemsize, "K1")
    head = np.frombuffer(data, HEADER, 1)[0]
    n = int(head["n_queries"]) + int(head["n_words"])
    bits = int(head["bits"])
    need(bits <= MOST_BITS and n <= 1 << MOST_BITS, "K1")
    begins = places(HEADER, arrays(head))
    need(begins["end"] == len(data), "K1", len(data))
    hashes, first = (
        np.frombuffer(data, kind, count, begins[name]).tolist()
        for name, kind, count in arrays(head)
    )
    need(head["flags"] in {0, 1}, "K2")
    need(all(a < b for a, b in itertools.pairwise(hashes)), "K3")
    for bucket, at in enumerate(first):
        need(at == sum(h >> (64 - bits) < bucket for h in hashes), "K4", bucket)
    made = Blocklist(frozenset(hashes), bool(head["flags"]))
    need(not any(made.blocks_word(word.decode()) for word in vocabulary), "K5")
    return made
