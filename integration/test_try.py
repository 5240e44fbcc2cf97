"""`espalier try` as a person uses it: keys typed on a real terminal, the screen read."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import espalier
from integration.processes import PATIENCE, environment
from integration.typist import DOWN, ESCAPE, RIGHT, UP, Typist

COLOUR = re.compile(rb"\x1b\[[0-9;]*\b[349][0-7][;m]")
LEFT_AS_FOUND = b"\x1b[?1049l"

# A screen that breaks down: what it asks fails at the letter x.
BREAKS = """
from espalier import terminal
from espalier.terminal.answers import Answer

class Breaks:
    def ask(self, question):
        if "x" in question.prefix:
            raise RuntimeError("broken")
        return Answer()

terminal.converse(terminal.begin(Breaks()), Breaks(), terminal.About("breaks", 0))
"""

Try = Callable[..., Typist]


@pytest.fixture
def trying(demo_index: Path, tmp_path: Path) -> Try:
    """Return a function that starts the verb in an empty folder, which is also its home."""

    def start(*options: str, columns: int = 80, rows: int = 24, **env: str) -> Typist:
        words = ["-m", "espalier", "try", str(demo_index), *options]
        env = {"HOME": str(tmp_path)} | env
        return Typist(words, columns=columns, rows=rows, folder=tmp_path, env=env)

    return start


def suggestions(lines: list[str]) -> list[str]:
    """Return the suggestions on a screen, without what stands before and behind them."""
    tags = r"(?:MODEL|POPULAR|TAIL|CORRECTED)"
    rows = [re.match(rf".\s+\d+ (?:.{{4}}) (.*?)\s+{tags}\s", line) for line in lines]
    return [row[1] for row in rows if row]


def asks(prefix: str) -> Callable[[list[str]], bool]:
    """Return the condition that the screen answers ``prefix``."""

    def answered(lines: list[str]) -> bool:
        found = suggestions(lines)
        typed = any(line.split("│")[0].rstrip() == f"> {prefix}".rstrip() for line in lines)
        # Some are shown in capitals, whatever was typed.
        begun = prefix.casefold()
        return typed and bool(found) and all(one.casefold().startswith(begun) for one in found)

    return answered


def test_the_list_changes_with_every_letter(trying: Try, demo_index: Path) -> None:
    """What the screen shows is what the index answers, letter by letter and back again."""
    with espalier.open(demo_index) as index, trying() as typist:
        typist.see(lambda lines: lines[1] == ">" and suggestions(lines))
        for typed in ("c", "ca", "cam"):
            typist.type(typed[-1])
            shown = suggestions(typist.see(asks(typed)))
            assert shown == [one.display_text for one in index.complete(typed)]
            assert typist.cursor == (1, 2 + len(typed))
        typist.type("\x7f")
        typist.see(asks("ca"))
        typist.type("\x15")
        typist.see(lambda lines: lines[1] == ">")
        typist.type("\x04")
        assert typist.end() == 0


def test_context_changes_the_list_from_the_first_letter(trying: Try, demo_index: Path) -> None:
    """A query is submitted; the same letter then shows another list, and how each rank moved."""
    with espalier.open(demo_index) as index, trying() as typist:
        plain = [one.display_text for one in index.complete("c")]
        query, told = next(
            (label, found)
            for label in index.popular("", 200)
            if (found := [one.display_text for one in index.complete("c", [label])]) != plain
        )
        typist.type("c")
        assert suggestions(typist.see(asks("c"))) == plain

        typist.type(f"\x15{query}\r")
        typist.see(lambda lines: lines[1] == ">" and f"session  {query}" in lines)
        typist.type("c")
        with_session = typist.see(asks("c"))
        assert suggestions(with_session) == told
        assert any(re.search(r"new|[▲▼]\d", line[6:10]) for line in with_session)

        typist.type("\x18")
        assert suggestions(typist.see(lambda lines: "OFF" in lines[0])) == plain
        typist.type("\x18")
        assert suggestions(typist.see(lambda lines: "context on" in lines[0])) == told
        typist.type("\x0e")
        typist.see(lambda lines: any("session  empty" in line for line in lines))
        typist.type("c")
        assert suggestions(typist.see(asks("c"))) == plain
        typist.type("\x03")
        assert typist.end() == 0


def test_suggestions_are_chosen_taken_and_submitted(trying: Try) -> None:
    """Arrows, Tab, Right and Enter; the session grows with the newest query in front."""
    with trying() as typist:
        typist.type("c")
        first, second, *_, last = suggestions(typist.see(asks("c")))
        typist.type(DOWN)
        typist.see(lambda lines: any(line.startswith("▸   1 ") for line in lines))
        typist.type(DOWN + "\t")
        typist.see(asks(second))
        typist.type("\x15c" + UP)
        typist.see(lambda lines: any(line.startswith("▸") and last in line for line in lines))
        typist.type("\r")
        typist.see(lambda lines: f"session  {last}" in lines)
        typist.type("c" + RIGHT)
        taken = typist.see(lambda lines: lines[1] not in {">", "> c"})[1].removeprefix("> ")
        typist.type("\r")
        typist.see(lambda lines: any(line.startswith(f"session  {taken}") for line in lines))
        assert first != second
        typist.type(ESCAPE)
        assert typist.end() == 0


def test_pasted_text_is_typed_and_submits_nothing(trying: Try) -> None:
    """Line ends in it are blanks."""
    with trying() as typist:
        typist.see(lambda lines: lines[1] == ">")
        typist.type("\x1b[200~no such\r\nquery\x1b[201~")
        lines = typist.see(lambda lines: lines[1].startswith("> no such"))
        assert lines[1] == "> no such query"
        assert set(suggestions(lines)) <= {"no such query"}
        assert any(line.startswith("session  empty") for line in lines)


def test_a_prefix_the_index_refuses_is_said_and_forgotten(trying: Try) -> None:
    """A line that is too long is no end of the conversation."""
    with trying() as typist:
        typist.see(lambda lines: lines[1] == ">")
        typist.type("\x1b[200~" + "東" * 400 + "\x1b[201~")
        typist.see(lambda lines: any("at most 1024 bytes" in line for line in lines))
        typist.type("\x15c")
        typist.see(asks("c"))


def test_wide_characters_take_two_cells_each(trying: Try) -> None:
    """The cursor stands behind them; deleting takes one at a time."""
    with trying() as typist:
        typist.see(lambda lines: lines[1] == ">")
        typist.type("東京")
        typist.see(lambda _: typist.cursor == (1, 6))
        typist.type("\x7f")
        typist.see(lambda _: typist.cursor == (1, 4))


@pytest.mark.parametrize("size", [(60, 15), (200, 50)])
def test_a_terminal_of_another_size_is_drawn_anew(trying: Try, size: tuple[int, int]) -> None:
    """At once, without a key; wide ones have the session beside the list."""
    columns, rows = size
    with trying("--previous", "tent") as typist:
        typist.type("c")
        typist.see(asks("c"))
        typist.resize(columns, rows)
        lines = typist.see(lambda lines: lines[-1].startswith("Up/Down") and asks("c")(lines))
        assert len(lines) == rows
        assert all(len(line) <= columns for line in lines)
        assert len(suggestions(lines)) == 10
        beside = any(re.search(r"│  1  tent$", line) for line in lines)
        assert beside == (columns >= 100)
        assert ("session  tent" in lines) == (columns < 100)


def test_explanations_come_and_go(trying: Try) -> None:
    """Ctrl-E shows what the scores are made of."""
    with trying(columns=120) as typist:
        typist.type("c\x05")
        typist.see(lambda lines: any(re.search(r" [a-z_]+ [+-]\d+\.\d\d", line) for line in lines))
        typist.type("\x05")
        typist.see(
            lambda lines: not any(re.search(r" [a-z_]+ [+-]\d+\.\d\d", line) for line in lines)
        )


@pytest.mark.parametrize("keys", ["\x03", "\x04", ESCAPE, "cof" + ESCAPE, "c\x03"])
def test_leaving_gives_the_terminal_back(trying: Try, keys: str) -> None:
    """Exit code 0, settings and screen as they were."""
    with trying() as typist:
        typist.see(lambda lines: lines[1] == ">")
        assert typist.settings() != typist.found
        typist.type(keys)

        assert typist.end() == 0
        assert typist.settings() == typist.found
        assert typist.written.endswith(LEFT_AS_FOUND)


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, b"interrupted"), (signal.SIGTERM, 143, b"terminated")],
)
def test_a_signal_gives_the_terminal_back(
    trying: Try, number: signal.Signals, code: int, word: bytes
) -> None:
    """And is said on the screen that was there before."""
    with trying() as typist:
        typist.type("c")
        typist.see(asks("c"))
        typist.process.send_signal(number)

        assert typist.end() == code
        assert typist.settings() == typist.found
        assert word in typist.written.split(LEFT_AS_FOUND)[1]


def test_a_breakdown_gives_the_terminal_back() -> None:
    """The error is printed on a terminal that can show it."""
    with Typist(["-c", BREAKS]) as typist:
        typist.see(lambda lines: lines[1] == ">")
        typist.type("x")

        assert typist.end() == 1
        assert typist.settings() == typist.found
        assert b"RuntimeError: broken" in typist.written.split(LEFT_AS_FOUND)[1]


def test_closing_the_window_ends_it(trying: Try) -> None:
    """No process is left talking to nobody, and none ends with a fault.

    Whether it hears of the signal or of the end of what is typed first is chance.
    """
    with trying() as typist:
        typist.see(lambda lines: lines[1] == ">")
        typist.hang_up()

        assert typist.end() in {-signal.SIGHUP, 0}


def test_colours_are_left_out_where_they_are_not_wanted(trying: Try) -> None:
    """``NO_COLOR`` with any value; empty is as if it were not there."""
    for wish, coloured in (("1", False), ("", True)):
        with trying(NO_COLOR=wish) as typist:
            typist.see(lambda lines: lines[1] == ">" and suggestions(lines))
            assert bool(COLOUR.search(typist.written)) == coloured


def test_a_terminal_without_unicode_gets_plain_signs(trying: Try) -> None:
    """In a locale that cannot show them nothing breaks."""
    with trying("--previous", "tent", PYTHONUTF8="0", PYTHONIOENCODING="ascii") as typist:
        typist.type("c")
        typist.see(asks("c"))
        typist.type(DOWN)
        lines = typist.see(lambda lines: any(line.startswith(">   1") for line in lines))
        assert all(line.isascii() for line in lines)
        assert any(" us - session" in line for line in lines)


def test_a_dumb_terminal_gets_lines(trying: Try) -> None:
    """No escape code is written; a line is answered when it ends."""
    with trying("-k", "3", TERM="dumb") as typist:
        typist.type("c\n")
        typist.see(lambda lines: sum(line.startswith("c ") for line in lines) == 3)
        typist.type("\x04")

        assert typist.end() == 0
        assert b"\x1b" not in typist.written


def test_nothing_typed_is_written_to_a_file(trying: Try, tmp_path: Path) -> None:
    """No history, no cache: folder and home are as empty as before."""
    with trying() as typist:
        typist.see(lambda lines: lines[1] == ">")
        typist.type("a very secret query\rc" + ESCAPE)

        assert typist.end() == 0
    assert list(tmp_path.iterdir()) == []


def test_an_idle_screen_stays_as_it_is(trying: Try) -> None:
    """While nobody types, nothing is written; a lone escape is waited for, nothing else."""
    with trying() as typist:
        typist.type("c")
        typist.see(asks("c"))
        while typist.writes_within(0.2):
            pass

        assert not typist.writes_within(0.5)


def piped(index: Path, lines: Path) -> subprocess.CompletedProcess[str]:
    """Run the verb with ``lines`` as its input, for two suggestions a line."""
    with lines.open("rb") as stream:
        return subprocess.run(
            [sys.executable, "-m", "espalier", "try", str(index), "-k", "2"],
            stdin=stream,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


def test_a_pipe_is_answered_line_by_line(demo_index: Path, tmp_path: Path) -> None:
    """No terminal, no escape codes; bad bytes are one line and exit code 2."""
    prefixes = tmp_path / "prefixes.txt"
    prefixes.write_bytes(b"c\n> tent\nc\n")
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"c\ncaf\xe9\n")

    answered, refused = (piped(demo_index, path) for path in (prefixes, bad))

    assert answered.returncode == 0, answered.stderr
    assert [line.split("\t")[:2] for line in answered.stdout.splitlines()] == [
        ["c", "1"],
        ["c", "2"],
    ] * 2
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        "line 2 is not UTF-8 at byte 3; convert the input first",
        "espalier: error: lines that could not be answered: 1; the others were",
    ]
