"""Attributes of labels: what enough of the people who typed a query had beside it.

A label gets a value that at least ``min_users`` distinct users typed it with, which is the
rule for everything in an index, and at least a share of the label's users: one odd row does
not make a query a French one. Where a label has more than 16 values, or all labels together
more than 65,535, those with most users stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from espalier.native import ATTRIBUTE_HEADER, ATTRIBUTE_VALUES, LABEL_VALUES

if TYPE_CHECKING:
    from espalier.querylog import QueryLog
    from espalier.settings import TrainSettings
    from espalier.train.rows import Labels

U32 = NDArray[np.uint32]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LabelAttributes:
    """What labels have; ``n`` pairs of a label and a value, each once.

    Attributes:
        values: Distinct values, ascending; each has a label.
        label: Label of each pair, ascending, ``(n,)``.
        value: Index into ``values``, ascending within a label, ``(n,)``.
        n_labels: How many labels there are.
        rare: Pairs left out because too few users had them.
        above_label: Pairs left out because the label had enough values.
        above_index: Pairs left out because the index had enough values.
    """

    values: list[str]
    label: I64
    value: I64
    n_labels: int
    rare: int = 0
    above_label: int = 0
    above_index: int = 0

    def section(self) -> bytes:
        """Return the ATTR section, empty where no label has a value."""
        if not self.values:
            return b""
        texts = [text.encode() for text in self.values]
        header = np.zeros(1, ATTRIBUTE_HEADER)
        header["n_values"], header["n_entries"] = len(texts), len(self.label)
        header["text_bytes"] = sum(map(len, texts))
        by_value = np.lexsort((self.label, self.value))
        return b"".join(
            [
                header.tobytes(),
                _bounds(np.fromiter(map(len, texts), np.int64, len(texts))),
                _bounds(np.bincount(self.label, minlength=self.n_labels)),
                _bounds(np.bincount(self.value, minlength=len(texts))),
                self.label[by_value].astype("<u4").tobytes(),
                self.value.astype("<u2").tobytes(),
                *texts,
            ]
        )


def choose_attributes(log: QueryLog, labels: Labels, settings: TrainSettings) -> LabelAttributes:
    """Return the attributes of ``labels``."""
    had = log.attributes
    label = labels.of_query[log.event_query[had.event]]
    user = log.event_user[had.event][label >= 0].astype(np.int64)
    value = had.value[label >= 0].astype(np.int64)
    label = label[label >= 0]
    if not len(label):
        return LabelAttributes([], label, value, len(labels))
    label, value, users = _count_users(label, value, user)
    enough = users >= np.maximum(
        settings.min_users, np.ceil(settings.attribute_share * labels.users[label])
    )
    rare = int((~enough).sum())
    label, value, users = label[enough], value[enough], users[enough]
    kept = _most_used(value, users, len(had.values))
    above_index = int((~kept).sum())
    label, value, users = label[kept], value[kept], users[kept]
    # The values of a label, most users first; of equals the first by text.
    order = np.lexsort((value, -users, label))
    place = np.arange(len(order)) - np.searchsorted(label[order], label[order])
    inside = np.sort(order[place < LABEL_VALUES])
    used, value_number = np.unique(value[inside], return_inverse=True)
    return LabelAttributes(
        values=[had.values[i] for i in used.tolist()],
        label=label[inside],
        value=value_number.astype(np.int64),
        n_labels=len(labels),
        rare=rare,
        above_label=len(order) - len(inside),
        above_index=above_index,
    )


def _count_users(label: I64, value: I64, user: I64) -> tuple[I64, I64, I64]:
    """Return each pair of a label and a value once, ascending, with its distinct users."""
    order = np.lexsort((user, value, label))
    rows = np.stack([label[order], value[order], user[order]])
    new = np.append([True], (rows[:, 1:] != rows[:, :-1]).any(axis=0))
    pairs = rows[:2, new]
    first = np.flatnonzero(np.append([True], (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)))
    users = np.diff(np.append(first, pairs.shape[1]))
    return pairs[0, first], pairs[1, first], users


def _most_used(value: I64, users: I64, n_values: int) -> NDArray[np.bool_]:
    """Return which pairs have one of the values that fit into an index."""
    total = np.bincount(value, weights=users, minlength=n_values)
    best = np.lexsort((np.arange(n_values), -total))[:ATTRIBUTE_VALUES]
    fits = np.zeros(n_values, bool)
    fits[best] = True
    return fits[value]


def _bounds(counts: NDArray[np.int64]) -> bytes:
    return np.append(0, np.cumsum(counts)).astype("<u4").tobytes()
