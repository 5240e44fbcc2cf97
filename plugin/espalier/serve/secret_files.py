"""Files an operator keeps secrets in: read whole, and only if others cannot."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from espalier.errors import ConfigError

# Chains, authorities and tokens are far below; a disk image named by mistake is not.
MOST_BYTES: Final = 1024 * 1024
_OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP
_OTHERS_WRITE: Final = stat.S_IWOTH | stat.S_IWGRP


def read_secret(path: Path, setting: str) -> bytes:
    """Return the bytes of a file that only its user and, to read it, its group can open.

    Raises:
        ConfigError: It cannot be read, or others could.
    """
    return _read(path, setting, _OTHERS, "chmod o=,g-w")


def read_trusted(path: Path, setting: str) -> bytes:
    """Return the bytes of a file that only its user can write.

    Raises:
        ConfigError: It cannot be read, or others could write it.
    """
    return _read(path, setting, _OTHERS_WRITE, "chmod go-w")


def _read(path: Path, setting: str, forbidden: int, cure: str) -> bytes:
    shown = f"{path}, named by serve.{setting},"
    try:
        with open(path, "rb", opener=_at_once) as file:
            # Of the open file: what stands at the path may be another one by now.
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(f"{shown} is not a file; name one")
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{shown} cannot be read ({error.strerror}); check path and permissions"
        ) from None
    if mode := status.st_mode & forbidden:
        raise ConfigError(
            f"{shown} is open to others (mode {stat.S_IMODE(status.st_mode):04o}, "
            f"of which {mode:04o} must go); {cure} {path}"
        )
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{shown} has more than {MOST_BYTES:,} bytes; name another file")
    return data


def _at_once(path: str, flags: int) -> int:
    # A pipe without a writer would keep us waiting.
    return os.open(path, flags | os.O_NONBLOCK)
