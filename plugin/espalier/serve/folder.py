"""The state folder: one service at a time.

Two of them would share the table of sessions well enough, but not the rules: each has them
in memory and writes all of them, so a block made at one would vanish with the next change
at the other.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Final

from espalier.errors import StorageError

_LOCK: Final = "serve.lock"
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_HELD: Final = frozenset({errno.EAGAIN, errno.EACCES})


class StateFolder:
    """Holds a folder, made if need be, until it is closed or the process ends.

    Raises:
        StorageError: Another service has it, or it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._lock: int | None = None
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno in _NO_ROOM:
                # Sessions are kept in memory then, and rules cannot be written by anybody.
                return
            raise StorageError(
                f"cannot use the state folder {path}: {error.strerror}; "
                "name one that can be written in serve.state_dir"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            if error.errno not in _HELD:
                # A file system without locks: nobody can hold it, so nobody does.
                return
            raise StorageError(
                f"another service uses the state folder {path}; "
                "stop it first, or name a folder of its own in serve.state_dir"
            ) from None

    def close(self) -> None:
        """Let others have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
