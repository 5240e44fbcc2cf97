"""Events of a running service: from calls to files, over crashes and full disks, to an index."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from espalier.client import CallError, Client
from espalier.events import Action
from espalier.events.reading import Tally, read_events
from espalier.v1.completion_service_pb2 import EventAction, UserEvent
from integration.disks import small_disk
from integration.event_writer import FILE_BYTES
from integration.processes import PATIENCE, Sidecar, environment, espalier

LONG = os.environ.get("ESPALIER_PROFILE") == "long"
WRITERS_KILLED = 2_000 if LONG else 12
WORKERS_KILLED = 60 if LONG else 2
ABANDONMENT = EventAction.EVENT_ACTION_ABANDONMENT


def serving(index: Path, state: Path, **settings: object) -> Sidecar:
    """Return a service that keeps events."""
    chosen = {"events": "block", "events_text": "full", "workers": 1, **settings}
    pairs = [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]
    return Sidecar("--index", index, "--state-dir", state, "--http", "127.0.0.1:0", *pairs)


def beacon(sidecar: Sidecar, path: str, body: object) -> tuple[int, dict[str, Any]]:
    """Send what a page sends when it is left; return status and reply."""
    connection = HTTPConnection(sidecar.http, timeout=PATIENCE)
    try:
        data = json.dumps(body).encode()
        connection.request("POST", path, data, {"content-type": "text/plain;charset=UTF-8"})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def ended(sidecar: Sidecar) -> None:
    """End a service as its operator does."""
    sidecar.send(signal.SIGTERM)
    assert sidecar.wait() == 0


def abandonments(first: int, count: int) -> list[UserEvent]:
    """Return events with the ids ``first`` and so on."""
    return [UserEvent(event_id=str(first + n), action=ABANDONMENT) for n in range(count)]


def fill(path: Path) -> None:
    """Write a file until its disk is full."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 1_024):
            pass


def ids_in(folder: Path) -> list[str]:
    """Return the ids of the events in a folder."""
    return [event.event_id for event in read_events([folder])]


@pytest.fixture(scope="module")
def loop(demo_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the state folder of a service that was used over both doors, and has ended."""
    state = tmp_path_factory.mktemp("loop")
    with (
        serving(demo_index, state, workers=2, events_file_seconds=1) as sidecar,
        Client(sidecar.address, timeout=PATIENCE, channels=6) as client,
    ):
        for person in range(24):
            session = f"session {person}"
            reply = client.complete("te", session=session)
            client.record("Zanzibar Tent", session=session, unit=f"u{person}")
            client.complete("za", session=session, intent=f"i{person}")
            client.record(
                "zanzibar tent pegs",
                session=session,
                unit=f"u{person}",
                set_id=reply.suggestion_set_id,
                position=1,
            )
            body = {"events": [{"eventId": f"b{person}", "action": "EVENT_ACTION_ABANDONMENT"}]}
            for _ in range(2):
                assert beacon(sidecar, "/v1/events", body)[0] == 200
            # Long enough for files to change by age while this goes on.
            time.sleep(0.05)
        query = {"query": "zanzibar lamp", "sessionId": "page", "unit": "page"}
        assert beacon(sidecar, "/v1/queries", query)[0] == 200
        client.record("zanzibar secret", session="deleted", unit="deleted")
        client.delete("deleted")
        ended(sidecar)
    return state


def test_what_people_did_is_in_the_files_of_all_workers(loop: Path) -> None:
    """Each thing once, whichever worker it was told, and tied together by ids."""
    tally = Tally()
    events = list(read_events([loop / "events"], tally))
    by_action = {action: [event for event in events if event.action is action] for action in Action}
    counts = {action.value: len(found) for action, found in by_action.items() if found}
    shown = {event.set_id: event for event in by_action[Action.IMPRESSION]}

    assert counts == {"impression": 48, "acceptance": 24, "submission": 49, "abandonment": 24}
    # The front remembers what it was told, so the second beacon is not even written.
    assert tally == Tally(lines=147, forgotten=1)
    for event in by_action[Action.ACCEPTANCE]:
        assert shown[event.set_id].session == event.session
        assert shown[event.set_id].text == "te"
        assert (event.position, event.text) == (1, "zanzibar tent pegs")
    assert all(one.latency_us and one.index_revision for one in shown.values())


def test_event_files_are_finished_private_and_many(loop: Path) -> None:
    """A worker that ends leaves none open; they were finished by age meanwhile."""
    files = [path for path in (loop / "events").iterdir() if path.suffix != ".lock"]

    assert len(files) > 3
    assert {path.suffix for path in files} == {".ndjson"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((loop / "events").stat().st_mode) == 0o700
    assert stat.S_IMODE((loop / "events.key").stat().st_mode) == 0o600


def test_ids_are_nowhere_in_the_clear(loop: Path) -> None:
    """Neither sessions nor people."""
    written = b"".join(path.read_bytes() for path in (loop / "events").glob("*.ndjson"))

    assert b"session 1" not in written
    assert b'"u1"' not in written
    assert b"deleted" not in written


def test_an_index_learns_from_what_was_served(loop: Path, tmp_path: Path) -> None:
    """The circle closes: what people submitted yesterday is suggested today."""
    index = tmp_path / "learned.esp"
    trained = espalier(
        "train", "--log", loop / "events", "--out", index, "--set", "min_users=5", "--quiet"
    )
    assert trained.returncode == 0, trained.stderr
    asked = espalier("complete", index, "zan", "--previous", "zanzibar tent")

    assert "zanzibar tent pegs" in asked.stdout
    assert "lamp" not in asked.stdout
    assert "secret" not in asked.stdout


def test_an_index_cannot_learn_from_hashes(demo_index: Path, tmp_path: Path) -> None:
    """They are the default; nothing somebody typed is in such a file."""
    with (
        Sidecar(
            *("--index", demo_index, "--state-dir", tmp_path, "--workers", "1"),
            *("--set", "events=drop"),
        ) as sidecar,
        Client(sidecar.address, timeout=PATIENCE) as client,
    ):
        client.complete("zanzi", session="s", previous=["zanzibar"])
        client.record("zanzibar tent", session="s")
        ended(sidecar)
    trained = espalier("train", "--log", tmp_path / "events", "--out", tmp_path / "learned.esp")

    assert len(ids_in(tmp_path / "events")) == 2
    assert all(b"zanzi" not in path.read_bytes() for path in (tmp_path / "events").glob("*.ndjson"))
    assert trained.returncode == 2
    assert "has hashes of texts, from which nothing can be learned" in trained.stderr


def test_events_need_a_place_and_a_secret(demo_index: Path) -> None:
    """Without a state folder the service says so before it starts."""
    started = espalier("serve", "--index", demo_index, "--set", "events=drop")

    assert started.returncode == 2
    assert "serve.events needs a folder; name a folder for both in serve.state_dir" in (
        started.stderr
    )


def test_a_folder_nobody_can_write_stops_the_start(demo_index: Path, tmp_path: Path) -> None:
    """Whoever wants events should not find out tomorrow that there are none."""
    (tmp_path / "events").touch()
    started = espalier(
        *("serve", "--index", demo_index, "--state-dir", tmp_path, "--set", "events=drop")
    )

    assert started.returncode == 1
    assert "events: cannot be made" in started.stderr


def test_nothing_acknowledged_is_lost_when_a_writer_is_killed(tmp_path: Path) -> None:
    """However often, at whatever moment; a line that was torn is counted."""
    chance = random.Random(7)  # noqa: S311 - when to kill is no secret
    acknowledged: set[str] = set()
    for turn in range(WRITERS_KILLED):
        child = subprocess.Popen(
            [sys.executable, "-m", "integration.event_writer", tmp_path, str(turn * 10**9)],
            env=environment(),
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        first = child.stdout.readline()
        assert first
        time.sleep(chance.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        said = first + child.stdout.read()
        child.stdout.close()
        child.wait(PATIENCE)
        # The last number may be cut short itself.
        acknowledged |= set(said[: said.rindex(b"\n")].decode().split())
    tally = Tally()
    kept = [event.event_id for event in read_events([tmp_path], tally)]
    files = list(tmp_path.glob("*.ndjson*"))

    assert acknowledged <= set(kept)
    assert len(kept) == len(set(kept))
    assert tally.truncated <= WRITERS_KILLED
    assert tally.malformed == tally.duplicates == 0
    assert len(files) >= WRITERS_KILLED
    # Every writer finishes what the one before left open; the last has no successor.
    assert sum(path.name.endswith(".open") for path in files) <= 1
    assert all(path.stat().st_size < 2 * FILE_BYTES for path in files)


def test_nothing_acknowledged_is_lost_when_workers_are_killed(
    demo_index: Path, tmp_path: Path
) -> None:
    """Over gRPC, while several clients report and repeat what failed."""
    acknowledged: set[str] = set()
    stop = threading.Event()
    with serving(demo_index, tmp_path, events="durable") as sidecar:

        def report(part: int) -> None:
            with Client(sidecar.address, timeout=PATIENCE) as client:
                for number in range(part * 10**6, (part + 1) * 10**6, 3):
                    if stop.is_set():
                        return
                    try:
                        client.record_events(abandonments(number, 3))
                    except CallError:
                        continue
                    acknowledged.update(str(number + n) for n in range(3))

        threads = [threading.Thread(target=report, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(WORKERS_KILLED):
                before, kept = sidecar.workers()[0], len(acknowledged)
                eventually(lambda kept=kept: len(acknowledged) > kept + 30)  # type: ignore[misc]
                os.kill(before, signal.SIGKILL)
                eventually(lambda before=before: sidecar.workers()[0] != before)  # type: ignore[misc]
            kept = len(acknowledged)
            eventually(lambda: len(acknowledged) > kept + 30)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        # As the operator's machine would: everything at once.
        os.kill(sidecar.workers()[0], signal.SIGKILL)
        sidecar.send(signal.SIGKILL)
        sidecar.process.wait(PATIENCE)

    assert acknowledged <= set(ids_in(tmp_path / "events"))


def test_a_full_disk_is_said_and_survived(demo_index: Path, tmp_path: Path) -> None:
    """Reports fail with a reason, completions do not; with room again all is well."""
    state = tmp_path / "state"
    with (
        small_disk(tmp_path / "disk") as disk,
        serving(demo_index, state, events="durable", events_dir=disk / "events") as sidecar,
        Client(sidecar.address, timeout=PATIENCE) as client,
    ):
        assert client.record_events(abandonments(0, 10)).recorded == 10
        filler = disk / "filler"
        fill(filler)
        failed: list[CallError] = []
        # What is left of the last page of the event file takes a few.
        number = 100
        while not failed:
            try:
                client.record_events(abandonments(number, 50))
            except CallError as error:
                failed.append(error)
            number += 50
            assert number < 10_000
        suggestions = client.complete("c").suggestions
        filler.unlink()
        assert client.record_events(abandonments(number, 10)).recorded == 10
        ended(sidecar)
        kept = ids_in(disk / "events")

    assert failed[0].reason == "STORAGE"
    assert "No space left on device" in str(failed[0])
    assert suggestions
    assert {str(n) for n in (*range(10), *range(number, number + 10))} <= set(kept)
    assert not {str(n) for n in range(number - 50, number)} & set(kept)
    said = [event["event"] for event in sidecar.events() if event["event"].startswith("events_")]
    assert said == ["events_failing", "events_recovered"]
