"""The npm package in ``integration/web``: its own tests, its types, what it publishes."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from pathlib import Path

from integration.browser import WEB, lacking, package
from integration.processes import PATIENCE
from tools.copy_web import files

MOST_BYTES = 10_000


def node(*arguments: str | Path, cwd: Path = WEB) -> str:
    """Run node to its end; return what it printed."""
    program = shutil.which("node") or lacking("node is not installed")
    done = subprocess.run(
        [program, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_own_tests_pass() -> None:
    """Requests, order, cache, splitting, and the plugin for another search box."""
    package("@algolia/autocomplete-core/package.json")
    printed = node("--test", *sorted((WEB / "test").glob("*.test.js")))

    assert "# fail 0" in printed or "fail 0" in printed


def test_its_types_are_right_and_those_published_are_its_own(tmp_path: Path) -> None:
    """The strictest reading of TypeScript, tests and a use from outside included.

    ``npm run types`` was run after the last change.
    """
    compiler = package("typescript/bin/tsc")
    emit = ("--noEmit", "false", "--declaration", "--emitDeclarationOnly")
    node(compiler, *emit, "--rootDir", ".", "--outDir", tmp_path)

    made = {path.name: path.read_text("utf-8") for path in (tmp_path / "src").iterdir()}
    assert made == {path.name: path.read_text("utf-8") for path in (WEB / "types").iterdir()}


def test_it_needs_nothing_and_is_small() -> None:
    """No dependency, and what a page loads is below ten kilobytes compressed."""
    described = json.loads((WEB / "package.json").read_text("utf-8"))
    compressed = [len(gzip.compress(path.read_bytes(), 9, mtime=0)) for path in files()]

    assert "dependencies" not in described
    assert "peerDependencies" not in described
    assert sum(compressed) < MOST_BYTES


def test_what_is_published_is_there_and_what_is_there_is_published() -> None:
    """Every entry of the package names a file; tests stay at home."""
    described = json.loads((WEB / "package.json").read_text("utf-8"))
    named: list[str] = []
    for entry in described["exports"].values():
        named += [entry] if isinstance(entry, str) else entry.values()

    assert all((WEB / name).is_file() for name in named)
    assert described["files"] == ["src", "types", "espalier.css"]


def test_the_lock_names_no_registry() -> None:
    """Packages come from wherever npm is told to take them."""
    assert '"resolved"' not in (WEB / "package-lock.json").read_text("utf-8")
