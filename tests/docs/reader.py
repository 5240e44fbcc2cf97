"""Somebody who follows a document: its commands and its Python run, in order, as written."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from integration.processes import PATIENCE, ROOT
from integration.typist import ESCAPE, Typist

ADDRESSES = tuple(f"127.0.0.1:{port}" for port in (50051, 50053, 8080, 9464))
"""What the documents serve on; each run gets free ports in their place."""

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BEHIND = re.compile(r"\s*& echo \$! > (\S+)$")
_NAMED = re.compile(r"# (\S+\.toml)\n")


def blocks_of(document: Path, language: str | None = None) -> list[tuple[str, str]]:
    """Return ``(language, code)`` of the fenced blocks of a document, in order."""
    found = _BLOCK.findall(document.read_text(encoding="utf-8"))
    return [block for block in found if language in {None, block[0]}]


def commands_of(document: Path) -> list[str]:
    """Return every shell command of a document."""
    return [line for _, code in blocks_of(document, "sh") for line in code.splitlines() if line]


def free_address() -> str:
    """Return an address that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


class Reader:
    """Follows a document in a folder, with a shell.

    Args:
        folder: Where everything happens; what the reader brings along is there.
        skipped: First words of commands that are not run, since others test them.
    """

    def __init__(self, folder: Path, *, skipped: Sequence[str] = ()) -> None:
        """Put the command on the path, as this tree has it."""
        self._folder = folder
        self._skipped = frozenset(skipped)
        self._addresses = {address: free_address() for address in ADDRESSES}
        shims = folder / ".bin"
        shims.mkdir()
        shim = shims / "espalier"
        shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m espalier "$@"\n', encoding="utf-8")
        shim.chmod(0o755)
        path = f"{shims}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        tree = f"{ROOT / 'plugin'}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")
        self._env = {**os.environ, "PATH": path, "PYTHONPATH": tree}
        self._servers: list[subprocess.Popen[bytes]] = []

    @property
    def addresses(self) -> Mapping[str, str]:
        """What stands for the addresses of the document."""
        return self._addresses

    def follow(self, language: str, code: str) -> None:
        """Do what one block says."""
        for address, free in self._addresses.items():
            code = code.replace(address, free)
        if language == "sh":
            for line in filter(str.strip, code.splitlines()):
                self._command(line)
        elif language == "python":
            self._run([sys.executable, "-c", code])
        elif language == "toml":
            named = _NAMED.match(code)
            path = self._folder / (named[1] if named else "block.toml")
            path.write_text(code, encoding="utf-8")
            self._run([sys.executable, "-m", "espalier", "check-config", str(path)])

    def leave(self) -> None:
        """Stop what was started; servers drain and end with 0."""
        for server in self._servers:
            server.send_signal(signal.SIGTERM)
        self._wait_for_ends()

    def _command(self, line: str) -> None:
        words = shlex.split(line)
        if words[0] in self._skipped:
            return
        if words[0] == "export":
            self._env |= dict(word.split("=", 1) for word in words[1:])
        elif words[:2] == ["espalier", "serve"] and "--print-config" not in words:
            self._serve(line, words)
        elif words[:2] == ["espalier", "try"]:
            self._type_into(["-m", *words])
        else:
            # What a command of ours prints may go into a file, others may be silent.
            silent = words[0] != "espalier" or ">" in words
            self._run(["sh", "-ec", line], silent=silent)
        if words[:2] == ["kill", "-TERM"]:
            self._wait_for_ends()

    def _serve(self, line: str, words: Sequence[str]) -> None:
        behind = _BEHIND.search(line)
        line = _BEHIND.sub("", line)
        server = subprocess.Popen(["sh", "-c", f"exec {line}"], cwd=self._folder, env=self._env)
        self._servers.append(server)
        if behind is not None:
            (self._folder / behind[1]).write_text(f"{server.pid}\n", encoding="utf-8")
        # The last one named is listened on last.
        for address in [word for word in words if word in self._addresses.values()][-1:]:
            self._wait_for_server(address)

    def _type_into(self, arguments: list[str]) -> None:
        """Do what is said of the screen: type, submit, type the same, leave."""
        with Typist(arguments, folder=self._folder) as typist:
            typist.type("c")
            typist.see(lambda lines: lines[1] == "> c" and " 1 " in lines[3])
            typist.type("\x15tent\rc")
            typist.see(lambda lines: lines[1] == "> c" and "session  tent" in lines)
            typist.type("\x18")
            typist.see(lambda lines: "context OFF" in lines[0])
            typist.type(ESCAPE)

            assert typist.end() == 0

    def _run(self, command: list[str], *, silent: bool = False) -> None:
        done = subprocess.run(
            command, cwd=self._folder, env=self._env, capture_output=True, text=True, check=False
        )

        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
        assert silent or done.stdout.strip(), f"{shlex.join(command)} printed nothing"

    def _wait_for_server(self, address: str) -> None:
        host, port = address.split(":")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        pytest.fail("the server of the document did not come up")

    def _wait_for_ends(self) -> None:
        codes = [server.wait(PATIENCE) for server in self._servers]
        self._servers.clear()

        assert codes == [0] * len(codes)
