"""Does what a container file says without a container engine, as far as a kernel can.

``unshare`` gives a mount namespace; a stage's base image is an overlay of this machine's
root in which ``python`` is this interpreter. There RUN, COPY and the rest are followed as
written. What the file starts in the end is started as an engine would with ``--read-only``:
by the user it names, without capabilities, in a network of its own, where nothing but the
declared volumes and two tmpfs can be written to.

Needs root, ``unshare`` and overlay mounts; `room_problem` says what is missing.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60.0
_NEW_NETWORK = 0x40000000
_TMPFS = ("tmp", "run/espalier")
_WAY = re.compile(r"PIP_|.*_proxy$", re.IGNORECASE)
_SKIPPED = (".git", ".venv*", ".demo", "build", "dist", "__pycache__", "*.so", "*.egg-info")


# ---- reading --------------------------------------------------------------------------


@dataclass(slots=True)
class Stage:
    """A stage of a container file: its name, its base, and what comes after, in order."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str:
        """Return what the last such instruction says, "" if there is none."""
        return next((text for name, text in reversed(self.steps) if name == instruction), "")


def stages_of(path: Path) -> list[Stage]:
    """Return the stages of a container file, with the defaults of ARG in place of ``${NAME}``."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = re.sub(r"\\\n", " ", text)
    values: dict[str, str] = {}
    stages: list[Stage] = []
    for line in filter(str.strip, text.splitlines()):
        name, _, rest = line.strip().partition(" ")
        rest = re.sub(r"\$\{(\w+)\}", lambda match: values.get(match[1], match[0]), rest.strip())
        if name == "ARG":
            variable, _, default = rest.partition("=")
            values[variable] = default
        elif name == "FROM":
            base, _, alias = rest.partition(" AS ")
            stages.append(Stage(alias or "final", base))
        else:
            stages[-1].steps.append((name, rest))
    return stages


def words_of(text: str) -> list[str]:
    """Return an instruction in its list form, as ENTRYPOINT has it."""
    found: list[str] = json.loads(text[text.index("[") :])
    return found


# ---- outside the namespace --------------------------------------------------------------


def room_problem() -> str:
    """Return why nothing can be run here, "" if it can."""
    if os.geteuid() != 0:
        return "only root may make overlay mounts"
    if shutil.which("unshare") is None or shutil.which("setpriv") is None:
        return "unshare and setpriv (util-linux) are not installed"
    with tempfile.TemporaryDirectory() as folder:
        command = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip()


def follow(
    container_file: Path,
    index: Path,
    *,
    installed: Path | None = None,
    commands: Sequence[Sequence[str]] = (),
) -> dict[str, Any]:
    """Build and run what a container file says; return what was seen.

    Args:
        container_file: The file; its context is the root of the tree.
        index: What is served, mounted as ``/srv/espalier/current``.
        installed: An environment that takes the place of what all stages but the last would
            make, and of downloads; ``None`` follows every stage.
        commands: To be run inside, once it is healthy.
    """
    with tempfile.TemporaryDirectory(prefix="espalier-room-") as folder:
        plan = {
            "file": str(container_file),
            "index": str(index),
            "installed": str(installed or ""),
            "commands": commands,
            "folder": folder,
        }
        command = ["unshare", "--mount", "--propagation", "private"]
        command += ["--pid", "--fork", "--kill-child"]
        done = subprocess.run(
            [*command, sys.executable, __file__, json.dumps(plan)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-5_000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# ---- inside it ----------------------------------------------------------------------------


class Room:
    """One stage: a root of its own over this machine's."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage = stage
        self.root = folder / stage.name / "root"
        self.env = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"}
        self.cwd = "/"
        self._brought: list[Path] = []
        upper, work = (folder / stage.name / name for name in ("upper", "work"))
        for path in (self.root, upper, work):
            path.mkdir(parents=True)
        options = f"lowerdir=/,upperdir={upper},workdir={work}"
        _do("mount", "-t", "overlay", "overlay", "-o", options, str(self.root))
        _do("mount", "--rbind", "/dev", str(self.root / "dev"))
        _do("mount", "-t", "proc", "proc", str(self.root / "proc"))
        python = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
        # No link: who is started by one looks for its library beside the link.
        name = self.root / "usr/local/bin/python"
        name.unlink(missing_ok=True)
        name.write_text(f'#!/bin/sh\nexec {python} "$@"\n', encoding="utf-8")
        name.chmod(0o755)
        for parent in python.parents:
            # An image's interpreter is for everybody.
            inside = self.root / parent.relative_to("/")
            inside.chmod(inside.stat().st_mode | 0o055)

    def inside(self, path: str) -> Path:
        """Return where a path of the image is out here."""
        return self.root / (Path(self.cwd) / path).relative_to("/")

    def follow(self, others: Mapping[str, Room], *, offline: bool) -> None:
        """Do every step."""
        for name, text in self.stage.steps:
            if name == "WORKDIR":
                self.cwd = text
                self.inside(text).mkdir(parents=True, exist_ok=True)
            elif name == "ENV":
                for word in shlex.split(text):
                    variable, _, value = word.partition("=")
                    self.env[variable] = value.replace("$PATH", self.env["PATH"])
            elif name == "RUN" and not (offline and "apt-get" in text):
                command = ["chroot", self.root, "/bin/sh", "-ec", f"cd {self.cwd}; {text}"]
                # How packages are reached from here is no matter of the image.
                ways = {k: v for k, v in os.environ.items() if _WAY.match(k)}
                _do(*map(str, command), env=ways | self.env)
            elif name == "COPY":
                self._copy(text.split(), others)

    def _copy(self, words: list[str], others: Mapping[str, Room]) -> None:
        *sources, target = [word for word in words if not word.startswith("--")]
        origin = next((word for word in words if word.startswith("--from=")), "")
        for source in sources:
            to = self.inside(target)
            to.parent.mkdir(parents=True, exist_ok=True)
            if origin:
                other = others.get(origin.removeprefix("--from="))
                if other is not None:
                    _do("cp", "--archive", str(other.inside(source)), str(to))
            elif (ROOT / source).is_dir():
                skip = shutil.ignore_patterns(*_SKIPPED)
                shutil.copytree(ROOT / source, to, ignore=skip, dirs_exist_ok=True)
            else:
                shutil.copy(ROOT / source, to)

    def bring(self, installed: Path) -> None:
        """Put an environment where the earlier stages would have made one."""
        upper, work = self.root.parent / "venv", self.root.parent / "venv-work"
        place = self.root / "opt/espalier"
        for path in (upper, work, place):
            path.mkdir(parents=True)
        options = f"lowerdir={installed},upperdir={upper},workdir={work}"
        _do("mount", "-t", "overlay", "overlay", "-o", options, str(place))
        self._brought.append(place)
        script = place / "bin/espalier"
        text = script.read_text().replace(str(installed), "/opt/espalier")
        script.write_text(text)

    def seal(self, index: Path) -> None:
        """Mount what an engine would, and let nothing else be written to."""
        shutil.copy(index, self.root / "srv/espalier/tonight.esp")
        (self.root / "srv/espalier/tonight.esp").chmod(0o644)
        (self.root / "srv/espalier/current").symlink_to("tonight.esp")
        for volume in words_of(self.stage.last("VOLUME")):
            path = self.inside(volume)
            state = path.stat()
            _do("mount", "-t", "tmpfs", "tmpfs", str(path))
            os.chown(path, state.st_uid, state.st_gid)
            path.chmod(state.st_mode & 0o777)
        uid, _, gid = self.stage.last("USER").partition(":")
        for name in _TMPFS:
            options = "mode=1777" if name == "tmp" else f"mode=0700,uid={uid},gid={gid}"
            _do("mount", "-t", "tmpfs", "tmpfs", "-o", options, str(self.root / name))
        for path in (self.root, *self._brought):
            _do("mount", "-o", "remount,ro", str(path))

    def start(self, words: Sequence[str]) -> subprocess.Popen[str]:
        """Start a command as the user of the image."""
        uid, _, gid = self.stage.last("USER").partition(":")
        who = ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs"]
        who += ["--bounding-set", "-all", "--inh-caps", "-all"]
        shell = ["sh", "-c", f'cd {self.cwd}; exec "$@"', "sh"]
        return subprocess.Popen(
            [*map(str, ("chroot", self.root)), *who, *shell, *words],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, words: Sequence[str]) -> dict[str, Any]:
        """Run a command as the user of the image to its end."""
        process = self.start(words)
        out, err = process.communicate(timeout=PATIENCE)
        return {"code": process.returncode, "out": out, "err": err}


def _do(*command: str, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{shlex.join(command)}\n{done.stdout[-2_000:]}\n{done.stderr[-3_000:]}")


def _raise_loopback() -> None:
    """Let the network of this namespace reach itself."""
    set_flags, is_up = 0x8914, 0x1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", is_up))


def _serve(room: Room, commands: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Start the service, wait for its health, run commands, stop it; return what was seen."""
    stage = room.stage
    service = room.start(words_of(stage.last("ENTRYPOINT")) + words_of(stage.last("CMD")))
    probe = words_of(stage.last("HEALTHCHECK"))
    deadline = time.monotonic() + PATIENCE
    healthy = False
    while not healthy and service.poll() is None and time.monotonic() < deadline:
        healthy = room.run(probe)["code"] == 0
    seen: dict[str, Any] = {"healthy": healthy, "replies": []}
    if healthy:
        seen["status"] = (room.root / f"proc/{service.pid}/status").read_text()
        seen["mounts"] = (room.root / f"proc/{service.pid}/mounts").read_text()
        seen["replies"] = [room.run(words) for words in commands]
    service.send_signal(signal.Signals[stage.last("STOPSIGNAL")])
    _, err = service.communicate(timeout=PATIENCE)
    return seen | {"code": service.returncode, "log": err, "root": str(room.root)}


def _main(plan: Mapping[str, Any]) -> None:
    folder = Path(plan["folder"])
    # What was written to disk for nothing.
    _do("mount", "-t", "tmpfs", "tmpfs", str(folder))
    stages = stages_of(Path(plan["file"]))
    rooms: dict[str, Room] = {}
    for stage in stages[-1:] if plan["installed"] else stages:
        room = rooms[stage.name] = Room(stage, folder)
        if plan["installed"]:
            room.bring(Path(plan["installed"]))
        room.follow(rooms, offline=bool(plan["installed"]))
    room.seal(Path(plan["index"]))
    # A table for fewer sessions than by default: it is in memory here.
    room.env |= {"ESPALIER_SERVE_MAX_SESSIONS": "1000", "ESPALIER_SERVE_WORKERS": "2"}
    # `os.unshare` came with Python 3.12.
    if ctypes.CDLL(None).unshare(_NEW_NETWORK):
        sys.exit("there is no network namespace to be had")
    _raise_loopback()
    sys.stdout.write(json.dumps(_serve(room, plan["commands"])) + "\n")


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
