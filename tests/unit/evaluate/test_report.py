"""The report: documented keys, hand-computed figures, tables, several indexes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from espalier.evaluate.buckets import BUCKETS
from espalier.evaluate.index_report import IndexFacts, IndexReport, PairsFacts, Timing
from espalier.evaluate.latency import Latency
from espalier.evaluate.outcomes import ask_all
from espalier.evaluate.questions import Question, Questions
from espalier.evaluate.report import EvaluationReport
from espalier.evaluate.summary import MEASURES, summarise
from espalier.evaluate.systems import select
from tests.unit.evaluate.twin import TwinIndex

ASKED = (
    Question("r", ("shoes",), "red shoes", 0),
    Question("red ", (), "red wine", 0),
    Question("re", (), "red hat", 1),
    Question("b", ("sky",), "blue sky", 1),
)
USERS = {"red wine": 9, "red dress": 5, "red shoes": 2, "blue sky": 1}


def report_of(users: Mapping[str, int], file: str = "a/site.esp") -> IndexReport:
    """Evaluate the twin on the four questions, with made-up times."""
    questions = Questions(ASKED, 2, {"bad_width": 1}, 2)
    outcomes = ask_all(
        TwinIndex(users), questions, select(["model_constrained"]), k=10, advance=lambda _: None
    )
    return IndexReport(
        IndexFacts(Path(file), 4096, len(users), 3, 12, 2, "00ff"),
        PairsFacts(Path("some/pairs.tsv"), 4, 2, {"bad_width": 1}, 2),
        10,
        summarise(outcomes, questions, seed=1),
        Timing(Latency(10.0, 20.0, 30.0, 4), Latency(9.0, 19.0, 29.0, 4), None, 5000.0),
    )


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Return the JSON of one index, after a trip through text."""
    report = EvaluationReport((report_of(USERS),))
    loaded: dict[str, Any] = json.loads(json.dumps(report.to_json(), allow_nan=False))
    return loaded


def test_one_index_has_the_documented_keys_at_the_top(document: dict[str, Any]) -> None:
    """Systems by measure by bucket, latency, rows."""
    assert list(document["systems"]) == [
        "all_sources",
        "labels_only",
        "most_frequent",
        "model_constrained",
    ]
    for figures in document["systems"].values():
        for measure in ("mrr10", "success10", "keystrokes_saved", "candidate_recall"):
            assert list(figures[measure]) == list(BUCKETS)
    assert document["latency_us"] == {
        "p50": 10.0,
        "p95": 20.0,
        "p99": 30.0,
        "calls": 4,
        "calibration_us": 5000.0,
        "processor": {"p50": 9.0, "p95": 19.0, "p99": 29.0, "calls": 4},
    }
    assert (document["rows"], document["rows_skipped"]) == (4, 2)
    assert document["rows_bad"] == {"bad_width": 1}
    assert "indexes" not in document


def test_figures_by_hand(document: dict[str, Any]) -> None:
    """Ranks 1, 1, 0, 1 with context and 3, 1, 0, 1 by frequency."""
    best = document["systems"]["all_sources"]
    base = document["systems"]["most_frequent"]

    assert best["mrr10"]["all"] == pytest.approx(3 / 4)
    assert base["mrr10"]["all"] == pytest.approx((1 / 3 + 1 + 0 + 1) / 4)
    assert best["success10"]["all"] == base["success10"]["all"] == pytest.approx(3 / 4)
    assert base["keystrokes_saved"]["all"] == pytest.approx((8 / 9 + 4 / 8 + 0 + 7 / 8) / 4)
    assert base["mrr10"]["len_1"] == pytest.approx((1 / 3 + 1) / 2)
    assert base["mrr10"]["len_2"] == 0.0
    assert base["mrr10"]["len_4_6"] == 1.0
    assert base["mrr10"]["unseen"] == 0.0
    assert base["mrr10"]["seen"] == pytest.approx(7 / 9)
    assert base["candidate_recall"] == base["success10"]
    assert best["ratio_to_most_frequent"]["all"] == pytest.approx(9 / 7)
    assert best["suggestions"]["all"] == pytest.approx((3 + 3 + 3 + 1) / 4)


def test_a_bucket_without_rows_is_null_not_zero(document: dict[str, Any]) -> None:
    """No prefix of three characters was asked; the count beside it says so."""
    assert document["bucket_rows"]["len_3"] == 0
    for figures in document["systems"].values():
        assert all(figures[measure]["len_3"] is None for measure in MEASURES)
        assert figures["mrr10_interval"]["len_3"] is None


def test_intervals_hold_their_figure(document: dict[str, Any]) -> None:
    """The point estimate lies between both ends, for means and ratios."""
    figures = document["systems"]["labels_only"]
    low, high = figures["mrr10_interval"]["all"]

    assert low <= figures["mrr10"]["all"] <= high
    low, high = figures["ratio_to_most_frequent_interval"]["all"]
    assert low <= figures["ratio_to_most_frequent"]["all"] <= high


def test_the_baseline_is_once_itself(document: dict[str, Any]) -> None:
    """Its ratio is 1, or nothing where it found nothing."""
    figures = document["systems"]["most_frequent"]

    assert figures["ratio_to_most_frequent"]["all"] == 1.0
    assert figures["ratio_to_most_frequent_interval"]["all"] == [1.0, 1.0]
    assert figures["ratio_to_most_frequent"]["unseen"] is None


def test_paths_stay_out_of_the_report(document: dict[str, Any]) -> None:
    """Only file names are told, and no query text."""
    text = json.dumps(document)

    assert document["index"]["file"] == "site.esp"
    assert document["pairs"] == "pairs.tsv"
    assert "some/" not in text
    assert "wine" not in text


def test_of_several_indexes_the_first_is_on_top_and_all_are_named() -> None:
    """The top level is the first index's own report."""
    first, second = report_of(USERS), report_of({"red hat": 1}, "b/other.esp")
    document = EvaluationReport((first, second)).to_json()
    indexes = document.pop("indexes")

    assert document == first.to_json()
    assert indexes == {"site.esp": first.to_json(), "other.esp": second.to_json()}


def test_seen_belongs_to_the_index() -> None:
    """The same rows are seen by one index and unseen by another."""
    assert report_of(USERS).summary.bucket_rows["seen"] == 3
    assert report_of({"red hat": 1}).summary.bucket_rows["seen"] == 1


def test_equal_file_names_are_told_apart_by_path() -> None:
    """Two indexes of one name in two folders both stand in the report."""
    report = EvaluationReport((report_of(USERS), report_of(USERS, "b/site.esp")))

    assert report.names() == ["a/site.esp", "b/site.esp"]


def test_equal_input_gives_equal_reports() -> None:
    """The bootstrap is seeded; nothing else draws."""
    assert report_of(USERS).to_json() == report_of(USERS).to_json()


def test_hits_by_source_add_up(document: dict[str, Any]) -> None:
    """Three hits, two of them by the context, and parts of MRR that make up the whole."""
    figures = document["systems"]["all_sources"]
    parts = figures["by_source"]

    assert list(parts) == ["MODEL", "POPULAR", "TAIL", "CORRECTED"]
    assert [part["hits"] for part in parts.values()] == [2, 1, 0, 0]
    assert parts["MODEL"]["hit_share"] == pytest.approx(2 / 3)
    for bucket in ("all", "len_1", "seen"):
        assert sum(part["mrr10"][bucket] for part in parts.values()) == pytest.approx(
            figures["mrr10"][bucket]
        )
    assert document["systems"]["most_frequent"]["by_source"] == {}


def test_figures_by_overlap_by_hand(document: dict[str, Any]) -> None:
    """One row shares a word, one shares none, two have no previous query."""
    base = document["systems"]["most_frequent"]["by_overlap"]

    assert document["overlap_rows"] == {
        "repeat_earlier": 0,
        "extends": 0,
        "truncates": 0,
        "same_first_word": 0,
        "shares_word": 2,
        "nothing_shared": 0,
        "no_previous": 2,
    }
    assert base["mrr10"]["shares_word"] == pytest.approx((1 / 3 + 1) / 2)
    assert base["mrr10"]["no_previous"] == pytest.approx(1 / 2)
    assert base["mrr10"]["extends"] is None
    assert base["ratio_to_most_frequent"]["shares_word"] == 1.0
    low, high = base["mrr10_interval"]["no_previous"]
    assert low <= base["mrr10"]["no_previous"] <= high


def test_the_table_is_aligned_and_says_what_the_json_says() -> None:
    """Systems down, buckets across, columns in line, every line within a wide terminal."""
    table = EvaluationReport((report_of(USERS),)).table()
    lines = table.splitlines()
    head = next(line for line in lines if line.startswith("MRR@10 "))
    base = lines[lines.index(head) + 3]

    assert head.split()[1:] == ["all", "1", "2", "3", "1-3", "4-6", "7-10", "11+", "seen", "unseen"]
    assert base.split()[:3] == ["most_frequent", "0.5833", "0.6667"]
    assert head.index("unseen") + len("unseen") == len(base)
    assert "2 skipped" in table
    assert "1 bad_width" in table
    assert "k of k" in table
    assert max(map(len, lines)) <= 130
