"""The verbs of the command line for products."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from espalier import console
from espalier.cli import cli
from tests.unit.retrieval.shop import write_catalogue, write_pairs

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command: exit code, output, errors."""

    def command(*words: str | Path) -> tuple[int, str, str]:
        code = console.run(cli, [str(word) for word in words])
        found = capsys.readouterr()
        return code, found.out, found.err

    return command


def test_from_pairs_to_figures(run: Run, tmp_path: Path) -> None:
    """Divide, train, ask, measure: each verb takes what the one before wrote."""
    pairs = write_pairs(tmp_path / "pairs.tsv")
    catalogue = write_catalogue(tmp_path / "shop.tsv")
    task = ("--task", "retrieval")
    train, test, index = (tmp_path / name for name in ("train.tsv", "test.tsv", "shop.esp"))

    assert run("pairs", *task, "--pairs", pairs, "--out", test, "--train-pairs", train)[0] == 0
    code, out, err = run(
        "train", *task, "--pairs", train, "--catalogue", catalogue, "--out", index, "--json",
        "--quiet", "--set", "stemmer=none", "--set", "blender=none", "--set", "pool=40",
    )  # fmt: skip
    assert (0, 160) == (code, json.loads(out)["products"]), err
    code, out, _ = run("retrieve", index, "ember heavy duty shelf", "-k", "2", "--json")
    assert json.loads(out)["products"][0]["title"] == "Ember heavy duty shelf"
    code, out, _ = run("retrieve", index, "ember heavy duty shelf", "-k", "1")
    assert "Ember heavy duty shelf" in out
    code, out, _ = run(
        "evaluate", index, *task, "--judgements", test, "--catalogue", catalogue, "--json",
        tmp_path / "figures.json", "--quiet",
    )  # fmt: skip
    assert code == 0
    assert "bm25_stemmed" in out
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert 0 < figures["systems"]["fused"]["recall10"]["all"] <= 1
    assert run("validate", index, "--deep")[0] == 0
    assert json.loads(run("inspect", index, "--json")[1])["meta"]["task"] == "retrieval"


def test_a_query_nothing_is_known_of_says_so(run: Run, shop: Path) -> None:
    """Not with an empty page; popular products only where they are asked for."""
    code, out, err = run("retrieve", shop / "shop.esp", "zzz")
    assert (0, "") == (code, out)
    assert "nothing" in err or "no product" in err

    assert run("retrieve", shop / "shop.esp", "zzz", "--popular", "-k", "1")[1]


@pytest.mark.parametrize(
    "words",
    [
        ("train", "--out", "x.esp"),
        ("train", "--task", "retrieval", "--out", "x.esp"),
        ("train", "--task", "retrieval", "--pairs", "p.tsv", "--log", "l.tsv", "--out", "x.esp"),
        ("train", "--log", "l.tsv", "--pairs", "p.tsv", "--out", "x.esp"),
        ("pairs", "--out", "x.tsv"),
        ("pairs", "--task", "retrieval", "--out", "x.tsv"),
        ("pairs", "--log", "l.tsv", "--train-pairs", "t.tsv", "--out", "x.tsv"),
        ("evaluate", "a.esp"),
        ("evaluate", "a.esp", "--task", "retrieval", "--judgements", "j.tsv"),
        ("evaluate", "a.esp", "--pairs", "p.tsv", "--judgements", "j.tsv"),
        ("evaluate", "a.esp", "b.esp", "--task", "retrieval", "--judgements", "j.tsv",
         "--catalogue", "c.tsv"),
    ],
)  # fmt: skip
def test_options_of_the_other_task_and_missing_ones_are_refused(
    run: Run, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a file is read or written; the error names the option."""
    monkeypatch.chdir(tmp_path)

    code, out, err = run(*words)

    assert (2, "") == (code, out)
    assert "--" in err
    assert not list(tmp_path.iterdir())


def test_completing_needs_another_index(run: Run) -> None:
    """`retrieve` of an index of queries says what to train."""
    path = Path(__file__).parents[2] / "golden" / "v1" / "plain.esp"

    code, _, err = run("retrieve", path, "saw")

    assert code != 0
    assert "--task retrieval" in err
