"""How a command ends: exit codes, one-line errors, pipes, signals, text on a terminal.

======  =====================================================================
code    meaning
======  =====================================================================
0       done
1       could not be done: full disk, no memory, a bug
2       cannot be done with this input: arguments, settings, logs, index files
3       not published: the new index is worse than `train --must-beat` allows
130     interrupted (Ctrl-C)
143     terminated (SIGTERM), except `serve`, which drains and ends with 0
======  =====================================================================

An error is one line on stderr and never a traceback; ``ESPALIER_DEBUG=1`` in the
environment shows the traceback instead.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final, TypeVar

import click

from espalier import files
from espalier.errors import EspalierError, InputError, InvalidTextError

_Command = TypeVar("_Command", bound=Callable[..., Any])

EXIT_FAILURE = 1
EXIT_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

_DEBUG = "ESPALIER_DEBUG"

# Zero width (non-)joiner: Persian and Hindi are written with them, and emoji. They
# shape their neighbours and steer nothing.
_JOINERS: Final = "\u200c\u200d"
# Medial vowels and final consonants of Hangul share the cell of the consonant before.
_JOINING_VOWELS: Final = (range(0x1160, 0x1200), range(0xD7B0, 0xD7FC))


class Terminated(BaseException):
    """SIGTERM arrived: unwind, so that half-written files are removed on the way."""


class _Signals:
    """Ends the command on SIGINT and SIGTERM by unwinding, and remembers which came.

    A library that is called when a signal arrives may turn the exception into one of
    its own, as DuckDB does in the middle of a statement: what happened is then known
    only here.
    """

    _RAISES: Final[Mapping[int, type[BaseException]]] = {
        signal.SIGINT: KeyboardInterrupt,
        signal.SIGTERM: Terminated,
    }

    def __init__(self) -> None:
        self.received: int | None = None

    def unwind(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's
        """Handle a signal."""
        self.received = signum
        raise self._RAISES[signum]

    def cause_of(self, error: BaseException) -> BaseException:
        """Return the signal behind ``error``, if one came; else ``error`` itself."""
        asked_for = isinstance(error, SystemExit | click.exceptions.Exit)
        if self.received is None or asked_for:
            return error
        return self._RAISES[self.received]()

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Handle both signals inside the block; handlers from before return behind it."""
        before: dict[int, Any] = {}
        try:
            for signum in self._RAISES:
                # Not in the main thread: whoever runs us there handles signals.
                with contextlib.suppress(ValueError):
                    before[signum] = signal.signal(signum, self.unwind)
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)


def run(group: click.Group, arguments: Sequence[str] | None = None) -> int:
    """Run ``group`` with ``arguments`` (default: the process's) and return its exit code."""
    signals = _Signals()
    with signals.caught():
        try:
            result = group.main(arguments, prog_name="espalier", standalone_mode=False)
            # A full disk or a closed pipe behind stdout shows only here.
            sys.stdout.flush()
        except BaseException as error:
            if os.environ.get(_DEBUG) and not isinstance(error, SystemExit | click.exceptions.Exit):
                raise
            return _end(signals.cause_of(error))
    return result if isinstance(result, int) else 0


def _end(error: BaseException) -> int:  # noqa: PLR0911 - one return per row of the table
    match error:
        case SystemExit() | click.exceptions.Exit():
            code = error.code if isinstance(error, SystemExit) else error.exit_code
            return code if isinstance(code, int) else EXIT_FAILURE if code else 0
        case KeyboardInterrupt() | click.Abort():
            return _fail("interrupted", EXIT_INTERRUPTED)
        case Terminated():
            return _fail("terminated", EXIT_TERMINATED)
        case BrokenPipeError():
            # Whoever read our output has left; there is nobody to complain to.
            _discard_stdout()
            return EXIT_FAILURE
        case click.exceptions.NoArgsIsHelpError():
            error.show()
            return error.exit_code
        case click.ClickException():
            return _fail(_usage(error), error.exit_code)
        case EspalierError():
            return _fail(str(error), error.exit_code)
        case OSError():
            _discard_stdout()
            where = f"{error.filename}: " if error.filename else ""
            return _fail(f"{where}{error.strerror or type(error).__name__}", EXIT_FAILURE)
        case MemoryError():
            return _fail("out of memory", EXIT_FAILURE)
        case _:
            # The message of an unforeseen error might quote a query: its type must do.
            name = type(error).__name__
            hint = f"a fault in Espalier; {_DEBUG}=1 in the environment shows where"
            return _fail(f"unexpected {name} ({hint})", EXIT_FAILURE)


def _usage(error: click.ClickException) -> str:
    message = error.format_message()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message.rstrip('.')} (see {error.ctx.command_path} --help)"
    return message


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"espalier: error: {printable(line)}\n")
        sys.stderr.flush()
    return code


def _discard_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush cannot fail again."""
    with contextlib.suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


# ---- help and options -----------------------------------------------------------


def examples(*commands: str) -> str:
    """Return the end of a help page: commands as somebody would type them."""
    # The first line tells click to leave the lines below it as they are.
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)


def json_option(command: _Command) -> _Command:
    """Give a command the flag ``--json``, as ``want_json``."""
    return click.option("--json", "want_json", is_flag=True, help="Print JSON.")(command)


# ---- arguments ----------------------------------------------------------------


def query_text(
    _context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """Return ``value`` unless the shell handed over bytes that are not UTF-8."""
    return None if value is None else _checked(parameter, value)


def query_texts(
    _context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Return ``values``, each checked as ``query_text`` does."""
    return tuple(_checked(parameter, value) for value in values)


def _checked(parameter: click.Parameter, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        name = parameter.human_readable_name.upper()
        raise InvalidTextError(
            f"{name} is not UTF-8 at character {error.start}; set the terminal to UTF-8"
        ) from None
    return value


def new_file(
    _context: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    """Return ``value`` if a file can come to stand there, before any work is done for it."""
    if value is None or str(value) == "-":
        return value
    name = parameter.opts[0]
    if value.is_dir():
        raise InputError(f"{name}: {value} is a folder; name a file in it")
    if not value.parent.is_dir():
        raise InputError(f"{name}: there is no folder {value.parent}; create it first")
    return value


# ---- output -------------------------------------------------------------------


def printable(text: str) -> str:
    """Return ``text`` with everything that could steer a terminal written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in _JOINERS else c.encode("unicode_escape").decode() for c in text
    )


def cells(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes."""
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def _cells_of(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"} or any(
        ord(character) in vowels for vowels in _JOINING_VOWELS
    ):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def table(rows: Sequence[Sequence[str]], right: str = "") -> str:
    """Return ``rows`` in aligned columns; ``right`` has an ``r`` for each right-aligned one.

    The last column is not padded.
    """
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        parts = []
        for i, (text, width) in enumerate(zip(row, widths, strict=True)):
            padding = " " * (width - cells(text))
            is_right = right[i : i + 1] == "r"
            last = i == len(row) - 1
            parts.append(padding + text if is_right else text if last else text + padding)
        lines.append("  ".join(parts))
    return "\n".join(lines)


def as_json(value: object, *, indent: int | None = 2) -> str:
    """Return ``value`` as one JSON document, readable where stdout can show it.

    Without ``indent`` it is one line.
    """
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    return json.dumps(value, ensure_ascii=encoding != "utf8", indent=indent, allow_nan=False)


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as JSON to ``path``; ``-`` is stdout.

    Raises:
        StorageError: The file cannot be written.
    """
    if str(path) == "-":
        click.echo(as_json(value))
        return
    with files.new_file(path) as stream:
        stream.write((json.dumps(value, indent=2, allow_nan=False) + "\n").encode())
