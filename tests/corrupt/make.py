"""Make one damaged index file for every invariant of ``native/FORMAT.md``.

A valid small index is built, one promise is broken, and checksums before that
check are mended, so that a reader meets exactly this damage. Run it after adding
an invariant:

    python -m tests.corrupt.make
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from espalier.native import blocklist_build, maxima_build
from espalier.train.forest_model import Forest, ForestTree
from tests.reference import (
    attributes,
    blocklist,
    build,
    build_words,
    catalogue,
    forest,
    query,
    words,
)
from tests.reference.format import (
    CHUNK,
    HEADER,
    MAXIMA,
    SECTION,
    TREE_NODE,
    TRIE_NODE,
    crc32c,
)

FOLDER: Final = Path(__file__).resolve().parent
Damage = Callable[[build.Sections], build.Sections]
FileDamage = Callable[[bytes], bytes]


def _label_texts() -> list[bytes]:
    texts = ["a", "b", "c", *(first + chr(97 + i) for first in "abc" for i in range(25)), "d é"]
    return [text.encode() for text in sorted(texts)]


def sections() -> build.Sections:
    """Return a valid index: 79 labels, a trie with children, a level of maxima, a model."""
    labels = [
        build.Label(text, 3 * i % 17, b"D \xc3\x89" if text == "d é".encode() else None)
        for i, text in enumerate(_label_texts())
    ]
    keys = sorted(
        {
            *query.char_terms("abc", position_weighted=False),
            *query.word_terms("ab d c"),
        }
    )
    numbers = list(range(len(labels)))
    tree = build.flatten([numbers[40:], numbers[:40]])

    def weigh(node: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows, columns = np.indices((len(keys), n))
        weights = np.where((rows + columns + node) % 5, 0, (rows - columns) % 7 - 3.0)
        return weights.astype(np.float32), np.linspace(-1, 1, n, dtype=np.float32)

    return build.sections(
        labels,
        space=build.Space(keys, [1.0 + i / 8 for i in range(len(keys))]),
        tree=tree,
        weigh=weigh,
        weight_bits=16,
        meta=b'{"made": "for tests"}',
    )


# ---- ways to damage ------------------------------------------------------------


def _patched(data: bytes, at: int, value: Any, kind: str) -> bytes:
    raw = np.array(value, kind).tobytes()
    return data[:at] + raw + data[at + len(raw) :]


def _item(section: str, number: int, value: Any, kind: str = "<u4") -> Damage:
    """Set one item of an array."""
    size = np.dtype(kind).itemsize

    def damage(made: build.Sections) -> build.Sections:
        at = number * size if number >= 0 else len(made[section]) + number * size
        return made | {section: _patched(made[section], at, value, kind)}

    return damage


def _field(section: str, record: np.dtype[Any], row: int, name: str, change: Any) -> Damage:
    """Set one field of one record; ``change`` is the value, or makes it from the old one."""

    def damage(made: build.Sections) -> build.Sections:
        records = np.frombuffer(made[section][: (row + 1) * record.itemsize], record).copy()
        old = records[row][name]
        records[row][name] = change(old) if callable(change) else change
        return made | {section: records.tobytes() + made[section][records.nbytes :]}

    return damage


def _swapped(section: str, a: int, b: int) -> Damage:
    def damage(made: build.Sections) -> build.Sections:
        items = np.frombuffer(made[section], "<u4").copy()
        items[[a, b]] = items[[b, a]]
        return made | {section: items.tobytes()}

    return damage


def _replaced(section: str, change: Callable[[bytes], bytes]) -> Damage:
    return lambda made: made | {section: change(made[section])}


@dataclass(frozen=True)
class _Places:
    """Where the arrays of the first chunk begin in WGHT, and where it ends."""

    bias: int
    directory: int
    pointer: int
    key: int
    col: int
    padding: int
    end: int


def _places(data: bytes) -> _Places:
    head = np.frombuffer(data, CHUNK, 1)[0]
    bias = CHUNK.itemsize
    directory = bias + 4 * int(head["n_cols"])
    pointer = directory + 2 * ((1 << int(head["dir_bits"])) + 1)
    key = pointer + 2 * (int(head["n_rows"]) + 1)
    col = key + 2 * int(head["n_rows"]) + 2 * int(head["nnz"])
    padding = col + int(head["nnz"])
    return _Places(bias, directory, pointer, key, col, padding, int(head["bytes"]))


def _in_chunk(place: Callable[[_Places], int], value: Any, kind: str) -> Damage:
    def damage(made: build.Sections) -> build.Sections:
        data = made["WGHT"]
        at = place(_places(data))
        return made | {"WGHT": _patched(data, at, value, kind)}

    return damage


def _in_recency(damage: Damage) -> Damage:
    """Damage an index whose popularity decays."""

    def damaged(made: build.Sections) -> build.Sections:
        users = np.frombuffer(made["USER"], "<u4")
        recent = (users << 4 >> np.arange(len(users)) % 5).astype(np.uint32)
        added = {"RCNT": recent.tobytes(), "RMAX": maxima_build(recent)}
        return damage(made | added)

    return damaged


def scorer_section() -> bytes:
    """Return a scorer of a weight and two trees, one of which has leaves beyond the eighth."""
    first = np.array([0, 0, 2, 2, 4, 4, 6, 6, 0])
    large = ForestTree(
        np.arange(9) % 2,
        np.linspace(-1, 1, 9, dtype=np.float32),
        np.full(9, -np.inf, np.float32),
        first,
        np.linspace(-1, 1, 10, dtype=np.float32),
        np.linspace(-0.5, 0.5, 9, dtype=np.float32),
    )
    small = ForestTree(
        np.array([1]),
        np.array([0.5], np.float32),
        np.array([np.inf], np.float32),
        np.array([0]),
        np.array([-0.25, 0.25], np.float32),
        np.array([0.125], np.float32),
    )
    weight, fill = np.array([1, 0], np.float32), np.array([0.5, 0], np.float32)
    return Forest(("length", "users"), 1, 0.5, weight, fill, (large, small)).section()


@dataclass(frozen=True)
class _ScorerPlaces:
    """Where the arrays of the scorer begin in its section."""

    header: int
    column: int
    threshold: int
    tree: int
    test: int
    names: int


def _in_scorer(place: Callable[[_ScorerPlaces], int], value: Any, kind: str) -> Damage:
    """Damage an index that has a scorer."""

    def damage(made: build.Sections) -> build.Sections:
        data = scorer_section()
        head = np.frombuffer(data, forest.HEADER, 1)[0]
        column = forest.HEADER.itemsize + int(head["n_features"]) * forest.FEATURE.itemsize
        threshold = column + int(head["n_columns"]) * forest.COLUMN.itemsize
        tree = threshold + 4 * int(head["n_thresholds"])
        test = tree + int(head["n_trees"]) * forest.TREE.itemsize
        at = _ScorerPlaces(0, column, threshold, tree, test, len(data) - int(head["name_bytes"]))
        return made | {"FRST": _patched(data, place(at), value, kind)}

    return damage


def word_sections() -> build.Sections:
    """Return VOCA, NGRM, RELA (one word with a long list) and BLCK, for words of the labels."""
    labels = [label.decode() for label in _label_texts()]
    known = sorted({word.encode() for label in labels for word in label.split()})
    n = len(known)
    end = n
    at = {word.decode(): number for number, word in enumerate(known)}
    pairs: list[words.List] = [{end: 12} if number % 3 else {} for number in range(n)]
    pairs[at["a"]] = {number: 10 + number * 7 % 50 for number in range(40)} | {end: 8}
    pairs[at["b"]] = {at["aa"]: 20, end: 5}
    pairs[at["d"]] = {at["a"]: 25, at["é"]: 3}
    made = words.Ngrams(
        words=known,
        head=build_words.ngram_head(),
        word=[20 + number * 11 % 90 for number in range(n)],
        first=[15 + number * 5 % 70 for number in range(n)],
        pairs=pairs,
        rest_of_word=[number % 17 for number in range(n)],
        triples={
            (at["a"], at["b"]): ({at["c"]: 9, end: 30}, 4),
            (at["d"], at["a"]): ({at["é"]: 14}, 6),
            (words.START, at["d"]): ({at["é"]: 1}, 40),
            (words.START, at["é"]): ({end: 2}, 33),
        },
    )
    relations = words.Relations(
        rules=[
            words.Rule(0.25, at_end=True, strip=b"", add=b"a"),
            words.Rule(0.125, at_end=False, strip="é".encode(), add=b"d"),
        ],
        related={
            at["a"]: [(at["b"], 10), (at["c"], 10), (at["é"], 44)],
            at["d"]: [(at["a"], 3)],
        },
        followers={0: [(1, 3), (5, 2)], 40: [(0, 2)], 78: [(3, 9), (40, 4)]},
    )
    return {
        "VOCA": build_words.vocabulary_section(known),
        "NGRM": build_words.ngram_section(made),
        "RELA": build_words.relation_section(relations),
        "BLCK": blocklist_build([b"ab", b"d bad"], [b"bad", "böse".encode()], numbers=True),
    }


WORD_LAYOUTS: Final = {
    "VOCA": (words.VOCABULARY, words.vocabulary_arrays),
    "NGRM": (words.NGRAMS, words.ngram_arrays),
    "RELA": (words.RELATIONS, words.relation_arrays),
    "BLCK": (blocklist.HEADER, blocklist.arrays),
}


def _in_words(
    section: str, name: str, change: Any, *, number: int = 0, kind: str = "<u4", shift: int = 0
) -> Damage:
    """Damage an index that has words: item ``number`` of an array, or a field of the header.

    ``change`` is the value, or makes it from the old one; ``shift`` counts bytes.
    """

    def damage(made: build.Sections) -> build.Sections:
        made = made | word_sections()
        data = made[section]
        record, arrays = WORD_LAYOUTS[section]
        assert record.fields is not None
        head = np.frombuffer(data, record, 1)[0]
        begins = words.places(record, arrays(head))
        begin = begins[name] if name in begins else record.fields[name][1]
        at = begin + number * np.dtype(kind).itemsize + shift
        old = np.frombuffer(data, kind, 1, at)[0]
        return made | {
            section: _patched(data, at, change(old) if callable(change) else change, kind)
        }

    return damage


def attribute_sections() -> build.Sections:
    """Return ATTR for the labels: up to three values each."""
    named = [b"category:a", b"category:b", "locale:\u00e9".encode()]
    values = [
        frozenset(value for place, value in enumerate(named) if number % (place + 2) == 0)
        for number in range(len(_label_texts()))
    ]
    return {"ATTR": attributes.section(values)}


def _in_attributes(name: str, change: Any, *, number: int = 0, kind: str = "<u4") -> Damage:
    """Damage an index that has attributes: item ``number`` of an array, or a field."""

    def damage(made: build.Sections) -> build.Sections:
        data = attribute_sections()["ATTR"]
        head = np.frombuffer(data, attributes.HEADER, 1)[0]
        begins = words.places(attributes.HEADER, attributes.arrays(head, len(_label_texts())))
        assert attributes.HEADER.fields is not None
        begin = begins[name] if name in begins else attributes.HEADER.fields[name][1]
        at = begin + number * np.dtype(kind).itemsize
        old = np.frombuffer(data, kind, 1, at)[0]
        value = change(old) if callable(change) else change
        return made | {"ATTR": _patched(data, at, value, kind)}

    return damage


def catalogue_sections() -> build.Sections:
    """Return CATA for the labels: titles of up to four words."""
    n = len(_label_texts())
    titles = [[(number + place) % 5 for place in range(number % 5)] for number in range(n)]
    head = np.zeros(1, catalogue.HEADER)
    head["n_labels"], head["n_words"] = n, sum(map(len, titles))
    head["word_kinds"], head["text_kinds"] = 0b1001, 0b100000
    head["k1"], head["b"], head["average"], head["pool"] = 0.5, 0.5, 2, 20
    head["stemmer"] = np.frombuffer(b"none".ljust(16, b"\0"), np.uint8)
    head["word_bytes"] = 4
    begin = np.append(0, np.cumsum([len(title) for title in titles])).astype("<u4")
    word = np.array([word for title in titles for word in title], "<u4")
    return {"CATA": head.tobytes() + begin.tobytes() + word.tobytes()}


def _in_catalogue(name: str, change: Any, *, number: int = 0, kind: str = "<u4") -> Damage:
    """Damage an index that has products: item ``number`` of an array, or a field."""

    def damage(made: build.Sections) -> build.Sections:
        data = catalogue_sections()["CATA"]
        begins = words.places(
            catalogue.HEADER, catalogue.arrays(np.frombuffer(data, catalogue.HEADER, 1)[0])
        )
        assert catalogue.HEADER.fields is not None
        begin = begins[name] if name in begins else catalogue.HEADER.fields[name][1]
        at = begin + number * np.dtype(kind).itemsize
        old = np.frombuffer(data, kind, 1, at)[0]
        value = change(old) if callable(change) else change
        return made | {"CATA": _patched(data, at, value, kind)}

    return damage


def _taken_slot(made: build.Sections) -> build.Sections:
    """Let a slot name another word."""
    data = word_sections()["VOCA"]
    head = np.frombuffer(data, words.VOCABULARY, 1)[0]
    begin = words.places(words.VOCABULARY, words.vocabulary_arrays(head))["slot"]
    slots = np.frombuffer(data, "<u4", int(head["n_slots"]), begin)
    number = int(np.flatnonzero(slots)[0])
    return _in_words("VOCA", "slot", lambda old: old ^ 1, number=number)(made)


def _list_of_b(made: build.Sections) -> build.Sections:
    """Turn the list of "b" round."""
    made = made | word_sections()
    head = np.frombuffer(made["NGRM"], words.NGRAMS, 1)[0]
    places = words.places(words.NGRAMS, words.ngram_arrays(head))
    number = words.parse_words(made["VOCA"]).index(b"b")
    begin, end = np.frombuffer(made["NGRM"], "<u4", 2, places["pair_ptr"] + 4 * number).tolist()
    assert end == begin + 2
    at = places["pair"] // 4 + begin
    return _swapped("NGRM", at, at + 1)(made)


def _padding_of_weights(made: build.Sections) -> build.Sections:
    places = _places(made["WGHT"])
    assert places.padding < places.end
    return _in_chunk(lambda at: at.end - 1, 1, "u1")(made)


def _mended(data: bytes, *, table: bool = False) -> bytes:
    """Return the file with matching header (and table) checksums."""
    head = np.frombuffer(data[: HEADER.itemsize], HEADER).copy()
    if table:
        head["table_crc"] = crc32c(data[int(head["table_offset"][0]) :])
    head["header_crc"] = crc32c(head.tobytes()[:60])
    return head.tobytes() + data[HEADER.itemsize :]


def _header(name: str, value: Any) -> FileDamage:
    def damage(data: bytes) -> bytes:
        fields = HEADER.fields
        assert fields is not None
        kind, at = fields[name][:2]
        return _mended(_patched(data, at, value, kind.str))

    return damage


def _flipped(place: Callable[[bytes], int]) -> FileDamage:
    def damage(data: bytes) -> bytes:
        at = place(data)
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return damage


def _table_offset(data: bytes) -> int:
    return int(np.frombuffer(data, HEADER, 1)[0]["table_offset"])


def _moved_section(data: bytes) -> bytes:
    at = _table_offset(data) + 8  # the offset of the first section
    old = int(np.frombuffer(data, "<u8", 1, at)[0])
    return _mended(_patched(data, at, old + 8, "<u8"), table=True)


def _gap(data: bytes) -> int:
    """Return the place of a zero between the first two sections."""
    first = np.frombuffer(data, SECTION, 1, _table_offset(data))[0]
    return int(first["offset"] + first["length"])


IN_FILE: Final[dict[str, FileDamage]] = {
    "H1": _header("endian", 0x04030201),
    "H2": _flipped(lambda _: 1),
    "H3": _header("major", 2),
    "H4": _flipped(lambda _: 24),
    "H5": lambda data: data + bytes(8),
    "H6": _flipped(_table_offset),
    "H7": _moved_section,
    "H8": _flipped(_gap),
    "C1": _flipped(lambda _: HEADER.itemsize),
}
"""Damage done to the finished file."""

IN_SECTIONS: Final[dict[str, Damage]] = {
    "S1": _replaced("USER", lambda data: data[:-4]),
    "S2": _item("PARM", 5, 7),
    "L1": _replaced("LTXT", lambda data: data + b"x"),
    "L2": lambda made: _item("LOFF", 5, np.frombuffer(made["LOFF"], "<u4")[6])(made),
    "L3": _replaced("LTXT", lambda data: data[:-1] + b"x"),
    "L4": _replaced("LTXT", lambda data: data.replace(b"abac", b"acab")),
    "D1": _item("DIDS", 0, 79),
    "D2": _item("DOFF", 1, 99),
    "D3": _replaced("DTXT", lambda data: data[:-1] + b"x"),
    "T1": _field("TRIE", TRIE_NODE, 0, "lo", 1),
    "T2": lambda made: _field(
        "TRIE", TRIE_NODE, 2, "lo", np.frombuffer(made["TRIE"], TRIE_NODE)[1]["lo"]
    )(made),
    "T3": _field("TRIE", TRIE_NODE, 0, "first_child", 2),
    "T4": _field("TRIE", TRIE_NODE, 1, "lo", lambda old: old + 1),
    "T5": _field("TRIE", TRIE_NODE, 0, "reserved", (0, 1, 0)),
    "P1": _field("PMAX", MAXIMA, 0, "n_levels", 2),
    "P2": _item("PMAX", 4, 63),
    "R1": _in_recency(_field("RMAX", MAXIMA, 0, "n_blocks", 2)),
    "R2": _in_recency(_item("RMAX", 4, 63)),
    "F1": _swapped("FKEY", 0, 1),
    "F2": _item("FIDF", 2, np.nan, "<f4"),
    "N1": _field("TREE", TREE_NODE, 0, "pos_end", lambda old: old - 1),
    "N2": _field("TREE", TREE_NODE, 0, "child_begin", 2),
    "N3": _field("TREE", TREE_NODE, 1, "pos_end", lambda old: old - 1),
    "N4": _swapped("POSL", 3, 4),
    "N5": _field("TREE", TREE_NODE, 2, "label_max", lambda old: old - 1),
    "N6": _field("TREE", TREE_NODE, 1, "chunk", lambda old: old + 8),
    "W1": _field("WGHT", CHUNK, 0, "bytes", lambda old: old + 8),
    "W2": _field("WGHT", CHUNK, 0, "reserved", 1),
    "W3": _in_chunk(lambda at: at.bias, np.inf, "<f4"),
    "W4": _in_chunk(lambda at: at.directory, 1, "<u2"),
    "W5": _in_chunk(lambda at: at.key, 0xFFFF, "<u2"),
    "W6": _in_chunk(lambda at: at.pointer, 1, "<u2"),
    "W7": _in_chunk(lambda at: at.col, 0xFF, "u1"),
    "W8": _padding_of_weights,
    "V1": _in_words("VOCA", "n_words", lambda old: old + 1),
    "V2": _in_words("VOCA", "reserved", 1),
    "V3": _in_words("VOCA", "offset", 0, number=1),
    "V4": _in_words("VOCA", "end", ord("x"), number=-1, kind="u1"),  # second byte of "é"
    "V5": _in_words("VOCA", "text", ord("z"), number=4, kind="u1"),  # "ab"
    "V6": _taken_slot,
    "G1": _in_words("NGRM", "n_trigrams", lambda old: old + 1),
    "G2": _in_words("NGRM", "mix_related", np.nan, kind="<f4"),
    "G3": _in_words("NGRM", "rank", lambda old: old + 1, number=1),
    "G4": _in_words("NGRM", "pair_ptr", 0xFFFF, number=1),
    "G5": _list_of_b,
    "G6": _in_words("NGRM", "pair", lambda old: old & 0xFFFFFF, number=20),
    "G7": _in_words("NGRM", "word_best", lambda old: old - 1, number=1, kind="u1"),
    "Q1": _in_words("RELA", "n_heads", lambda old: old + 1),
    "Q2": _in_words("RELA", "rule", np.nan, kind="<f4"),  # its chance
    "Q3": _in_words("RELA", "rule", 2, kind="u1", shift=4),  # at_end
    "Q4": _in_words("RELA", "rule", 0xFF, kind="u1", shift=16),  # add
    "Q5": _in_words("RELA", "word", 0xFFFF, number=1),
    "Q6": _in_words("RELA", "related", lambda old: old | 63 << 24),
    "Q7": _in_words("RELA", "label", 79, number=2),
    "Q8": _in_words("RELA", "users", 0, number=1),
    "K1": _in_words("BLCK", "n_words", lambda old: old + 1),
    "K2": _in_words("BLCK", "flags", lambda old: old | 2),
    "K3": _in_words("BLCK", "hash", lambda _: 0, number=1, kind="<u8"),
    "K4": _in_words("BLCK", "first", lambda old: old + 1, number=1),
    "K5": lambda made: (
        made | word_sections() | {"BLCK": blocklist_build([], ["é".encode()], numbers=False)}
    ),
    "B1": _in_scorer(lambda at: at.header + 24, 99, "<u4"),  # n_tests
    "B2": _in_scorer(lambda at: at.header + 60, 1, "<u4"),
    "B3": _in_scorer(lambda at: at.header + 32, np.nan, "<f4"),  # bias
    "B4": _in_scorer(lambda at: at.column + 4, 9, "u1"),  # feature
    "B5": _in_scorer(lambda at: at.threshold + 4, -1, "<f4"),  # as the one before it
    "B6": _in_scorer(lambda at: at.tree + 8, 3, "u1"),  # leaves of the second
    "B7": _in_scorer(lambda at: at.test + 1, 0, "u1"),  # limit
    "B8": _in_scorer(lambda at: at.test + 3 * 4 + 3, 1, "u1"),  # first of node 3
    "B9": _in_scorer(lambda at: at.test + 2, 0xFF, "u1"),  # keep
    "B10": _in_scorer(lambda at: at.names, 0xFF, "u1"),
    "E1": _in_catalogue("n_words", lambda old: old + 1),
    "E2": _in_catalogue("b", 1.5, kind="<f4"),
    "E3": _in_catalogue("begin", 99, number=1),
    "E4": _in_catalogue("word", 1 << 20),
    "A1": _in_attributes("n_entries", lambda old: old + 1),
    "A2": _in_attributes("reserved", 1),
    "A3": _in_attributes("text", ord("a"), number=19, kind="u1"),  # "category:b" is another
    "A4": _in_attributes("label_ptr", 99, number=1),
    "A5": _in_attributes("value", 3, kind="<u2"),
    "A6": _in_attributes("label", 1),
}
"""Damage done to a section before checksums are computed."""


def damaged() -> dict[str, bytes]:
    """Return the content of every file by label."""
    made = sections()
    whole = build.assemble(made)
    files = {label: damage(whole) for label, damage in IN_FILE.items()}
    files |= {label: build.assemble(damage(made)) for label, damage in IN_SECTIONS.items()}
    return files


if __name__ == "__main__":
    for name, content in damaged().items():
        (FOLDER / f"{name}.esp").write_bytes(content)
