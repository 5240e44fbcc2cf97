"""Small indexes from Python objects, for tests.

Texts, tree and weights are given; the library builds trie, maxima and chunks,
and :func:`assemble` lays the sections out as ``native/FORMAT.md`` says, on its
own, so that the library's writer can be compared with it byte by byte.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from espalier.native import chunk_encode, crc32c, maxima_build, trie_build
from tests.reference import attributes
from tests.reference.format import (
    ALIGNMENT,
    ENDIAN,
    HEADER,
    MAGIC,
    MAJOR,
    MINOR,
    PARAMS,
    SECTION,
    TREE_NODE,
)

F32 = NDArray[np.float32]
Sections = dict[str, bytes]
Nested = Sequence["Nested | int"]
"""A node: its child nodes, or the labels below it."""


@dataclass(frozen=True)
class Label:
    """One label: text, users, the form it is shown in if that differs, decayed users, values."""

    text: bytes
    users: int = 1
    display: bytes | None = None
    recent: int | None = None
    values: frozenset[bytes] = frozenset()


@dataclass(frozen=True)
class Params:
    """Numbers of PARM that do not follow from the rest."""

    post_processor: int = 13
    prefix_features: int = 2
    max_context: int = 2
    context_decay: float = 0.5
    blend_model: float = 1.0
    blend_popularity: float = 1.0
    default_beam: int = 10
    default_pool: int = 20
    default_matcher: int = 1


@dataclass(frozen=True)
class Space:
    """Known features: ascending hashes and their idf."""

    keys: Sequence[int] = ()
    idf: Sequence[float] = ()


@dataclass(frozen=True)
class Tree:
    """Flat nodes, breadth first, and the labels in tree order."""

    nodes: NDArray[np.void]
    label_at: NDArray[np.uint32]
    n_children: list[int] = field(default_factory=list)
    depth: int = 0


def flatten(root: Nested) -> Tree:
    """Return nodes numbered breadth first; positions follow the labels from left to right."""
    order: list[tuple[Nested, int]] = [(root, 1)]
    first_child: list[int] = []
    for node, depth in order:
        first_child.append(len(order))
        order += [(child, depth + 1) for child in node if not isinstance(child, int)]
    label_at = _labels_of(root)
    begins = [0] * len(order)
    nodes = np.zeros(len(order), TREE_NODE)
    for number, (node, _) in enumerate(order):
        below = _labels_of(node)
        inner = [child for child in node if not isinstance(child, int)]
        at = begins[number]
        nodes[number]["pos_begin"], nodes[number]["pos_end"] = at, at + len(below)
        nodes[number]["label_min"], nodes[number]["label_max"] = min(below), max(below)
        first = first_child[number] if inner else 0
        nodes[number]["child_begin"], nodes[number]["child_end"] = first, first + len(inner)
        for place, child in enumerate(inner):
            begins[first + place] = at
            at += len(_labels_of(child))
    return Tree(
        nodes,
        np.array(label_at, "<u4"),
        [len(node) for node, _ in order],
        max(depth for _, depth in order),
    )


def _labels_of(node: Nested) -> list[int]:
    labels: list[int] = []
    todo: list[Nested | int] = [node]
    while todo:
        item = todo.pop()
        if isinstance(item, int):
            labels.append(item)
        else:
            todo += reversed(item)
    return labels


def label_sections(labels: Sequence[Label]) -> Sections:
    """Return texts, display texts, trie, popularity and attributes; ``labels`` sorted by text."""
    texts = [label.text for label in labels]
    offsets = np.cumsum([0, *map(len, texts)]).astype("<u4")
    blob = b"".join(texts)
    shown = [i for i, label in enumerate(labels) if label.display is not None]
    displays = [labels[i].display or b"" for i in shown]
    users = np.array([label.users for label in labels], "<u4")
    recent = [label.recent for label in labels if label.recent is not None]
    values = [label.values for label in labels]
    return {
        "LOFF": offsets.tobytes(),
        "LTXT": blob,
        "DIDS": np.array(shown, "<u4").tobytes(),
        "DOFF": np.cumsum([0, *map(len, displays)]).astype("<u4").tobytes(),
        "DTXT": b"".join(displays),
        "TRIE": trie_build(np.frombuffer(blob, np.uint8), offsets),
        "USER": users.tobytes(),
        "PMAX": maxima_build(users),
        **(_recency_sections(recent) if recent else {}),
        **({"ATTR": attributes.section(values)} if any(values) else {}),
    }


def _recency_sections(recent: Sequence[int]) -> Sections:
    values = np.array(recent, "<u4")
    return {"RCNT": values.tobytes(), "RMAX": maxima_build(values)}


def encode(weights: F32, bias: F32, *, weight_bits: int) -> bytes:
    """Return the chunks of one node; ``weights`` is ``(n_features, n_children)``."""
    columns, rows = np.nonzero(weights.T)
    col_ptr = np.searchsorted(columns, np.arange(weights.shape[1] + 1))
    return chunk_encode(
        weights.shape[1],
        weights.shape[0],
        col_ptr.astype(np.uint64),
        rows.astype(np.uint32),
        weights.T[columns, rows].astype(np.float32),
        bias.astype(np.float32),
        weight_bits=weight_bits,
    )


def tree_sections(tree: Tree, chunks: Sequence[bytes]) -> Sections:
    """Return nodes, label order and weights."""
    nodes = tree.nodes.copy()
    nodes["chunk"] = np.cumsum([0, *map(len, chunks[:-1])])
    return {
        "TREE": nodes.tobytes(),
        "LPOS": tree.label_at.astype("<u4").tobytes(),
        "POSL": np.argsort(tree.label_at).astype("<u4").tobytes(),
        "WGHT": b"".join(chunks),
    }


def sections(
    labels: Sequence[Label],
    *,
    params: Params | None = None,
    space: Space | None = None,
    tree: Tree | None = None,
    weigh: Callable[[int, int], tuple[F32, F32]] | None = None,
    weight_bits: int = 32,
    meta: bytes = b"{}",
) -> Sections:
    """Return all sections of an index.

    ``weigh(node, n_children)`` gives weights ``(n_features, n_children)`` and bias.
    """
    params, space = params or Params(), space or Space()
    head = np.zeros(1, PARAMS)
    for name in Params.__dataclass_fields__:
        head[name] = getattr(params, name)
    head["n_labels"], head["n_features"] = len(labels), len(space.keys)
    made = {"META": meta, "PARM": b"", **label_sections(labels)}
    made["FKEY"] = np.array(space.keys, "<u4").tobytes()
    made["FIDF"] = np.array(space.idf, "<f4").tobytes()
    if tree is not None and weigh is not None:
        head["n_nodes"], head["tree_depth"] = len(tree.nodes), tree.depth
        head["max_children"] = max(tree.n_children)
        chunks = [
            encode(*weigh(node, n), weight_bits=weight_bits)
            for node, n in enumerate(tree.n_children)
        ]
        made |= tree_sections(tree, chunks)
    return made | {"PARM": head.tobytes()}


def with_params(made: Sections, **values: float) -> Sections:
    """Return the sections with some numbers of PARM changed."""
    head = np.frombuffer(made["PARM"], PARAMS).copy()
    for name, value in values.items():
        head[name] = value
    return made | {"PARM": head.tobytes()}


def assemble(made: Sections, fingerprint: int = 0x1122334455667788) -> bytes:
    """Lay sections out as one file."""
    table = np.zeros(len(made), SECTION)
    body = bytearray(HEADER.itemsize)
    for row, (name, data) in zip(table, made.items(), strict=True):
        body += bytes(-len(body) % ALIGNMENT)
        row["id"] = struct.unpack("<I", name.encode("ascii"))[0]
        row["crc"], row["offset"], row["length"] = crc32c(data), len(body), len(data)
        body += data
    body += bytes(-len(body) % 8)
    head = np.zeros(1, HEADER)
    head["magic"] = np.frombuffer(MAGIC, np.uint8)
    head["major"], head["minor"], head["endian"] = MAJOR, MINOR, ENDIAN
    head["fingerprint"] = fingerprint
    head["table_offset"], head["n_sections"] = len(body), len(made)
    head["table_crc"] = crc32c(table.tobytes())
    head["file_bytes"] = len(body) + table.nbytes
    head["header_crc"] = crc32c(head.tobytes()[:60])
    body[: HEADER.itemsize] = head.tobytes()
    return bytes(body) + table.tobytes()


__all__ = [
    "Label",
    "Nested",
    "Params",
    "Sections",
    "Space",
    "Tree",
    "assemble",
    "encode",
    "flatten",
    "label_sections",
    "sections",
    "tree_sections",
    "with_params",
]
