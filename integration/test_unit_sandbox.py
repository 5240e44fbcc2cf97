"""The service lives with what its systemd unit leaves it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from espalier.calling import AnyServer
from integration import sandbox
from integration.processes import PATIENCE, ROOT, environment

UNIT = ROOT / "integration" / "ops" / "deploy" / "espalier.service"
CONFINED = [sys.executable, str(ROOT / "integration" / "sandbox.py"), str(UNIT)]

pytestmark = pytest.mark.skipif(bool(sandbox.problem()), reason=sandbox.problem())


def test_confinement_confines() -> None:
    """What the unit forbids cannot be done in there."""
    code = """
import errno, mmap, os
refused = []
for attempt in (
    lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC),
    lambda: os.chroot("/"),
    lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)),
):
    try:
        attempt()
    except OSError as error:
        refused.append(errno.errorcode[error.errno])
print(*refused)
"""
    done = subprocess.run(
        [*CONFINED, sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["EACCES", "EPERM", "EPERM"]


def test_the_service_lives_with_what_its_unit_leaves_it(demo_index: Path, tmp_path: Path) -> None:
    """All of it: workers, HTTP front, metrics, admin listener, rules, reload, end."""
    admin = f"unix:{tmp_path / 'admin'}"
    options = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
    options += ["--admin", admin, "--state-dir", str(tmp_path / "state"), "--workers", "1"]
    command = [sys.executable, "-m", "espalier", "serve", "--index", str(demo_index), *options]
    service = subprocess.Popen(
        [*CONFINED, *command],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with AnyServer(admin, timeout=PATIENCE) as server:
            assert server.health("workers", wait=PATIENCE) == "SERVING"
            status = Path(f"/proc/{service.pid}/status").read_text()
            block = server.method("BlockQueries")
            document = {"blocks": [{"query": "tent"}]}
            list(server.call(block, [server.message(block.input_type, document)]))
        service.send_signal(signal.SIGHUP)
    finally:
        service.send_signal(signal.SIGTERM)
    _, log = service.communicate(timeout=PATIENCE)
    events = [json.loads(line) for line in log.splitlines()]

    assert re.search(r"^Seccomp:\s+2$", status, re.MULTILINE)
    assert service.returncode == 0
    assert [one["event"] for one in events if one["level"] == "error"] == []
    assert {"listening", "http_listening", "metrics_listening", "rules_changed"} <= {
        one["event"] for one in events
    }
