"""Logs and contexts nobody dreams of: each gives a defined result.

The commands are the real ones. What is stated here is what a person can see: the exit
code, what the report counts and warns of, and whether suggestions come.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import espalier
from espalier import console
from espalier.cli import cli
from espalier.text import normalise

Row = tuple[str, str, int, str]
"""User, session, second, query."""

THINGS = {
    "german": ["Straßenschuh", "Größentabelle", "Übergröße", "Fußmatte", "Türschloss"],
    "japanese": ["スニーカー", "本棚", "赤い靴", "折りたたみ傘", "充電ケーブル"],
    "arabic": ["حذاء رياضي", "مصباح مكتب", "كرسي خشبي", "حقيبة سفر", "ساعة يد"],
    "english": ["lamp", "lantern", "shelf", "shoe", "chair"],
}
KINDS = {
    "german": ["", " für Kinder", " weiß", " günstig"],
    "japanese": ["", " 子供用", " 白", " 安い"],
    "arabic": ["", " للأطفال", " أبيض", " رخيص"],
    "english": ["", " for kids", " white", " cheap"],
}
BEGINNINGS = {
    # As people type them: other case, sharp s as two letters, half-width kana.
    "german": ["strassen", "GRÖSSEN", "über", "fuß", "t"],
    "japanese": ["スニ", "ｽﾆ", "本", "赤い", "折りたたみ傘"],
    "arabic": ["حذاء", "مص", "كرسي خ", "حقيبة سفر ", "س"],
    "english": ["la", "LAN", "shelf ", "s", ""],
}


def rows_in(language: str, users: int = 12) -> list[Row]:
    """Return sessions of two queries, a thing and one kind of it, every user's order their own."""
    made = []
    things, kinds = THINGS[language], KINDS[language]
    for user, thing in itertools.product(range(users), range(len(things))):
        start = 100_000 * (user + 1) + 10_000 * thing
        kind = kinds[(user + thing) % len(kinds)]
        session = f"s{user}-{thing}"
        made.append((f"u{user}", session, start, things[thing]))
        made.append((f"u{user}", session, start + 60, things[thing] + kind))
    return made


def write_log(path: Path, rows: Sequence[Row], columns: Sequence[str]) -> Path:
    """Write some columns of the rows, tab-separated."""
    names = ("user", "session", "time", "query")
    places = [names.index(column) for column in columns]
    lines = ["\t".join(str(row[place]) for place in places) for row in rows]
    path.write_text("\n".join(["\t".join(columns), *lines]) + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def report(self) -> Any:
        """Return the report of a training."""
        assert self.code == 0, self.err
        return json.loads(self.out)


Train = Callable[..., Ended]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return where the index comes to stand."""
    return tmp_path / "site.esp"


@pytest.fixture
def train(out: Path, capsys: pytest.CaptureFixture[str]) -> Train:
    """Return a function that runs `espalier train` on a log."""

    def run(log: Path, *settings: str, min_users: int = 1) -> Ended:
        words = ["train", "--log", str(log), "--out", str(out), "--json", "--quiet"]
        for setting in (f"min_users={min_users}", "threads=1", *settings):
            words += ["--set", setting]
        capsys.readouterr()
        code = console.run(cli, words)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


def labels_of(rows: Sequence[Row]) -> set[str]:
    """Return the distinct queries of the rows as an index holds them."""
    return {normalise(row[3]) for row in rows}


def check_completions(index: espalier.Index, labels: set[str], prefix: str) -> None:
    """Check that all labels of a prefix come, with and without a context."""
    begun = espalier.text.normalise_prefix(prefix)
    matching = {label for label in labels if label.startswith(begun)}
    for previous in ([], sorted(labels)[:1], ["nothing anybody typed"]):
        found = index.complete(prefix, previous, k=100)
        texts = [one.text for one in found]
        assert len(texts) == len(set(texts))
        assert all(one.text.startswith(begun) or one.source == "CORRECTED" for one in found)
        assert matching - set(previous) <= set(texts)


# ---- what a log may lack -------------------------------------------------------------


@pytest.mark.parametrize("columns", ["query", "time query", "user query", "session time query"])
def test_a_log_trains_on_what_it_has(train: Train, out: Path, tmp_path: Path, columns: str) -> None:
    """Without sessions nothing is learned from previous queries, and the report says so."""
    rows = rows_in("english")
    learns_context = "user" in columns or "session" in columns
    min_users = 3 if learns_context else 1
    report = train(
        write_log(tmp_path / "log.tsv", rows, columns.split()), min_users=min_users
    ).report()

    assert report["counts"]["rows_used"] == len(rows)
    warned = [line for line in report["warnings"] if "previous queries" in line]
    assert learns_context == (not warned)
    assert all("log.session_column" in line for line in warned)
    assert learns_context == (report["counts"]["context_features"] > 0)
    with espalier.open(out) as index:
        index.validate(deep=True)
        for prefix in BEGINNINGS["english"]:
            check_completions(index, labels_of(rows), prefix)


@pytest.mark.parametrize(
    ("columns", "ways"),
    [
        ("session time query", ["every session of the column", "(log.session_column)"]),
        ("user session time query", ["every session", ", or none, so that users and times"]),
        ("user time query", ["no user has a second query", "log.session_gap_minutes"]),
        ("time query", ["name the column (log.session_column or log.user_column)"]),
    ],
)
def test_a_log_without_a_second_query_in_a_session_is_told_what_fits(
    train: Train, tmp_path: Path, columns: str, ways: list[str]
) -> None:
    """A column that is in use already is not asked for."""
    rows = [(f"u{i}", f"s{i}", 1000 + i, ("tent", "stove")[i % 2]) for i in range(12)]
    path = write_log(tmp_path / "log.tsv", rows, columns.split())
    warned = train(path, min_users=1).report()["warnings"]

    (line,) = [line for line in warned if "previous queries" in line]
    assert all(way in line for way in ways)


def test_without_users_and_sessions_one_must_be_set_on_purpose(
    train: Train, out: Path, tmp_path: Path
) -> None:
    """Nobody can say whether a query is of one person: exit 2, with both ways out."""
    ended = train(write_log(tmp_path / "log.tsv", rows_in("english"), ["query"]), min_users=3)

    assert 2 == ended.code
    assert "log.user_column" in ended.err
    assert "min_users=1" in ended.err
    assert not out.exists()


def test_sessions_of_a_single_query_teach_no_context(
    train: Train, out: Path, tmp_path: Path
) -> None:
    """Every session its own query: as good as no sessions, and said in the same words."""
    rows = [(user, f"{session}-{i}", time, query)
            for i, (user, session, time, query) in enumerate(rows_in("english"))]  # fmt: skip
    report = train(write_log(tmp_path / "log.tsv", rows, ["session", "query"])).report()

    assert "no query of the log follows another" in report["warnings"][0]
    with espalier.open(out) as index:
        check_completions(index, labels_of(rows), "la")


# ---- how little may be in it -----------------------------------------------------------


def test_one_user_makes_an_index_only_where_one_is_enough(
    train: Train, out: Path, tmp_path: Path
) -> None:
    """With min_users 3: exit 2, since all is of one person. With 1: everything typed."""
    rows = [row for row in rows_in("english") if row[0] == "u3"]
    log = write_log(tmp_path / "log.tsv", rows, ["user", "time", "query"])
    refused = train(log, min_users=3)

    assert 2 == refused.code
    assert "no query was typed by 3 distinct users (the most common one: 1)" in refused.err
    assert not out.exists()
    report = train(log).report()
    assert len(labels_of(rows)) == report["counts"]["labels"]
    with espalier.open(out) as index:
        index.validate(deep=True)
        check_completions(index, labels_of(rows), "")


@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_handful_of_rows_makes_an_index(
    train: Train, out: Path, tmp_path: Path, count: int
) -> None:
    """Every query comes back for its beginning; nobody is held out."""
    rows = rows_in("english")[:count]
    log = write_log(tmp_path / "log.tsv", rows, ["user", "session", "time", "query"])
    report = train(log).report()

    assert len(labels_of(rows)) == report["counts"]["labels"]
    assert 0 == report["holdout"]["users"]
    assert "fewer than 500 users" in report["not_evaluated"]
    with espalier.open(out) as index:
        index.validate(deep=True)
        for label in labels_of(rows):
            check_completions(index, labels_of(rows), label[:2])


@pytest.mark.parametrize("content", ["", "user\tquery\n", "user\tquery\nann\t \n"])
def test_a_log_without_a_query_is_no_log(
    train: Train, out: Path, tmp_path: Path, content: str
) -> None:
    """Exit 2, the file named, no index."""
    log = tmp_path / "log.tsv"
    log.write_text(content)
    ended = train(log)

    assert 2 == ended.code
    assert str(log) in ended.err
    assert not out.exists()


# ---- what else may be in it --------------------------------------------------------------


def test_garbage_is_counted_and_changes_nothing(train: Train, out: Path, tmp_path: Path) -> None:
    """A tenth of the lines are broken in every way: the index is that of the others."""
    rows = rows_in("english", users=30)
    columns = ["user", "session", "time", "query"]
    log = write_log(tmp_path / "log.tsv", rows, columns)
    train(log, "holdout=0").report()
    clean = out.read_bytes()
    garbage = itertools.cycle([
        b"u1\tonly two", b"u1\ts\tyesterday\tlamp", b"u1\ts\t5\t  ", b"\xff\xfe\x00\x01",
        b"u1\ts\t7\tla\xc3", b"", b"\ts\t9", b"u\ts\t1\tq\tmore\tfields",
        b"u1\ts\t5\t" + b"x" * 300,
    ])  # fmt: skip
    lines = log.read_bytes().splitlines()
    mixed = [lines[0]]
    added = 0
    for number, line in enumerate(lines[1:]):
        mixed.append(line)
        if number % 9 == 0:
            mixed.append(next(garbage))
            added += 1
    log.write_bytes(b"\n".join(mixed) + b"\n")
    report = train(log, "holdout=0").report()

    assert 0.09 < added / (len(rows) + added) < 0.11
    assert len(rows) == report["counts"]["rows_used"]
    counted = sum(bad["count"] for bad in report["log"]["bad_rows"].values())
    assert added == counted + sum(report["log"]["private_rows"].values())
    assert len(report["log"]["bad_rows"]) > 4
    assert all(bad["line"] > 1 for bad in report["log"]["bad_rows"].values())
    with espalier.open(out) as index:
        index.validate(deep=True)
        meta = index.info.meta
    before = espalier.native.NativeIndex.from_bytes(clean)
    after = espalier.native.NativeIndex.from_bytes(out.read_bytes())
    for section in after.sections():
        same = before.section(section.name) == after.section(section.name)
        assert same or section.name == "META", section.name
    assert meta["data"] == json.loads(before.section("META"))["data"]


# Half of the users teach the scorer: a small log has just enough questions then.
LEARNS = ("blend_share=0.5", "blend_trees=20")


@pytest.mark.parametrize("blender", ["trees", "fixed"])
@pytest.mark.parametrize("language", ["german", "japanese", "arabic"])
def test_a_log_of_any_language_is_completed(
    train: Train, out: Path, tmp_path: Path, language: str, blender: str
) -> None:
    """However it is typed: case, width and sharp s are one; what is shown is what was typed."""
    rows = rows_in(language, users=60)
    log = write_log(tmp_path / "log.tsv", rows, ["user", "session", "time", "query"])
    report = train(log, *LEARNS, f"blender={blender}", min_users=2).report()

    labels = labels_of(rows)
    assert len(labels) == report["counts"]["labels"]
    assert report["counts"]["context_features"] > 0
    assert [] == report["warnings"]
    assert (blender != "fixed") == ("FRST" in report["section_bytes"])
    typed = {normalise(row[3]): row[3] for row in rows}
    with espalier.open(out) as index:
        index.validate(deep=True)
        for prefix in BEGINNINGS[language]:
            check_completions(index, labels, prefix)
            found = [one for one in index.complete(prefix) if one.text in typed]
            assert found
            assert all(one.display_text == typed[one.text] for one in found)


@pytest.mark.parametrize("language", ["german", "japanese", "arabic"])
def test_context_is_learned_in_any_language(
    train: Train, out: Path, tmp_path: Path, language: str
) -> None:
    """After a thing people ask for a kind of it: an empty prefix is answered with that."""
    rows = rows_in(language)
    train(write_log(tmp_path / "log.tsv", rows, ["user", "session", "time", "query"])).report()
    firsts = set()

    with espalier.open(out) as index:
        for thing in THINGS[language]:
            best = index.complete("", [thing], k=3)
            assert any(one.text.startswith(normalise(thing)) for one in best)
            firsts.add(best[0].text)
    assert len(firsts) > 1


# ---- what a host may ask -------------------------------------------------------------------


@pytest.fixture
def shop(train: Train, out: Path, tmp_path: Path) -> Path:
    """Return an index of the English log."""
    columns = ["user", "session", "time", "query"]
    train(write_log(tmp_path / "log.tsv", rows_in("english"), columns)).report()
    return out


@pytest.mark.parametrize("piece", ["lamp ", "x", "靴", "👟 ", "ß"])
def test_a_previous_query_of_ten_thousand_characters_is_cut(shop: Path, piece: str) -> None:
    """Its first 512 code points count; the answer is the same as for those alone."""
    long = (piece * 10_000)[:10_000]
    with espalier.open(shop) as index:
        for prefix in ("", "la", "shoe "):
            found = index.complete(prefix, [long, "chair"])
            assert found
            assert found == index.complete(prefix, [normalise(long)[:512], "chair"])
            assert index.complete(prefix, [long] * 40)


def test_a_long_context_reaches_the_command_line(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`espalier complete --previous` takes it as well."""
    words = ["complete", str(shop), "la", "--previous", "lamp " * 2_000, "--json"]

    assert 0 == console.run(cli, words)
    assert json.loads(capsys.readouterr().out)["suggestions"]


@pytest.mark.parametrize("typed", ["lamp", "la", "shelf white", "LAMP", "lamp "])
def test_a_context_identical_to_the_prefix_is_a_context(shop: Path, typed: str) -> None:
    """Who types the last query again gets what else begins so, the same every time."""
    labels = labels_of(rows_in("english"))
    begun = espalier.text.normalise_prefix(typed)
    with espalier.open(shop) as index:
        found = index.complete(typed, [typed], k=20)
        again = index.complete(typed, [typed, typed, typed], k=20)

        assert found == index.complete(typed, [typed], k=20)
        for answer in (found, again):
            texts = {one.text for one in answer if one.source != "CORRECTED"}
            assert all(text.startswith(begun) for text in texts)
            others = {label for label in labels if label.startswith(begun)}
            assert others - {normalise(typed)} <= texts
