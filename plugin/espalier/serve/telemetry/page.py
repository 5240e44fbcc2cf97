"""The numbers of one process, in memory that another may read at any time.

One process writes, any number read, and none waits or asks. Everything is little-endian
and in words of eight bytes, so that a number is written and read in one piece:

    word 0   magic
    word 1   words in use
    word 2   series there was no room for
    words    entries, one after the other:
               length of the key in bytes (low half), count of numbers (high half)
               the key: family and labels, UTF-8, joined by U+001F, zeros up to a word
               the numbers
    the last `_SPARE` words take what there was no room for, and nobody reads them

An entry appears when the words in use grow past it, which is after it is whole; whoever
is killed in between leaves nothing behind. A successor of the writer finds the entries
and goes on with their numbers.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

from espalier.serve.held import HeldFile

Key: TypeAlias = tuple[str, ...]
"""Name of the family, then the values of its labels."""

PAGE_BYTES: Final = 1024 * 1024
"""Room for some thousand series; what is not used takes no memory."""

_MAGIC: Final = int.from_bytes(b"EspPage1", "little")
_HEAD: Final = 3
_SPARE: Final = 64
_SEPARATOR: Final = "\x1f"
_MOST_KEY_BYTES: Final = 1024

if sys.byteorder != "little":
    raise ImportError("espalier needs a little-endian machine")


class Page:
    """A page that this process writes or reads.

    Attributes:
        words: All of it.
    """

    def __init__(self, memory: mmap.mmap | bytearray) -> None:
        """Use ``memory``, whole words of it; all zeros make an empty page."""
        self.words = memoryview(memory).cast("Q")
        self._end = len(self.words) - _SPARE
        if self.words[0] == 0:
            self.words[1] = _HEAD
            self.words[0] = _MAGIC

    @classmethod
    def private(cls, size: int = PAGE_BYTES // 16) -> Page:
        """Return a page for this process alone."""
        return cls(bytearray(size))

    @classmethod
    def at(cls, path: Path) -> Page:
        """Return the page in a file of `hold_page`."""
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            return cls(mmap.mmap(descriptor, 0))
        finally:
            os.close(descriptor)

    @property
    def lost(self) -> int:
        """Series there was no room for."""
        return int(self.words[2])

    def find(self) -> Iterator[tuple[Key, int, int]]:
        """Yield every entry: its key, where its numbers begin, how many there are.

        A page that is no page, or damaged, has the entries before the damage.
        """
        words = self.words
        if words[0] != _MAGIC:
            return
        at, used = _HEAD, min(words[1], self._end)
        while at < used:
            length, count = words[at] & 0xFFFF_FFFF, words[at] >> 32
            key_words = -(-length // 8)
            first = at + 1 + key_words
            if length > _MOST_KEY_BYTES or first + count > used:
                return
            raw = struct.pack(f"<{key_words}Q", *words[at + 1 : first])[:length]
            yield tuple(raw.decode(errors="replace").split(_SEPARATOR)), first, count
            at = first + count

    def add(self, key: Key, count: int) -> int:
        """Make an entry with so many zeros; return where its numbers begin.

        Without room for it that is a place nobody reads. The key must be new.
        """
        raw = _SEPARATOR.join(key).encode()
        key_words = -(-len(raw) // 8)
        at = self.words[1]
        first = at + 1 + key_words
        if first + count > self._end or len(raw) > _MOST_KEY_BYTES:
            self.words[2] += 1
            return self._end
        self.words[at] = len(raw) | count << 32
        for number, word in enumerate(
            struct.unpack(f"<{key_words}Q", raw.ljust(key_words * 8, b"\0"))
        ):
            self.words[at + 1 + number] = word
        # A predecessor that was killed may have left something behind.
        for number in range(count):
            self.words[first + number] = 0
        self.words[1] = first + count
        return first

    def read(self) -> dict[Key, list[int]]:
        """Return the numbers of every entry as they are now."""
        return {
            key: self.words[first : first + count].tolist() for key, first, count in self.find()
        }


def hold_page(name: str) -> HeldFile:
    """Return an empty page that other processes of this user can open; ``name`` is for people."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    os.ftruncate(descriptor, PAGE_BYTES)
    return HeldFile(descriptor)
