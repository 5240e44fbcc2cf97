"""Buckets by length and by seen."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from espalier.evaluate.buckets import BUCKETS, masks

ROWS = st.lists(st.tuples(st.integers(0, 40), st.booleans()))


def test_bucket_names_are_those_of_every_report() -> None:
    """Other tools read these names; none may change."""
    assert BUCKETS == (
        "all",
        "len_1",
        "len_2",
        "len_3",
        "len_1_3",
        "len_4_6",
        "len_7_10",
        "len_11_plus",
        "seen",
        "unseen",
    )


def test_each_length_falls_where_its_name_says() -> None:
    """Both ends of every bucket, and the empty prefix in none of the lengths."""
    lengths = [0, 1, 2, 3, 4, 6, 7, 10, 11, 99]
    chosen = masks(np.array(lengths), np.zeros(len(lengths), dtype=np.bool_))
    members = {
        name: [length for length, inside in zip(lengths, mask, strict=True) if inside]
        for name, mask in chosen.items()
    }

    assert members == {
        "all": lengths,
        "len_1": [1],
        "len_2": [2],
        "len_3": [3],
        "len_1_3": [1, 2, 3],
        "len_4_6": [4, 6],
        "len_7_10": [7, 10],
        "len_11_plus": [11, 99],
        "seen": [],
        "unseen": lengths,
    }


@given(ROWS)
def test_buckets_partition_the_rows(rows: list[tuple[int, bool]]) -> None:
    """Seen and unseen split all rows; the four wide lengths split all but empty prefixes."""
    lengths = np.array([length for length, _ in rows], dtype=np.int64)
    seen = np.array([known for _, known in rows], dtype=np.bool_)
    chosen = masks(lengths, seen)
    wide = np.stack([chosen[f"len_{name}"] for name in ("1_3", "4_6", "7_10", "11_plus")])
    narrow = np.stack([chosen[f"len_{name}"] for name in ("1", "2", "3")])

    assert list(chosen) == list(BUCKETS)
    assert (chosen["seen"] ^ chosen["unseen"]).all()
    assert (wide.sum(axis=0) == (lengths > 0)).all()
    assert (narrow.sum(axis=0) == chosen["len_1_3"]).all()
