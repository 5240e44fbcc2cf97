"""Write native/src/unicode_words.h: the code points that words are made of.

A word is a run of letters, marks and numbers (general categories L, M, N).
Scripts written without spaces get their own ranges: there a run is cut into
pairs of characters. Run with the Python whose Unicode version is wanted.
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


def word_ranges() -> list[tuple[int, int]]:
    """Return the closed ranges of non-ASCII code points in categories L, M, N."""
    ranges: list[tuple[int, int]] = []
    for point in range(0x80, 0x110000):
        if unicodedata.category(chr(point))[0] not in "LMN":
            continue
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1] = (ranges[-1][0], point)
        else:
            ranges.append((point, point))
    return ranges


def table(name: str, ranges: list[tuple[int, int]]) -> str:
    """Return a C array of the ranges."""
    cells = [f"{{0x{lo:05X}, 0x{hi:05X}}}" for lo, hi in ranges]
    lines = [", ".join(cells[i : i + 4]) for i in range(0, len(cells), 4)]
    body = ",\n    ".join(lines)
    return f"static const esp_code_range {name}[] = {{\n    {body},\n}};\n"


def render() -> str:
    """Return the whole header."""
    return (
        "/* unicode_words.h: written by tools/gen_unicode.py; do not edit.\n"
        f" * Unicode {unicodedata.unidata_version}. */\n"
        '#ifndef ESP_UNICODE_WORDS_H\n#define ESP_UNICODE_WORDS_H\n\n#include "base.h"\n\n'
        "typedef struct esp_code_range {\n    uint32_t lo;\n    uint32_t hi; /* inclusive */\n"
        "} esp_code_range;\n\n"
        "/* clang-format off */\n"
        "/* Letters, marks and numbers beyond ASCII. */\n"
        f"{table('esp_word_ranges', word_ranges())}\n"
        "/* Scripts written without spaces. */\n"
        f"{table('esp_unspaced_ranges', UNSPACED)}"
        "/* clang-format on */\n\n#endif\n"
    )


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
