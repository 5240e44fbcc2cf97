"""Text files, plain or compressed, that appear whole or not at all."""

from __future__ import annotations

import contextlib
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO, cast

import zstandard

from espalier.files import new_file


@contextlib.contextmanager
def new_text_file(path: Path) -> Iterator[TextIO]:
    """Open ``path`` for writing UTF-8 with LF line ends; the name decides the compression.

    ``.gz`` is gzip without a time stamp, ``.zst`` is zstd: equal text gives equal bytes.

    Raises:
        StorageError: The file cannot be created, written or renamed.
    """
    with (
        new_file(path) as raw,
        _compressed(path, raw) as stream,
        io.TextIOWrapper(stream, encoding="utf-8", newline="\n") as text,
    ):
        yield text


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
