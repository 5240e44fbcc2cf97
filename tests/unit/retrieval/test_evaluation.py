"""A whole evaluation: systems, buckets, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from espalier.errors import PairsError, UnsupportedError
from espalier.retrieval.evaluation import BUCKETS, MEASURES, SYSTEMS, evaluate_retrieval
from tests.unit.retrieval.shop import queries, titles, write_pairs

GOLDEN = Path(__file__).parents[2] / "golden" / "v1" / "plain.esp"


def test_every_system_is_measured_in_every_bucket(shop: Path) -> None:
    """All keys are there, figures are shares, and JSON takes them."""
    report = evaluate_retrieval(shop / "shop.esp", shop / "pairs.tsv", shop / "shop.tsv")

    found = json.loads(json.dumps(report.to_json()))
    assert set(SYSTEMS) == set(found["systems"])
    for measures in found["systems"].values():
        assert set(MEASURES) == set(measures)
        for buckets in measures.values():
            assert set(BUCKETS) == set(buckets)
            assert all(0 <= value <= 1 for value in buckets.values())
    assert len(queries()) == report.queries["all"]
    # Four of each kind have the wanted brand or look; here all words are exact.
    assert report.systems["bm25"]["recall100"]["all"] == 1
    assert report.systems["model"]["recall100"]["all"] > 0.9
    assert report.rows()[0][2] == "system"
    assert "p50" in report.remarks()


def test_buckets_are_about_words_spelling_and_pairs(shop: Path, tmp_path: Path) -> None:
    """A query is in each bucket that describes it; products without a pair are unseen."""
    product = next(iter(titles()))
    judged = write_pairs(tmp_path / "j.tsv", {"acme": [product], "acme redd drill now": [product]})

    report = evaluate_retrieval(shop / "shop.esp", judged, shop / "shop.tsv")

    expected = dict.fromkeys(BUCKETS, 0) | {
        "all": 2, "words_1": 1, "words_4_plus": 1, "misspelt": 1, "spelt": 1, "seen": 2,
    }  # fmt: skip
    assert expected == report.queries
    assert report.systems["bm25"]["mrr"]["words_4_plus"] > 0
    assert report.systems["fused"]["recall10"]["unseen"] == 0


def test_a_product_the_catalogue_has_and_the_index_has_not_is_a_miss(
    shop: Path, tmp_path: Path
) -> None:
    """It counts for the baselines, and against the index."""
    catalogue = tmp_path / "c.tsv"
    catalogue.write_text((shop / "shop.tsv").read_text() + "new\tviolet piano\n")
    judged = write_pairs(tmp_path / "j.tsv", {"violet piano": ["new"]})

    report = evaluate_retrieval(shop / "shop.esp", judged, catalogue)

    assert report.systems["bm25"]["recall10"]["all"] == 1
    assert report.systems["fused"]["recall10"]["all"] == 0
    assert report.queries["unseen"] == 1


@pytest.mark.parametrize(
    ("text", "relevant", "says"),
    [
        ("query\tproduct_id\nsaw\tp000\n", 2.33, "no column 'relevance'"),
        ("query\tproduct_id\trelevance\nsaw\tp000\t2\n", 2.33, "2.33 or more"),
        ("query\tproduct_id\trelevance\nsaw\tnobody\t3\n", 1.0, "unknown_product"),
    ],
)
def test_judgements_that_say_nothing_are_refused(
    shop: Path, tmp_path: Path, text: str, relevant: float, says: str
) -> None:
    """The error says what to change."""
    judged = tmp_path / "j.tsv"
    judged.write_text(text)

    with pytest.raises(PairsError, match=says):
        evaluate_retrieval(shop / "shop.esp", judged, shop / "shop.tsv", relevant=relevant)


def test_an_index_without_products_is_refused(shop: Path) -> None:
    """It completes queries."""
    with pytest.raises(UnsupportedError):
        evaluate_retrieval(GOLDEN, shop / "pairs.tsv", shop / "shop.tsv")
