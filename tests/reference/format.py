"""A second reader of index files, written from ``native/FORMAT.md`` alone.

It shares no code with the library and takes no short cut: every array is read
where the specification says it lies and every invariant is checked by its own
sentence. It is slow, needs numpy only, and is what the library is compared with.

    index = parse(data)     # what a reader must check before anything else
    verify(index)           # every byte is under a checksum or is zero
    validate(index)         # everything the specification promises

A broken promise is a :class:`Violation` that names the invariant.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

U32 = NDArray[np.uint32]

MAGIC: Final = b"\x93ESPL\r\n\x1a"
MAJOR: Final = 1
MINOR: Final = 1
ENDIAN: Final = 0x01020304
ALIGNMENT: Final = 64
MAX_SECTIONS: Final = 256
MAX_FEATURES: Final = 1 << 28
BLOCK: Final = 64
COLUMNS: Final = 256
F32_FLAG: Final = 1
WIDE_FLAG: Final = 2
POST_PROCESSORS: Final = frozenset({0, 1, 2, 11, 12, 13, 21, 22, 23})

HEADER: Final = np.dtype(
    [
        ("magic", "u1", 8),
        ("major", "<u2"),
        ("minor", "<u2"),
        ("endian", "<u4"),
        ("file_bytes", "<u8"),
        ("fingerprint", "<u8"),
        ("table_offset", "<u8"),
        ("n_sections", "<u4"),
        ("table_crc", "<u4"),
        ("reserved", "<u4", 3),
        ("header_crc", "<u4"),
    ]
)
SECTION: Final = np.dtype(
    [("id", "<u4"), ("crc", "<u4"), ("offset", "<u8"), ("length", "<u8"), ("reserved", "<u8")]
)
PARAMS: Final = np.dtype(
    [
        ("n_labels", "<u4"),
        ("n_nodes", "<u4"),
        ("n_features", "<u4"),
        ("tree_depth", "<u4"),
        ("max_children", "<u4"),
        ("post_processor", "<u4"),
        ("prefix_features", "<u4"),
        ("max_context", "<u4"),
        ("context_decay", "<f4"),
        ("blend_model", "<f4"),
        ("blend_popularity", "<f4"),
        ("default_beam", "<u4"),
        ("default_pool", "<u4"),
        ("default_matcher", "<u4"),
        ("reserved", "<u4", 2),
    ]
)
TRIE_NODE: Final = np.dtype(
    [
        ("lo", "<u4"),
        ("first_child", "<u4"),
        ("depth", "<u2"),
        ("n_children", "<u2"),
        ("byte", "u1"),
        ("reserved", "u1", 3),
    ]
)
MAXIMA: Final = np.dtype(
    [("n_labels", "<u4"), ("n_blocks", "<u4"), ("n_levels", "<u4"), ("reserved", "<u4")]
)
TREE_NODE: Final = np.dtype(
    [
        ("child_begin", "<u4"),
        ("child_end", "<u4"),
        ("pos_begin", "<u4"),
        ("pos_end", "<u4"),
        ("label_min", "<u4"),
        ("label_max", "<u4"),
        ("chunk", "<u8"),
    ]
)
CHUNK: Final = np.dtype(
    [
        ("bytes", "<u4"),
        ("n_rows", "<u4"),
        ("nnz", "<u4"),
        ("n_cols", "<u2"),
        ("dir_bits", "u1"),
        ("flags", "u1"),
        ("scale", "<f4"),
        ("reserved", "<u4"),
    ]
)


class Violation(Exception):  # noqa: N818 - the word the specification uses
    """An invariant of the specification that the file breaks."""

    def __init__(self, label: str, where: object = "") -> None:
        super().__init__(f"{label} {where}".strip())
        self.label = label


def need(condition: object, label: str, where: object = "") -> None:
    """Raise :class:`Violation` unless the condition holds."""
    if not condition:
        raise Violation(label, where)


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_CRC_TABLE: Final = _crc_table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli, reflected, inverted at both ends)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


@dataclass(frozen=True)
class Chunk:
    """One decoded chunk: weights of up to 256 siblings.

    Attributes:
        head: Its header.
        bias: ``(n_cols,)``.
        weights: Weight of every feature for every sibling, ``(n_features, n_cols)``.
    """

    head: Any
    bias: NDArray[np.float64]
    weights: NDArray[np.float64]


@dataclass
class Index:
    """A parsed file: header, table, and the sections as arrays (None: absent)."""

    data: bytes
    header: Any
    table: NDArray[Any]
    sections: dict[str, bytes]
    params: Any
    label_offsets: U32 | None = None
    users: U32 | None = None
    recent: U32 | None = None
    trie: NDArray[Any] = field(default_factory=lambda: np.zeros(0, TRIE_NODE))
    display_labels: U32 = field(default_factory=lambda: np.zeros(0, "<u4"))
    display_offsets: U32 = field(default_factory=lambda: np.zeros(1, "<u4"))
    keys: U32 | None = None
    idf: NDArray[np.float32] | None = None
    tree: NDArray[Any] | None = None
    label_at: U32 = field(default_factory=lambda: np.zeros(0, "<u4"))
    position_of: U32 = field(default_factory=lambda: np.zeros(0, "<u4"))
    decoded: dict[int, list[Chunk]] = field(default_factory=dict, repr=False)

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return int(self.params["n_labels"])

    @property
    def feature_bits(self) -> int:
        """Bits needed to write the numbers below ``n_features``."""
        return max(int(self.params["n_features"]) - 1, 0).bit_length()

    def label(self, number: int) -> bytes:
        """Return the text of a label."""
        assert self.label_offsets is not None
        begin, end = self.label_offsets[number : number + 2].tolist()
        return self.sections["LTXT"][begin:end]

    def labels(self) -> list[bytes]:
        """Return all label texts."""
        return [self.label(i) for i in range(self.n_labels)]

    def display(self, number: int) -> bytes:
        """Return the display text of a label."""
        shown = self.display_labels.tolist()
        if number not in shown:
            return self.label(number)
        begin, end = self.display_offsets[shown.index(number) :][:2].tolist()
        return self.sections["DTXT"][begin:end]

    def children(self, node: int) -> tuple[int, int, bool]:
        """Return begin and end of a node's children, and whether they are label positions."""
        assert self.tree is not None
        at = self.tree[node]
        if at["child_begin"] == at["child_end"]:
            return int(at["pos_begin"]), int(at["pos_end"]), True
        return int(at["child_begin"]), int(at["child_end"]), False

    def chunks(self, node: int) -> list[Chunk]:
        """Return the decoded chunks of a node, in order of its children."""
        assert self.tree is not None
        if node not in self.decoded:
            begin, end, _ = self.children(node)
            at = int(self.tree[node]["chunk"])
            chunks = []
            for columns in _chunk_columns(end - begin):
                chunk = decode_chunk(self, at, columns)
                chunks.append(chunk)
                at += int(chunk.head["bytes"])
            self.decoded[node] = chunks
        return self.decoded[node]


def _chunk_columns(n_children: int) -> list[int]:
    return [min(COLUMNS, n_children - done) for done in range(0, n_children, COLUMNS)]


# ---- what is checked at open -------------------------------------------------


def parse(data: bytes) -> Index:
    """Check H1 to H7, S1 and the sizes of S2, and cut the file into arrays."""
    need(len(data) >= HEADER.itemsize and data[:8] == MAGIC, "H2")
    header = np.frombuffer(data, HEADER, 1)[0]
    need(header["endian"] == ENDIAN, "H1")
    need(header["major"] == MAJOR, "H3")
    need(crc32c(data[:60]) == header["header_crc"], "H4")
    need(header["file_bytes"] == len(data), "H5")
    offset, count = int(header["table_offset"]), int(header["n_sections"])
    end = offset + count * SECTION.itemsize
    need(offset % 8 == 0 and end <= len(data) and count <= MAX_SECTIONS, "H6")
    need(crc32c(data[offset:end]) == header["table_crc"], "H6")
    table = np.frombuffer(data[offset:end], SECTION)
    sections: dict[str, bytes] = {}
    for row in table:
        begin, length = int(row["offset"]), int(row["length"])
        need(begin >= HEADER.itemsize and begin % ALIGNMENT == 0, "H7")
        need(begin + length <= len(data), "H7")
        name = struct.pack("<I", row["id"]).decode("latin-1")
        sections.setdefault(name, data[begin : begin + length])
    need(len(sections.get("PARM", b"")) == PARAMS.itemsize, "S1", "PARM")
    index = Index(data, header, table, sections, np.frombuffer(sections["PARM"], PARAMS)[0])
    _parse_labels(index)
    _parse_features(index)
    _parse_model(index)
    return index


def _array(index: Index, name: str, dtype: Any, count: int) -> NDArray[Any]:
    """Return a section that must hold exactly ``count`` items (S1)."""
    data = index.sections.get(name)
    need(data is not None and len(data) == count * np.dtype(dtype).itemsize, "S1", name)
    assert data is not None
    return np.frombuffer(data, dtype)


def _parse_labels(index: Index) -> None:
    if "LOFF" not in index.sections:
        return
    n = index.n_labels
    index.label_offsets = _array(index, "LOFF", "<u4", n + 1)
    need("LTXT" in index.sections, "S1", "LTXT")
    displays = index.sections.get("DIDS", b"")
    need(len(displays) % 4 == 0 and len(displays) <= 4 * n, "S1", "DIDS")
    if displays:
        index.display_labels = np.frombuffer(displays, "<u4")
        index.display_offsets = _array(index, "DOFF", "<u4", len(displays) // 4 + 1)
        need("DTXT" in index.sections, "S1", "DTXT")
    trie = index.sections.get("TRIE", b"")
    need(len(trie) % TRIE_NODE.itemsize == 0, "S1", "TRIE")
    index.trie = np.frombuffer(trie, TRIE_NODE)
    index.users = _array(index, "USER", "<u4", n)
    _parse_maxima(index, "PMAX", "P1")
    if "RCNT" in index.sections:
        index.recent = _array(index, "RCNT", "<u4", n)
        _parse_maxima(index, "RMAX", "R1")


def _parse_maxima(index: Index, name: str, label: str) -> None:
    n = index.n_labels
    maxima = index.sections.get(name, b"")
    need(len(maxima) >= MAXIMA.itemsize, "S1", name)
    head = np.frombuffer(maxima, MAXIMA, 1)[0]
    blocks = n // BLOCK
    levels = blocks.bit_length()
    need((head["n_labels"], head["n_blocks"], head["n_levels"]) == (n, blocks, levels), label)
    need(len(maxima) == MAXIMA.itemsize + 4 * blocks * levels, label)


def _parse_features(index: Index) -> None:
    if "FKEY" in index.sections:
        index.keys = _array(index, "FKEY", "<u4", int(index.params["n_features"]))
        index.idf = _array(index, "FIDF", "<f4", int(index.params["n_features"]))


def _parse_model(index: Index) -> None:
    params = index.params
    if params["n_nodes"] == 0:
        return
    need(index.n_labels > 0 and params["n_features"] <= MAX_FEATURES, "S2")
    need(0 < params["max_children"] <= index.n_labels + int(params["n_nodes"]), "S2")
    index.tree = _array(index, "TREE", TREE_NODE, int(params["n_nodes"]))
    index.label_at = _array(index, "LPOS", "<u4", index.n_labels)
    index.position_of = _array(index, "POSL", "<u4", index.n_labels)


# ---- chunks ------------------------------------------------------------------


def decode_chunk(index: Index, at: int, n_cols: int) -> Chunk:
    """Decode and check the chunk at an offset of WGHT (W1 to W8)."""
    data = index.sections.get("WGHT", b"")
    bits = index.feature_bits
    need(at + CHUNK.itemsize <= len(data), "W1", at)
    head = np.frombuffer(data, CHUNK, 1, at)[0]
    dir_bits = int(head["dir_bits"])
    need(head["n_cols"] == n_cols and dir_bits <= bits <= dir_bits + 16, "W1", at)
    f32, wide = bool(head["flags"] & F32_FLAG), bool(head["flags"] & WIDE_FLAG)
    n_rows, nnz = int(head["n_rows"]), int(head["nnz"])
    number = "<u4" if wide else "<u2"
    arrays: list[tuple[str, str, int]] = [
        ("bias", "<f4", n_cols),
        ("value", "<f4", nnz if f32 else 0),
        ("directory", number, (1 << dir_bits) + 1),
        ("pointer", number, n_rows + 1),
        ("key", "<u2", n_rows),
        ("value16", "<i2", 0 if f32 else nnz),
        ("col", "u1", nnz),
    ]
    end = CHUNK.itemsize + sum(np.dtype(kind).itemsize * count for _, kind, count in arrays)
    padded = -(-end // 8) * 8
    need(head["bytes"] == padded and at + padded <= len(data), "W1", at)
    need(head["reserved"] == 0 and int(head["flags"]) < 4, "W2", at)
    part: dict[str, NDArray[Any]] = {}
    place = at + CHUNK.itemsize
    for name, kind, count in arrays:
        part[name] = np.frombuffer(data, kind, count, place)
        place += part[name].nbytes
    need(not any(data[place : at + padded]), "W8", at)
    value = part["value"] if f32 else part["value16"] * np.float64(head["scale"])
    need(np.isfinite(head["scale"]) and np.isfinite(part["bias"]).all(), "W3", at)
    need(np.isfinite(value).all(), "W3", at)
    weights = np.zeros((int(index.params["n_features"]), n_cols))
    features = _chunk_features(part, bits, dir_bits, n_rows)
    pointer, col = part["pointer"].tolist(), part["col"].tolist()
    need(pointer[0] == 0 and pointer[-1] == nnz, "W6", at)
    for row, feature in enumerate(features):
        begin, behind = pointer[row], pointer[row + 1]
        need(begin < behind <= nnz, "W6", at)
        columns = col[begin:behind]
        need(columns == sorted(set(columns)) and columns[-1] < n_cols, "W7", at)
        if feature < len(weights):
            weights[feature, columns] = value[begin:behind]
    return Chunk(head, part["bias"].astype(np.float64), weights)


def _chunk_features(
    part: dict[str, NDArray[Any]], bits: int, dir_bits: int, n_rows: int
) -> list[int]:
    """Return the feature number of each row, by undoing the mixing."""
    inverse = pow(0x9E3779B1, -1, 1 << bits)
    directory, key = part["directory"].tolist(), part["key"].tolist()
    low = bits - dir_bits
    need(directory[0] == 0 and directory[-1] == n_rows, "W4")
    features = []
    for bucket in range(1 << dir_bits):
        begin, end = directory[bucket : bucket + 2]
        need(begin <= end <= n_rows, "W4")
        keys = key[begin:end]
        need(keys == sorted(set(keys)) and all(k < 1 << low for k in keys), "W5")
        features += [(bucket << low | k) * inverse % (1 << bits) for k in keys]
    return features
