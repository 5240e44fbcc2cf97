"""Trying an index from a script: prefixes in, suggestions out, a line each.

A line is a prefix; a line that begins with ``> `` submits the rest of it as a query,
which then belongs to the session. Whatever runs us may wait for each answer: every
line is answered before the next one is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final, NamedTuple

from espalier.console import as_json, printable
from espalier.terminal.answers import Answer, Asks, Question, Row
from espalier.terminal.state import joined

_SUBMIT: Final = "> "
_MAX_BYTES: Final = 65_536


def answer_lines(
    source: BinaryIO,
    write: Callable[[str], None],
    session: tuple[str, ...],
    asker: Asks,
    *,
    want_json: bool,
    complain: Callable[[str], None],
) -> int:
    """Answer each line of ``source``, which is UTF-8; ``write`` gets whole lines.

    A line that cannot be answered (it is not UTF-8, longer than 65,536 bytes, or longer
    than a prefix may be) gets a line that says why, on ``complain`` or, in JSON, as an
    object with "line" and "error"; the next one is then read.

    Args:
        source: Where lines come from.
        write: Takes answers.
        session: The queries submitted before, most recent first.
        asker: Knows the answers.
        want_json: Whether an answer is a line of JSON.
        complain: Takes what is wrong with a line; never what stands in it.

    Returns:
        How many lines could not be answered.
    """
    bad = 0
    for number, line in enumerate(_lines(source), 1):
        if isinstance(line, str):
            if line.startswith(_SUBMIT):
                session = joined(session, line[len(_SUBMIT) :])
                continue
            question = Question(line, session)
            answer = asker.ask(question)
            fault = f": {answer.refusal}" if answer.refusal else ""
        else:
            fault = line.fault
        if fault:
            bad += 1
            said = f"line {number}{fault}"
            if want_json:
                write(as_json({"line": number, "error": said}, indent=None))
            else:
                complain(said)
        elif want_json:
            write(as_json(_document(question, answer), indent=None))
        else:
            for rank, row in enumerate(answer.rows, 1):
                write("\t".join(map(printable, _fields(question.prefix, rank, row, answer))))
    return bad


class _Unreadable(NamedTuple):
    fault: str


def _lines(source: BinaryIO) -> Iterator[str | _Unreadable]:
    while line := source.readline(_MAX_BYTES + 1):
        if len(line) > _MAX_BYTES:
            # The rest of it is no line of its own.
            while line and not line.endswith(b"\n"):
                line = source.readline(_MAX_BYTES)
            yield _Unreadable(f" is longer than {_MAX_BYTES:,} bytes; send a shorter one")
            continue
        try:
            yield line.removesuffix(b"\n").removesuffix(b"\r").decode()
        except UnicodeDecodeError as error:
            yield _Unreadable(f" is not UTF-8 at byte {error.start}; convert the input first")


def _moved(rank: int, row: Row, answer: Answer) -> str:
    if answer.compared and row.before is None:
        return "new"
    by = 0 if row.before is None else row.before - rank
    return f"{by:+d}" if by else "0"


def _fields(line: str, rank: int, row: Row, answer: Answer) -> list[str]:
    found = row.suggestion
    users = "" if row.users is None else str(row.users)
    score = f"{found.score:.4f}"
    moved = _moved(rank, row, answer)
    return [line, str(rank), moved, found.display_text, found.source.lower(), score, users]


def _document(question: Question, answer: Answer) -> dict[str, Any]:
    return {
        "prefix": question.prefix,
        "previous": list(question.previous),
        "suggestions": [
            {
                "text": row.suggestion.text,
                "display_text": row.suggestion.display_text,
                "score": row.suggestion.score,
                "source": row.suggestion.source,
                "users": row.users,
                "moved": _moved(rank, row, answer),
            }
            for rank, row in enumerate(answer.rows, 1)
        ],
        "candidates": answer.candidates,
        "microseconds": round(answer.microseconds, 1),
    }
