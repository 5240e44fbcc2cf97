"""A blocked word or query never comes back, whoever typed it and whatever suggests it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pytest

import espalier
from espalier.index import Index
from espalier.native import Source
from espalier.querylog import only_people, read_log
from espalier.settings import LogSettings, TrainSettings
from espalier.text import normalise
from espalier.train import train_index
from espalier.train.rows import log_digest

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
