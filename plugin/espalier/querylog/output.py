"""Text files that appear whole or not at all.

What is written goes to a temporary file beside the target, is flushed to disk and then
takes the target's name. An error or an interruption removes the temporary file and
leaves the old target as it was.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO, cast

import zstandard

from espalier.errors import StorageError


@contextlib.contextmanager
def new_text_file(path: Path) -> Iterator[TextIO]:
    """Open ``path`` for writing UTF-8 with LF line ends; the name decides the compression.

    ``.gz`` is gzip without a time stamp, ``.zst`` is zstd: equal text gives equal bytes.

    Raises:
        StorageError: The file cannot be created, written or renamed.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as raw:
            with (
                _compressed(path, raw) as stream,
                io.TextIOWrapper(stream, encoding="utf-8", newline="\n") as text,
            ):
                yield text
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


@contextlib.contextmanager
def _compressed(path: Path, raw: BinaryIO) -> Iterator[BinaryIO]:
    if path.suffix in {".gz", ".gzip"}:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as stream:
            yield cast("BinaryIO", stream)
    elif path.suffix in {".zst", ".zstd"}:
        compressor = zstandard.ZstdCompressor()
        with compressor.stream_writer(raw, closefd=False) as writer:
            yield cast("BinaryIO", writer)
    else:
        yield cast("BinaryIO", io.BufferedWriter(_Unclosed(raw)))


class _Unclosed(io.RawIOBase):
    """Passes bytes on and keeps the file below open when closed, so that it can be synced."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        return self._raw.write(data)


def _sync_folder(folder: Path) -> None:
    # The rename itself must survive a power cut; some file systems refuse, harmlessly.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
