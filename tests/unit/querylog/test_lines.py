"""Lines out of files: numbers, limits and compression, against ``bytes.split``."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from espalier.querylog import lines
from espalier.querylog.kinds import BLANK_LINE, LINE_TOO_LONG, NOT_UTF8


def numbered(path: Path) -> tuple[list[tuple[int, str]], list[tuple[str, int]]]:
    """Return all lines with their numbers, and the bad ones."""
    good: list[tuple[int, str]] = []
    bad: list[tuple[str, int]] = []
    for block in lines.read_blocks(path, list[int]().append):
        good += zip(block.numbers, block.lines, strict=True)
        bad += block.bad
    return good, bad


LINES = st.sampled_from([b"", b"a", b"caf\xc3\xa9", b"\xff", b"x" * 9, b"y" * 30, b"\r", b"b\r"])


@given(
    parts=st.lists(LINES, max_size=20), ended=st.booleans(), way=st.sampled_from(["", "gz", "zst"])
)
def test_lines_are_those_of_split(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], ended: bool, way: str
) -> None:
    """With blocks of 16 bytes and lines of at most 20, so that every border is met."""
    content = b"\n".join(parts) + b"\n" * ended
    path = tmp_path_factory.mktemp("lines") / "log"
    path.write_bytes(
        gzip.compress(content)
        if way == "gz"
        else zstandard.compress(content)
        if way == "zst"
        else content
    )
    good: list[tuple[int, str]] = []
    bad: list[tuple[str, int]] = []
    pieces = content.split(b"\n")
    for number, piece in enumerate(pieces[:-1] if content.endswith(b"\n") else pieces, 1):
        if not content:
            break
        if len(piece) > 19:
            bad.append((LINE_TOO_LONG, number))
        elif b"\xff" in piece:
            bad.append((NOT_UTF8, number))
        elif not piece.removesuffix(b"\r"):
            bad.append((BLANK_LINE, number))
        else:
            good.append((number, piece.decode().removesuffix("\r")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_BLOCK_BYTES", 16)
        patch.setattr(lines, "MAX_LINE_BYTES", 19)
        found = numbered(path)

    assert (good, bad) == (found[0], sorted(found[1], key=lambda item: item[1]))


def test_progress_hears_of_every_byte_on_disk(tmp_path: Path) -> None:
    """Compressed bytes, so that a bar ends at the size of the file."""
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"some line\n" * 500_000))
    steps: list[int] = []
    for _ in lines.read_blocks(path, steps.append):
        pass

    assert path.stat().st_size == sum(steps)
