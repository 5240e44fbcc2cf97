"""The verbs of the command line for products."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from espalier import console
from espalier.cli import cli
from tests.unit.retrieval.shop import titles, write_catalogue, write_pairs

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


def test_a_batch_a_filter_and_a_sweep(run: Run, tmp_path: Path) -> None:
    """The other ways to ask: a file of queries, conditions, and several indexes."""
    pairs = write_pairs(tmp_path / "pairs.tsv")
    rows = [f"{key}\t{title}\t{title.split()[0]}\n" for key, title in titles().items()]
    catalogue = tmp_path / "shop.tsv"
    catalogue.write_text("product_id\ttitle\tbrand\n" + "".join(rows))
    task = ("--task", "retrieval")
    for name, keep in (("all", "1"), ("few", "0.4")):
        made = run(
            "train", *task, "--pairs", pairs, "--catalogue", catalogue, "--quiet",
            "--out", tmp_path / f"{name}.esp", "--set", "stemmer=none", "--set", "blender=none",
            "--set", f"keep={keep}", "--set", 'attributes=["brand"]',
        )  # fmt: skip
        assert made[0] == 0, made[2]
    index = tmp_path / "all.esp"

    asked = ("--all-of", "brand:corvo", "--previous", "heavy duty", "-k", "8", "--json")
    code, out, _ = run("retrieve", index, "lamp", *asked)
    found = json.loads(out)["products"]
    assert (code, found[0]["title"]) == (0, "Corvo heavy duty lamp")
    assert all(one["title"].startswith("Corvo") for one in found)
    code, out, err = run("retrieve", index, "lamp", "--all-of", "brand:none")
    assert (code, out) == (0, "")
    assert "has what is asked for" in err

    (tmp_path / "q.tsv").write_text("query\nred lamp\nzzz\n")
    target = tmp_path / "found.tsv"
    code, out, err = run(
        "retrieve", index, "--queries", tmp_path / "q.tsv", "--out", target, "--quiet", "--json"
    )
    assert (code, json.loads(out)["unanswered"]) == (0, 1), err
    assert target.read_text().splitlines()[1].startswith("red lamp\t1\t")

    code, out, err = run(
        "evaluate", index, tmp_path / "few.esp", *task, "--judgements", pairs, "--catalogue",
        catalogue, "--beam", "2", "--beam", "40", "--json", "-", "--quiet",
    )  # fmt: skip
    assert code == 0, err
    sizes = [one["bytes"] for one in json.loads(out)["sweep"]]
    assert sizes[0] == sizes[1] > sizes[2] == sizes[3]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("saw", "--queries", "q.tsv", "--out", "o.tsv"),
        ("--queries", "q.tsv"),
        ("saw", "--out", "o.tsv"),
        ("--queries", "q.tsv", "--out", "o.tsv", "--host", "p001"),
        ("--queries", "q.tsv", "--out", "o.tsv", "--previous", "saw"),
    ],
)
def test_one_query_or_a_file_of_them(
    run: Run, shop: Path, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit together is refused before a file is read or written."""
    monkeypatch.chdir(tmp_path)

    code, out, err = run("retrieve", shop / "shop.esp", *words)

    assert (2, "") == (code, out)
    assert "--" in err
    assert not list(tmp_path.iterdir())


HEAD = "product_id\ttitle\n"
GOOD = HEAD + "a\tred lamp\nb\tblue lamp\n"
PAIRED = "query\tproduct_id\nlamp\ta\n"


@pytest.mark.parametrize(
    ("catalogue", "pairs", "says"),
    [
        (GOOD, "query\tproduct_id\nlamp\tz\n", "unknown_product"),
        (GOOD + "a\tgreen lamp\n", PAIRED, "stands above already"),
        (HEAD + "a\t\nb\t  \n", PAIRED, "empty_title"),
        ("product_id\nb\n", PAIRED, "title"),
        ("", PAIRED, "empty"),
        (HEAD, PAIRED, "no usable product"),
        (GOOD, "query\tproduct_id\n", "no usable pair"),
        (GOOD, "query\n", "product_id"),
        (HEAD + "a\t!!\n", PAIRED.replace("lamp", "??"), "letter or a digit"),
    ],
)
def test_input_nobody_can_learn_from_leaves_the_old_index(
    run: Run, tmp_path: Path, catalogue: str, pairs: str, says: str
) -> None:
    """The error says what is wrong; the index is as it was, and nothing stands beside it."""
    (tmp_path / "shop.tsv").write_text(catalogue)
    (tmp_path / "pairs.tsv").write_text(pairs)
    (tmp_path / "shop.esp").write_text("old")

    code, out, err = run(
        "train", "--task", "retrieval", "--pairs", tmp_path / "pairs.tsv", "--catalogue",
        tmp_path / "shop.tsv", "--out", tmp_path / "shop.esp", "--set", "stemmer=none", "--quiet",
    )  # fmt: skip

    assert (2, "") == (code, out)
    assert says in err
    assert (tmp_path / "shop.esp").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"shop.tsv", "pairs.tsv", "shop.esp"}


def test_some_bad_rows_are_counted_and_the_rest_is_learned(run: Run, tmp_path: Path) -> None:
    """Unknown products, empty titles, attributes that are none: said, not fatal."""
    (tmp_path / "shop.tsv").write_text(
        f"product_id\ttitle\tkind\na\tred lamp\tlamps\nb\t\tlamps\nc\tblue lamp\t{'x' * 200}\n"
    )
    (tmp_path / "pairs.tsv").write_text("query\tproduct_id\nlamp\ta\nlamp\tz\nlamp\tb\n")

    code, out, err = run(
        "train", "--task", "retrieval", "--pairs", tmp_path / "pairs.tsv", "--catalogue",
        tmp_path / "shop.tsv", "--out", tmp_path / "shop.esp", "--quiet", "--json",
        "--set", "stemmer=none", "--set", 'attributes=["kind"]',
    )  # fmt: skip

    assert code == 0, err
    report = json.loads(out)
    assert {kind: bad["count"] for kind, bad in report["rows_bad"].items()} == {
        "empty_title": 1,
        "bad_attribute": 1,
        "unknown_product": 2,
    }
    assert report["products"] == 2
    found = run("retrieve", tmp_path / "shop.esp", "lamp", "--all-of", "kind:lamps", "--json")[1]
    assert [one["product_id"] for one in json.loads(found)["products"]] == ["a"]
    asked = ("--set", 'attributes=["brand"]')
    code, _, err = run(
        "train", "--task", "retrieval", "--pairs", tmp_path / "pairs.tsv", "--catalogue",
        tmp_path / "shop.tsv", "--out", tmp_path / "x.esp", *asked,
    )  # fmt: skip
    assert code == 2
    assert "brand" in err
    code, _, err = run(
        "train", "--task", "retrieval", "--pairs", tmp_path / "pairs.tsv", "--out",
        tmp_path / "x.esp", *asked,
    )  # fmt: skip
    assert code == 2
    assert "--catalogue" in err
    assert not (tmp_path / "x.esp").exists()
