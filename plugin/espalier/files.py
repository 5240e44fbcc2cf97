"""Files that appear whole or not at all.

What is written goes to a temporary file beside the target, is flushed to disk and then
takes the target's name. An error or an interruption removes the temporary file and
leaves the old target as it was.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from espalier.errors import ConfigError, StorageError


@contextlib.contextmanager
def new_file(path: Path, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open ``path`` for writing bytes.

    ``mode`` are its permissions, less what the process's umask takes away.

    Raises:
        StorageError: The file cannot be created, written or renamed.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb", opener=_with_mode(mode)) as raw:
            yield raw
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror or error}); "
            "check the folder, its permissions and the space left"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """Yield a free name beside ``path``; the file there takes the place of ``path``.

    It does so at the end of the block, and not if an exception leaves it: then the new
    file is removed and the old one is as it was.

    Raises:
        StorageError: The file cannot be renamed.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        _take_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _take_place(temporary: Path, path: Path) -> None:
    try:
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be replaced ({error.strerror or error}); "
            "check the folder and its permissions"
        ) from None
    sync_folder(path.parent)


def refuse_to_overwrite(inputs: Iterable[Path], targets: Iterable[Path]) -> None:
    """Refuse targets that are inputs, or each other.

    Raises:
        ConfigError: Writing would replace what is read, or one output another.
    """
    taken = {path.resolve() for path in inputs}
    for target in targets:
        if target.resolve() in taken:
            raise ConfigError(f"{target}: would overwrite what is read or written; name another")
        taken.add(target.resolve())


def _with_mode(mode: int) -> Callable[[str, int], int]:
    return lambda path, flags: os.open(path, flags, mode)


def sync_folder(folder: Path) -> None:
    """Make names in a folder survive a power cut, where the file system can."""
    # Some refuse, harmlessly.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
