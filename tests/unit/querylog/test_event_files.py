"""Event files of the service as a log: submissions once, nothing forgotten, texts or an error."""

from __future__ import annotations

import dataclasses
import gzip
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from espalier.errors import LogError, NoTextError
from espalier.events import Action, Event, Privacy, TextPolicy, line_of
from espalier.querylog import QueryLog, pairs_of, read_log
from espalier.settings import LogSettings
from tests.unit.events.fakes import FULL, KEY, NOON

SECOND = 1_000_000_000


def submission(number: int, text: str, **changes: str) -> Event:
    """Return a query submitted so many seconds after noon."""
    fields = {"event_id": f"e{number}", "session": "s", "unit": "u", "text": text} | changes
    return Event(Action.SUBMISSION, NOON + number * SECOND, **fields)  # type: ignore[arg-type]


def write(path: Path, events: Sequence[Event], privacy: Privacy = FULL) -> Path:
    """Write an event file."""
    path.write_bytes(b"".join(line_of(event, privacy) for event in events))
    return path


def read(*paths: Path) -> QueryLog:
    """Read logs."""
    return read_log(paths, LogSettings())


def bad(log: QueryLog) -> dict[str, int]:
    """Return how many rows were bad, by kind."""
    return {kind: found.count for kind, found in log.report.bad_rows.items()}


EVENTS = [
    Event(Action.EXPOSURE, NOON, event_id="x", unit="u", experiments={"e": "A"}),
    Event(Action.IMPRESSION, NOON, event_id="q1", set_id="q1", session="s", text="te"),
    Event(Action.ACCEPTANCE, NOON, event_id="a", set_id="q1", session="s", text="tent"),
    submission(1, "Tent"),
    submission(2, "tent pegs"),
    Event(Action.ABANDONMENT, NOON, event_id="b", session="s"),
    submission(3, "stove", session="t", unit="v"),
    submission(4, "lamp", session="w", unit=""),
]


@pytest.mark.parametrize("name", ["1.ndjson", "1.ndjson.open", "1.ndjson.gz", "events", "e.json"])
def test_submissions_are_learned_from_and_nothing_else(tmp_path: Path, name: str) -> None:
    """With who, in which session and when; a session without a user is somebody of its own."""
    path = write(tmp_path / name, EVENTS)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(path.read_bytes()))
    log = read(path)

    assert log.queries == ["lamp", "stove", "tent", "tent pegs"]
    assert log.display == ["lamp", "stove", "Tent", "tent pegs"]
    assert len(set(log.event_user.tolist())) == 3
    assert [len(part) for part in pairs_of(log)] == [1, 1]
    assert log.event_time is not None
    assert log.event_time.tolist() == [NOON // SECOND + second for second in (1, 2, 3, 4)]
    assert (log.has_users, log.has_sessions) == (True, True)
    assert bad(log) == {"not_a_query": 4}


def test_a_folder_stands_for_its_files(tmp_path: Path) -> None:
    """Those without an event or without a submission, and those still written, are no fault."""
    folder = tmp_path / "events"
    folder.mkdir()
    write(folder / "1.ndjson", EVENTS[:3])
    write(folder / "2.ndjson", EVENTS[3:5])
    write(folder / "3.ndjson.open", EVENTS[5:])
    (folder / "4.ndjson.open").touch()
    (folder / ".tidy.lock").touch()

    assert read(folder).queries == ["lamp", "stove", "tent", "tent pegs"]
    (folder / "3.ndjson.open").rename(folder / "3.ndjson")
    assert read(folder / "3.ndjson.open").queries == ["lamp", "stove"]
    (folder / "2.ndjson").unlink()
    (folder / "3.ndjson").unlink()
    with pytest.raises(LogError, match=r"1\.ndjson: no usable row: 3 not_a_query"):
        read(folder)
    (folder / "1.ndjson").unlink()
    with pytest.raises(LogError, match="is a folder without event files"):
        read(folder)


def test_an_event_that_was_reported_again_counts_once(tmp_path: Path) -> None:
    """In the same file or in that of another worker."""
    one = write(tmp_path / "1.ndjson", [EVENTS[3], EVENTS[4], EVENTS[3]])
    other = write(tmp_path / "2.ndjson", [EVENTS[4], EVENTS[6]])
    log = read(one, other)

    assert log.counts.tolist() == [1, 1, 1]
    assert bad(log) == {"repeated_event": 2}
    assert log.report.bad_rows["repeated_event"].line == 3
    assert log.report.rows_read == 5


@pytest.mark.parametrize("first", [True, False])
def test_a_deleted_session_teaches_nothing(tmp_path: Path, *, first: bool) -> None:
    """Wherever the mark stands; what the session did afterwards counts again."""
    mark = Event(Action.FORGOTTEN, NOON + 2 * SECOND, event_id="m", session="s")
    events = [*EVENTS, submission(9, "tarp")]
    names = ("1.ndjson", "2.ndjson") if first else ("2.ndjson", "1.ndjson")
    write(tmp_path / names[0], [mark])
    write(tmp_path / names[1], events)
    log = read(tmp_path)

    assert log.queries == ["lamp", "stove", "tarp"]
    assert bad(log) == {"not_a_query": 5, "forgotten": 2}
    assert log.report.rows_used + sum(bad(log).values()) == log.report.rows_read == 10


def test_half_a_last_line_is_counted(tmp_path: Path) -> None:
    """A service that was killed leaves one."""
    path = write(tmp_path / "1.ndjson", EVENTS)
    path.write_bytes(path.read_bytes()[:-30])
    log = read(path)

    assert log.queries == ["stove", "tent", "tent pegs"]
    assert bad(log) == {"not_a_query": 4, "bad_json": 1}


@pytest.mark.parametrize(
    ("policy", "why"), [(TextPolicy.HASH, "has hashes of texts"), (TextPolicy.NONE, "has no texts")]
)
def test_without_texts_there_is_nothing_to_learn(
    tmp_path: Path, policy: TextPolicy, why: str
) -> None:
    """The error says why, and which setting mends it."""
    path = write(tmp_path / "1.ndjson", EVENTS, Privacy(policy, KEY))
    with pytest.raises(NoTextError, match=f"{why}.*serve.events_text = full") as caught:
        read(path)

    assert caught.value.exit_code == 2


def test_hours_without_a_submission_may_have_no_texts(tmp_path: Path) -> None:
    """Nothing would be learned from them anyway."""
    hashed = write(tmp_path / "1.ndjson", EVENTS[:3], Privacy(TextPolicy.HASH, KEY))

    assert read(hashed, write(tmp_path / "2.ndjson", EVENTS)).queries[0] == "lamp"


def test_event_files_and_other_logs_are_read_together(tmp_path: Path) -> None:
    """Last year's log and yesterday's events; that other log keeps its own rules."""
    table = tmp_path / "log.tsv"
    table.write_text("user\tsession\ttime\tquery\nx\t1\t2026-01-01\ttent\n")
    events = write(tmp_path / "1.ndjson", EVENTS)
    assert read(table, events).counts.tolist() == [1, 1, 2, 1]

    table.write_text("user\tsession\ttime\tquery\nx\t1\t2026-01-01\t \n")
    with pytest.raises(LogError, match=r"log\.tsv: no usable row"):
        read(table, events)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line.replace(b'"user_query":"Tent"', b'"user_query":7'),
        lambda line: line.replace(b'"user_query":"Tent",', b""),
        lambda line: line.replace(b'"user_query":"Tent"', b'"user_query":""'),
        lambda line: line.replace(b"2026-01-31T12:00:01.000Z", b"yesterday"),
    ],
)
def test_a_submission_that_says_nothing_is_counted(
    tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    """Somebody wrote it by hand."""
    path = write(tmp_path / "1.ndjson", EVENTS[4:])
    path.write_bytes(path.read_bytes() + spoil(line_of(EVENTS[3], FULL)))
    log = read(path)

    assert log.queries == ["lamp", "stove", "tent pegs"]
    assert sum(bad(log).values()) == 2


def test_two_typings_of_one_query_keep_their_forms(tmp_path: Path) -> None:
    """The commonest form is the one shown."""
    events = [
        dataclasses.replace(submission(n, text), session=f"s{n}", unit=f"u{n}")
        for n, text in enumerate(("iPhone", "iphone", "iPhone"))
    ]

    assert read(write(tmp_path / "1.ndjson", events)).display == ["iPhone"]
