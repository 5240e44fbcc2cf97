"""Files that stay what they were: held open by the supervisor, opened by its workers.

A path may name another file by the time a worker starts; a descriptor does not. Workers
open ``/proc/PID/fd/N`` of the supervisor, which is the file itself, replaced, renamed or
deleted as its path may be.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

from espalier.errors import IndexFormatError, IndexMissingError

_READABLE: Final = os.O_RDONLY | os.O_CLOEXEC
# A pipe without a writer would keep us waiting.
_AT_ONCE: Final = _READABLE | os.O_NONBLOCK


class Identity(NamedTuple):
    """What tells a file, and a state of it, from others."""

    device: int
    inode: int
    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> Identity | None:
        """Return that of the file at ``path``, links followed; ``None`` if there is none."""
        try:
            return cls._of(path.stat())
        except OSError:
            return None

    @classmethod
    def _of(cls, status: os.stat_result) -> Identity:
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


class HeldFile:
    """An open file that other processes of this user can open, until it is closed.

    Attributes:
        path: Where they do.
        modified_ns: When it was written, Unix time in nanoseconds.
    """

    def __init__(self, descriptor: int) -> None:
        """Own ``descriptor``."""
        self._descriptor: int | None = descriptor
        self.modified_ns = os.fstat(descriptor).st_mtime_ns
        self.path = Path(f"/proc/{os.getpid()}/fd/{descriptor}")

    @property
    def place(self) -> Path:
        """Where the file is, all links followed."""
        return Path(f"/proc/self/fd/{self._descriptor}").readlink()

    def close(self) -> None:
        """Let go of the file, once; those who have opened it keep it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def hold(path: Path) -> HeldFile:
    """Open an index file.

    Raises:
        IndexMissingError: It cannot be opened.
        IndexFormatError: It is no regular file.
    """
    try:
        descriptor = os.open(path, _AT_ONCE)
    except OSError as error:
        raise IndexMissingError(
            f"{path}: {error.strerror}; train one with `espalier train`"
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IndexFormatError(f"{path}: not a file; name one that `espalier train` wrote")
    return HeldFile(descriptor)


def hold_bytes(name: str, data: bytes) -> HeldFile:
    """Return a file in memory with ``data`` in it; ``name`` is for people."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(data)
    return HeldFile(descriptor)
