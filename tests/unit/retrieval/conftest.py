"""An index of the small shop, trained once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from espalier.catalogue import Catalogue, open_catalogue
from espalier.retrieval.training import train_retrieval
from tests.unit.retrieval.shop import PLAIN, write_catalogue, write_pairs


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a catalogue, pairs, and ``shop.esp`` ordered by its tree."""
    folder = tmp_path_factory.mktemp("shop")
    catalogue = write_catalogue(folder / "shop.tsv")
    pairs = write_pairs(folder / "pairs.tsv")
    settings = replace(PLAIN, weight_bits=32, pair_weight=0.0, char_weight=0.1)
    train_retrieval(pairs, folder / "shop.esp", settings, catalogue=catalogue)
    return folder


@pytest.fixture
def index(shop: Path) -> Iterator[Catalogue]:
    """Return the open index."""
    with open_catalogue(shop / "shop.esp") as opened:
        yield opened
