"""A training that does not finish leaves everything as it was."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from espalier.querylog import write_demo_log

OLD = b"the index of yesterday"


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a log whose training takes a while."""
    path = tmp_path_factory.mktemp("log") / "log.tsv"
    write_demo_log(path, catalogue=None, users=1500, seed=3)
    return path


def train(log: Path, out: Path, *settings: str) -> list[str]:
    """Return the command that trains on ``log``."""
    words = ["train", "--log", str(log), "--out", str(out)]
    for setting in ("min_users=1", *settings):
        words += ["--set", setting]
    return [sys.executable, "-m", "espalier", *words]


def site(folder: Path) -> tuple[Path, dict[str, str]]:
    """Return where yesterday's index lies, and an environment whose temporary files lie beside."""
    out = folder / "site.esp"
    out.write_bytes(OLD)
    (folder / "tmp").mkdir()
    return out, {**os.environ, "TMPDIR": str(folder / "tmp")}


def nothing_else(out: Path) -> None:
    """Check that yesterday's index is whole and alone, and no temporary file is left."""
    assert out.read_bytes() == OLD
    assert sorted(path.name for path in out.parent.rglob("*")) == ["site.esp", "tmp"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("stage", "blender"),
    [
        ("reading", "trees"),
        ("read ", "trees"),
        ("fold: index", "trees"),
        ("ask", "trees"),
        ("vectorise", "fixed"),
        ("index", "fixed"),
    ],
)
def test_an_interrupted_training_leaves_the_old_index(
    stage: str, blender: str, number: signal.Signals, long_log: Path, tmp_path: Path
) -> None:
    """Ctrl-C or SIGTERM, in whichever stage: one line, its code, no file touched or left."""
    out, scratch = site(tmp_path)
    command = train(long_log, out, f"blender={blender}")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=scratch) as process:
        assert process.stderr is not None
        # The line of a finished stage says that the next one has begun.
        for line in process.stderr:
            if line.startswith(stage):
                break
        process.send_signal(number)
        errors = process.stderr.read()

    assert process.returncode == 128 + number, errors
    assert errors.splitlines()[-1].startswith("espalier: error: ")
    assert "Traceback" not in errors
    nothing_else(out)


@pytest.mark.parametrize("blender", ["trees", "fixed"])
def test_a_full_disk_leaves_the_old_index(blender: str, long_log: Path, tmp_path: Path) -> None:
    """The disk takes 100 kB of an index that needs more: an error, the old file whole."""
    out, scratch = site(tmp_path)
    # Blocks of 512 bytes or of 1,024, as the shell has it; too few either way.
    script = f"ulimit -f 100; exec {shlex.join(train(long_log, out, f'blender={blender}'))}"

    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=False, env=scratch
    )

    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith("espalier: error: ")
    assert "Traceback" not in done.stderr
    nothing_else(out)
