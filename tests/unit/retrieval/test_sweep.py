"""Recall, size and latency over indexes and beams."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from espalier.errors import ConfigError, PairsError
from espalier.retrieval.sweep import draw, rows_of, sweep
from espalier.retrieval.training import train_retrieval
from tests.unit.retrieval.shop import PLAIN, write_pairs


@pytest.fixture(scope="module")
def smaller(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index of the shop with fewer weights."""
    path = tmp_path_factory.mktemp("sweep") / "smaller.esp"
    settings = replace(PLAIN, keep=0.3)
    train_retrieval(shop / "pairs.tsv", path, settings, catalogue=shop / "shop.tsv")
    return path


def test_every_index_meets_every_beam(shop: Path, smaller: Path, tmp_path: Path) -> None:
    """A wider beam misses less, fewer weights take less room; the plot is a file."""
    points = sweep([shop / "shop.esp", smaller], shop / "pairs.tsv", beams=[1, 160])

    assert [(one.index, one.beam) for one in points] == [
        ("shop.esp", 1), ("shop.esp", 160), ("smaller.esp", 1), ("smaller.esp", 160),
    ]  # fmt: skip
    assert points[0].model_recall100 < points[1].model_recall100 == 1
    assert points[2].weight_bytes < points[0].weight_bytes
    assert points[2].bytes < points[0].bytes
    assert all(one.p50_us > 0 for one in points)
    assert len(rows_of(points)) == 5
    assert len({len(row) for row in rows_of(points)}) == 1
    assert points[0].to_json()["beam"] == 1

    pytest.importorskip("matplotlib")
    draw(points, tmp_path / "plot.svg")
    assert "<svg" in (tmp_path / "plot.svg").read_text()
    with pytest.raises(ConfigError, match="svg"):
        draw(points, tmp_path / "plot.nothing")


def test_judgements_of_nothing_relevant_are_refused(shop: Path, tmp_path: Path) -> None:
    """The error says what to lower."""
    judged = write_pairs(tmp_path / "j.tsv")
    with pytest.raises(PairsError, match="--relevant"):
        sweep([shop / "shop.esp"], judged, beams=[1], relevant=4)
