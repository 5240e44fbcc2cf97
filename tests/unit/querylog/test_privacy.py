"""What the privacy rules keep out, and what they must let through."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import ConfigError
from espalier.querylog.privacy import RULES, has_card_number
from espalier.settings import LogSettings
from tests.unit.querylog.support import read

KEPT_OUT = {
    "email": [
        "write to ann.lee@example.com", "ANN@EXAMPLE.CO.UK", "ann＠example.com", "älv@böle.example",
    ],
    "card": [
        "4111 1111 1111 1111", "pay 5500-0000-0000-0004 now", "4111111111111111",
        "no 2024 3782 822463 10005", "٤١١١ ١١١١ ١١١١ ١١١١",
    ],
    "phone": [
        "+44 20 7946 0958", "call +1 (212) 555-0187", "0049 30 1234567", "020 7946 0958",
        "(030) 1234567", "06 12 34 56 78", "212-555-0187", "(212) 555-0187", "1 212 555 0187",
        "212.555.0187",
    ],
    "long_number": [
        "123456789", "order 4012345678x", "١٢٣٤٥٦٧٨٩", "078-05-1120", "DE89 3704 0044 0532 0130 00",
    ],
}  # fmt: skip

LET_THROUGH = [
    "red shoes size 42", "iphone 15 pro", "1920x1080 monitor", "20240131", "2019 2020 f150 mats",
    "10 x 12 x 14 box", "@home", "user@localhost", "a@b", "100 200 3000", "windows 11",
    '24" screen', "size 8.5 0.5 mm", "12345678", "7 8 9 10 11 12 13", "555-0187", "3 in 1",
    "1/2 inch", "c++ & c#",
]  # fmt: skip


def write(path: Path, *queries: str) -> Path:
    """Write a log in which everybody types one query, after a harmless one."""
    rows = ["user\tquery", "0\tharmless", *(f"{i}\t{q}" for i, q in enumerate(queries, 1))]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("rule", KEPT_OUT)
def test_personal_data_is_kept_out_under_its_rule(tmp_path: Path, rule: str) -> None:
    """Whatever the capitals, the width or the script of the digits."""
    log = read(write(tmp_path / "log.tsv", *KEPT_OUT[rule]))

    assert {rule: len(KEPT_OUT[rule])} == log.report.private_rows
    assert ["harmless"] == log.queries


def test_ordinary_numbers_are_let_through(tmp_path: Path) -> None:
    """Sizes, models, years and dates are what people search for."""
    log = read(write(tmp_path / "log.tsv", *LET_THROUGH))

    assert {} == log.report.private_rows
    assert len(LET_THROUGH) + 1 == len(log.queries)


def test_the_patterns_can_be_switched_off(tmp_path: Path) -> None:
    """For a log that was cleaned before."""
    everything = [query for queries in KEPT_OUT.values() for query in queries]
    path = write(tmp_path / "log.tsv", *everything)
    log = read(path, settings=LogSettings(drop_pii=False, pii_patterns=("harm",)))

    assert {} == log.report.private_rows
    assert len(everything) + 1 == log.report.rows_used


def test_lists_and_patterns_of_the_operator_are_obeyed(tmp_path: Path) -> None:
    """Exact queries and words are normalised as queries are; patterns see normalised text."""
    blocklist = tmp_path / "queries.txt"
    blocklist.write_text("# comment\nRED  Shoes\n\n#hashtag\n")
    words = tmp_path / "words.txt"
    words.write_text("Nasty\nc++\nÜBEL\n")
    patterns = tmp_path / "patterns.txt"
    patterns.write_text("# competitors\n^acme( |$)\nsecret-\\d+\n")
    settings = LogSettings(
        blocklist=blocklist,
        blocked_words=words,
        blocked_patterns=patterns,
        pii_patterns=("member [a-z]{2}",),
    )
    path = write(
        tmp_path / "log.tsv",
        "red shoes", "Red shoes", "#hashtag", "red shoes size 4", "a nasty, thing", "learn c++ now",
        "very übel!", "nastyish", "acme", "acme shoes", "acmes", "Secret-12", "member xy",
        "member xy@example.com",
    )  # fmt: skip
    log = read(path, settings=settings)

    assert {
        "blocked_query": 3, "blocked_word": 3, "email": 1, "pii_pattern": 1, "blocked_pattern": 3,
    } == log.report.private_rows  # fmt: skip
    assert list(log.report.private_rows) == [r for r in RULES if r in log.report.private_rows]
    assert ["acmes", "harmless", "nastyish", "red shoes size 4"] == log.queries


BROKEN = {
    "blocked_patterns": ("ok\n(unclosed\n", "line 2: not an RE2 expression"),
    "blocked_words": ("fine\ntwo words\n", "line 2: has a space; write one word a line"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_entry_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    """A blocklist that half works would be believed."""
    content, message = BROKEN[name]
    (tmp_path / "list.txt").write_text(content)
    with pytest.raises(ConfigError, match=message):
        read(
            write(tmp_path / "log.tsv"),
            settings=LogSettings(**{name: tmp_path / "list.txt"}),  # type: ignore[arg-type]
        )


def test_a_list_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Missing, or not UTF-8."""
    log = write(tmp_path / "log.tsv")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(ConfigError, match=r"none\.txt: cannot be read"):
        read(log, settings=LogSettings(blocklist=tmp_path / "none.txt"))
    with pytest.raises(ConfigError, match="byte 3 is not UTF-8"):
        read(log, settings=LogSettings(blocklist=tmp_path / "latin.txt"))
    with pytest.raises(
        ConfigError, match=r"pii_patterns.*cannot be used; it must be a list of RE2"
    ):
        read(log, settings=LogSettings(pii_patterns=("(?<=a)b",)))


@given(st.lists(st.integers(0, 9), min_size=12, max_size=18), st.sampled_from(["", " ", "-"]))
def test_every_number_with_a_valid_check_digit_is_a_card(digits: list[int], gap: str) -> None:
    """In groups of four; changing the check digit makes it none."""
    doubled = [d * 2 - 9 if d > 4 else d * 2 for d in digits[::-1][::2]]
    check = -(sum(doubled) + sum(digits[::-1][1::2])) % 10
    for last, valid in ((check, True), ((check + 1) % 10, False)):
        number = "".join(map(str, [*digits, last]))
        if gap and len(number) % 4:
            continue
        groups = [number[i : i + 4] for i in range(0, len(number), 4)] if gap else [number]
        text = gap.join(groups)
        if valid or len(groups) == 1 or len(number) < 17:
            assert valid == has_card_number(text)
