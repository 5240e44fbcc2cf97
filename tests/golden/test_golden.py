"""Index files of every released format are read for ever and answer the same."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest

import espalier
from espalier.native import NativeIndex, features_id, forest_head
from tests.golden.make import CASES, FOLDER, ask, rank
from tests.reference import format as reference
from tests.reference import invariants, query

FILES = sorted(FOLDER.glob("*.esp"))
NUMBERS = ("score", "model", "popularity")


def _expected(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.with_suffix(".json").read_text("utf-8"))
    return loaded


def _close(expected: float, found: float) -> bool:
    return math.isclose(expected, found, rel_tol=1e-4, abs_tol=1e-4)


def test_every_case_has_its_file_and_its_replies() -> None:
    """Nothing is missing, nothing is left over."""
    assert sorted(CASES) == [path.stem for path in FILES]
    assert sorted(CASES) == sorted(path.stem for path in FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_file_was_never_edited(path: Path) -> None:
    """A golden file has the digest it was added with."""
    assert _expected(path)["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_both_readers_accept_it(path: Path) -> None:
    """It opens, verifies and validates, by the library and by the twin."""
    with NativeIndex.open(path) as index:
        index.verify()
        index.validate()
    twin = reference.parse(path.read_bytes())
    invariants.verify(twin)
    invariants.validate(twin)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_describes_itself_as_before(path: Path) -> None:
    """Counts, fingerprint, version and settings are those recorded."""
    with espalier.open(path) as index:
        for name, value in _expected(path)["info"].items():
            assert value == getattr(index.info, name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_answers_as_before(path: Path) -> None:
    """Texts, order and sources are equal, numbers within 1e-4."""
    with espalier.open(path) as index:
        for reply in _expected(path)["replies"]:
            found = ask(index, reply["question"])
            assert len(reply["suggestions"]) == len(found)
            for expected, one in zip(reply["suggestions"], found, strict=True):
                for name in NUMBERS:
                    assert _close(expected.pop(name), one.pop(name))
                assert expected == one


def test_every_source_and_a_scorer_are_among_the_replies() -> None:
    """Labels, generated queries and corrections; and the scorer is one this library uses.

    Where the list of features has changed, it is left aside: then a golden file with a
    scorer of the new list is added, and the replies of this one are restated.
    """
    replies = [reply for path in FILES for reply in _expected(path)["replies"]]
    found = {one["source"] for reply in replies for one in reply["suggestions"]}
    assert {"MODEL", "POPULAR", "TAIL", "CORRECTED"} == found
    with NativeIndex.open(FOLDER / "session.esp") as index:
        assert features_id() == forest_head(index.section("FRST")).features_id


def test_a_model_without_texts_ranks_as_before() -> None:
    """Rankings of given vectors are those recorded, and those of the twin."""
    path = FOLDER / "model.esp"
    twin = reference.parse(path.read_bytes())
    with NativeIndex.open(path) as index:
        for ranking in _expected(path)["rankings"]:
            vector = {int(i): value for i, value in ranking["vector"].items()}
            found = rank(index, vector)
            ranker = query.Ranker(twin, vector)
            scores = {number: ranker.output(s) for number, s in ranker.label_scores().items()}
            for (label, score), (one, its_score) in zip(ranking["labels"], found, strict=True):
                assert label == one
                assert _close(score, its_score)
                assert _close(scores[int(one)], its_score)
