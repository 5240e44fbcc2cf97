"""The sections made of words: which there are, and what decides it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import espalier
from espalier.index import Source
from espalier.native import NativeIndex
from espalier.querylog import QueryLog
from espalier.settings import TrainSettings
from espalier.train import train_on
from espalier.train.ngrams import tokenise
from espalier.train.relations import relations_of
from espalier.train.rows import choose_labels
from espalier.train.words import learn_words
from tests.reference.words import parse_ngrams, parse_relations, parse_words

MakeLog = Callable[..., QueryLog]
SETTINGS = TrainSettings(min_users=2, threads=1, max_leaf=4, blender="fixed")


def made(log: QueryLog, settings: TrainSettings = SETTINGS) -> dict[str, bytes]:
    """Return the sections of a log."""
    return learn_words(log, choose_labels(log, settings), settings).sections


def test_words_ngrams_and_relations_belong_together(shop_log: QueryLog) -> None:
    """All three are there, numbered alike, as the second reader reads them."""
    sections = made(shop_log)

    assert ["VOCA", "NGRM", "RELA"] == list(sections)
    words = parse_words(sections["VOCA"])
    labels = choose_labels(shop_log, SETTINGS)
    of_labels = {word.encode() for text in labels.texts for word in text.split(" ")}
    # A word of enough people need not stand in a query of enough people.
    assert of_labels < set(words)
    assert set(words) <= {word.encode() for text in shop_log.queries for word in text.split(" ")}
    ngrams = parse_ngrams(sections["NGRM"], words)
    assert len(words) == len(ngrams.words) == len(ngrams.pairs)
    relations = parse_relations(sections["RELA"], len(words), len(labels))
    assert relations.related.keys() <= set(range(len(words)))
    assert relations.followers.keys() <= set(range(len(labels)))
    followers = [label for entries in relations.followers.values() for label, _ in entries]
    assert 0 < len(followers)
    assert max(followers) < len(labels)


def test_without_tails_there_are_no_words(shop_log: QueryLog) -> None:
    """`tails=false` makes an index of labels alone."""
    assert {} == made(shop_log, replace(SETTINGS, tails=False))


def test_words_that_nobody_shares_make_no_section(log_of: MakeLog) -> None:
    """A label of enough people has words of enough people, so this takes a long one."""
    word = "x" * 256  # longer than a word of the file may be
    assert {} == made(log_of([[word], [word]]))
    assert {"VOCA", "NGRM"} == made(log_of([[word, "lamp"], [word], ["lamp"]])).keys() - {"RELA"}


def test_sessions_of_one_query_have_no_relations(log_of: MakeLog) -> None:
    """Words follow each other inside a query; nothing follows a query."""
    sections = made(log_of([["red lamp"], ["red lamp"], ["red shoe"], ["red shoe"]]))

    assert ["VOCA", "NGRM"] == list(sections)


@pytest.mark.parametrize("least", [1, 2, 3, 4])
def test_min_users_holds_for_words_pairs_and_what_follows(log_of: MakeLog, least: int) -> None:
    """People who type a word twice, or in several queries, are one person each."""
    log = log_of(
        [["red lamp", "green lamp"]] * 3 + [["red lamp", "blue lamp", "blue shoe", "blue lamp"]],
        users=[0, 1, 2, 3],
    )
    settings = replace(SETTINGS, min_users=least)
    sections = made(log, settings)
    words = parse_words(sections["VOCA"])

    people = {b"lamp": 4, b"red": 4, b"green": 3, b"blue": 1, b"shoe": 1}
    assert {word for word, users in people.items() if users >= least} == set(words)
    ngrams = parse_ngrams(sections["NGRM"], words)
    pairs = {(b"red", b"lamp"): 4, (b"green", b"lamp"): 3, (b"blue", b"lamp"): 1,
             (b"blue", b"shoe"): 1}  # fmt: skip
    assert {pair for pair, users in pairs.items() if users >= least} == {
        (words[left], words[right])
        for left, entries in enumerate(ngrams.pairs)
        for right in entries
        if right < len(words)
    }
    labels = choose_labels(log, settings).texts
    relations = parse_relations(sections["RELA"], len(words), len(labels))
    followers = {
        (labels[first], labels[then]): users
        for first, entries in relations.followers.items()
        for then, users in entries
    }
    # Of a single person nothing is said, whatever was asked for.
    assert followers == ({("red lamp", "green lamp"): 3} if least <= 3 else {})


def test_a_query_nobody_typed_is_put_together(log_of: MakeLog, tmp_path: Path) -> None:
    """Of words that people share; not where tails are off."""
    log = log_of([["red lamp"], ["red lamp"], ["lamp shade"], ["lamp shade"]])
    texts = {}
    for tails in (True, False):
        path = tmp_path / f"{tails}.esp"
        train_on(log, path, replace(SETTINGS, tails=tails))
        with espalier.open(path) as index:
            found = index.complete("red la", sources=Source.MODEL | Source.TAIL)
            texts[tails] = {one.text: one.source for one in found}

    assert {"red lamp": "MODEL", "red lamp shade": "TAIL"}.items() <= texts[True].items()
    assert {"red lamp": "MODEL"} == texts[False]


@pytest.mark.parametrize(("people", "mended"), [(200, True), (5, False)])
def test_what_few_people_typed_is_mended_by_what_many_did(
    log_of: MakeLog, tmp_path: Path, people: int, *, mended: bool
) -> None:
    """An index of single users has their slips as labels and words: known is not right."""
    path = tmp_path / "site.esp"
    sessions = [["garden hose"]] * people + [["gardne hose"], ["gardne gnome"], ["gnome"]]
    log = log_of([*sessions, *([f"gnome {n}"] for n in range(20))])
    train_on(log, path, replace(SETTINGS, min_users=1))

    every = Source.MODEL | Source.POPULAR | Source.TAIL | Source.CORRECTED
    with espalier.open(path) as index:
        found = index.complete("gardne", sources=every)

    sources = [one.source for one in found]
    assert sources == sorted(sources, key=lambda source: source == "CORRECTED")
    corrected = [one.text for one in found if one.source == "CORRECTED"]
    assert corrected == (["garden hose"] if mended else [])


def test_what_there_is_no_room_for_is_told(shop_log: QueryLog, tmp_path: Path) -> None:
    """In numbers, by kind; with what is left an index completes as before."""
    whole = made(shop_log)
    room = sum(map(len, whole.values())) // 2
    settings = replace(SETTINGS, words_mib=room / 2**20)

    report = train_on(shop_log, tmp_path / "some.esp", settings)

    written = sum(report.section_bytes.get(name, 0) for name in ("VOCA", "NGRM", "RELA"))
    assert 0 < written <= room
    counts = {
        name: parsed(whole)[name] - n for name, n in parsed(report_sections(tmp_path)).items()
    }
    told = {kind.removeprefix("words_mib: "): n for kind, n in report.dropped.items()
            if kind.startswith("words_mib: ")}  # fmt: skip
    assert told == {kind: n for kind, n in counts.items() if n}
    assert "words_mib: word" in report.table()
    assert not any("words_mib" in warning for warning in report.warnings)
    with espalier.open(tmp_path / "some.esp") as index:
        assert index.complete("s")


def report_sections(folder: Path) -> dict[str, bytes]:
    """Return the sections that make completions out of words."""
    with NativeIndex.open(folder / "some.esp") as index:
        names = {section.name for section in index.sections()} & {"VOCA", "NGRM", "RELA"}
        return {name: bytes(index.section(name)) for name in names}


def parsed(sections: dict[str, bytes]) -> dict[str, int]:
    """Return how much there is of everything, as the second reader reads it."""
    words = parse_words(sections["VOCA"])
    ngrams = parse_ngrams(sections["NGRM"], words)
    relations = 0
    if "RELA" in sections:
        found = parse_relations(sections["RELA"], len(words), 10**6)
        relations = sum(map(len, (*found.related.values(), *found.followers.values())))
    return {
        "words": len(words),
        "word pairs": sum(map(len, ngrams.pairs)),
        "word triples": sum(len(entries) for entries, _ in ngrams.triples.values()),
        "relations": relations,
    }


def test_without_room_for_a_word_labels_are_suggested(shop_log: QueryLog, tmp_path: Path) -> None:
    """A warning says so; nothing fails."""
    path = tmp_path / "none.esp"
    report = train_on(shop_log, path, replace(SETTINGS, words_mib=1e-5))

    assert not {"VOCA", "NGRM", "RELA"} & report.section_bytes.keys()
    assert any("words_mib = 1e-05 has no room for a single word" in w for w in report.warnings)
    assert report.dropped["words_mib: words"] == len(parse_words(made(shop_log)["VOCA"]))
    with espalier.open(path) as index:
        assert {one.source for one in index.complete("s")} <= {"MODEL", "POPULAR"}


def test_all_that_fits_is_what_there_is_without_a_limit(shop_log: QueryLog) -> None:
    """To the byte: a limit that is not reached changes nothing."""
    whole = made(shop_log, replace(SETTINGS, words_mib=0))
    exactly = sum(map(len, whole.values())) / 2**20

    assert made(shop_log, replace(SETTINGS, words_mib=exactly)) == whole == made(shop_log)


def test_relations_of_most_people_stay(shop_log: QueryLog) -> None:
    """Whatever the room: nothing is left out that more people stand behind."""
    labels = choose_labels(shop_log, SETTINGS)
    tokens = tokenise(shop_log, SETTINGS.min_users)
    relations = relations_of(shop_log, tokens, labels, SETTINGS.min_users)
    assert relations is not None
    everyone = sorted([*relations.people.tolist(), *relations.users.tolist()], reverse=True)
    assert everyone[0] > everyone[-1]
    for room in range(len(relations.section()) + 1):
        fewer = relations.within(room)
        if fewer is None:
            assert room < len(relations.section())
            continue
        assert len(fewer.section()) <= room
        kept = sorted([*fewer.people.tolist(), *fewer.users.tolist()], reverse=True)
        assert kept == everyone[: len(kept)]
    assert relations.within(len(relations.section())) is not None
    assert fewer is not None
    assert fewer.section() == relations.section()


def test_relations_among_fewer_words_are_numbered_anew(shop_log: QueryLog) -> None:
    """Those between words that are left, and all between labels."""
    labels = choose_labels(shop_log, SETTINGS)
    words = tokenise(shop_log, SETTINGS.min_users).words
    kept = words[::2]
    relations = relations_of(
        shop_log, tokenise(shop_log, SETTINGS.min_users), labels, SETTINGS.min_users
    )
    assert relations is not None

    def named(section: bytes, texts: list[str]) -> dict[tuple[str, str], int]:
        found = parse_relations(section, len(texts), len(labels))
        return {
            (texts[before], texts[after]): q
            for before, entries in found.related.items()
            for after, q in entries
        }

    everything = named(relations.section(), words)
    section = relations.among(words, kept).section()
    assert named(section, kept) == {
        pair: q for pair, q in everything.items() if set(pair) <= set(kept)
    }
    assert 0 < len(named(section, kept)) < len(everything)
    before, after = (
        parse_relations(made, len(texts), len(labels)).followers
        for made, texts in ((relations.section(), words), (section, kept))
    )
    assert before == after
