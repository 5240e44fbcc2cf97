"""Reads event files: every event once, none that must be forgotten.

Files may come in any order and overlap, and events in a file too. What cannot be used
is counted, never an error: a service that was killed leaves half a line, clients send
events twice, several writers write the same one. Two passes are made, since a mark of
deletion may stand in a later file than the events it is about.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from espalier.errors import LogError
from espalier.events.event import Action, Event
from espalier.events.folder import OPEN, PACKED, SUFFIX
from espalier.events.lines import EventLineError, event_of

MAX_LINE_BYTES: Final = 1 << 20
"""A longer line is none of ours."""

_MARK: Final = b'"forgotten"'
_PACKED_START: Final = b"\x1f\x8b"
_ENDINGS: Final = (SUFFIX, PACKED, OPEN)


@dataclass(slots=True)
class Tally:
    """What became of the lines read.

    Attributes:
        lines: All there were.
        truncated: Last lines of files that broke off.
        malformed: Others that are no events.
        duplicates: Events that came before: by their id, impressions also by their set.
        forgotten: Events of sessions that were deleted later on.
    """

    lines: int = 0
    truncated: int = 0
    malformed: int = 0
    duplicates: int = 0
    forgotten: int = 0


def event_files(paths: Iterable[Path]) -> list[Path]:
    """Return the event files that ``paths`` name, those of folders by name.

    A file that is there compressed as well counts once.

    Raises:
        LogError: There is none at one of ``paths``.
    """
    found: list[Path] = []
    for path in map(current_place, paths):
        if path.is_dir():
            inside = [one for one in sorted(path.iterdir()) if one.name.endswith(_ENDINGS)]
            found += [one for one in inside if not one.name.startswith(".")]
        elif path.is_file():
            found.append(path)
        else:
            raise LogError(f"{path}: no such file or folder; name event files, or their folder")
    packed = {str(path).removesuffix(PACKED) for path in found if path.name.endswith(PACKED)}
    kept = [path for path in found if str(path).removesuffix(SUFFIX) not in packed]
    return list(dict.fromkeys(kept))


def read_events(paths: Iterable[Path], tally: Tally | None = None) -> Iterator[Event]:
    """Yield the events of files and folders, in the order they stand there.

    Raises:
        LogError: A file cannot be read.
    """
    tally = Tally() if tally is None else tally
    files = event_files(paths)
    forgotten: dict[str, int] = {}
    for path in files:
        for line in _lines(path, Tally()):
            if _MARK in line and (mark := _parsed(line)) and mark.action is Action.FORGOTTEN:
                forgotten[mark.session] = max(mark.time_ns, forgotten.get(mark.session, 0))
    seen: set[str] = set()
    shown: set[str] = set()
    for path in files:
        for line in _lines(path, tally):
            event = _parsed(line)
            if event is None:
                tally.malformed += 1
            elif event.event_id in seen or (
                event.action is Action.IMPRESSION and event.set_id and event.set_id in shown
            ):
                tally.duplicates += 1
            else:
                seen.add(event.event_id)
                if event.action is Action.IMPRESSION:
                    shown.add(event.set_id)
                if event.session and event.time_ns <= forgotten.get(event.session, -1):
                    tally.forgotten += event.action is not Action.FORGOTTEN
                else:
                    yield event


def _parsed(line: bytes) -> Event | None:
    try:
        return event_of(line)
    except EventLineError:
        return None


def _lines(path: Path, tally: Tally) -> Iterator[bytes]:
    """Yield the lines of a file that may be events."""
    try:
        with _opened(path) as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                tally.lines += 1
                if line.endswith(b"\n") or _parsed(line) is not None:
                    yield line
                elif len(line) > MAX_LINE_BYTES:
                    tally.malformed += 1
                    while line and not line.endswith(b"\n"):
                        line = file.readline(MAX_LINE_BYTES)
                else:
                    tally.truncated += 1
    except (EOFError, zlib.error, gzip.BadGzipFile):
        tally.truncated += 1
    except FileNotFoundError:
        # It was there when the folder was listed: old files are removed meanwhile.
        return
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror or error})") from None


def _opened(path: Path) -> BinaryIO:
    path = current_place(path)
    with path.open("rb") as file:
        packed = file.read(2) == _PACKED_START
    return cast("BinaryIO", gzip.open(path, "rb")) if packed else path.open("rb")


def current_place(path: Path) -> Path:
    """Return where a file is that was at ``path``: it may be finished or compressed by now."""
    stem = path.name.removesuffix(OPEN).removesuffix(SUFFIX)
    places = [path, *(path.with_name(stem + ending) for ending in (SUFFIX, PACKED))]
    return next((one for one in places if one.exists()), path)
