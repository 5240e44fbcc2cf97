"""Trying an index from a script: a line in, lines out."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from espalier import console
from espalier.cli import cli
from espalier.terminal.answers import Question
from espalier.terminal.lines import answer_lines
from tests.unit.terminal.fakes import FakeAsker


def answers(
    text: str, *, asker: FakeAsker | None = None, session: tuple[str, ...] = ()
) -> list[str]:
    """Return the lines written for the lines of ``text``."""
    written: list[str] = []
    source = io.BytesIO(text.encode())
    asker = asker or FakeAsker(k=3)
    bad = answer_lines(
        source, written.append, session, asker, want_json=False, complain=pytest.fail
    )
    assert bad == 0
    return written


def documents(text: str | bytes) -> list[dict[str, object]]:
    """Return the same as JSON."""
    written: list[str] = []
    source = io.BytesIO(text.encode() if isinstance(text, str) else text)
    asker = FakeAsker(k=3)
    answer_lines(source, written.append, (), asker, want_json=True, complain=pytest.fail)
    assert all("\n" not in line for line in written)
    return [json.loads(line) for line in written]


def test_each_suggestion_is_a_line_of_fields() -> None:
    """Prefix, rank, change of rank, suggestion, source, score, users."""
    assert answers("tent\n") == [
        "tent\t1\t0\ttent\tmodel\t-1.0000\t4000",
        "tent\t2\t0\ttent pegs\tpopular\t-2.0000\t9000",
    ]


def test_a_submitted_line_joins_the_session() -> None:
    """It is answered by nothing itself, and changes what comes after it."""
    asker = FakeAsker(k=3)
    before, after = answers(" \n", asker=asker), answers("> coffee\n \n", asker=asker)

    assert asker.asked == [Question(" "), Question(" ", ("coffee",))]
    assert [line.split("\t")[2:4] for line in before] == [
        ["0", "tent"],
        ["0", "tent pegs"],
        ["0", "tea"],
    ]
    assert [line.split("\t")[2:4] for line in after] == [
        ["new", "camping stove"],
        ["new", "camping chair"],
        ["new", "coffee"],
    ]


def test_movement_has_a_sign() -> None:
    """Up is plus."""
    asker = FakeAsker(("tea", "coffee", "tent"), k=3)

    moved = [line.split("\t")[2:4] for line in answers("\n", asker=asker, session=("cup",))]

    assert moved == [["+1", "coffee"], ["-1", "tea"], ["0", "tent"]]


@pytest.mark.parametrize(
    ("text", "prefixes"),
    [
        ("", []),
        ("te", ["te"]),
        ("te\n", ["te"]),
        ("te \n", ["te "]),
        ("te\r\n\r\n", ["te", ""]),
        ("\n\n", ["", ""]),
        (">\n>x\n", [">", ">x"]),
        ("> \n>   \nte\n", ["te"]),
        ("東京\nفندق\n", ["東京", "فندق"]),
    ],
    ids=repr,
)
def test_a_line_is_a_prefix_to_its_end(text: str, prefixes: list[str]) -> None:
    """Blanks at the end belong to it, line ends of any system do not."""
    asker = FakeAsker()
    answers(text, asker=asker)

    assert asker.asked == [Question(prefix) for prefix in prefixes]


def test_fields_hold_no_tabs_and_no_escape_codes() -> None:
    """Whatever the line had."""
    asker = FakeAsker(("a b\x1b[31m",))

    (line,) = answers("A\tB\n", asker=asker)

    assert line.split("\t")[0] == "A\\tB"
    assert "\x1b" not in line
    assert len(line.split("\t")) == 7


def test_json_has_a_document_for_every_prefix() -> None:
    """With the session it was asked in, also where nothing was found."""
    first, second, third = documents("tent\n> Coffee\nc\nxxx\n")

    assert first["prefix"] == "tent"
    assert (first["previous"], second["previous"]) == ([], ["Coffee"])
    assert (first["candidates"], first["microseconds"]) == (34, 84.3)
    assert third == {
        "prefix": "xxx",
        "previous": ["Coffee"],
        "suggestions": [],
        "candidates": 0,
        "microseconds": 84.3,
    }
    assert first["suggestions"] == [
        {
            "text": text,
            "display_text": text,
            "score": score,
            "source": source,
            "users": users,
            "moved": "0",
        }
        for text, score, source, users in (
            ("tent", -1.0, "MODEL", 4000),
            ("tent pegs", -2.0, "POPULAR", 9000),
        )
    ]


BAD_LINES = b"te\ncaf\xe9\n> \xff\n" + b"secret" * 40_000 + b"\ntent\n" + b"x" * 101 + b"\nte"
FAULTS = [
    "line 2 is not UTF-8 at byte 3; convert the input first",
    "line 3 is not UTF-8 at byte 2; convert the input first",
    "line 4 is longer than 65,536 bytes; send a shorter one",
    "line 6: a prefix of too many bytes; at most 100",
]


def test_bad_lines_are_named_by_their_number_and_not_quoted() -> None:
    """Bytes of another encoding, lines without an end, prefixes without one; the rest is read."""
    written: list[str] = []
    said: list[str] = []
    bad = answer_lines(
        io.BytesIO(BAD_LINES), written.append, (), FakeAsker(k=9), want_json=False,
        complain=said.append,
    )  # fmt: skip

    assert said == FAULTS
    assert bad == len(FAULTS)
    prefixes = [line.split("\t")[0] for line in written]
    assert prefixes == ["te"] * 5 + ["tent"] * 2 + ["te"] * 5


def test_in_json_a_bad_line_is_answered_in_its_place() -> None:
    """By an object with the number of the line and what is wrong with it."""
    found = documents(BAD_LINES)

    assert [one.get("prefix") for one in found] == ["te", None, None, None, "tent", None, "te"]
    faults = [one for one in found if "error" in one]
    assert faults == [
        {"line": number, "error": said} for number, said in zip((2, 3, 4, 6), FAULTS, strict=True)
    ]


def test_what_could_not_be_answered_shows_in_the_exit_code(
    demo_index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After every line was read."""
    for options in ((), ("--json",)):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"c\n\xff\nc\n")))
        assert console.run(cli, ["try", str(demo_index), "-k", "1", *options]) == 2
        ended = capsys.readouterr()
        assert len(ended.out.splitlines()) == 2 + bool(options)
        assert "lines that could not be answered: 1" in ended.err.splitlines()[-1]
        assert ("not UTF-8" in ended.err) == (not options)


@pytest.mark.parametrize(
    "options", [(), ("--no-tails",), ("--source", "popular"), ("--no-verify",)]
)
def test_the_verb_reads_lines_where_there_is_no_terminal(
    options: tuple[str, ...],
    demo_index: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A pipe is answered, with every option; --no-tails leaves the tails out."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"c\n> tent\nc\n")))

    code = console.run(cli, ["try", str(demo_index), "-k", "3", *options])

    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert code == 0
    assert [row[1] for row in rows] == ["1", "2", "3"] * 2
    assert all(row[0] == "c" and row[3].startswith("c") for row in rows)
    assert {row[2] for row in rows[:3]} == {"0"}
    sources = {row[4] for row in rows}
    assert "tail" not in sources or "--no-tails" not in options
    assert sources == {"popular"} or "popular" not in options


def test_the_session_given_on_the_command_line_counts(
    demo_index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--previous`` and a submitted line are one session, most recent first."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"> sea\nc\n")))
    words = ["try", str(demo_index), "--json", "--previous", "new", "--previous", "old"]

    assert console.run(cli, words) == 0
    assert json.loads(capsys.readouterr().out)["previous"] == ["sea", "new", "old"]
