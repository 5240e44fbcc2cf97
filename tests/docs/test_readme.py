"""The README tells the truth: its commands and its Python run, in order, as written."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.typist import ESCAPE, Typist

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
# What the reader brings along: a model, and questions for it.
PECOS_MODEL = ROOT / "tests" / "golden" / "pecos" / "trained"
# The addresses the README serves on; each run gets free ports in their place.
ADDRESSES = ("127.0.0.1:50051", "127.0.0.1:8080", "127.0.0.1:9464")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str | None = None) -> list[tuple[str, str]]:
    """Return ``(language, code)`` of the fenced blocks of the README, in order."""
    found = _BLOCK.findall(README.read_text(encoding="utf-8"))
    return [block for block in found if language in {None, block[0]}]


def commands() -> list[str]:
    """Return every shell command of the README."""
    return [line for _, code in blocks("sh") for line in code.splitlines() if line.strip()]


def free_address() -> str:
    """Return an address that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


class Reader:
    """Somebody who follows the README in a folder with nothing but a model of PECOS."""

    def __init__(self, folder: Path) -> None:
        """Start with the installed command on the path."""
        self._folder = folder
        shutil.copytree(PECOS_MODEL, folder / "catalogue")
        shutil.copy(PECOS_MODEL / "X.npz", folder)
        self._addresses = {address: free_address() for address in ADDRESSES}
        self._env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self._servers: list[subprocess.Popen[bytes]] = []

    def follow(self, language: str, code: str) -> None:
        """Do what one block says."""
        for address, free in self._addresses.items():
            code = code.replace(address, free)
        if language == "sh":
            for line in filter(str.strip, code.splitlines()):
                self._command(shlex.split(line))
        elif language == "python":
            self._run([sys.executable, "-c", code])
        elif language == "toml":
            path = self._folder / "block.toml"
            path.write_text(code, encoding="utf-8")
            self._run([sys.executable, "-m", "espalier", "check-config", str(path)])

    def _command(self, words: list[str]) -> None:
        if words[0] in {"make", "pip"}:
            return  # tested below, and by the packaging test
        # The module, so that the test runs the tree it stands in.
        words, into = (words[:-2], words[-1]) if words[-2:-1] == [">"] else (words, None)
        command = [sys.executable, "-m", *words]
        if words[:2] == ["espalier", "serve"] and "--print-config" not in words:
            self._servers.append(subprocess.Popen(command, cwd=self._folder, env=self._env))
            # The last one named is listened on last.
            self._wait_for_server(next(w for w in words[::-1] if w in self._addresses.values()))
        elif words[:2] == ["espalier", "try"]:
            self._type_into(command[1:])
        else:
            printed = self._run(command)
            if into is not None:
                (self._folder / into).write_text(printed, encoding="utf-8")

    def _type_into(self, arguments: list[str]) -> None:
        """Do what the README says of the screen: type, submit, type the same, leave."""
        with Typist(arguments, folder=self._folder) as typist:
            typist.type("c")
            typist.see(lambda lines: lines[1] == "> c" and " 1 " in lines[3])
            typist.type("\x15tent\rc")
            typist.see(lambda lines: lines[1] == "> c" and "session  tent" in lines)
            typist.type("\x18")
            typist.see(lambda lines: "context OFF" in lines[0])
            typist.type(ESCAPE)

            assert typist.end() == 0

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=self._folder, env=self._env, capture_output=True, text=True, check=False
        )

        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
        assert done.stdout.strip(), f"{shlex.join(command)} printed nothing"
        return done.stdout

    def _wait_for_server(self, address: str) -> None:
        host, port = address.split(":")
        for _ in range(300):
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        pytest.fail("the server of the README did not come up within 30 seconds")

    def leave(self) -> None:
        """Stop what was started; servers drain and end with 0."""
        for server in self._servers:
            server.send_signal(signal.SIGTERM)
        assert [server.wait(30) for server in self._servers] == [0] * len(self._servers)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Return a reader in a new folder."""
    started = Reader(tmp_path)
    yield started
    started.leave()


@pytest.mark.slow
def test_every_block_of_the_readme_runs(reader: Reader) -> None:
    """Followed from top to bottom, everything works and says something."""
    for language, code in blocks():
        reader.follow(language, code)


def test_every_block_of_the_readme_is_of_a_kind_that_is_tested() -> None:
    """A block that nobody runs is drawn without a language."""
    assert {language for language, _ in blocks()} <= {"", "sh", "python", "toml"}


def test_every_number_of_the_readme_comes_with_its_command() -> None:
    """A figure nobody can print again is a claim."""
    block = README.read_text(encoding="utf-8").split("<!-- numbers: begin -->")[1]
    rows = [line for line in block.split("<!-- numbers: end -->")[0].splitlines() if "|" in line]

    assert len(rows) > 5
    for row in rows[2:]:
        *_, command, _end = row.split("|")
        assert "`" in command or command.strip() == "the same", row


def test_every_make_target_of_the_readme_exists() -> None:
    """``make`` knows what the README tells people to type."""
    for command in commands():
        words = shlex.split(command)
        if words[0] == "make":
            subprocess.run(
                ["make", "--dry-run", *words[1:]], cwd=ROOT, check=True, capture_output=True
            )


def test_every_verb_of_the_command_line_is_shown_or_listed() -> None:
    """The README uses every verb but those whose help it points to."""
    from espalier.cli import cli

    used = {words[1] for words in map(shlex.split, commands()) if words[0] == "espalier"}

    assert set(cli.commands) - used == {"completions", "experiments", "replay", "validate"}


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")), ids=lambda path: path.name)
def test_every_link_within_the_repository_leads_somewhere(document: Path) -> None:
    """Relative links name files and folders that exist."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target


def test_every_block_of_the_documents_is_closed() -> None:
    """A fence left open would swallow the rest of the page."""
    for document in sorted(ROOT.glob("*.md")):
        fences = [line for line in document.read_text().splitlines() if line.startswith("```")]

        assert len(fences) % 2 == 0, document.name
