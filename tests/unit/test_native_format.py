"""The specification's tables, the C structs and the Python records say the same."""

from __future__ import annotations

import math
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from espalier import native
from espalier.train import write
from tests.reference import blocklist, build, build_words, catalogue, forest, words
from tests.reference import format as reference

ROOT = Path(__file__).resolve().parents[2]
SPECIFICATION = (ROOT / "native" / "FORMAT.md").read_text("utf-8")
TYPES: Final = {"u8": "u1", "u16": "<u2", "u32": "<u4", "u64": "<u8", "f32": "<f4"}
Fields = list[tuple[str, str, int]]

STRUCTS: Final[dict[str, tuple[str, np.dtype[Any]]]] = {
    "Header": ("esp_file_header", reference.HEADER),
    "Section table": ("esp_file_section", reference.SECTION),
    "PARM": ("esp_params", reference.PARAMS),
    "TRIE": ("esp_trie_node", reference.TRIE_NODE),
    "PMAX": ("esp_maxima_header", reference.MAXIMA),
    "TREE, LPOS, POSL": ("esp_tree_node", reference.TREE_NODE),
    "WGHT: chunks": ("esp_chunk_header", reference.CHUNK),
    "VOCA": ("esp_words_header", words.VOCABULARY),
    "NGRM": ("esp_ngram_header", words.NGRAMS),
    "RELA": ("esp_relation_header", words.RELATIONS),
    "RELA: rules": ("esp_affix_rule", words.RULE),
    "BLCK": ("esp_block_header", blocklist.HEADER),
    "CATA": ("esp_catalogue_header", catalogue.HEADER),
    "FRST": ("esp_forest_header", forest.HEADER),
    "FRST: features": ("esp_forest_feature", forest.FEATURE),
    "FRST: columns": ("esp_forest_column", forest.COLUMN),
    "FRST: trees": ("esp_forest_tree", forest.TREE),
    "FRST: tests": ("esp_forest_test", forest.TEST),
}
"""Heading in FORMAT.md: struct in format.h, record of the second reader."""


def _table(heading: str) -> Fields:
    """Return name, numpy type and offset of each field in the table below a heading."""
    text = re.split(r"\n#+ ", SPECIFICATION.split(f"\n### {heading}\n", 1)[1])[0]
    rows = re.findall(r"^\| (\w+) \| (\w+)(?:\[(\d+)\])? \| (\d+) \|", text, re.MULTILINE)
    return [
        (name, f"({count or 1},){TYPES[kind]}" if count else TYPES[kind], int(offset))
        for name, kind, count, offset in rows
    ]


def _fields(record: np.dtype[Any]) -> Fields:
    assert record.fields is not None
    return [
        (name, f"{kind.shape}{kind.base.str}" if kind.shape else _little(kind), offset)
        for name, (kind, offset, *_) in record.fields.items()
    ]


def _little(kind: np.dtype[Any]) -> str:
    return kind.str.replace("|", "")


def _plain(fields: Fields) -> Fields:
    return [(name, kind.replace("|", "").replace(" ", ""), at) for name, kind, at in fields]


@pytest.mark.parametrize("heading", STRUCTS)
def test_tables_are_the_records_of_the_second_reader(heading: str) -> None:
    """Names, types and offsets in FORMAT.md are those the reader uses."""
    assert _plain(_table(heading)) == _plain(_fields(STRUCTS[heading][1]))


def test_tables_are_the_records_training_writes() -> None:
    """Training writes fields where the specification has them."""
    written = [_plain(_fields(v)) for v in vars(write).values() if isinstance(v, np.dtype)]

    assert sorted(written) == sorted(_plain(_table(name)) for name in ("PARM", "TREE, LPOS, POSL"))


def test_tables_are_the_records_a_scorer_is_written_in() -> None:
    """The same of the scorer's section."""
    written = {
        "FRST": native.FOREST_HEADER,
        "FRST: features": native.FOREST_FEATURE,
        "FRST: columns": native.FOREST_COLUMN,
        "FRST: trees": native.FOREST_TREE,
        "FRST: tests": native.FOREST_TEST,
    }

    for heading, record in written.items():
        assert _plain(_table(heading)) == _plain(_fields(record))


def test_tables_are_the_records_words_are_written_in() -> None:
    """The same of the word model's, the relations' and the products' sections."""
    written = {
        "NGRM": native.NGRAM_HEADER,
        "RELA": native.RELATION_HEADER,
        "RELA: rules": native.AFFIX_RULE,
        "CATA": native.CATALOGUE_HEADER,
    }

    for heading, record in written.items():
        assert _plain(_table(heading)) == _plain(_fields(record))


def test_tables_are_the_structs_of_the_library(tmp_path: Path) -> None:
    """The compiler puts every field at its offset, and every struct has its size."""
    lines = []
    expected = []
    for heading, (struct, record) in STRUCTS.items():
        for name, _, offset in _table(heading):
            lines.append(f'printf("{struct}.{name} %zu\\n", offsetof({struct}, {name}));')
            expected.append(f"{struct}.{name} {offset}")
        lines.append(f'printf("{struct} %zu\\n", sizeof({struct}));')
        expected.append(f"{struct} {record.itemsize}")
    source = tmp_path / "probe.c"
    header = ROOT / "native" / "src" / "format.h"
    source.write_text(
        f'#include "{header}"\n#include <stdio.h>\nint main(void) {{\n{chr(10).join(lines)}\n}}\n',
        encoding="utf-8",
    )
    program = tmp_path / "probe"
    compiler = os.environ.get("CC", "gcc").split()
    subprocess.run([*compiler, "-std=c17", str(source), "-o", str(program)], check=True)
    found = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout

    assert expected == found.splitlines()


def test_sections_are_those_of_the_library() -> None:
    """FORMAT.md lists the section ids format.h defines, with the same spelling."""
    header = (ROOT / "native" / "src" / "format.h").read_text("utf-8")
    defined = re.findall(r"#define ESP_SEC_(\w+) ESP_ID\('(.)', '(.)', '(.)', '(.)'\)", header)
    listed = re.findall(r"^\| ([A-Z]{4}) \|", SPECIFICATION, re.MULTILINE)

    assert listed == [name for name, *_ in defined]
    assert listed == ["".join(letters) for _, *letters in defined]


def test_the_worked_example_is_a_golden_file() -> None:
    """Every row shown is in the file where it is shown; what is left out between is zero."""
    data = (ROOT / "tests" / "golden" / "v1" / "popularity.esp").read_bytes()
    example = SPECIFICATION.split("\n## Worked example\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^([0-9a-f]{4})  ((?:[0-9a-f]{2} ?){16})", example, re.MULTILINE)
    shown = bytearray(int(rows[-1][0], 16) + 16)
    for at, row in rows:
        place = int(at, 16)
        shown[place : place + 16] = bytes.fromhex(row)

    assert bytes(shown) == data[: len(shown)]


def test_the_worked_example_of_words_is_what_its_tables_say() -> None:
    """Every byte shown is the second reader's, and both readers agree about it."""
    example = SPECIFICATION.split("\n## Worked example: words\n", 1)[1].split("\n## ", 1)[0]
    shown = {
        name: b"".join(
            bytes.fromhex(row)
            for row in re.findall(
                r"^[0-9a-f]{4}  ((?:[0-9a-f]{2} ){1,16})", rows + "\n", re.MULTILINE
            )
        )
        for name, rows in re.findall(
            r"^([A-Z]{4})\n((?:[0-9a-f]{4}  .*\n)+)", example, re.MULTILINE
        )
    }
    made = build_words.worked_example()
    labels = [build.Label(b"shoe"), build.Label(b"shoes")]

    assert shown == made
    with native.NativeIndex.from_bytes(build.assemble(build.sections(labels) | made)) as index:
        index.validate()


def test_the_worked_probabilities_follow_from_the_example() -> None:
    """Each row of the table is the definition's, and the library's."""
    example = SPECIFICATION.split("\n## Worked example: words\n", 1)[1].split("\n## ", 1)[0]
    made = build_words.worked_example()
    twin = words.parse_ngrams(made["NGRM"], words.parse_words(made["VOCA"]))
    rows = re.findall(r"^\| (.+) \| (.+) \| ([0-9 +]+) \| (0\.\d+) \|", example, re.MULTILINE)
    before = {
        "anything, red": [b"x", b"red"],
        "the beginning, red": [b"red"],
        "the beginning": [],
    }

    assert len(rows) == 5
    labels = [build.Label(b"shoe"), build.Label(b"shoes")]
    with native.NativeIndex.from_bytes(build.assemble(build.sections(labels) | made)) as index:
        for after, word, q, probability in rows:
            text = b"" if word == "the end" else word.encode()
            number = len(twin.words) if word == "the end" else twin.number(text)
            expected = twin.chance(*twin.after(before[after]), number)
            assert probability == f"{expected:.3f}"
            assert math.isclose(expected, twin.worth(sum(map(int, q.split(" + ")))), rel_tol=1e-9)
            assert math.isclose(expected, index.word_chance(before[after], text), rel_tol=1e-5)
