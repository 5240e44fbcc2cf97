"""A folder of event files: how they are named, finished, compressed and thrown away.

::

    20260131T120000.123Z-5f0c2e9a41d7-000001.ndjson.open   being written
    20260131T120000.123Z-5f0c2e9a41d7-000001.ndjson        finished
    20260131T120000.123Z-5f0c2e9a41d7-000001.ndjson.gz     compressed

Names begin with the time the file was begun, so they sort by it; then comes what tells
writers apart, and a number. A file has one writer, which holds a lock on it (``flock``)
as long as it lives; whoever finds an ``.open`` file without a lock finishes it, so a
process that was killed leaves nothing behind but perhaps half a last line. Files are
for their owner alone (mode 0600). A finished file is never changed.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from espalier.errors import StorageError
from espalier.events.lines import stamp_of
from espalier.files import new_file, sync_folder

SUFFIX: Final = ".ndjson"
OPEN: Final = f"{SUFFIX}.open"
PACKED: Final = f"{SUFFIX}.gz"

_TIDY_LOCK: Final = ".tidy.lock"
_PIECE: Final = 1 << 20
_MODE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Keeping:
    """When files are finished, and how long they stay.

    Attributes:
        file_bytes: A file is finished once it has as many.
        file_seconds: Or once it is that old.
        compress: Whether finished files are compressed with gzip.
        keep_seconds: Finished files older than that are removed; 0: none are.
        keep_bytes: The oldest are removed while all files together have more; 0: none are.
    """

    file_bytes: int = 64 << 20
    file_seconds: float = 3_600.0
    compress: bool = False
    keep_seconds: float = 0.0
    keep_bytes: int = 0


class OpenFile:
    """A file this process writes. Not safe to use from several threads.

    Attributes:
        path: Where it is until it is finished.
        size: Its bytes; whole lines only.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        # Under another name until it is locked: nobody may find it without its lock.
        hidden = path.with_name(f".{path.name}.tmp")
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(hidden, flags, _MODE)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(path)
        except OSError:
            os.close(self._file)
            hidden.unlink(missing_ok=True)
            raise

    def append(self, lines: bytes) -> None:
        """Write whole lines: all of them, or none.

        Raises:
            OSError: None were written. `intact` says whether the file can be written on.
        """
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            # What was written of them would be taken for the start of the next line.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self.size)
            raise
        self.size += len(lines)

    @property
    def intact(self) -> bool:
        """Whether the file ends with a whole line."""
        try:
            return os.fstat(self._file).st_size == self.size
        except OSError:
            return False

    def sync(self) -> None:
        """Return when all that was written is on the disk, whatever happens to the machine.

        Raises:
            OSError: It may not be; what was not synced before is to be taken for lost.
        """
        os.fsync(self._file)

    def finish(self) -> None:
        """Let go of the file under its final name; an empty one is removed.

        Raises:
            OSError: It keeps its name, and will be adopted.
        """
        try:
            with contextlib.suppress(OSError):
                os.fsync(self._file)
            if self.size:
                _finish(self.path)
            else:
                self.path.unlink(missing_ok=True)
        finally:
            os.close(self._file)


class EventFolder:
    """The files of all writers of a folder, which is made if it is not there.

    Args:
        path: The folder.
        keeping: When files are finished and removed.
        clock: Unix time in nanoseconds.

    Raises:
        StorageError: The folder cannot be made or written.
    """

    def __init__(
        self, path: Path, keeping: Keeping, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.path = path
        self.keeping = keeping
        self._clock = clock
        self._writer = secrets.token_hex(6)
        self._number = 0
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            allowed = os.access(path, os.W_OK | os.X_OK)
        except OSError as error:
            raise StorageError(
                f"{path}: cannot be made ({error.strerror}); name another folder for events in "
                "serve.events_dir"
            ) from None
        if not allowed:
            raise StorageError(
                f"{path}: cannot be written; change its permissions, or name another folder for "
                "events in serve.events_dir"
            )

    def begin(self, *, synced: bool = False) -> OpenFile:
        """Return a new file; with ``synced`` its name is on the disk as well.

        Raises:
            OSError: It cannot be made.
        """
        self._number += 1
        begun = stamp_of(self._clock()).replace("-", "").replace(":", "")
        file = OpenFile(self.path / f"{begun}-{self._writer}-{self._number:06d}{OPEN}")
        if synced:
            sync_folder(self.path)
        return file

    def adopt(self) -> int:
        """Finish the files of writers that are gone; return how many."""
        adopted = 0
        for path in self._named(OPEN):
            with contextlib.suppress(OSError), _opened(path) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                adopted += _finish(path)
        return adopted

    def tidy(self) -> int:
        """Compress what is finished and remove what is too old or too much.

        Return how many files were removed. One process at a time does it; the others return
        at once.

        Raises:
            OSError, StorageError: The folder or a file of it cannot be used.
        """
        lock = os.open(self.path / _TIDY_LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        else:
            removed = self._remove()
            if self.keeping.compress:
                for path in self._named(SUFFIX):
                    _compress(path)
            return removed
        finally:
            os.close(lock)

    def _named(self, suffix: str) -> list[Path]:
        return sorted(path for path in self.path.glob(f"[0-9]*{suffix}") if path.is_file())

    def _remove(self) -> int:
        keeping, found = self.keeping, []
        for path in sorted([*self._named(SUFFIX), *self._named(PACKED)]):
            with contextlib.suppress(FileNotFoundError):
                found.append((path, path.stat()))
        total = sum(state.st_size for _, state in found)
        total += sum(path.stat().st_size for path in self._named(OPEN) if path.exists())
        removed = 0
        for path, state in found:
            too_much = bool(keeping.keep_bytes) and total > keeping.keep_bytes
            age = self._clock() / 1e9 - state.st_mtime
            too_old = bool(keeping.keep_seconds) and age > keeping.keep_seconds
            if too_much or too_old:
                path.unlink(missing_ok=True)
                total -= state.st_size
                removed += 1
        return removed


def _finish(path: Path) -> bool:
    try:
        path.rename(path.with_name(path.name.removesuffix(OPEN) + SUFFIX))
    except FileNotFoundError:
        return False
    return True


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


def _compress(path: Path) -> None:
    target = path.with_name(path.name.removesuffix(SUFFIX) + PACKED)
    with (
        path.open("rb") as plain,
        new_file(target, mode=_MODE) as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed,
    ):
        shutil.copyfileobj(plain, packed, _PIECE)
    # Events are as old as they were.
    state = path.stat()
    os.utime(target, ns=(state.st_atime_ns, state.st_mtime_ns))
    path.unlink(missing_ok=True)
