"""Write native/src/unicode_words.h: the code points that words are made of.

A word is a run of letters, marks and numbers (general categories L, M, N); letters and
numbers alone, and the decimal digits of all scripts, have tables of their own.
Scripts written without spaces get their own ranges: there a run is cut into
pairs of characters. Run with the Python whose Unicode version is wanted.

Up to U+FFFF, where nearly all text is, a code point is looked up in two steps: its
block of 64, of which many are alike, and its bit there. Beyond, ranges do.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "native" / "src" / "unicode_words.h"

# Thai, Lao, Myanmar, Khmer, kana, Han: written without spaces between words.
UNSPACED = [
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
]  # fmt: skip


BLOCK = 64
PLANE = 0x10000


def is_any(point: int, categories: str) -> bool:
    """Return whether a non-ASCII code point is in general categories: "LMN"."""
    return point >= 0x80 and unicodedata.category(chr(point))[0] in categories


def blocks(categories: str) -> tuple[list[int], list[int]]:
    """Return the number of each block of the first plane, and the bits of each number."""
    masks: dict[int, int] = {}
    numbers = [
        masks.setdefault(
            sum(is_any(start + bit, categories) << bit for bit in range(BLOCK)),
            len(masks),
        )
        for start in range(0, PLANE, BLOCK)
    ]
    return numbers, list(masks)


def ranges_beyond(categories: str) -> list[tuple[int, int]]:
    """Return the closed ranges of code points beyond the first plane."""
    ranges: list[tuple[int, int]] = []
    for point in range(PLANE, 0x110000):
        if not is_any(point, categories):
            continue
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1] = (ranges[-1][0], point)
        else:
            ranges.append((point, point))
    return ranges


def rows(cells: list[str], a_line: int) -> str:
    """Return cells of an array, so many a line."""
    lines = [", ".join(cells[i : i + a_line]) for i in range(0, len(cells), a_line)]
    return ",\n    ".join(lines)


def table(name: str, ranges: list[tuple[int, int]]) -> str:
    """Return a C array of the ranges."""
    body = rows([f"{{0x{lo:05X}, 0x{hi:05X}}}" for lo, hi in ranges], 4)
    return f"static const esp_code_range {name}[] = {{\n    {body},\n}};\n"


def block_tables(name: str, categories: str) -> str:
    """Return the two C arrays of the first plane."""
    numbers, masks = blocks(categories)
    if len(masks) > 256:
        raise SystemExit("more than 256 blocks differ: their numbers need 16 bits")
    return (
        f"static const uint8_t esp_{name}_blocks[] = {{\n    "
        f"{rows([str(number) for number in numbers], 24)},\n}};\n"
        f"static const uint64_t esp_{name}_masks[] = {{\n    "
        f"{rows([f'0x{mask:016X}' for mask in masks], 4)},\n}};\n"
    )


def zeros() -> list[int]:
    """Return the zeros beyond ASCII; the digits of a script follow one another."""
    return [
        point
        for point in range(0x80, 0x110000)
        if unicodedata.category(chr(point)) == "Nd" and unicodedata.digit(chr(point)) == 0
    ]


def render() -> str:
    """Return the whole header."""
    return (
        "/* unicode_words.h: written by tools/gen_unicode.py; do not edit.\n"
        f" * Unicode {unicodedata.unidata_version}. */\n"
        '#ifndef ESP_UNICODE_WORDS_H\n#define ESP_UNICODE_WORDS_H\n\n#include "base.h"\n\n'
        "typedef struct esp_code_range {\n    uint32_t lo;\n    uint32_t hi; /* inclusive */\n"
        "} esp_code_range;\n\n"
        "/* clang-format off */\n"
        "/* Letters, marks and numbers beyond ASCII: up to U+FFFF the mask of each block of\n"
        " * 64, and which mask that is. */\n"
        f"{block_tables('word', 'LMN')}\n"
        "/* Those beyond U+FFFF. */\n"
        f"{table('esp_word_ranges', ranges_beyond('LMN'))}\n"
        "/* The same without marks. */\n"
        f"{block_tables('letter', 'LN')}"
        f"{table('esp_letter_ranges', ranges_beyond('LN'))}\n"
        "/* Decimal zeros beyond ASCII; the nine other digits follow each. */\n"
        f"static const uint32_t esp_zeros[] = {{\n    "
        f"{rows([f'0x{point:05X}' for point in zeros()], 10)},\n}};\n\n"
        "/* Scripts written without spaces. */\n"
        f"{table('esp_unspaced_ranges', UNSPACED)}"
        "/* clang-format on */\n\n#endif\n"
    )


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
