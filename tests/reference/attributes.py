"""The attributes of labels: the ATTR section, read and written by its specification."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tests.reference.format import need
from tests.reference.words import Arrays, places

HEADER: Final = np.dtype(
    [("n_values", "<u4"), ("n_entries", "<u4"), ("text_bytes", "<u4"), ("reserved", "<u4")]
)
MOST_VALUES: Final = 65_535
LABEL_VALUES: Final = 16
VALUE_BYTES: Final = 128


def arrays(head: Any, n_labels: int) -> Arrays:
    """Return the arrays of ATTR."""
    n_values, n_entries = int(head["n_values"]), int(head["n_entries"])
    return [
        ("text_ptr", "<u4", n_values + 1),
        ("label_ptr", "<u4", n_labels + 1),
        ("value_ptr", "<u4", n_values + 1),
        ("label", "<u4", n_entries),
        ("value", "<u2", n_entries),
        ("text", "u1", int(head["text_bytes"])),
    ]


def parse(section: bytes, n_labels: int) -> list[frozenset[bytes]]:
    """Check A1 to A6 and return the values of every label."""
    need(len(section) >= HEADER.itemsize, "A1")
    head = np.frombuffer(section, HEADER, 1)[0]
    begins = places(HEADER, arrays(head, n_labels))
    need(head["n_values"] <= MOST_VALUES and begins["end"] == len(section), "A1")
    part = {
        name: np.frombuffer(section, kind, n, begins[name]).tolist()
        for name, kind, n in arrays(head, n_labels)
    }
    need(head["reserved"] == 0, "A2")
    texts = [bytes(part["text"][a:b]) for a, b in _runs(part["text_ptr"], "A3")]
    need(part["text_ptr"][-1] == head["text_bytes"], "A3")
    need(all(0 < len(text) <= VALUE_BYTES and _is_utf8(text) for text in texts), "A3")
    need(texts == sorted(set(texts)), "A3")
    own = [part["value"][a:b] for a, b in _runs(part["label_ptr"], "A4")]
    need(part["label_ptr"][-1] == head["n_entries"], "A4")
    need(all(len(values) <= LABEL_VALUES for values in own), "A4")
    for values in own:
        need(values == sorted(set(values)) and max(values, default=-1) < len(texts), "A5")
    lists = [part["label"][a:b] for a, b in _runs(part["value_ptr"], "A6")]
    for number, labels in enumerate(lists):
        need(labels == [i for i, values in enumerate(own) if number in values], "A6")
        need(labels, "A6")
    return [frozenset(texts[value] for value in values) for values in own]


def section(labels: Sequence[frozenset[bytes]]) -> bytes:
    """Return the section of labels with these values."""
    texts = sorted(set().union(*labels))
    number = {text: i for i, text in enumerate(texts)}
    own = [sorted(number[text] for text in values) for values in labels]
    lists = [[i for i, values in enumerate(own) if v in values] for v in range(len(texts))]
    head = np.zeros(1, HEADER)
    head["n_values"], head["n_entries"] = len(texts), sum(map(len, own))
    head["text_bytes"] = sum(map(len, texts))
    bounds = [np.cumsum([0, *map(len, items)]).astype("<u4") for items in (texts, own, lists)]
    flat = [
        np.array([*itertools.chain(*items)], kind) for items, kind in ((lists, "<u4"), (own, "<u2"))
    ]
    return b"".join([head.tobytes(), *(array.tobytes() for array in (*bounds, *flat)), *texts])


def _runs(bounds: list[int], label: str) -> list[tuple[int, int]]:
    need(bounds[0] == 0 and bounds == sorted(bounds), label)
    return list(itertools.pairwise(bounds))


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
