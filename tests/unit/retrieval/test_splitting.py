"""Queries held out of pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from espalier.errors import ConfigError, InputError
from espalier.retrieval.reading import read_pairs
from espalier.retrieval.splitting import split_pairs
from tests.unit.retrieval.shop import write_pairs


def test_a_query_is_on_one_side_and_no_pair_is_lost(tmp_path: Path) -> None:
    """Both files together are the pairs there were, grades included."""
    whole = write_pairs(tmp_path / "pairs.tsv")

    result = split_pairs(whole, tmp_path / "test.tsv", split=0.7, train=tmp_path / "train.tsv.gz")

    held = read_pairs(tmp_path / "test.tsv").rows
    taught = read_pairs(tmp_path / "train.tsv.gz").rows
    assert not {pair.query for pair in held} & {pair.query for pair in taught}
    key = lambda pair: (pair.query, pair.product_id)  # noqa: E731 - one place
    assert sorted(read_pairs(whole).rows, key=key) == sorted([*held, *taught], key=key)
    assert (len(held), len(taught)) == (result.pairs_out, result.pairs_train)
    assert 0 < result.queries_out < result.queries_train


def test_a_larger_share_keeps_every_query_it_had(tmp_path: Path) -> None:
    """What is trained on is a property of the query alone."""
    whole = write_pairs(tmp_path / "pairs.tsv")
    sides = []
    for share in (0.5, 0.8):
        split_pairs(whole, tmp_path / "test.tsv", split=share, train=tmp_path / "train.tsv")
        sides.append({pair.query for pair in read_pairs(tmp_path / "train.tsv").rows})

    assert sides[0] < sides[1]


def test_a_split_without_one_side_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    """An empty file would fail later, and less clearly."""
    whole = tmp_path / "pairs.tsv"
    whole.write_text("query\tproduct_id\na\tb\n", "utf-8")

    with pytest.raises(InputError, match="leaves no query on one side"):
        split_pairs(whole, tmp_path / "test.tsv", split=0.5)

    assert not (tmp_path / "test.tsv").exists()


def test_the_pairs_are_not_overwritten(tmp_path: Path) -> None:
    """Neither side may be the file that is read."""
    whole = write_pairs(tmp_path / "pairs.tsv")

    with pytest.raises(ConfigError):
        split_pairs(whole, whole, split=0.5)
