"""The container file does what it says, followed step by step without an engine."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from integration.container import ROOT, follow, room_problem, stages_of, words_of

FILE = ROOT / "integration" / "ops" / "deploy" / "Containerfile"
COMMANDS = (
    ("espalier", "call", "127.0.0.1:50051", "Complete", '{"prefix": "c"}', "--json"),
    ("espalier", "rules", "block", "cheap", "--admin", "unix:/run/espalier/admin"),
    ("sh", "-c", "stat --format '%a %U %s %n' /var/lib/espalier/* && touch /opt/espalier/new"),
)


@pytest.fixture
def _room() -> None:
    if problem := room_problem():
        pytest.skip(problem)


def check(seen: Mapping[str, Any]) -> None:
    """Hold what was seen of a running image against what it promises."""
    assert seen["healthy"], seen["log"]
    answered, blocked, stated = seen["replies"]
    status = dict(line.split(":", 1) for line in seen["status"].splitlines())
    mounts = [line.split()[1:4] for line in seen["mounts"].splitlines()]
    writable = {place for place, _, options in mounts if options.startswith("rw")}

    assert json.loads(answered["out"])["suggestions"]
    assert blocked == {"code": 0, "out": "1 rules hold in 2 workers, kept\n", "err": ""}
    assert "Read-only file system" in stated["err"]
    assert {line.split()[0] for line in stated["out"].splitlines()} == {"600"}
    assert status["Uid"].split() == ["10001"] * 4
    assert status["Gid"].split() == ["10001"] * 4
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    assert {one for one in writable if not one.startswith(("/dev", "/proc"))} == {
        "/tmp",  # noqa: S108 - of the image
        "/run/espalier",
        "/var/lib/espalier",
    }
    assert seen["code"] == 0
    assert json.loads(seen["log"].splitlines()[-1])["event"] == "stopped"


@pytest.mark.slow
@pytest.mark.usefixtures("_room")
def test_the_image_serves_read_only_and_drains(home: Path, demo_index: Path) -> None:
    """Its last stage, with an environment made from the source distribution."""
    check(follow(FILE, demo_index, installed=home, commands=COMMANDS))


@pytest.mark.slow
@pytest.mark.usefixtures("_room")
@pytest.mark.skipif(
    os.environ.get("ESPALIER_PROFILE") != "long", reason="downloads every dependency: make soak"
)
def test_the_image_is_built_as_the_file_says(demo_index: Path) -> None:
    """Every stage, from the tree to the running service."""
    check(follow(FILE, demo_index, commands=COMMANDS))


def test_the_file_keeps_its_promises() -> None:
    """Bases by a tag that can be chosen, a user by number, a signal, a probe, no shell as PID 1."""
    *builders, final = stages_of(FILE)

    assert [stage.base for stage in builders] == ["python:3.11-bookworm"] * 2
    assert final.base == "python:3.11-slim-bookworm"
    assert final.last("USER") == "10001:10001"
    assert final.last("STOPSIGNAL") == "SIGTERM"
    assert words_of(final.last("HEALTHCHECK"))[:2] == ["espalier", "health"]
    assert words_of(final.last("ENTRYPOINT")) == ["espalier"]
    assert words_of(final.last("CMD"))[0] == "serve"
