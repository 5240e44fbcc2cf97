"""Publishing: an index is measured on people it has not seen, and a worse one stays away."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import espalier
from espalier import console
from espalier.cli import cli
from espalier.errors import (
    ConfigError,
    IndexCorruptError,
    IndexMissingError,
    InputError,
    RejectedError,
    StorageError,
)
from espalier.evaluate import evaluate
from espalier.files import replacement
from espalier.publish import PublishReport, publish
from espalier.querylog import is_training_user, write_demo_log, write_pairs
from espalier.settings import LogSettings, TrainSettings
from espalier.train import train_index

USERS = 550
SETTINGS = TrainSettings(min_users=1, threads=1, holdout=0.1, blender="fixed")
_SET = ("min_users=1", "threads=1", "holdout=0.1", "blender=fixed")
WORDS = (*(word for setting in _SET for word in ("--set", setting)), "--quiet")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the log of a night: large enough to hold people out."""
    path = tmp_path_factory.mktemp("nights") / "log.tsv"
    write_demo_log(path, catalogue=None, users=USERS, seed=11)
    return path


@pytest.fixture(scope="module")
def good(log: Path) -> Path:
    """Return last night's index, trained without the held-out users. Copy it before use."""
    path = log.with_name("good.esp")
    train_index([log], path, SETTINGS)
    return path


@pytest.fixture(scope="module")
def broken_log(log: Path) -> Path:
    """Return the log with the queries of all who train spelt backwards; the others' are whole."""
    path = log.with_name("broken.tsv")
    header, *rows = log.read_text(encoding="utf-8").splitlines()
    names = header.split("\t")
    user, query = names.index("user"), names.index("query")

    def mistreated(row: str) -> str:
        cells = row.split("\t")
        if is_training_user(cells[user], 1 - SETTINGS.holdout):
            cells[query] = cells[query][::-1]
        return "\t".join(cells)

    path.write_text("\n".join([header, *map(mistreated, rows)]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def site(good: Path, tmp_path: Path) -> Path:
    """Return a copy of last night's index, alone in its folder."""
    path = tmp_path / "site.esp"
    shutil.copy(good, path)
    return path


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


# ---- measuring -----------------------------------------------------------------------


def test_a_new_index_is_measured_on_its_held_out_users(log: Path, tmp_path: Path) -> None:
    """The figures are those of `espalier pairs --split` and `espalier evaluate` by hand."""
    out, pairs = tmp_path / "site.esp", tmp_path / "pairs.tsv"
    made = publish([log], out, replace(SETTINGS, blender="trees", blend_trees=10))
    write_pairs([log], pairs, settings=LogSettings(), split=1 - SETTINGS.holdout, threads=1)
    by_hand = evaluate([out], pairs, latency_rows=10).indexes[0]

    assert made.published
    assert made.evaluation is not None
    asked = made.evaluation.indexes[0]
    assert asked.pairs.rows == by_hand.pairs.rows > 100
    for name, figures in asked.summary.systems.items():
        assert figures.measures["mrr10"] == by_hand.summary.systems[name].measures["mrr10"]
    assert list(made.training.seconds)[-1] == "evaluate"
    assert out == asked.index.file == made.training.out


def test_the_report_shows_all_systems_and_no_query(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the table, in --json and in the folder, which has a page to look at."""
    folder = tmp_path / "report"
    words = ["train", "--log", log, "--out", tmp_path / "site.esp", "--report", folder, *WORDS]
    assert 0 == console.run(cli, [*map(str, words), "--json"])
    document = json.loads(capsys.readouterr().out)

    systems = document["evaluation"]["systems"]
    assert {"all_sources", "labels_only", "most_frequent"} <= systems.keys()
    assert 0 < systems["all_sources"]["mrr10"]["len_1_3"] < 1
    assert document["published"] is True
    assert document["must_beat"] is None
    assert document["holdout"]["share"] == 0.1
    assert ["report.html", "report.json"] == names(folder)
    assert document == json.loads((folder / "report.json").read_text("utf-8"))

    assert 0 == console.run(cli, [*map(str, words)])
    table = capsys.readouterr().out
    assert f"held-out users: {document['holdout']['users']}" in table
    assert f"{systems['labels_only']['mrr10']['all']:.4f}" in table
    assert "1-3 characters" in table


@pytest.mark.parametrize(
    ("changes", "evaluates", "why"),
    [
        ({"holdout": 0.0}, True, "holdout is 0"),
        ({}, False, "not asked for"),
        ({"log": LogSettings(user_column=None, session_column=None)}, True, "neither users nor"),
    ],
    ids=["share", "asked", "users"],
)
def test_an_index_that_nobody_measures_says_why(
    log: Path, tmp_path: Path, changes: dict[str, Any], evaluates: bool, why: str
) -> None:
    """It is published all the same."""
    out = tmp_path / "site.esp"
    folder = tmp_path / "report"
    made = publish([log], out, replace(SETTINGS, **changes), evaluate=evaluates, report=folder)

    assert made.evaluation is None
    assert names(folder) == ["report.json"]
    assert f"no report.html: the page shows an evaluation, and there was none ({why}" in (
        made.table().replace(made.unasked, why)
    )
    assert json.loads((folder / "report.json").read_text())["not_drawn"] == made.undrawn
    assert why in made.unasked
    assert f"not evaluated: {made.unasked}" in made.table()
    assert made.to_json()["evaluation"] is None
    with espalier.open(out) as index:
        assert index.complete("")


def test_a_small_log_is_learned_whole(demo_log: Path, tmp_path: Path) -> None:
    """Fewer than 500 users: 0 held out, with the reason."""
    made = publish([demo_log], tmp_path / "site.esp", SETTINGS)

    assert 0 == made.training.holdout["users"]
    assert "fewer than 500 users" in made.unasked
    assert "(0 users held out)" in made.table()


# ---- comparing -----------------------------------------------------------------------


def test_retraining_on_the_same_data_is_published(log: Path, site: Path) -> None:
    """An index replaces itself: same bytes, and with another seed nearly the same figures."""
    before = site.read_bytes()
    same = publish([log], site, SETTINGS, must_beat=site)
    assert same.comparison is not None
    assert 0.0 == same.comparison.difference
    assert before == site.read_bytes()

    other = publish([log], site, replace(SETTINGS, seed=2), must_beat=site)
    assert other.published
    assert other.comparison is not None
    assert not other.old_knew
    assert before != site.read_bytes()
    assert ["site.esp"] == names(site.parent)
    assert "against the old index: MRR@10" in other.table()


def test_a_worse_index_is_refused_with_its_figures(
    broken_log: Path, site: Path, tmp_path: Path
) -> None:
    """Nothing moves; the error carries both figures, and the report is written."""
    before = site.read_bytes()
    folder = tmp_path.parent / f"{tmp_path.name}-report"
    with pytest.raises(RejectedError) as caught:
        publish([broken_log], site, SETTINGS, must_beat=site, report=folder)

    error = caught.value
    assert (3, "INDEX_REJECTED") == (error.exit_code, error.reason)
    assert error.new < error.old
    assert error.low <= error.new - error.old <= error.high < 0
    assert error.rows > 100
    assert error.users > 20
    assert f"{error.old:.4f}" in str(error)
    assert before == site.read_bytes()
    assert ["site.esp"] == names(tmp_path)
    document = json.loads((folder / "report.json").read_text("utf-8"))
    assert document["published"] is False
    assert document["must_beat"]["is_worse"] is True
    assert document["must_beat"]["old_knew_the_users"] is False


def test_the_command_ends_with_3_and_keeps_what_it_rejects(
    broken_log: Path, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line on stderr; --out need not be the index to beat, and does not come to be."""
    out, kept = tmp_path / "new.esp", tmp_path / "rejected.esp"
    words = ["train", "--log", broken_log, "--out", out, "--must-beat", site, *WORDS]
    code = console.run(cli, [*map(str, words), "--keep-rejected", str(kept)])
    captured = capsys.readouterr()

    assert 3 == code
    assert "" == captured.out
    assert 1 == captured.err.count("\n")
    assert f"{out} is as it was" in captured.err
    assert str(kept) in captured.err
    assert ["rejected.esp", "site.esp"] == names(tmp_path)
    with espalier.open(kept) as index:
        index.validate(deep=True)


def test_an_old_index_that_knew_the_users_is_named(log: Path, tmp_path: Path) -> None:
    """It knows their queries, so it looks better than it is; refusing then says so."""
    old, out = tmp_path / "old.esp", tmp_path / "new.esp"
    train_index([log], old, replace(SETTINGS, holdout=0.0))
    with pytest.raises(RejectedError, match="may have learned from the users asked"):
        publish([log], out, SETTINGS, must_beat=old)
    made = publish([log], out, replace(SETTINGS, must_beat_margin=1.0), must_beat=old)

    assert made.old_knew
    assert "warning: the old index may have learned" in made.table()

    train_index([log], old, replace(SETTINGS, holdout=0.3))
    assert not publish([log], out, SETTINGS, must_beat=old).old_knew


@pytest.mark.parametrize("kind", ["missing", "damaged", "text"])
def test_an_old_index_that_cannot_be_used_stops_before_training(
    log: Path, site: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, at once, and what to do."""
    monkeypatch.setattr("espalier.publish.read_split", lambda *_a, **_k: pytest.fail("trained"))
    if kind == "missing":
        site.unlink()
    else:
        data = site.read_bytes()
        site.write_bytes(b"query\n" * 99 if kind == "text" else data[:200] + b"?" + data[201:])
    with pytest.raises(
        (IndexMissingError, IndexCorruptError, espalier.errors.IndexFormatError)
    ) as e:
        publish([log], tmp_path / "new.esp", SETTINGS, must_beat=site)

    assert 2 == e.value.exit_code
    if kind == "missing":
        assert "leave out --must-beat" in str(e.value)


def test_nobody_to_compare_on_is_an_error_before_training(
    demo_log: Path, site: Path, tmp_path: Path
) -> None:
    """A comparison that was asked for is never skipped in silence."""
    with pytest.raises(InputError, match="fewer than 500 users"):
        publish([demo_log], tmp_path / "new.esp", SETTINGS, must_beat=site)

    assert ["site.esp"] == names(tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ("--must-beat", "{site}", "--no-evaluate"),
        ("--keep-rejected", "{site}.bad"),
        ("--must-beat", "{site}", "--keep-rejected", "{site}"),
        ("--must-beat", "{site}", "--keep-rejected", "{log}"),
    ],
    ids=" ".join,
)
def test_options_that_contradict_each_other_are_refused(
    log: Path, site: Path, words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is read, with exit code 2."""
    before = site.read_bytes()
    filled = [word.format(site=site, log=log) for word in words]
    code = console.run(
        cli, ["train", "--log", str(log), "--out", str(site.with_name("new.esp")), *filled]
    )

    assert 2 == code
    assert capsys.readouterr().err.startswith("espalier: error: ")
    assert before == site.read_bytes()
    assert ["site.esp"] == names(site.parent)


def test_a_failure_of_the_comparison_leaves_everything_as_it_was(
    log: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No candidate, half or whole, is left beside the index."""
    before = site.read_bytes()

    def fail(*_: object, **__: object) -> PublishReport:
        raise KeyboardInterrupt

    monkeypatch.setattr("espalier.publish.compare", fail)
    with pytest.raises(KeyboardInterrupt):
        publish([log], site, SETTINGS, must_beat=site)

    assert before == site.read_bytes()
    assert ["site.esp"] == names(site.parent)


def test_a_report_folder_that_cannot_be_made_comes_after_the_index(
    log: Path, tmp_path: Path
) -> None:
    """The index is there; the error says so."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    out = tmp_path / "site.esp"
    with pytest.raises(StorageError, match="the index is complete"):
        publish([log], out, replace(SETTINGS, holdout=0.0), report=blocked)

    assert out.exists()
    with pytest.raises(ConfigError, match="would overwrite"):
        publish([log], log, SETTINGS)


def test_without_matplotlib_the_report_has_no_page(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The figures are written all the same: drawing is an extra, measuring is not."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    made = publish([log], tmp_path / "site.esp", SETTINGS, report=tmp_path / "report")

    assert made.evaluation is not None
    assert ["report.json"] == names(tmp_path / "report")
    assert "no report.html: matplotlib is not installed" in made.table()


def test_a_replacement_takes_its_place_whole_or_not_at_all(tmp_path: Path) -> None:
    """At the end of the block; a name that cannot be taken is a storage error."""
    path = tmp_path / "file"
    path.write_text("old")
    with replacement(path) as beside:
        beside.write_text("new")
        assert "old" == path.read_text()
    assert "new" == path.read_text()

    folder = tmp_path / "folder"
    (folder / "full").mkdir(parents=True)
    with pytest.raises(StorageError, match="cannot be replaced"), replacement(folder) as beside:
        beside.write_text("new")
    assert ["file", "folder"] == names(tmp_path)
