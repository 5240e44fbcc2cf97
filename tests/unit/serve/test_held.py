"""Files that stay what they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from espalier.errors import IndexFormatError, IndexMissingError
from espalier.serve.held import Identity, hold, hold_bytes


def test_a_held_file_is_the_same_whatever_happens_to_its_path(tmp_path: Path) -> None:
    """Replaced or deleted, others open what was there."""
    path = tmp_path / "x.esp"
    path.write_text("old")
    file = hold(path)
    assert file.place == path.resolve()
    (tmp_path / "new").write_text("new")
    (tmp_path / "new").replace(path)

    assert file.path.read_text() == "old"
    path.unlink()
    assert file.path.read_text() == "old"
    file.close()
    file.close()
    assert not file.path.exists()


def test_only_regular_files_are_held(tmp_path: Path) -> None:
    """A pipe that nobody writes into keeps nobody waiting."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(IndexFormatError, match="not a file"):
            hold(tmp_path / name)
    with pytest.raises(IndexMissingError, match="No such file"):
        hold(tmp_path / "none")


def test_bytes_can_be_held_without_a_file() -> None:
    """In memory, for who knows where."""
    file = hold_bytes("rules", b"abc")

    assert file.path.read_bytes() == b"abc"
    file.close()


def test_an_identity_tells_states_of_a_path_apart(tmp_path: Path) -> None:
    """The same file is the same through a link; another content, or none, is another."""
    path = tmp_path / "x"
    assert Identity.of(path) is None
    path.write_text("a")
    first = Identity.of(path)
    (tmp_path / "link").symlink_to(path)
    assert Identity.of(tmp_path / "link") == first

    (tmp_path / "y").write_text("a")
    (tmp_path / "y").replace(path)
    assert Identity.of(path) not in {first, None}
