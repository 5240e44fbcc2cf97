"""Whose a folder of rules is."""

from __future__ import annotations

from pathlib import Path

import pytest

from espalier.errors import ConfigError
from espalier.overlay import Block, Overlay
from espalier.serve.rulebook import Rulebook


def test_rules_in_a_folder_are_those_of_one_service(tmp_path: Path) -> None:
    """A second would take the blocks of the first back; once that is gone, it may."""
    first = Rulebook(tmp_path / "state")
    first.put("main", Overlay([Block("tent")]))
    with pytest.raises(ConfigError, match=r"another service keeps its rules in .*/state"):
        Rulebook(tmp_path / "state")
    first.close()
    second = Rulebook(tmp_path / "state")
    second.open(["main"])

    assert second.get("main").rules == Overlay([Block("tent")]).rules
    assert (tmp_path / "state" / "overlays.lock").stat().st_mode & 0o777 == 0o600
    second.close()


def test_a_file_is_no_state_folder(tmp_path: Path) -> None:
    """The error names the setting."""
    (tmp_path / "state").write_text("")

    with pytest.raises(ConfigError, match=r"serve\.state_dir: .*/state cannot be a folder"):
        Rulebook(tmp_path / "state")
