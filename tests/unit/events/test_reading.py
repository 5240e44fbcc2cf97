"""Reading event files: every event once, in any order, half a line counted."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import LogError
from espalier.events import Action, Event
from espalier.events.lines import line_of
from espalier.events.reading import Tally, event_files, read_events
from tests.unit.events.fakes import FULL, NOON, submission

LINES = [line_of(submission(number), FULL) for number in range(5)]


def read(*paths: Path) -> tuple[list[str], Tally]:
    """Return the ids of the events of some files, and what became of the rest."""
    tally = Tally()
    return [event.event_id for event in read_events(paths, tally)], tally


def test_every_cut_of_a_file_costs_its_last_line_only(tmp_path: Path) -> None:
    """Wherever a crash broke it off."""
    whole = b"".join(LINES[:2])
    path = tmp_path / "1.ndjson"
    for end in range(len(LINES[0]), len(whole) + 1):
        path.write_bytes(whole[:end])
        ids, tally = read(path)
        complete = end >= len(whole) - 1

        assert ids == (["e0", "e1"] if complete else ["e0"])
        assert tally.truncated == (not complete and end > len(LINES[0]))
        assert tally.malformed == 0


def test_events_come_once_however_often_they_stand_there(tmp_path: Path) -> None:
    """In one file or in several."""
    (tmp_path / "1.ndjson").write_bytes(LINES[0] + LINES[1] + LINES[0])
    (tmp_path / "2.ndjson.open").write_bytes(LINES[1] + LINES[2])
    ids, tally = read(tmp_path)

    assert ids == ["e0", "e1", "e2"]
    assert tally == Tally(lines=5, duplicates=2)


def test_impressions_of_one_suggestion_set_are_one(tmp_path: Path) -> None:
    """The service and a front end with a cache both tell of it."""
    served = Event(Action.IMPRESSION, NOON, event_id="q1", set_id="q1")
    told = Event(Action.IMPRESSION, NOON, event_id="x", set_id="q1")
    accepted = Event(Action.ACCEPTANCE, NOON, event_id="y", set_id="q1")
    path = tmp_path / "1.ndjson"
    path.write_bytes(b"".join(line_of(event, FULL) for event in (served, told, accepted)))

    assert read(path) == (["q1", "y"], Tally(lines=3, duplicates=1))


def test_what_a_session_did_before_it_was_deleted_is_left_out(tmp_path: Path) -> None:
    """Also if the mark stands in a file before or behind; what it did later stays."""
    mark = Event(Action.FORGOTTEN, NOON + 2_000_000, event_id="m", session="s")
    other = line_of(submission(0, session="t", event_id="t0"), FULL)
    for first, second in (("1", "2"), ("2", "1")):
        (tmp_path / f"{first}.ndjson").write_bytes(b"".join(LINES) + other)
        (tmp_path / f"{second}.ndjson").write_bytes(line_of(mark, FULL))
        ids, tally = read(tmp_path)

        assert ids == ["e3", "e4", "t0"]
        assert tally == Tally(lines=7, forgotten=3)


def test_what_is_no_event_is_counted(tmp_path: Path) -> None:
    """Lines of others, bytes that are no text, and lines without an end."""
    path = tmp_path / "1.ndjson"
    path.write_bytes(b'{"action_name":"click"}\n\xff\n\n' + LINES[0] + b"x" * (3 << 20) + b"\n")

    ids, tally = read(path)

    assert ids == ["e0"]
    assert tally == Tally(lines=5, malformed=4)


def test_compressed_files_are_read_and_their_plain_twins_are_not(tmp_path: Path) -> None:
    """Between the two steps of compressing both are there."""
    packed = gzip.compress(b"".join(LINES))
    (tmp_path / "1.ndjson.gz").write_bytes(packed)
    (tmp_path / "1.ndjson").write_bytes(b"".join(LINES))
    assert [path.name for path in event_files([tmp_path])] == ["1.ndjson.gz"]
    assert read(tmp_path) == ([f"e{number}" for number in range(5)], Tally(lines=5))

    (tmp_path / "1.ndjson.gz").write_bytes(packed[: len(packed) // 2])
    _, tally = read(tmp_path / "1.ndjson.gz")
    assert tally.truncated == 1


def test_a_file_that_was_finished_meanwhile_is_found(tmp_path: Path) -> None:
    """It had another name when the folder was looked at."""
    path = tmp_path / "1.ndjson.open"
    (tmp_path / "1.ndjson").write_bytes(LINES[0])
    assert read(path)[0] == ["e0"]

    (tmp_path / "1.ndjson").unlink()
    (tmp_path / "1.ndjson.gz").write_bytes(gzip.compress(LINES[0]))
    assert read(path)[0] == read(tmp_path / "1.ndjson")[0] == ["e0"]


def test_nothing_at_a_path_is_an_error(tmp_path: Path) -> None:
    """A misspelled folder is no empty one."""
    with pytest.raises(LogError, match="no such file or folder"):
        list(read_events([tmp_path / "missing"]))


@given(st.lists(st.integers(0, 30), max_size=40), st.randoms(use_true_random=False))
def test_the_order_of_files_and_lines_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], chance: random.Random
) -> None:
    """The same events come out of any arrangement."""
    folder = tmp_path_factory.mktemp("events")
    lines = [line_of(submission(number), FULL) for number in numbers]
    for name in ("2.ndjson", "1.ndjson", "3.ndjson"):
        chance.shuffle(lines)
        (folder / name).write_bytes(b"".join(lines))
    ids, tally = read(folder)

    assert sorted(ids) == sorted({f"e{number}" for number in numbers})
    assert tally.duplicates == 3 * len(numbers) - len(set(numbers))


def test_a_file_that_is_removed_while_others_are_read_is_left_out(tmp_path: Path) -> None:
    """A running service removes old files whenever it is time to."""
    for number in (1, 2):
        line = line_of(submission(number), FULL, "type-ahead")
        (tmp_path / f"{number}.ndjson").write_bytes(line)
    events = read_events([tmp_path])

    first = next(events)
    (tmp_path / "2.ndjson").unlink()

    assert (first.event_id, list(events)) == ("e1", [])
