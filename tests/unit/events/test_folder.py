"""Event files: names, locks, what a dead writer leaves, what is compressed and removed."""

from __future__ import annotations

import errno
import gzip
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from espalier.errors import StorageError
from espalier.events.folder import OpenFile
from espalier.events.lines import line_of
from tests.unit.events.fakes import FULL, Clock, folder_at, ids_in, names_in, submission

DAY = 86_400
LINE = line_of(submission(1), FULL)


def finished(path: Path, clock: Clock, *, lines: int = 1, **keeping: float) -> Path:
    """Return a finished file of a folder, as old as the clock says."""
    file = folder_at(path, clock, **keeping).begin()
    file.append(LINE * lines)
    file.finish()
    (made,) = [one for one in path.iterdir() if one.name.startswith(file.path.name[:45])]
    os.utime(made, ns=(clock.now, clock.now))
    return made


def test_a_file_is_for_its_owner_and_named_by_its_time(tmp_path: Path) -> None:
    """Names of later files sort behind those of earlier ones, whoever wrote them."""
    clock = Clock()
    one, other = folder_at(tmp_path, clock), folder_at(tmp_path, clock)
    first = one.begin()
    clock.now += 1_000_000
    second = other.begin()
    clock.now += 1_000_000
    third = one.begin()

    for file in (first, second, third):
        assert re.fullmatch(
            r"20260131T120000\.00\dZ-[0-9a-f]{12}-\d{6}\.ndjson\.open", file.path.name
        )
        assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
        file.append(LINE)
        file.finish()
    assert [path.name.removesuffix(".open") for path in (first.path, second.path, third.path)] == (
        names_in(tmp_path)
    )


def test_a_new_folder_is_for_its_owner(tmp_path: Path) -> None:
    """Those above it that are missing are made as well."""
    folder_at(tmp_path / "state" / "events")

    assert stat.S_IMODE((tmp_path / "state" / "events").stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    """It names the folder and the setting."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/events: cannot be made .*serve\.events_dir"):
        folder_at(tmp_path / "file" / "events")


def test_a_file_without_events_leaves_nothing(tmp_path: Path) -> None:
    """Finishing it removes it."""
    folder_at(tmp_path).begin().finish()

    assert names_in(tmp_path) == []


def test_lines_are_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up in the middle of a line leaves the lines before it."""
    file = folder_at(tmp_path).begin()
    file.append(LINE)
    write, calls = os.write, []

    def almost_full(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[:10])

    monkeypatch.setattr(os, "write", almost_full)
    with pytest.raises(OSError, match="No space left"):
        file.append(LINE * 2)
    monkeypatch.undo()
    assert file.path.read_bytes() == LINE
    assert file.intact
    file.append(LINE)

    assert file.path.read_bytes() == LINE * 2


def test_a_file_that_cannot_be_cut_says_that_it_is_not_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So nothing is written behind half a line."""
    file = folder_at(tmp_path).begin()
    real = os.write
    times = iter([True])

    def half(descriptor: int, data: bytes) -> int:
        if next(times, False):
            return real(descriptor, data[:10])
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def refused(*_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "write", half)
    monkeypatch.setattr(os, "ftruncate", refused)
    with pytest.raises(OSError, match="Input/output"):
        file.append(LINE)

    assert not file.intact


def test_a_file_whose_writer_lives_is_left_alone(tmp_path: Path) -> None:
    """Its lock says so."""
    folder = folder_at(tmp_path)
    file = folder.begin()
    file.append(LINE)

    assert folder_at(tmp_path).adopt() == 0
    assert names_in(tmp_path) == [file.path.name]
    file.finish()
    assert names_in(tmp_path) == [file.path.name.removesuffix(".open")]


def test_the_file_of_a_killed_writer_is_finished_by_another(tmp_path: Path) -> None:
    """A process that ends without a word lets go of its lock."""
    code = (
        "import os, sys; from pathlib import Path; "
        "from espalier.events.folder import EventFolder, Keeping; "
        "file = EventFolder(Path(sys.argv[1]), Keeping()).begin(); "
        "file.append(sys.stdin.buffer.read()); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], input=LINE, check=False)
    (name,) = names_in(tmp_path)
    assert name.endswith(".ndjson.open")

    assert folder_at(tmp_path).adopt() == 1
    assert names_in(tmp_path) == [name.removesuffix(".open")]
    assert list(ids_in(tmp_path)) == ["e1"]


def test_a_file_is_hidden_until_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can adopt it in between; and if it cannot be locked, nothing stays."""
    seen = []

    def refuse(*_: int) -> None:
        seen.append(names_in(tmp_path))
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("espalier.events.folder.fcntl.flock", refuse)
    with pytest.raises(OSError, match="locks"):
        OpenFile(tmp_path / "1.ndjson.open")

    assert seen == [[".1.ndjson.open.tmp"]]
    assert names_in(tmp_path) == []


def test_finished_files_are_compressed(tmp_path: Path) -> None:
    """The lines are the same, the age too, the plain file is gone, the open one untouched."""
    clock = Clock()
    folder = folder_at(tmp_path, clock, compress=True)
    plain = finished(tmp_path, clock, lines=100)
    size = plain.stat().st_size
    being_written = folder.begin()
    folder.tidy()
    packed = plain.with_name(plain.name + ".gz")

    assert names_in(tmp_path) == sorted([packed.name, being_written.path.name])
    assert gzip.decompress(packed.read_bytes()) == LINE * 100
    assert packed.stat().st_size < size / 10
    assert stat.S_IMODE(packed.stat().st_mode) == 0o600
    assert packed.stat().st_mtime_ns == clock.now
    being_written.finish()


def test_old_files_are_removed(tmp_path: Path) -> None:
    """Those that were finished longer ago than they are kept, compressed or not."""
    clock = Clock()
    old = finished(tmp_path, clock)
    folder_at(tmp_path, clock, compress=True).tidy()
    clock.now += 2 * DAY * 10**9
    young = finished(tmp_path, clock)
    clock.now += DAY * 10**9

    assert folder_at(tmp_path, clock, keep_seconds=2.5 * DAY).tidy() == 1
    assert not old.exists()
    assert names_in(tmp_path) == [young.name]
    assert folder_at(tmp_path, clock, keep_seconds=0).tidy() == 0


def test_the_oldest_files_go_while_there_are_too_many_bytes(tmp_path: Path) -> None:
    """What is being written counts, and is never removed."""
    clock = Clock()
    names = []
    for _ in range(5):
        clock.now += 10**9
        names.append(finished(tmp_path, clock, lines=10).name)
    folder = folder_at(tmp_path, clock, keep_bytes=len(LINE) * 45)
    being_written = folder.begin()
    being_written.append(LINE * 20)

    # 70 lines are there; 30 of the five files have to go.
    assert folder.tidy() == 3
    assert names_in(tmp_path) == sorted([*names[3:], being_written.path.name])
    assert folder.tidy() == 0
    being_written.finish()


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    """Somebody's notes in the folder are no events."""
    (tmp_path / "notes.ndjson").write_text("mine\n")
    (tmp_path / "2026.txt").write_text("mine\n")
    clock = Clock()
    clock.now *= 2

    assert folder_at(tmp_path, clock, keep_seconds=1, compress=True).tidy() == 0
    assert names_in(tmp_path) == ["2026.txt", "notes.ndjson"]
