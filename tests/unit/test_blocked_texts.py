"""A blocked word or query never comes back, whoever typed it and whatever suggests it."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pytest

import espalier
from espalier.errors import IndexCorruptError, UnsupportedError
from espalier.index import Index
from espalier.native import NativeIndex, Source
from espalier.overlay import Overlay, Pin
from espalier.querylog import only_people, read_log
from espalier.settings import LogSettings, TrainSettings
from espalier.text import normalise
from espalier.train import train_index
from espalier.train.rows import log_digest
from espalier.train.write import write_index
from espalier.withheld import META_KEY

BLOCKED_QUERY: Final = "cheap leather bag"
BLOCKED_WORD: Final = "fake"
PERSONAL: Final = (
    "mail ann.lee@example.com leather",
    "bag 4111 1111 1111 1111",
    "call +44 20 7946 0958 leather",
    "leather 030 1234567",
    "cheap 123456789 bag",
    "bag ٠١٢٣٤٥٦٧٨ leather",
)
SESSIONS: Final = (
    [f"{BLOCKED_WORD} bag"],
    ["bag", f"cheap {BLOCKED_WORD}", "leather"],
    ["leather bag", BLOCKED_QUERY, f"not-{BLOCKED_WORD} leather"],
    ["bag", BLOCKED_QUERY],
    [BLOCKED_QUERY],
    *([query] for query in PERSONAL),
    *(["bag", query] for query in PERSONAL),
)
EVERY: Final = Source.MODEL | Source.POPULAR | Source.TAIL | Source.CORRECTED
ASKED: Final = (EVERY, Source.TAIL, Source.POPULAR | Source.CORRECTED, None)


def _write_log(path: Path, *more: str) -> Path:
    """Write a log in which neither the blocked query nor the blocked word stands."""
    kinds, things = ("cheap", "leather", "red", "new"), ("bag", "bags", "belt", "shoe", "shirt")
    rows = ["user\tquery"]
    for user in range(60):
        kind, other = kinds[user % 4], kinds[(user + 1 + user // 4 % 3) % 4]
        thing = things[user % 5]
        pair = f"{kind} {thing}"
        typed = [thing, pair] if f"{kind} {other}" == "cheap leather" else [pair, f"{kind} {other}"]
        if user % 3 == 0:
            typed.append("cheap leather belt")
        rows += [f"{user}\t{query}" for query in (*typed, *more)]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def _lists(folder: Path) -> LogSettings:
    (folder / "queries.txt").write_text(f"{BLOCKED_QUERY.upper()}\n")
    (folder / "words.txt").write_text(f"{BLOCKED_WORD.title()}\n")
    return LogSettings(blocklist=folder / "queries.txt", blocked_words=folder / "words.txt")


def _train(folder: Path, log: LogSettings) -> Index:
    # Half of the log has what is blocked: then it must not be learned, either.
    paths = [_write_log(folder / "log.tsv")]
    if log.drop_pii:
        paths.append(_write_log(folder / "more.tsv", BLOCKED_QUERY, "fake bag", *PERSONAL))
    train_index(paths, folder / "shop.esp", TrainSettings(log=log, min_users=1, threads=1))
    return espalier.open(folder / "shop.esp")


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Return an index trained with lists and with the patterns."""
    folder = tmp_path_factory.mktemp("strict")
    with _train(folder, _lists(folder)) as index:
        yield index


@pytest.fixture(scope="module")
def open_minded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Return an index trained without, on a log that has nothing to keep out."""
    folder = tmp_path_factory.mktemp("open")
    with _train(folder, LogSettings(drop_pii=False)) as index:
        yield index


def _prefixes() -> list[str]:
    texts = [BLOCKED_QUERY, f"{BLOCKED_WORD} bag", "not-fake leather", *PERSONAL]
    cuts = {text[:length] for text in texts for length in range(len(text) + 1)}
    return sorted(cuts | {text.split()[1][:3] for text in texts})


def _is_forbidden(text: str) -> bool:
    """Judge by looking: none of the texts that follow from the log has these."""
    words = text.replace("-", " ").split()
    digits = sum(character.isdecimal() for character in text)
    return text == BLOCKED_QUERY or BLOCKED_WORD in words or "@" in text or digits > 8


def _texts(index: Index, prefix: str, *session: str) -> set[str]:
    return {one.text for one in index.complete(prefix, session, k=30, sources=EVERY)}


def _forbidden(index: Index) -> set[str]:
    """Return everything the index suggests, whatever is asked, that must not be."""
    found: set[str] = set()
    for prefix, session, sources in itertools.product(_prefixes(), ([], *SESSIONS), ASKED):
        texts = {one.text for one in index.complete(prefix, session, k=30, sources=sources)}
        found |= {text for text in texts if _is_forbidden(text)}
    return found


def test_what_is_blocked_never_comes_back(strict: Index) -> None:
    """From no source, after no session, whatever of it has been typed."""
    assert _forbidden(strict) == set()


def test_without_rules_all_of_it_would(open_minded: Index) -> None:
    """The same log leads to every blocked text, so the test above has something to find."""
    found = _forbidden(open_minded)

    assert {BLOCKED_QUERY, f"cheap {BLOCKED_WORD}", f"{BLOCKED_WORD} bag"} <= found
    assert {normalise(query) for query in PERSONAL} <= found


def test_what_is_not_blocked_still_comes(strict: Index) -> None:
    """A label, a generated query and the other words of a session are suggested as before."""
    tails = _texts(strict, "cheap ", "fake leather shirt")
    labels = set(strict.labels())

    assert "cheap leather belt" in tails & labels
    assert any("shirt" in text.split() for text in tails)
    assert "red gloves" in _texts(strict, "re", "bag", "red gloves") - labels
    # A number of two digits is no reason to forget the words beside it, or itself.
    assert "red 42" in _texts(strict, "red ", "bag 42")


PATTERNS: Final = (r"^red b", r"[0-9]{3}x", "shirt$")


@pytest.fixture(scope="module")
def patterned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Return an index trained with patterns, one of them for personal data."""
    folder = tmp_path_factory.mktemp("patterned")
    (folder / "patterns.txt").write_text("\n".join(PATTERNS[:2]) + "\n")
    log = LogSettings(blocked_patterns=folder / "patterns.txt", pii_patterns=PATTERNS[2:])
    with _train(folder, log) as index:
        yield index


def _matches(text: str) -> bool:
    return text.startswith("red b") or "123x" in text or "١٢٣x" in text or text.endswith("shirt")


def test_a_pattern_of_the_log_holds_for_what_is_generated(patterned: Index, strict: Index) -> None:
    """Words put together, and the session's own queries; with digits of any script."""
    sessions = (["red"], ["bag", "red 123x"], ["bag", "red ١٢٣x"], ["red", "shirt"])
    asked = [*itertools.product(("r", "red", "red ", "new s", "ne", "s", ""), sessions)]

    def shown(index: Index) -> set[str]:
        answers = (
            index.complete(prefix, session, k=30, sources=EVERY) for prefix, session in asked
        )
        return {one.text for answer in answers for one in answer}

    assert {text for text in shown(patterned) if _matches(text)} == set()
    free = shown(strict)
    assert {"red 123x", "red ١٢٣x"} <= free
    assert any(text.startswith("red b") for text in free)
    assert any(text.endswith("shirt") for text in free)


def test_an_answer_stays_full_without_what_a_pattern_of_the_log_takes(patterned: Index) -> None:
    """Labels come instead, and no suggestion is lost that matches nothing."""
    for prefix, session in itertools.product(("r", "", "n", "c"), ([], ["bag", "red belt"])):
        labels = [text for text in patterned.labels() if text.startswith(prefix)]
        different = len(labels) - len(session)
        for k in (1, 3, 5):
            found = patterned.complete_with_work(
                prefix, session, k=k, sources=EVERY, keep_variants=True
            )
            assert len(found.suggestions) >= min(k, different)
            texts = {one.text for one in found.suggestions if one.label is None}
            assert texts <= set(found.candidate_texts)


def test_an_operator_may_pin_what_a_pattern_of_the_log_takes(patterned: Index) -> None:
    """A pattern keeps out what comes by itself."""
    found = patterned.complete("red b", overlay=Overlay([Pin("red boat")]))

    assert (found[0].text, found[0].pinned) == ("red boat", True)


def test_the_patterns_are_part_of_an_index(patterned: Index, strict: Index) -> None:
    """As they were written, in the order in which a log is tried against them."""
    assert patterned.info.meta["kept_out_patterns"] == [PATTERNS[2], *PATTERNS[:2]]
    assert "kept_out_patterns" not in strict.info.meta
    assert patterned.info.meta["data"] != strict.info.meta["data"]


@pytest.mark.parametrize("value", [["ok", "(unclosed"], "text", [1]], ids=str)
def test_patterns_that_are_none_are_refused_when_the_file_is_opened(
    patterned: Index, tmp_path: Path, value: object
) -> None:
    """With the section to blame; an index that keeps nothing back would be worse."""
    meta = {**patterned.info.meta, META_KEY: value}
    path = tmp_path / "damaged.esp"
    with NativeIndex.open(patterned.path) as native:
        sections = {one.name: native.section(one.name) for one in native.sections()}
    write_index(path, {**sections, "META": json.dumps(meta).encode()}, 1)

    with pytest.raises(IndexCorruptError, match="patterns in META cannot be used"):
        espalier.open(path)


def test_without_the_engine_such_an_index_is_not_opened(
    patterned: Index, strict: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one without patterns is."""
    monkeypatch.setitem(sys.modules, "espalier.re2", None)
    monkeypatch.delattr(espalier, "re2", raising=False)

    with pytest.raises(UnsupportedError, match="install it"):
        espalier.open(patterned.path)
    espalier.open(strict.path).close()


def test_the_lists_are_counted_and_not_readable(strict: Index, open_minded: Index) -> None:
    """The file says how many there are, and holds no text of them."""
    counts = strict.info.meta["counts"]
    data = strict.path.read_bytes()

    assert (counts["blocked_queries"], counts["blocked_words"]) == (1, 1)
    assert "BLCK" in {section.name for section in strict.info.sections}
    assert BLOCKED_QUERY.encode() not in data
    assert BLOCKED_WORD.encode() not in data
    assert "BLCK" not in {section.name for section in open_minded.info.sections}


def test_the_lists_are_part_of_what_an_index_is_named_after(tmp_path: Path) -> None:
    """Two lists that drop the same rows make two indexes; people leave them as they are."""
    path = _write_log(tmp_path / "log.tsv")
    plain, listed = read_log([path], LogSettings()), read_log([path], _lists(tmp_path))

    assert plain.queries == listed.queries
    assert log_digest(plain) != log_digest(listed)
    some = only_people(listed, np.arange(listed.event_user.max() + 1) % 2 == 0)
    assert some.kept_out == listed.kept_out
    assert (listed.kept_out.queries, listed.kept_out.words) == ((BLOCKED_QUERY,), (BLOCKED_WORD,))
