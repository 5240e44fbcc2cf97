"""The whole pipeline on a small log: every configuration makes an index that works."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import espalier
from espalier.errors import ConfigError, InputError, LogError, StorageError
from espalier.querylog import QueryLog, ReadReport
from espalier.settings import LogSettings, TrainSettings
from espalier.train import TrainReport, train_index, train_on
from espalier.train.write import fingerprint_of, label_sections, recorded_settings

MakeLog = Callable[..., QueryLog]
SETTINGS = TrainSettings(min_users=1, threads=1, max_leaf=4, blender="fixed")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return where an index may be written."""
    return tmp_path / "site.esp"


def ticking() -> Callable[[], float]:
    """Return a clock that advances one second per look."""
    seconds = itertools.count()
    return lambda: float(next(seconds))


@pytest.mark.parametrize("indexer", ["kmeans", "trie", "hybrid", "must-link"])
@pytest.mark.parametrize("negatives", ["tfn", "man", "tfn+man"])
def test_every_indexer_and_matcher_makes_a_valid_index(
    shop_log: QueryLog, out: Path, indexer: str, negatives: str
) -> None:
    """All labels but the one just submitted are found, and start with the prefix."""
    train_on(shop_log, out, replace(SETTINGS, indexer=indexer, negatives=negatives, beam=3))

    with espalier.open(out) as index:
        index.validate(deep=True)
        assert index.info.labels == len(shop_log.queries)
        for prefix in ("", "s", "acme ", "日"):
            labels = {query for query in shop_log.queries if query.startswith(prefix)} - {"shoes"}
            found = index.complete(prefix, ["shoes"], k=100, keep_variants=True)
            assert len(found) == min(100, len(labels))
            assert {suggestion.text for suggestion in found} <= labels
            first = index.complete(prefix, ["shoes"], k=3)
            assert len(first) == 3
            assert {suggestion.text for suggestion in first} <= labels


@pytest.mark.parametrize(
    "changes",
    [
        {"label_features": "pifa", "indexer": "kmeans"},
        {"prefix_features": "none", "indexer": "kmeans", "label_features": "pifa"},
        {"prefix_features": "none", "indexer": "kmeans"},
        {"prefix_features": "char-tfidf"},
        {"weight_bits": 32, "max_nonzeros": 5},
        {"context_queries": 3, "context_decay": 0.7, "prefixes_per_pair": 2},
        {"context_queries": 0},
        {"include_first": False, "arity": 16},
        {"post_processor": "log-sigmoid"},
        {"matcher": "unconstrained", "post_processor": "noop"},
        {"min_users": 3},
    ],
    ids=str,
)
def test_every_setting_makes_a_valid_index(
    shop_log: QueryLog, out: Path, changes: dict[str, object]
) -> None:
    """Each choice on its own, the others at their defaults."""
    train_on(shop_log, out, replace(SETTINGS, **changes))  # type: ignore[arg-type]

    with espalier.open(out) as index:
        index.validate(deep=True)
        assert index.complete("sh", ["acme lamp"])


def test_threads_do_not_change_a_byte(shop_log: QueryLog, tmp_path: Path) -> None:
    """Same log, same settings, same file."""
    contents = []
    for threads in (1, 2, 3):
        path = tmp_path / f"{threads}.esp"
        train_on(shop_log, path, replace(SETTINGS, threads=threads))
        contents.append(path.read_bytes())

    assert contents[0] == contents[1] == contents[2]


def test_the_previous_query_changes_the_order(log_of: MakeLog, out: Path) -> None:
    """What followed a query in the log comes first after it."""
    log = log_of([["shoe", "shop red"], ["lamp", "shop blue"]] * 20)
    train_on(log, out, SETTINGS)

    with espalier.open(out) as index:
        assert index.complete("shop", ["shoe"])[0].text == "shop red"
        assert index.complete("shop", ["lamp"])[0].text == "shop blue"


def test_a_word_of_one_user_moves_nothing(log_of: MakeLog, out: Path) -> None:
    """With min_users above one, a rare previous query is as good as none."""
    sessions = [["shoe", "shop red"], ["lamp", "shop blue"]] * 3 + [["secret", "shop blue"]]
    train_on(log_of(sessions), out, replace(SETTINGS, min_users=2))

    with espalier.open(out) as index:
        after = [(s.text, s.score) for s in index.complete("shop", ["secret"])]
        plain = [(s.text, s.score) for s in index.complete("shop", [])]
    assert after == plain


def test_a_log_of_one_label_can_be_indexed(log_of: MakeLog, out: Path) -> None:
    """The smallest tree is a root with one label."""
    train_on(log_of([["a"]]), out, SETTINGS)

    with espalier.open(out) as index:
        index.validate(deep=True)
        assert [s.text for s in index.complete("")] == ["a"]


def test_display_text_is_the_form_people_type(shop_log: QueryLog, out: Path) -> None:
    """Only labels shown differently take room."""
    train_on(shop_log, out, SETTINGS)

    with espalier.open(out) as index:
        shown = {s.text: s.display_text for s in index.complete("acme", k=50)}
    assert shown
    assert all(display == text.title() for text, display in shown.items())


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, ValueError])
@pytest.mark.parametrize("where", ["rank", "sections"])
def test_an_interrupted_run_leaves_the_old_index(
    shop_log: QueryLog,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
    where: str,
) -> None:
    """Neither a half-written file nor a temporary one is left behind."""
    train_on(shop_log, out, SETTINGS)
    before = out.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise error

    target = {
        "rank": "espalier.train.rank.LinearRanker.rank",
        "sections": "espalier.native.IndexWriter.add",
    }[where]
    monkeypatch.setattr(target, fail)
    with pytest.raises(error):
        train_on(shop_log, out, replace(SETTINGS, seed=2, threads=2))

    assert out.read_bytes() == before
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_folder_that_does_not_exist_is_a_storage_error(shop_log: QueryLog, out: Path) -> None:
    """The path is named."""
    with pytest.raises(StorageError, match="nowhere"):
        train_on(shop_log, out.parent / "nowhere" / "site.esp", SETTINGS)


def test_names_are_checked_before_the_log_is_read(out: Path) -> None:
    """A typing error in the configuration does not cost minutes."""
    with pytest.raises(ConfigError, match="hybrid"):
        train_index([Path("no-such-log.tsv")], out, replace(SETTINGS, indexer="hybrit"))
    with pytest.raises(LogError):
        train_index([Path("no-such-log.tsv")], out, SETTINGS)
    with pytest.raises(InputError, match="--log"):
        train_index([], out, SETTINGS)


def test_a_log_file_becomes_an_index_and_a_report(out: Path, tmp_path: Path) -> None:
    """From file to file, as the command line does it."""
    log = tmp_path / "log.tsv"
    rows = [f"u{i}\t{query}" for i in range(5) for query in ("Shoe", "red shoe")]
    log.write_text("\n".join(["user\tquery", *rows]) + "\n", encoding="utf-8")
    report = train_index([log], out, SETTINGS, report=tmp_path / "report", clock=ticking())

    document = json.loads((tmp_path / "report" / "report.json").read_text())
    assert document == json.loads(json.dumps(report.to_json()))
    assert list(document["seconds"]) == ["read", "vectorise", "index", "rank", "words", "write"]
    assert set(document["seconds"].values()) == {1.0}
    assert document["counts"]["labels"] == 2
    assert document["counts"]["rows_read"] == 10
    assert document["file_bytes"] == out.stat().st_size
    table = report.table()
    assert "labels" in table
    assert "WGHT" in table
    assert "shoe" not in table


def test_the_report_names_an_example_of_every_kind_of_bad_row(out: Path, tmp_path: Path) -> None:
    """A count alone would leave the reader searching; values that were ignored count too."""
    log = tmp_path / "log.tsv"
    rows = [f"u{i}\tshoe\t3" for i in range(5)] + ["u1\t \t3", "u2\thats\tmany"]
    log.write_text("\n".join(["user\tquery\tresults", *rows]) + "\n", encoding="utf-8")

    report = train_index([log], out, replace(SETTINGS, log=LogSettings(results_column="results")))

    assert report.to_json()["log"]["bad_rows"] == {
        "empty_query": {"count": 1, "file": str(log), "line": 7}
    }
    assert f"1 empty_query (first: {log}, line 7)" in report.table()
    assert f"1 bad_results (first: {log}, line 8)" in report.table()


def test_an_index_does_not_replace_the_log_it_learns_from(tmp_path: Path) -> None:
    """--out with the log's name is a slip that would cost the log."""
    log = tmp_path / "log.tsv"
    log.write_text("user\tquery\nu\tshoe\n", encoding="utf-8")

    with pytest.raises(ConfigError, match="would overwrite"):
        train_index([log], log, SETTINGS)

    assert log.read_text(encoding="utf-8") == "user\tquery\nu\tshoe\n"


def test_a_report_that_cannot_be_written_says_so(out: Path, tmp_path: Path) -> None:
    """The index is there all the same."""
    nothing = ReadReport((), 0, 0, 0, {}, {}, {})
    report = TrainReport(out, nothing, "0" * 16, {}, {}, {}, {}, 0, 0, {})
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match="--report"):
        report.write(tmp_path / "file")


def test_the_index_records_how_it_was_made(shop_log: QueryLog, out: Path) -> None:
    """Settings, counts and data digest, but no path and no thread count."""
    report = train_on(shop_log, out, SETTINGS)

    with espalier.open(out) as index:
        meta = index.info.meta
        assert index.info.fingerprint == report.fingerprint == meta["fingerprint"]
    assert meta["settings"] == json.loads(json.dumps(recorded_settings(SETTINGS)))
    assert "threads" not in meta["settings"]
    assert meta["counts"] == report.counts


def test_the_fingerprint_names_data_settings_and_version() -> None:
    """It changes with each of them, and with nothing that leaves the bytes alone."""
    base = fingerprint_of("data", SETTINGS, "1")
    same = replace(SETTINGS, threads=5, log=LogSettings(blocklist=Path("x")))

    assert fingerprint_of("data", same, "1") == base
    assert fingerprint_of("other", SETTINGS, "1") != base
    assert fingerprint_of("data", replace(SETTINGS, seed=9), "1") != base
    assert fingerprint_of("data", SETTINGS, "2") != base


def test_only_labels_shown_differently_have_a_display_text(log_of: MakeLog) -> None:
    """The section lists their numbers."""
    from espalier.train.rows import choose_labels

    log = log_of([["a", "1", "b"]])
    sections = label_sections(choose_labels(log, SETTINGS))

    assert sections["LTXT"] == b"1ab"
    assert sections["DTXT"] == b"AB"
    assert sections["DIDS"] == (1).to_bytes(4, "little") + (2).to_bytes(4, "little")
