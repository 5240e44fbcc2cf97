"""From a log to a report, with a trained index."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import espalier
from espalier import Source
from espalier.errors import ConfigError, IndexMissingError, PairsError
from espalier.evaluate import evaluate
from espalier.evaluate.contract import NONE
from espalier.evaluate.runner import read_questions
from espalier.evaluate.systems import select
from espalier.settings import TrainSettings
from espalier.train import train_index
from tests.unit.evaluate.twin import most_frequent

THINGS = ("shoes", "shirts", "shorts", "socks", "skirts", "scarves")
COLOURS = ("red", "blue", "green", "grey")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a log of forty users, an index of it, and pairs."""
    made = tmp_path_factory.mktemp("whole-path")
    lines = ["user\tquery"]
    for user in range(40):
        thing = THINGS[min(user % 9, 5)]
        lines += [f"u{user}\t{thing}", f"u{user}\t{COLOURS[user % 4]} {thing}"]
    log = made / "log.tsv"
    log.write_text("\n".join(lines) + "\n", encoding="utf-8")
    train_index([log], made / "one.esp", TrainSettings(min_users=1, seed=1))
    train_index([log], made / "two.esp", TrainSettings(min_users=2, indexer="kmeans"))
    rows = [
        "previous_query\tprefix\tnext_query\tuser",
        "shoes\tr\tred shoes\ta",
        "socks\tblue s\tblue socks\ta",
        "\ts\tshorts\tb",
        "scarves\tgrey \tgrey hats\tb",
        "shirts\tgreen shirts\tgreen shirts\tc",
        "shirts\tblue\tgreen shirts\tc",
    ]
    (made / "pairs.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return made


def test_an_evaluation_of_two_indexes(folder: Path) -> None:
    """Same rows for both, promises kept, latency of both calls, JSON that loads."""
    report = evaluate(
        [folder / "one.esp", folder / "two.esp"],
        folder / "pairs.tsv",
        systems=["model_unconstrained", "model_constrained"],
    )
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))

    assert report.violations == NONE
    assert (document["rows"], document["rows_skipped"]) == (4, 1)
    assert document["rows_bad"] == {"prefix_mismatch": 1}
    assert list(document["indexes"]) == ["one.esp", "two.esp"]
    assert document["indexes"]["one.esp"]["systems"] == document["systems"]
    assert len(document["systems"]) == 5
    assert document["bucket_rows"]["unseen"] == 1
    assert 0 < document["latency_us"]["p50"] <= document["latency_us"]["p99"]
    assert document["latency_us"]["native"]["calls"] == 4
    assert document["index"]["labels"] > document["indexes"]["two.esp"]["index"]["labels"]


def test_every_system_agrees_with_its_promise_on_every_prefix(folder: Path) -> None:
    """On a trained index the baseline is its definition, and all lists keep the contract."""
    with espalier.open(folder / "one.esp") as index:
        users = {index.label(i): index.users(i) for i in range(index.info.labels)}
        prefixes = {label[:length] for label in users for length in range(len(label) + 1)}
        for prefix in sorted(prefixes):
            matching = [label for label in users if label.startswith(prefix)]

            assert index.popular(prefix, 10) == most_frequent(users, prefix, 10)
            for matcher in ("constrained", "unconstrained"):
                found = [
                    s.text
                    for s in index.complete(
                        prefix,
                        ["shoes"],
                        matcher=matcher,
                        sources=Source.MODEL | Source.POPULAR,
                        keep_variants=True,
                    )
                ]
                # The query submitted last is not offered again.
                offered = set(matching) - {"shoes"}
                assert len(set(found)) == len(found) == min(10, len(offered))
                assert set(found) <= offered


def test_the_questions_are_the_rows_of_the_file(folder: Path) -> None:
    """Reading and preparing keep order and texts."""
    questions = read_questions(folder / "pairs.tsv")

    assert [q.wanted for q in questions.asked] == [
        "red shoes",
        "blue socks",
        "shorts",
        "grey hats",
    ]
    assert [q.previous for q in questions.asked] == [("shoes",), ("socks",), (), ("scarves",)]
    assert [q.unit for q in questions.asked] == [0, 0, 1, 1]


def test_a_file_whose_rows_leave_nothing_to_type_is_refused(folder: Path) -> None:
    """The message counts why."""
    path = folder / "whole.tsv"
    path.write_text("previous_query\tprefix\tnext_query\n\tred\tred\n", encoding="utf-8")

    with pytest.raises(PairsError, match="1 have the whole next query"):
        evaluate([folder / "one.esp"], path)


def test_a_sample_of_nothing_is_refused(folder: Path) -> None:
    """At least one row has to be asked."""
    with pytest.raises(ConfigError, match="at least 1"):
        evaluate([folder / "one.esp"], folder / "pairs.tsv", sample=0)


def test_the_distribution_of_latency_goes_through_its_percentiles(folder: Path) -> None:
    """Rising, and at 50, 95 and 99 percent what the figures say."""
    document = evaluate([folder / "one.esp"], folder / "pairs.tsv").to_json()
    told, figures = document["latency_distribution_us"], document["latency_us"]

    for kind, expected in (("call", figures), ("native", figures["native"])):
        assert told[kind] == sorted(told[kind])
        at = dict(zip(told["percent"], told[kind], strict=True))
        assert (at[50], at[95], at[99]) == (expected["p50"], expected["p95"], expected["p99"])


def test_a_missing_index_is_named(folder: Path) -> None:
    """The pairs are read first, then the index is missed."""
    with pytest.raises(IndexMissingError, match=r"gone\.esp"):
        evaluate([folder / "gone.esp"], folder / "pairs.tsv")


def test_default_systems_are_those_of_the_report(folder: Path) -> None:
    """Without further names, three systems."""
    report = evaluate([folder / "one.esp"], folder / "pairs.tsv")

    assert list(report.indexes[0].summary.systems) == [system.name for system in select()]
