"""Catalogues and pairs: what is read, what is counted, what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from espalier.errors import PairsError
from espalier.retrieval.reading import products_of, read_pairs, read_products


def _write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_a_catalogue_is_in_the_order_of_its_ids_bytes(tmp_path: Path) -> None:
    """A product's place is its label, whatever the order of the rows."""
    path = _write(tmp_path / "c.tsv", "title\tproduct_id\ttext\nTwo\tb\tmore\nOne\tB\t\nX\té\t\n")

    found = read_products(path)

    assert ("B", "b", "é") == found.ids
    assert ("One", "Two", "X") == found.titles
    assert ("", "more", "") == found.texts
    assert {"B": 0, "b": 1, "é": 2} == found.numbers()


def test_bad_rows_are_counted_and_left_out(tmp_path: Path) -> None:
    """Every kind has its own count; good rows stay."""
    path = _write(tmp_path / "c.tsv", "product_id\ttitle\na\tOne\nb\t \n\tThree\nc\n")

    found = read_products(path)

    assert ("a",) == found.ids
    assert {"empty_title": 1, "empty_id": 1, "wrong_field_count": 1} == {
        kind: bad.count for kind, bad in found.bad.items()
    }


def test_a_product_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """Nobody could say which title is right; the line is named, the id is not."""
    path = _write(tmp_path / "c.tsv", "product_id\ttitle\nsecret\tOne\nsecret\tTwo\n")

    with pytest.raises(PairsError, match="line 3") as caught:
        read_products(path)

    assert "secret" not in str(caught.value)


def test_pairs_are_normalised_and_weighted(tmp_path: Path) -> None:
    """A weight is 1 and a grade unknown where the file has none."""
    path = tmp_path / "p.tsv.gz"
    path.write_bytes(
        gzip.compress(b"query\tproduct_id\tweight\tother\n Red  LAMP\ta\t2.5\tx\nb\tb\t\t\n")
    )

    first, second = read_pairs(path).rows

    assert ("red lamp", "a", 2.5, None) == (
        first.query, first.product_id, first.weight, first.relevance,
    )  # fmt: skip
    assert second.weight == 1


def test_pairs_with_unknown_products_or_bad_numbers_are_left_out(tmp_path: Path) -> None:
    """They are counted, and the rest is used."""
    text = (
        "query\tproduct_id\trelevance\na\tx\t3\na\ty\t3\na\tx\tgood\na\tx\t-1\na\tx\tnan\n\tx\t1\n"
    )
    path = _write(tmp_path / "p.tsv", text)

    found = read_pairs(path, {"x": 0})

    assert [3] == [pair.relevance for pair in found.rows]
    assert {"unknown_product": 1, "bad_number": 3, "empty_query": 1} == {
        kind: bad.count for kind, bad in found.bad.items()
    }


def test_a_file_whose_header_is_no_text_says_so(tmp_path: Path) -> None:
    """It is not empty, and its first readable line is no header."""
    path = tmp_path / "p.tsv"
    for rest in (b"", b"query\tproduct_id\na\tb\n"):
        path.write_bytes(b"query\tproduct_id\xff\n" + rest)

        with pytest.raises(PairsError, match="first line is not UTF-8"):
            read_pairs(path)


def test_a_pair_with_a_query_nobody_could_ask_is_left_out(tmp_path: Path) -> None:
    """One row a log has by accident stops neither training nor measuring."""
    path = _write(tmp_path / "p.tsv", f"query\tproduct_id\n{'x' * 1025}\tx\n{'x' * 1024}\ty\n")

    found = read_pairs(path)

    assert ["y"] == [pair.product_id for pair in found.rows]
    assert {"query_too_long": 1} == {kind: bad.count for kind, bad in found.bad.items()}


def test_a_weight_of_nothing_is_no_pair(tmp_path: Path) -> None:
    """0 would say that nobody meant it."""
    path = _write(tmp_path / "p.tsv", "query\tproduct_id\tweight\na\tx\t0\na\ty\t1\n")

    assert ["y"] == [pair.product_id for pair in read_pairs(path).rows]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("query\tid\na\tb\n", "no column 'product_id'"),
        ("query\tproduct_id\n", "no usable pair"),
        ("query\tproduct_id\tquery\na\tb\tc\n", "2 columns 'query'"),
        ("query\tproduct_id\n\tb\n", "empty_query"),
    ],
)
def test_a_file_without_a_usable_pair_says_why(tmp_path: Path, text: str, says: str) -> None:
    """The error names the file and what is wrong with it."""
    with pytest.raises(PairsError, match=says):
        read_pairs(_write(tmp_path / "p.tsv", text))


def test_a_missing_file_is_a_pairs_error(tmp_path: Path) -> None:
    """Not one about logs."""
    with pytest.raises(PairsError, match="cannot be read"):
        read_products(tmp_path / "none.tsv")


def test_products_of_pairs_have_no_titles(tmp_path: Path) -> None:
    """Without a catalogue a product is known by its id alone."""
    path = _write(tmp_path / "p.tsv", "query\tproduct_id\na\tz\nb\ty\na\ty\n")

    found = products_of(read_pairs(path))

    assert (("y", "z"), ("", "")) == (found.ids, found.titles)
