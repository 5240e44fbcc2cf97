"""Training with a blender: from a log to an index whose candidates a scorer orders."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import espalier
from espalier.errors import ConfigError
from espalier.native import (
    NativeIndex,
    Source,
    feature_names,
    features_id,
    forest_head,
)
from espalier.progress import NO_PROGRESS, Progress
from espalier.querylog import QueryLog, read_log
from espalier.settings import LogSettings, TrainSettings
from espalier.train import TrainReport, train_index, train_on
from espalier.train.fold import FEWEST_ANSWERED, Answers
from espalier.train.forest_model import Forest
from tests.reference.words import parse_words

MakeLog = Callable[..., QueryLog]
# Half of the users teach: a small log has just enough questions then.
SETTINGS = TrainSettings(
    min_users=1, threads=1, max_leaf=4, blend_share=0.5, blend_trees=15, blend_leaves=8
)
UNLEARNED = "suggestions are ordered by fixed weights: "
FOLD_STAGES = ["fold: vectorise", "fold: index", "fold: rank", "fold: words"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return where an index may be written."""
    return tmp_path / "site.esp"


def sections(path: Path) -> dict[str, bytes]:
    """Return the sections of an index by name."""
    with NativeIndex.open(path) as index:
        return {one.name: index.section(one.name) for one in index.sections()}


# ---- what is learned -------------------------------------------------------------------


@pytest.mark.parametrize("blender", ["trees", "linear"])
def test_a_scorer_is_learned_and_orders(shop_log: QueryLog, out: Path, blender: str) -> None:
    """It is in the file, made for this library's features, and explains every suggestion."""
    report = train_on(shop_log, out, replace(SETTINGS, blender=blender))

    assert () == report.warnings
    assert list(report.seconds) == [
        *FOLD_STAGES, "ask", "blend", "vectorise", "index", "rank", "words", "write",
    ]  # fmt: skip
    head = forest_head(sections(out)["FRST"])
    assert (features_id(), feature_names()) == (head.features_id, head.names)
    assert head.trees == report.counts["blend_trees"]
    assert (head.trees > 0) == (blender == "trees")
    assert FEWEST_ANSWERED <= report.counts["blend_answered"] <= report.counts["blend_questions"]
    with espalier.open(out) as index:
        index.validate(deep=True)
        assert report.counts == index.info.meta["counts"]
        explained = index.explain("s", ["acme"])
        assert explained
        for one in explained:
            total = one.average + sum(part.contribution for part in one.features.values())
            assert total == pytest.approx(one.suggestion.score, abs=1e-3)


def test_the_fixed_blend_learns_nothing(shop_log: QueryLog, out: Path) -> None:
    """No scorer, no stages for one, and no warning: that is what was asked for."""
    report = train_on(shop_log, out, replace(SETTINGS, blender="fixed"))

    assert "FRST" not in sections(out)
    assert () == report.warnings
    assert ["vectorise", "index", "rank", "words", "write"] == list(report.seconds)
    assert not [name for name in report.counts if name.startswith("blend")]


def test_the_scorer_touches_no_other_section(shop_log: QueryLog, tmp_path: Path) -> None:
    """The index proper learns from everybody, whatever blends: only the record differs."""
    plain, learned = tmp_path / "plain.esp", tmp_path / "learned.esp"
    train_on(shop_log, plain, replace(SETTINGS, blender="fixed"))
    train_on(shop_log, learned, SETTINGS)
    before, after = sections(plain), sections(learned)

    assert {"FRST"} == after.keys() - before.keys()
    assert {"META"} == {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    "changes", [{}, {"min_users": 2, "seed": 9}, {"indexer": "kmeans", "negatives": "man"}], ids=str
)
def test_threads_do_not_change_a_byte(
    shop_log: QueryLog, tmp_path: Path, changes: dict[str, object]
) -> None:
    """The fold, its answers, the scorer and the index are the same on one thread and on two."""
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    contents = []
    for threads in (1, 2):
        path = tmp_path / f"{threads}.esp"
        train_on(shop_log, path, replace(settings, threads=threads))
        contents.append(path.read_bytes())

    assert contents[0] == contents[1]
    assert "FRST" in sections(tmp_path / "1.esp")


def test_a_log_file_is_learned_alike_on_any_number_of_threads(
    demo_log: Path, tmp_path: Path
) -> None:
    """From the file on: reading, fading, trees of the default size and all."""
    settings = TrainSettings(min_users=2, blend_trees=30, popularity_half_life_days=20)
    contents = []
    for threads in (1, 2):
        path = tmp_path / f"{threads}.esp"
        report = train_index([demo_log], path, replace(settings, threads=threads))
        contents.append(path.read_bytes())
        assert report.counts["blend_trees"] > 0
        assert () == report.warnings

    assert contents[0] == contents[1]


def test_another_seed_asks_others(shop_log: QueryLog, tmp_path: Path) -> None:
    """Whom the scorer learns from is drawn by the seed."""
    found = []
    for seed in (1, 2):
        path = tmp_path / f"{seed}.esp"
        train_on(shop_log, path, replace(SETTINGS, seed=seed))
        found.append(sections(path)["FRST"])

    assert found[0] != found[1]


# ---- where nothing can be learned ------------------------------------------------------


def why_not(report: TrainReport, path: Path) -> str:
    """Return why nothing was learned, as the report warns of it; "" where something was."""
    learned = "FRST" in sections(path)
    assert learned == ("blend_trees" in report.counts) == ("blend" in report.seconds)
    found = [one.removeprefix(UNLEARNED) for one in report.warnings if UNLEARNED in one]
    assert len(found) == (not learned)
    return "".join(found)


def test_few_users_fall_back_to_the_fixed_blend(log_of: MakeLog, out: Path) -> None:
    """Nineteen people are too few, whatever they type; one more is enough."""
    session = [f"lamp {i}" for i in range(60)]
    report = train_on(log_of([session] * 19), out, SETTINGS)

    assert "the log has fewer than 20 users" == why_not(report, out)
    assert not [name for name in report.seconds if name.startswith("fold") or name == "ask"]
    assert f"warning: {report.warnings[0]}" in report.table()
    assert not why_not(train_on(log_of([session] * 20), out, SETTINGS), out)


def test_few_questions_fall_back_to_the_fixed_blend(log_of: MakeLog, out: Path) -> None:
    """Of two hundred people the half were asked one question each: that is noise."""
    report = train_on(log_of([["lamp", "lamp"], ["lantern", "lantern"]] * 95), out, SETTINGS)

    answered, asked = (report.counts[f"blend_{name}"] for name in ("answered", "questions"))
    assert 0 < answered < FEWEST_ANSWERED
    assert answered < asked
    reason = f"{answered} of {asked} questions can teach the blender, and it takes 200"
    assert why_not(report, out).startswith(reason)


def test_a_log_without_choices_falls_back_to_the_fixed_blend(log_of: MakeLog, out: Path) -> None:
    """Every beginning has one query: answered without an order, whoever asks."""
    log = log_of([["alpha"], ["beta"], ["gamma"]] * 200)
    report = train_on(log, out, replace(SETTINGS, tails=False))

    assert report.counts["blend_questions"] > FEWEST_ANSWERED
    assert why_not(report, out).startswith(f"0 of {report.counts['blend_questions']} questions")


def test_users_nobody_can_be_spared_from_fall_back(log_of: MakeLog, out: Path) -> None:
    """Forty people who all typed the same: without any of them no query has forty."""
    log = log_of([["lamp shade", "lamp"]] * 40)
    report = train_on(log, out, replace(SETTINGS, min_users=40))

    assert "without the users who teach the blender, no query has 40" == why_not(report, out)
    with espalier.open(out) as index:
        assert ["lamp", "lamp shade"] == sorted(one.text for one in index.complete("l"))


def test_a_share_of_nobody_is_no_lesson(shop_log: QueryLog, out: Path) -> None:
    """With `blend_share=0` nobody is left out, and the setting is named."""
    report = train_on(shop_log, out, replace(SETTINGS, blend_share=0))

    assert "blend_share is 0, so nobody teaches the blender" == why_not(report, out)


# ---- who learns ------------------------------------------------------------------------


class PopularityAlone:
    """A blender of somebody else: it takes one feature for the score."""

    def __init__(self, settings: TrainSettings) -> None:
        """Keep the settings."""
        self.settings = settings

    def learn(self, answers: Answers, *, threads: int, progress: Progress = NO_PROGRESS) -> Forest:
        """Return a weight for the number of users."""
        assert answers.x.shape == (len(answers.relevant), len(feature_names()))
        assert threads == self.settings.thread_count
        assert progress is NO_PROGRESS
        weight = np.zeros(len(feature_names()), np.float32)
        weight[feature_names().index("log_users")] = 1
        return Forest(feature_names(), features_id(), 0.0, weight, np.zeros_like(weight), ())


def test_a_blender_of_an_installed_package_orders(
    shop_log: QueryLog, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by its entry point, named in the record, and what it says is done."""
    module = ModuleType("somebody_else")
    module.PopularityAlone = PopularityAlone  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "somebody_else", module)
    monkeypatch.setattr(
        "espalier.train.stages.entry_points",
        lambda group: (
            [EntryPoint("popular", "somebody_else:PopularityAlone", group)]
            if group == "espalier.blenders"
            else []
        ),
    )
    train_on(shop_log, out, replace(SETTINGS, blender="popular"))

    with espalier.open(out) as index:
        assert "popular" == index.info.meta["settings"]["blender"]
        labels = Source.MODEL | Source.POPULAR
        found = index.complete("a", ["lamp"], sources=labels, keep_variants=True)
        assert [one.text for one in found] == index.popular("a")


def test_an_unknown_blender_is_refused_before_anything_is_read(out: Path) -> None:
    """A typing error does not cost minutes."""
    with pytest.raises(ConfigError, match="did you mean 'trees'"):
        train_index([Path("no-such-log.tsv")], out, replace(SETTINGS, blender="tree"))


# ---- what it must not tell -------------------------------------------------------------


def test_a_rare_query_leaves_no_word_in_the_index(tmp_path: Path) -> None:
    """What fewer than `min_users` people typed is neither a label nor put together again.

    Names and numbers of single persons stand beside words that everybody types. They may
    be nowhere in the file: not in the vocabulary, not among its followers, and the scorer,
    which has seen them as questions, is made of numbers.
    """
    rows = []
    for user in range(60):
        secret = f"zqx{user}vault"
        session = ["lamp", "lamp shade", f"lamp {secret}", f"{secret} shade", "red lamp shade"]
        if user % 20 == 0:
            session.append("lamp wvutsr")  # three people: one fewer than it takes
        rows += [
            f"u{user}\t{1_700_000_000 + 100_000 * user + 60 * place}\t{query}"
            for place, query in enumerate(session * 3)
        ]
    log = tmp_path / "log.tsv"
    log.write_text("user\ttime\tquery\n" + "\n".join(rows) + "\n", encoding="utf-8")
    out = tmp_path / "site.esp"
    report = train_index([log], out, replace(SETTINGS, min_users=4, threads=2))

    made = sections(out)
    assert {"VOCA", "NGRM", "RELA", "FRST"} <= made.keys()
    assert [b"lamp", b"red", b"shade"] == list(parse_words(made["VOCA"]))
    assert report.counts["labels"] == 3
    for text in (b"zqx", b"vault", b"wvutsr"):
        assert not [name for name, data in made.items() if text in data]
    with espalier.open(out) as index:
        for prefix, previous in itertools.product(("", "z", "lamp ", "lamp z"), ([], ["lamp"])):
            for one in index.complete(prefix, previous, k=100, keep_variants=True):
                assert not re.search("zqx|vault|wvutsr", one.text)
        # Whoever typed it in this session is not told by the index, but by the session.
        told = index.complete("lamp z", ["zqx7vault shade"])
        assert any("zqx7vault" in one.text for one in told)


def test_every_word_and_pair_of_a_real_index_has_enough_people(
    demo_log: Path, tmp_path: Path
) -> None:
    """By the file as the second reader sees it, and the log as it is."""
    from tests.reference.words import parse_ngrams

    least = 5
    path = tmp_path / "site.esp"
    settings = TrainSettings(min_users=least, threads=1, blender="fixed")
    train_index([demo_log], path, settings)
    log = read_log([demo_log], LogSettings())
    word_people: dict[bytes, set[int]] = {}
    pair_people: dict[tuple[bytes, bytes], set[int]] = {}
    for query, user in zip(log.event_query.tolist(), log.event_user.tolist(), strict=True):
        words = log.queries[query].encode().split(b" ")
        for word in words:
            word_people.setdefault(word, set()).add(user)
        for pair in itertools.pairwise(words):
            pair_people.setdefault(pair, set()).add(user)

    made = sections(path)
    words = parse_words(made["VOCA"])
    ngrams = parse_ngrams(made["NGRM"], words)

    assert {word for word, users in word_people.items() if len(users) >= least} == set(words)
    pairs = {
        (words[left], words[right])
        for left, followers in enumerate(ngrams.pairs)
        for right in followers
        if right < len(words)
    }
    assert {pair for pair, users in pair_people.items() if len(users) >= least} == pairs
    assert len(pairs) > 50


class Interrupted(Exception):  # noqa: N818 - as a signal, not an error
    """Stands for whatever ends a training."""


def test_nothing_is_left_of_the_fold(
    shop_log: QueryLog, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its index is asked, no file of it is there any more; nor afterwards."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    seen: list[tuple[int, list[Path]]] = []

    def watch(index: NativeIndex, *_: object) -> Answers:
        seen.append((index.info.labels, list(temporary.iterdir())))
        raise Interrupted

    monkeypatch.setattr("espalier.train.pipeline.answer", watch)
    with pytest.raises(Interrupted):
        train_on(shop_log, out, SETTINGS)

    [(labels, files)] = seen
    assert 0 < labels < len(shop_log.queries)
    assert [] == files == list(temporary.iterdir())
    assert not out.exists()
