"""Buckets of rows: by length of the typed prefix, and seen against unseen.

Lengths count code points of the *normalised* prefix, a trailing space included.
An empty prefix is in ``all`` only, besides seen or unseen. "Seen" means that the
wanted query is a label of the index at hand, so the same row may be seen by one
index and unseen by another.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from espalier.evaluate.measures import BoolArray, IntArray

LENGTHS: Mapping[str, tuple[int, int | None]] = {
    "len_1": (1, 1),
    "len_2": (2, 2),
    "len_3": (3, 3),
    "len_1_3": (1, 3),
    "len_4_6": (4, 6),
    "len_7_10": (7, 10),
    "len_11_plus": (11, None),
}
"""Buckets by prefix length: first and last length, both included; ``None`` is no end."""

BUCKETS: tuple[str, ...] = ("all", *LENGTHS, "seen", "unseen")


def masks(prefix_lengths: IntArray, seen: BoolArray) -> dict[str, BoolArray]:
    """Return for each of :data:`BUCKETS`, in that order, which rows are in it.

    Both inputs and every mask have shape ``(rows,)``.
    """
    chosen: dict[str, BoolArray] = {"all": np.ones(len(prefix_lengths), dtype=np.bool_)}
    for name, (first, last) in LENGTHS.items():
        inside = prefix_lengths >= first
        chosen[name] = inside if last is None else inside & (prefix_lengths <= last)
    chosen["seen"] = seen
    chosen["unseen"] = ~seen
    return chosen
