"""Lines out of plain, gzip and zstd files: bounded memory, exact line numbers.

A file is read in blocks of whole lines. Only the block that holds bytes which are
not UTF-8 is decoded line by line; a log in good order costs one decode and one
split per block. Nothing here knows what a line means.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

import zstandard

from espalier.errors import LogError
from espalier.querylog.kinds import BLANK_LINE, LINE_TOO_LONG, NOT_UTF8

MAX_LINE_BYTES: Final = 1 << 20
"""A longer line is no query: it is counted and skipped without being held in memory."""

_BLOCK_BYTES: Final = 2 << 20
# A few bytes of zstd can stand for very many: little is decompressed at a time.
_ZSTD_INPUT_BYTES: Final = 1 << 12
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_UTF8_MARK: Final = "\ufeff"
# The UTF-16 marks; UTF-32 little-endian begins like UTF-16.
_WIDE_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Block:
    """Some lines of a file.

    Attributes:
        lines: Text without line ends, none of them empty.
        numbers: Line number of each, from 1, ascending.
        bad: Lines that are no text, as (kind, line number).
    """

    lines: list[str]
    numbers: list[int] | range
    bad: list[tuple[str, int]]


def open_bytes(path: Path) -> tuple[BinaryIO, BinaryIO]:
    """Return the decompressed stream of a file and the file under it; close both.

    The second tells how far reading has come, whatever the compression.

    Raises:
        LogError: The file cannot be opened.
    """
    try:
        raw = path.open("rb")
        magic = raw.read(4)
        raw.seek(0)
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    if magic.startswith(_GZIP):
        return cast("BinaryIO", gzip.GzipFile(fileobj=raw)), raw
    if magic == _ZSTD:
        return cast("BinaryIO", _ZstdFile(raw)), raw
    return raw, raw


class _ZstdFile(io.BufferedIOBase):
    """Decompresses zstd frames one after another.

    The library's own reader takes a file that ends inside a frame for a complete one;
    half a log must not pass for a whole one.
    """

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__()
        self._raw = raw
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._ready = bytearray()

    def read(self, size: int | None = -1, /) -> bytes:
        """Return ``size`` bytes, fewer at the end only."""
        wanted = -1 if size is None else size
        while wanted < 0 or len(self._ready) < wanted:
            data = self._raw.read(_ZSTD_INPUT_BYTES)
            if not data:
                if self._begun:
                    raise EOFError("the last frame is not complete")
                break
            while data:
                self._ready += self._frame.decompress(data)
                self._begun = not self._frame.eof
                data = self._frame.unused_data
                if self._frame.eof:
                    self._frame = zstandard.ZstdDecompressor().decompressobj()
        end = len(self._ready) if wanted < 0 else wanted
        taken = bytes(self._ready[:end])
        del self._ready[:end]
        return taken


def read_start(path: Path, size: int = 1 << 16) -> bytes:
    """Return the first decompressed bytes of a file, at most ``size``.

    Raises:
        LogError: The file cannot be opened or decompressed.
    """
    stream, raw = open_bytes(path)
    with raw, stream:
        return _read(stream, size, path)


def read_blocks(path: Path, advance: Callable[[int], None]) -> Iterator[Block]:
    """Yield the lines of a file in order; ``advance`` hears of bytes read from disk.

    Raises:
        LogError: The file cannot be opened or decompressed, or is UTF-16.
    """
    stream, raw = open_bytes(path)
    with raw, stream:
        line = 1
        told = 0
        for chunk, complete in _chunks(stream, path):
            if line == 1 and chunk.startswith(_WIDE_MARKS):
                raise LogError(f"{path}: is UTF-16; convert it: iconv -f UTF-16 -t UTF-8")
            yield _block(chunk, line) if complete else Block([], [], [(LINE_TOO_LONG, line)])
            line += chunk.count(b"\n") if complete else 1
            here = raw.tell()
            advance(here - told)
            told = here


def _read(stream: BinaryIO, size: int, path: Path) -> bytes:
    try:
        return stream.read(size)
    except (EOFError, OSError, zlib.error, zstandard.ZstdError) as error:
        raise LogError(
            f"{path}: is damaged or cut short ({error}); fetch or compress it again"
        ) from None


def _chunks(stream: BinaryIO, path: Path) -> Iterator[tuple[bytes, bool]]:
    """Yield runs of whole lines with their ends; False stands for one line too long.

    What is carried from one read to the next never has a line end in it, so it is
    the start of one line and its length says whether that line is too long.
    """
    carried = b""
    skipping = False
    while data := _read(stream, _BLOCK_BYTES, path):
        if carried or skipping:
            end = data.find(b"\n") + 1
            if skipping or len(carried) + (end or len(data)) > MAX_LINE_BYTES:
                carried = b""
                skipping = not end
                if skipping:
                    continue
                yield b"", False
                data = data[end:]
        end = data.rfind(b"\n") + 1
        if end:
            yield carried + data[:end], True
            carried = b""
        carried += data[end:]
    if skipping:
        yield b"", False
    if carried:
        yield carried + b"\n", True


def _block(chunk: bytes, first: int) -> Block:
    try:
        text = chunk.decode()
    except UnicodeDecodeError:
        return _block_by_line(chunk, first)
    if first == 1:
        text = text.removeprefix(_UTF8_MARK)
    lines = text.split("\n")
    lines.pop()
    if "\r" in text:
        lines = [line.removesuffix("\r") for line in lines]
    if "" not in lines and max(map(len, lines)) <= MAX_LINE_BYTES // 4:
        return Block(lines, range(first, first + len(lines)), [])
    return _without_bad(list(enumerate(lines, first)), [])


def _block_by_line(chunk: bytes, first: int) -> Block:
    lines = chunk.split(b"\n")
    lines.pop()
    good: list[tuple[int, str]] = []
    bad: list[tuple[str, int]] = []
    for number, line in enumerate(lines, first):
        try:
            text = line.decode()
        except UnicodeDecodeError:
            bad.append((NOT_UTF8, number))
        else:
            start = text.removeprefix(_UTF8_MARK) if number == 1 else text
            good.append((number, start.removesuffix("\r")))
    return _without_bad(good, bad)


def _without_bad(numbered: list[tuple[int, str]], bad: list[tuple[str, int]]) -> Block:
    lines: list[str] = []
    numbers: list[int] = []
    for number, line in numbered:
        if not line:
            bad.append((BLANK_LINE, number))
        elif len(line) > MAX_LINE_BYTES // 4 and len(line.encode()) > MAX_LINE_BYTES:
            bad.append((LINE_TOO_LONG, number))
        else:
            lines.append(line)
            numbers.append(number)
    return Block(lines, numbers, sorted(bad, key=lambda item: item[1]))
