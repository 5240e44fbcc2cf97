"""Every promise of ``native/FORMAT.md`` that a reader may check, one by one."""

from __future__ import annotations

import itertools

import numpy as np

from tests.reference import attributes, blocklist, catalogue, forest, words
from tests.reference.format import (
    BLOCK,
    HEADER,
    MAXIMA,
    POST_PROCESSORS,
    SECTION,
    TREE_NODE,
    Index,
    crc32c,
    need,
)


def verify(index: Index) -> None:
    """Check H8 and C1: every byte is under a checksum or is zero."""
    at = HEADER.itemsize
    for row in index.table:
        begin, length = int(row["offset"]), int(row["length"])
        need(begin >= at and not any(index.data[at:begin]), "H8", at)
        need(crc32c(index.data[begin : begin + length]) == row["crc"], "C1", begin)
        at = begin + length
    table = int(index.header["table_offset"])
    need(table >= at and not any(index.data[at:table]), "H8", at)
    need(table + len(index.table) * SECTION.itemsize == len(index.data), "H8", table)


def validate(index: Index) -> None:
    """Check everything below C1."""
    _params(index)
    if index.label_offsets is not None:
        _labels(index)
        _displays(index)
        _trie(index)
        assert index.users is not None
        _maxima(index.users.tolist(), index.sections["PMAX"], "P2")
        if index.recent is not None:
            _maxima(index.recent.tolist(), index.sections["RMAX"], "R2")
        if "ATTR" in index.sections:
            attributes.parse(index.sections["ATTR"], index.n_labels)
    if index.keys is not None:
        _features(index)
    if index.tree is not None:
        _tree(index)
        _positions(index)
        _chunks(index)
    spoken = words.parse(index)
    if "BLCK" in index.sections:
        blocklist.parse(index.sections["BLCK"], spoken[0].words if spoken else ())
    if "CATA" in index.sections:
        catalogue.parse(index.sections["CATA"], index.n_labels, int(index.params["n_features"]))
    if "FRST" in index.sections:
        forest.validate(index.sections["FRST"])


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _params(index: Index) -> None:
    params = index.params
    need(params["post_processor"] in POST_PROCESSORS, "S2", "post_processor")
    need(params["prefix_features"] <= 2, "S2", "prefix_features")
    need(params["default_matcher"] in {1, 2}, "S2", "default_matcher")
    for name in ("context_decay", "blend_model", "blend_popularity"):
        need(np.isfinite(params[name]), "S2", name)


def _labels(index: Index) -> None:
    assert index.label_offsets is not None
    offsets = index.label_offsets.tolist()
    need(offsets[0] == 0 and offsets[-1] == len(index.sections["LTXT"]), "L1")
    need(all(a < b for a, b in itertools.pairwise(offsets)), "L2")
    need(offsets == sorted(offsets), "L2")
    labels = index.labels()
    need(all(map(_is_utf8, labels)), "L3")
    need(all(a < b for a, b in itertools.pairwise(labels)), "L4")


def _displays(index: Index) -> None:
    shown = index.display_labels.tolist()
    need(shown == sorted(set(shown)) and all(i < index.n_labels for i in shown), "D1")
    if not shown:
        return
    offsets = index.display_offsets.tolist()
    need(offsets == sorted(offsets) and offsets[-1] <= len(index.sections["DTXT"]), "D2")
    need(all(_is_utf8(index.display(i)) for i in shown), "D3")


def _trie(index: Index) -> None:
    trie, n = index.trie, index.n_labels
    if n == 0:
        need(len(trie) == 0, "T1")
        return
    need(len(trie) > 0 and trie[0]["lo"] == 0, "T1")
    need(not trie["reserved"].any(), "T5")
    spans = [(0, n)]
    for number, node in enumerate(trie):
        need(number < len(spans), "T3", number)
        lo, hi = spans[number]
        count = int(node["n_children"])
        if count == 0:
            continue
        need(node["first_child"] == len(spans), "T3", number)
        need(len(spans) + count <= len(trie), "T3", number)
        children = trie[len(spans) : len(spans) + count]
        begins, marks = children["lo"].tolist(), children["byte"].tolist()
        need(lo <= begins[0] and begins[-1] < hi, "T2", number)
        need(begins == sorted(set(begins)) and marks == sorted(set(marks)), "T2", number)
        spans += zip(begins, [*begins[1:], hi], strict=True)
        depth = int(node["depth"])
        shared = index.label(lo)[:depth]
        own = [index.label(i) for i in range(lo, begins[0])]
        need(own in ([], [shared]) and len(shared) == depth, "T4", number)
        for (begin, end), mark in zip(spans[-count:], marks, strict=True):
            start = shared + bytes([mark])
            need(all(index.label(i).startswith(start) for i in range(begin, end)), "T4", number)
    need(len(spans) == len(trie), "T3")


def _maxima(values: list[int], section: bytes, label: str) -> None:
    table = np.frombuffer(section, "<u4", offset=MAXIMA.itemsize).tolist()
    blocks = len(values) // BLOCK
    need(np.frombuffer(section, MAXIMA, 1)[0]["reserved"] == 0, label)
    wanted = []
    for level in range(blocks.bit_length()):
        for block in range(blocks):
            span = range(block * BLOCK, min(block + (1 << level), blocks) * BLOCK)
            wanted.append(min(span, key=lambda i: (-values[i], i)))
    need(table == wanted, label)


def _features(index: Index) -> None:
    assert index.keys is not None
    assert index.idf is not None
    need((np.diff(index.keys.astype(np.int64)) > 0).all(), "F1")
    need((np.isfinite(index.idf) & (index.idf >= 0)).all(), "F2")


def _tree(index: Index) -> None:
    tree, params = index.tree, index.params
    assert tree is not None
    need((tree[0]["pos_begin"], tree[0]["pos_end"]) == (0, index.n_labels), "N1")
    next_child = 1
    for number, node in enumerate(tree):
        need(number < next_child, "N2", number)
        need(node["pos_begin"] < node["pos_end"] <= index.n_labels, "N2", number)
        begin, end, are_labels = index.children(number)
        need(end - begin <= params["max_children"], "N2", number)
        if are_labels:
            continue
        need(begin == next_child and begin < end <= len(tree), "N2", number)
        next_child = end
        edges = [node["pos_begin"], *tree["pos_end"][begin:end]]
        need(edges[:-1] == list(tree["pos_begin"][begin:end]), "N3", number)
        need(edges[-1] == node["pos_end"], "N3", number)
    need(next_child == len(tree), "N2")


def _positions(index: Index) -> None:
    n = index.n_labels
    label_at, position_of = index.label_at.tolist(), index.position_of.tolist()
    need(sorted(label_at) == list(range(n)), "N4")
    need(all(position_of[label] == at for at, label in enumerate(label_at)), "N4")
    assert index.tree is not None
    for number, node in enumerate(index.tree):
        below = label_at[node["pos_begin"] : node["pos_end"]]
        need((node["label_min"], node["label_max"]) == (min(below), max(below)), "N5", number)


def _chunks(index: Index) -> None:
    assert index.tree is not None
    at = 0
    for number in range(len(index.tree)):
        need(index.tree[number]["chunk"] == at, "N6", number)
        at += sum(int(chunk.head["bytes"]) for chunk in index.chunks(number))
    need(at == len(index.sections.get("WGHT", b"")), "W1")
    assert TREE_NODE.itemsize * len(index.tree) == len(index.sections["TREE"])
