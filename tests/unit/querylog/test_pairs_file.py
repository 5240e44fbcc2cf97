"""The format of pairs files: what is read, what is counted, what is refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import PairsError
from espalier.querylog import PairRow, read_pairs
from espalier.querylog.pairs_file import PairsWriter
from espalier.text import normalise

HEADER = b"previous_query\tprefix\tnext_query"
ALL = HEADER + b"\tuser\tearlier\tgap_seconds"
GOOD = b"red\tb\tblue"
TEXTS = st.text(max_size=12).map(normalise)


@given(
    st.lists(
        st.tuples(
            TEXTS,
            TEXTS.filter(bool),
            st.floats(0, 1),
            st.none() | st.integers(1, 9).map(str),
            st.lists(TEXTS, max_size=3),
            st.none() | st.integers(0, 10**9),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, float, str | None, list[str], int | None]],
) -> None:
    """Any normalised text, quotes and all."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.tsv"
    pairs = [
        PairRow(previous, after[: int(len(after) * share)], after, user, tuple(earlier), gap)
        for previous, after, share, user, earlier, gap in rows
    ]
    text = io.StringIO()
    writer = PairsWriter(text, has_gaps=True)
    for pair in pairs:
        writer.row(pair)
    path.write_text(text.getvalue(), encoding="utf-8", newline="\n")
    file = read_pairs(path)

    assert tuple(pairs) == file.rows
    assert {} == file.rows_bad


def test_columns_may_stand_in_any_order_and_unknown_ones_are_ignored(tmp_path: Path) -> None:
    """A pairs file may come from somewhere else."""
    path = tmp_path / "pairs.tsv"
    path.write_bytes(b"next_query\tnote\tprefix\tprevious_query\r\nBlue Hat\tx\tbl\tred\r\n")

    assert (PairRow("red", "bl", "Blue Hat"),) == read_pairs(path).rows


BAD = {
    "not_utf8": b"red\tb\tbl\xff",
    "blank_line": b"",
    "wrong_field_count": b"red\tblue",
    "empty_next_query": b"red\t\t \tann\t[]\t5",
    "prefix_mismatch": b"red\tx\tblue\tann\t[]\t5",
    "bad_earlier": b"red\tb\tblue\tann\t[1]\t5",
    "bad_gap": b"red\tb\tblue\tann\t[]\t-5",
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_row_is_counted_by_kind(tmp_path: Path, kind: str) -> None:
    """With the line of the first one; the others are used."""
    path = tmp_path / "pairs.tsv"
    good = GOOD + b'\tann\t["a", "b"]\t7'
    path.write_bytes(b"\n".join([ALL, good, BAD[kind], good, BAD[kind], good + b"\n"]))
    file = read_pairs(path)

    assert {kind: 2} == file.rows_bad
    assert 3 == file.examples[kind].line
    assert (PairRow("red", "b", "blue", "ann", ("a", "b"), 7),) * 3 == file.rows


@pytest.mark.parametrize("earlier", [b"{}", b'"a"', b"[", b"[" * 100_000, b"null", b'["a", 1]'])
def test_earlier_must_be_an_array_of_texts(tmp_path: Path, earlier: bytes) -> None:
    """An empty field says nothing, and that is allowed."""
    path = tmp_path / "pairs.tsv"
    path.write_bytes(b"\n".join([ALL, GOOD + b"\t\t" + earlier + b"\t", GOOD + b"\t\t\t"]))
    file = read_pairs(path)

    assert {"bad_earlier": 1} == file.rows_bad
    assert (PairRow("red", "b", "blue"),) == file.rows


REFUSED = {
    "empty": (b"", "is empty"),
    "no header": (
        b"red\tb\tblue ship\n",
        "no column 'previous_query'; the first line has 3 fields",
    ),
    "a column is missing": (b"prefix\tnext_query\nb\tblue\n", "columns found: prefix, next_query"),
    "only bad rows": (HEADER + b"\nred\tx\tblue\n", r"no usable row: prefix_mismatch \(line 2\)"),
    "only a header": (HEADER + b"\n", "no usable row; make pairs with"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_without_rows_says_what_was_found(tmp_path: Path, case: str) -> None:
    """Exit code 2, and no query in the text."""
    content, message = REFUSED[case]
    path = tmp_path / "pairs.tsv"
    path.write_bytes(content)
    with pytest.raises(PairsError, match=message) as caught:
        read_pairs(path)

    assert 2 == caught.value.exit_code
    assert "blue" not in str(caught.value)


def test_a_missing_file_is_a_pairs_error(tmp_path: Path) -> None:
    """And not an error of a log."""
    with pytest.raises(PairsError, match="cannot be read"):
        read_pairs(tmp_path / "none.tsv")
