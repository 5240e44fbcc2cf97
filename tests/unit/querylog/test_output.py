"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import gzip
import os
import stat
from pathlib import Path

import pytest
import zstandard

from espalier.errors import StorageError
from espalier.querylog.output import new_text_file


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz", "a.tsv.zst"])
def test_the_name_decides_the_compression(tmp_path: Path, name: str) -> None:
    """UTF-8 with LF line ends inside."""
    path = tmp_path / name
    with new_text_file(path) as stream:
        stream.write("é\n")
    content = path.read_bytes()
    if name.endswith("gz"):
        content = gzip.decompress(content)
    elif name.endswith("zst"):
        content = zstandard.ZstdDecompressor().decompressobj().decompress(content)

    assert "é\n".encode() == content
    assert [name] == [p.name for p in tmp_path.iterdir()]


def test_an_interruption_leaves_the_old_file(tmp_path: Path) -> None:
    """Ctrl-C in the middle of writing."""
    path = tmp_path / "a.tsv"
    path.write_text("old")

    def interrupted() -> None:
        with new_text_file(path) as stream:
            stream.write("new" * 100_000)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert "old" == path.read_text()
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz", "a.tsv.zst"])
def test_a_full_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The error says which file, and what to check."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / name
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device"), new_text_file(path) as out:
        out.write("new")

    assert "old" == path.read_text()
    assert [path] == list(tmp_path.iterdir())


def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    """The operator's umask decides, not a temporary file's caution."""
    old = os.umask(0o027)
    try:
        with new_text_file(tmp_path / "a.tsv"):
            pass
    finally:
        os.umask(old)

    assert 0o640 == stat.S_IMODE((tmp_path / "a.tsv").stat().st_mode)
