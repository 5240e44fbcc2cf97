"""The most frequent completion in C against its definition in Python."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import espalier
from espalier.text import normalise, normalise_prefix
from tests.unit.evaluate.label_index import write_label_index
from tests.unit.evaluate.twin import most_frequent

# Few letters, so that prefixes are shared; a word of two bytes and one of four.
LETTERS = st.sampled_from(["a", "b", "ab", " ", "é", "\U0001f600"])
QUERIES = st.lists(LETTERS, min_size=1, max_size=8).map("".join).map(normalise).filter(bool)
PREFIXES = st.lists(LETTERS, max_size=5).map("".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all examples write into, one after the other."""
    return tmp_path_factory.mktemp("baseline")


@settings(deadline=None)
@given(
    st.dictionaries(QUERIES, st.integers(1, 4), min_size=1, max_size=60),
    st.lists(PREFIXES, min_size=1, max_size=4),
    st.integers(1, 100),
)
def test_popular_is_the_baseline_by_definition(
    folder: Path, users: dict[str, int], prefixes: list[str], k: int
) -> None:
    """Same labels in the same order, for any labels, users, prefix and k."""
    path = folder / "labels.esp"
    write_label_index(path, users)
    with espalier.open(path) as index:
        for prefix in [*prefixes, ""]:
            expected = most_frequent(users, normalise_prefix(prefix), k)

            assert index.popular(prefix, k) == expected


def test_popular_agrees_on_many_labels(folder: Path) -> None:
    """Ranges of thousands of labels, where the C side looks at blocks, not labels."""
    users = {f"{i * 7919 % 20011:05x}": i * i % 97 + 1 for i in range(20000)}
    path = folder / "many.esp"
    write_label_index(path, users)
    with espalier.open(path) as index:
        for prefix in ("", "0", "00", "01", "04e", "4", "04e2"):
            for k in (1, 10, 100):
                assert index.popular(prefix, k) == most_frequent(users, prefix, k)


def test_find_knows_exactly_the_labels(folder: Path) -> None:
    """Seen means: is a label, not: is the beginning of one."""
    path = folder / "find.esp"
    write_label_index(path, {"ab": 1, "abc": 2, "b": 1})
    with espalier.open(path) as index:
        found = {text: index.find(text) for text in ("ab", "abc", "b", "a", "abcd", "", "ABC")}

    assert found == {"ab": 0, "abc": 1, "b": 2, "a": None, "abcd": None, "": None, "ABC": 1}
