"""The state folder belongs to one service at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from espalier.errors import StorageError
from espalier.serve.folder import StateFolder


def test_a_second_holder_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    """Two services would undo each other's rules."""
    folder = tmp_path / "made" / "state"
    first = StateFolder(folder)
    with pytest.raises(StorageError, match="another service uses the state folder"):
        StateFolder(folder)

    first.close()

    StateFolder(folder).close()
    assert stat.S_IMODE((folder / "serve.lock").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_process_that_died_holds_nothing(tmp_path: Path) -> None:
    """However it ended, and whatever it had started."""
    code = (
        "import os, signal, subprocess, sys; from pathlib import Path; "
        "from espalier.serve.folder import StateFolder; "
        "held = StateFolder(Path(sys.argv[1])); "
        "child = subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL); "
        "print(child.pid, flush=True); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, check=False
    )
    try:
        StateFolder(tmp_path).close()
    finally:
        os.kill(int(done.stdout), 9)


def test_a_folder_that_is_none_is_an_error_of_one_line(tmp_path: Path) -> None:
    """With the path and what to do."""
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError, match=r"cannot use the state folder .*; name one"):
        StateFolder(tmp_path / "file")
