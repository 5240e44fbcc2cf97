"""Files that appear whole or not at all.

What is written goes to a temporary file beside the target, is flushed to disk and then
takes the target's name. An error or an interruption removes the temporary file and
leaves the old target as it was.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from espalier.errors import StorageError


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Open ``path`` for writing bytes.

    Raises:
        StorageError: The file cannot be created, written or renamed.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as raw:
            yield raw
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror or error}); "
            "check the folder, its permissions and the space left"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    # The rename itself must survive a power cut; some file systems refuse, harmlessly.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
