"""Prefix ranges, popularity and texts, against their definitions."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.native import IndexWriter
from tests.property.indexes import Pair, index_sections, label_texts, opened, pairs, prefixes
from tests.reference import build, invariants, query

LABELLED = st.builds(
    lambda texts, seed: opened(
        build.sections(
            [
                build.Label(text, int(users))
                for text, users in zip(
                    texts, np.random.default_rng(seed).integers(0, 9, len(texts)), strict=True
                )
            ]
        )
    ),
    label_texts(),
    st.integers(0, 2**32),
)


def _same_range(pair: Pair, prefix: bytes) -> None:
    expected = query.prefix_range(pair.twin.labels(), prefix)
    lo, hi = pair.native.prefix_range(prefix)

    assert (expected if expected != (0, 0) else (lo, lo)) == (lo, hi)


@given(pairs())
def test_built_files_keep_every_promise(pair: Pair) -> None:
    """What the library builds passes its own checks and those of the twin."""
    pair.native.verify()
    pair.native.validate()
    invariants.verify(pair.twin)
    invariants.validate(pair.twin)


@given(index_sections(), st.integers(0, 2**64 - 1))
@settings(max_examples=10)
def test_the_writer_lays_files_out_as_specified(made: build.Sections, fingerprint: int) -> None:
    """The writer's file equals, byte by byte, the one put together from FORMAT.md."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.esp"
        with IndexWriter(path, fingerprint) as writer:
            for name, data in made.items():
                writer.add(name, data)

        assert build.assemble(made, fingerprint) == path.read_bytes()


@given(LABELLED, st.data())
def test_a_prefix_is_the_range_of_labels_that_start_with_it(
    pair: Pair, data: st.DataObject
) -> None:
    """Beginnings of labels, cut between any bytes, and changed in one byte."""
    for _ in range(8):
        label = pair.twin.label(data.draw(st.integers(0, pair.n_labels - 1)))
        prefix = bytearray(label[: data.draw(st.integers(0, len(label)))])
        if prefix and data.draw(st.booleans()):
            prefix[data.draw(st.integers(0, len(prefix) - 1))] = data.draw(st.integers(0, 255))
        _same_range(pair, bytes(prefix))
        _same_range(pair, label + data.draw(st.binary(max_size=2)))


@given(LABELLED, st.binary(max_size=6))
def test_any_bytes_have_a_range(pair: Pair, prefix: bytes) -> None:
    """Bytes that are no UTF-8 are looked up like any others."""
    _same_range(pair, prefix)


@given(LABELLED)
def test_every_label_finds_itself(pair: Pair) -> None:
    """A label is the first of those that start with it, and its texts come back."""
    for number in range(pair.n_labels):
        text = pair.twin.label(number)
        assert number == pair.native.prefix_range(text)[0]
        expected = (text.decode(), pair.twin.display(number).decode())
        assert expected == pair.native.label_texts(number)


@given(LABELLED, st.data())
def test_popularity_is_sorted_users(pair: Pair, data: st.DataObject) -> None:
    """Popular labels come by users, ties by number, for any prefix and any k."""
    prefix = data.draw(prefixes(pair))
    k = data.draw(st.integers(1, 600))
    lo, hi = query.prefix_range(pair.twin.labels(), prefix)
    assert pair.twin.users is not None
    users = pair.twin.users.tolist()

    found = pair.native.scratch().popular(prefix, k)

    assert query.by_popularity(users, lo, hi)[:k] == found
    assert [users[label] for label in found] == [pair.native.label_users(i) for i in found]
