"""Which features go when an index is to be smaller."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from espalier.catalogue import open_catalogue
from espalier.native import NativeIndex
from espalier.retrieval.pruning import features_kept, worth_of
from espalier.retrieval.training import train_retrieval
from tests.unit.retrieval.shop import PLAIN


def test_what_tells_products_apart_is_worth_more_than_what_all_have() -> None:
    """Feature 0 stands with the wanted product only, feature 1 everywhere."""
    titles = sp.csr_matrix(np.array([[1, 1], [0, 1], [0, 1], [0, 1]], np.float32))
    typed = sp.csr_matrix(np.array([[1, 1]], np.float32))
    zeros = np.zeros(1, np.int64)

    worth = worth_of(
        titles, typed, zeros, zeros, weight=np.ones(2, np.float32), kind=np.zeros(2, np.int64)
    )

    assert worth[0] > worth[1]


def test_a_feature_no_pair_has_is_worth_what_those_like_it_are() -> None:
    """Of two kinds, one is repeated by queries and one is not."""
    titles = sp.csr_matrix(np.eye(4, dtype=np.float32))
    typed = sp.csr_matrix(np.array([[1, 0, 0, 0]], np.float32))
    zeros = np.zeros(1, np.int64)

    worth = worth_of(
        titles,
        typed,
        zeros,
        zeros,
        weight=np.ones(4, np.float32),
        kind=np.array([0, 0, 1, 1]),
    )

    assert worth[0] > worth[1] > worth[2] == worth[3]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9), st.booleans()), min_size=1),
    st.floats(0.01, 0.99),
)
def test_the_room_is_kept_and_the_worthiest_stay(
    features: list[tuple[int, int, bool]], keep: float
) -> None:
    """But for those that always stay, however little room there is."""
    worth, room, always = (np.array(column) for column in zip(*features, strict=True))

    kept = features_kept(worth.astype(float), room, keep=keep, always=always)

    assert kept[always].all()
    assert room[kept].sum() <= max(keep * room.sum(), room[always].sum())
    gone = ~kept
    if (kept & ~always).any() and gone.any():
        assert worth[kept & ~always].min() >= worth[gone].max()


def test_a_smaller_index_finds_the_same_products_of_a_small_shop(
    shop: Path, tmp_path: Path
) -> None:
    """Words stay, numbered anew, and the file is whole and smaller."""
    made = {}
    for keep in (1.0, 0.4):
        path = tmp_path / f"{keep}.esp"
        settings = replace(PLAIN, keep=keep)
        train_retrieval(shop / "pairs.tsv", path, settings, catalogue=shop / "shop.tsv")
        with NativeIndex.open(path) as native:
            native.verify()
            native.validate()
        with open_catalogue(path) as index:
            made[keep] = [one.title for one in index.retrieve("ember cordless saw", k=1)]
    assert made[1.0] == made[0.4] == ["Ember cordless saw"]
    assert (tmp_path / "0.4.esp").stat().st_size < 0.9 * (tmp_path / "1.0.esp").stat().st_size
