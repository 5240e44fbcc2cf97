"""How a command ends: each way out has one line and one exit code."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier import console
from espalier.errors import (
    ConfigError,
    IndexCorruptError,
    InputError,
    InvalidTextError,
    StorageError,
)


def group_that(action: Callable[[], object]) -> click.Group:
    """Return a command group whose verb ``go`` does ``action``."""
    group = click.Group("espalier")
    group.add_command(click.Command("go", callback=action))
    return group


def raising(error: BaseException) -> Callable[[], object]:
    """Return a function that raises ``error``."""

    def act() -> object:
        raise error

    return act


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("min_users must be 1 or more"), 2, "min_users must be 1 or more"),
        (IndexCorruptError("section TREE: bad checksum", check="C1"), 2, "section TREE"),
        (StorageError("no space left"), 1, "no space left"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
        (console.Terminated(), 143, "terminated"),
        (MemoryError(), 1, "out of memory"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x.tsv"), 1, "x.tsv: No such file"),
        (click.UsageError("no such option"), 2, "no such option"),
        (ZeroDivisionError("secret query text"), 1, "unexpected ZeroDivisionError"),
    ],
)
def test_every_error_is_one_line_and_its_exit_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No error reaches the user as a traceback, and each keeps its code."""
    returned = console.run(group_that(raising(error)), ["go"])

    captured = capsys.readouterr()
    assert returned == code
    assert captured.out == ""
    # click ends the line on which a terminal shows ^C.
    shown = captured.err.removeprefix("\n")
    assert shown.startswith("espalier: error: ")
    assert shown.count("\n") == 1
    assert line in captured.err


def test_the_text_of_an_unforeseen_error_stays_inside(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It might quote a query: only its type is shown."""
    console.run(group_that(raising(KeyError("private words"))), ["go"])

    assert "private words" not in capsys.readouterr().err


def test_debugging_lets_the_traceback_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """ESPALIER_DEBUG=1 is how somebody finds the line that failed."""
    monkeypatch.setenv("ESPALIER_DEBUG", "1")

    with pytest.raises(KeyError):
        console.run(group_that(raising(KeyError("x"))), ["go"])


def test_an_error_of_several_lines_becomes_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A log collector sees one event, whatever a library put into its message."""
    console.run(group_that(raising(InputError("first\n  second\x1b[31m"))), ["go"])

    assert capsys.readouterr().err == "espalier: error: first second\\x1b[31m\n"


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
def test_a_verb_may_name_its_exit_code(returned: int | None, code: int) -> None:
    """What a verb returns as a number is the exit code; nothing means done."""
    assert console.run(group_that(lambda: returned), ["go"]) == code


@pytest.mark.parametrize(
    ("error", "code"), [(SystemExit(4), 4), (SystemExit(None), 0), (SystemExit("text"), 1)]
)
def test_an_exit_asked_for_is_kept(error: SystemExit, code: int) -> None:
    """SystemExit passes with the code it carries."""
    assert console.run(group_that(raising(error)), ["go"]) == code


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The bare command explains itself and ends with 2."""
    returned = console.run(group_that(lambda: None), [])

    assert returned == 2
    assert "Usage: espalier" in capsys.readouterr().err


_SCRIPT = """
import sys
from espalier import console
import click

@click.group()
def cli(): pass

@cli.command()
def flood():
    for _ in range(100_000):
        click.echo("x" * 100)

@cli.command()
def wait():
    import time
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaned", flush=True)

sys.exit(console.run(cli))
"""


def start(verb: str, stdout: int | TextIO = subprocess.PIPE) -> subprocess.Popen[str]:
    """Start the script above with one verb."""
    return subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, verb],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_reader_that_leaves_is_no_error() -> None:
    """`espalier … | head -1` says nothing on stderr."""
    with start("flood") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()

        assert process.stderr.read() == ""
        assert process.wait(30) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full to be a full disk")
def test_a_full_disk_behind_stdout_is_an_error() -> None:
    """Output that was lost must not end with 0."""
    with Path("/dev/full").open("w") as full, start("flood", stdout=full) as process:
        assert process.stderr is not None
        errors = process.stderr.read()

        assert process.wait(30) == 1
        assert errors == "espalier: error: No space left on device\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_unwinds_before_it_ends_the_process(number: signal.Signals, code: int) -> None:
    """Half-written files are removed on the way out."""
    with start("wait") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)

        assert process.stdout.read() == "cleaned\n"
        assert process.wait(30) == code


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, console.EXIT_INTERRUPTED), (signal.SIGTERM, console.EXIT_TERMINATED)],
)
def test_a_library_cannot_pass_a_signal_off_as_its_own_error(
    number: signal.Signals, code: int
) -> None:
    """DuckDB answers a signal in the middle of a statement with an error of its own."""

    def act() -> None:
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        except BaseException:  # noqa: BLE001 - what such a library does
            raise RuntimeError("Query interrupted") from None

    before = signal.getsignal(number)

    assert console.run(group_that(act), ["go"]) == code
    assert signal.getsignal(number) == before


def test_text_that_is_not_utf8_is_refused() -> None:
    """Bytes of the shell that are not UTF-8 arrive as lone surrogates."""
    command = click.Command("x")
    argument = click.Argument(["prefix"])

    with pytest.raises(InvalidTextError, match="PREFIX is not UTF-8 at character 2"):
        console.query_text(click.Context(command), argument, "ab" + os.fsdecode(b"\xff"))


def test_an_output_file_needs_a_folder_to_stand_in(tmp_path: Path) -> None:
    """It is said before the work, not after an hour of it."""
    context = click.Context(click.Command("x"))
    option = click.Option(["--out"])

    with pytest.raises(InputError, match="create it first"):
        console.new_file(context, option, tmp_path / "no" / "file")
    with pytest.raises(InputError, match="is a folder"):
        console.new_file(context, option, tmp_path)
    assert console.new_file(context, option, tmp_path / "file") == tmp_path / "file"
    assert console.new_file(context, option, None) is None
    assert console.new_file(context, option, Path("-")) == Path("-")


@given(st.text())
def test_printed_text_cannot_steer_the_terminal(text: str) -> None:
    """What other people typed is shown, never obeyed; joiners only shape their neighbours."""
    shown = console.printable(text)

    assert shown.replace("\u200c", "").replace("\u200d", "").isprintable()


def test_text_from_right_to_left_keeps_its_joiners_and_loses_its_overrides() -> None:
    """Persian is written with the non-joiner; a directional override would turn the line round."""
    assert console.printable("می\u200cخواهم") == "می\u200cخواهم"
    assert console.printable("abc\u202edef") == "abc\\u202edef"


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"], include_characters=" ")))
def test_ordinary_text_is_printed_as_it_is(text: str) -> None:
    """Only what steers is escaped (a no-break space does, in old terminals)."""
    if text.isprintable():
        assert console.printable(text) == text


def test_columns_line_up_whatever_the_script() -> None:
    """Wide characters take two columns, combining ones none."""
    shown = console.table([["1", "東京", "x"], ["10", "cafe\u0301", "y"], ["3", "ab", "z"]], "r--")

    assert shown.splitlines() == [" 1  東京  x", "10  cafe\u0301  y", " 3  ab    z"]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("", 0),
        ("ab", 2),
        ("東京", 4),
        ("e\u0301", 1),
        ("\u1112\u1161\u11ab", 2),
        ("می\u200cخ", 3),
        ("❤\ufe0f", 1),
    ],
)
def test_a_terminal_gives_a_text_so_many_columns(text: str, cells: int) -> None:
    """Marks, joiners and the vowels of decomposed Hangul share the cell before them."""
    assert console.cells(text) == cells


def test_json_goes_to_the_file_named_or_to_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``-`` is stdout, as elsewhere."""
    console.write_json(tmp_path / "a.json", {"a": 1})
    console.write_json(Path("-"), {"a": "é"})

    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}
    assert json.loads(capsys.readouterr().out) == {"a": "é"}


def test_json_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    """A folder that went away meanwhile is named."""
    with pytest.raises(StorageError, match="cannot be written"):
        console.write_json(tmp_path / "no" / "a.json", {})
