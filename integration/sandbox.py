"""Starts a command as confined as a systemd unit wants it: ``sandbox.py UNIT COMMAND…``.

What of the unit keeps a process from doing things by itself is done here without systemd:
``SystemCallFilter`` as a filter of the kernel, ``MemoryDenyWriteExecute`` and
``NoNewPrivileges`` by prctl. So a dependency that comes to need what the unit forbids is
found out by a test, not by somebody who upgrades.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

_NUMBERS = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
_X86_64 = 0xC000003E
_NO_NEW_PRIVS, _SECCOMP, _MDWE = 38, 22, 65
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


def problem() -> str:
    """Return why nothing can be confined here, "" if it can."""
    if platform.machine() != "x86_64" or not _NUMBERS.exists():
        return "numbers of system calls are known for x86_64 with headers of the C library"
    if shutil.which("systemd-analyze") is None:
        return "systemd-analyze is not installed"
    # Asking changes nothing; kernels before 6.3 do not know the question.
    return "" if ctypes.CDLL(None).prctl(_MDWE + 1, 0, 0, 0, 0) == 0 else "the kernel is too old"


def allowed_calls(unit: str) -> set[str]:
    """Return the system calls that a unit leaves a process."""
    allowed: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit, re.MULTILINE):
        names = set().union(*map(_calls_of, line.removeprefix("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


@functools.cache
def _calls_of(name: str) -> frozenset[str]:
    """Return what a name stands for: a set of systemd, or a call by itself."""
    if not name.startswith("@"):
        return frozenset((name,))
    command = ["systemd-analyze", "--no-pager", "syscall-filter", name]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = (line.strip() for line in text.splitlines()[1:])
    return frozenset().union(*(_calls_of(line) for line in lines if line and line[0] != "#"))


def _program(allowed: set[str]) -> bytes:
    """Return a filter that lets these calls pass and answers others with EPERM."""
    text = _NUMBERS.read_text(encoding="ascii")
    numbers = {name: int(no) for name, no in re.findall(r"#define __NR_(\w+) (\d+)", text)}
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _X86_64), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    for name in sorted(allowed & numbers.keys()):
        steps += [(_EQUAL, 0, 1, numbers[name]), (_RETURN, 0, 0, _ALLOW)]
    steps.append((_RETURN, 0, 0, _ERRNO | errno.EPERM))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _confine(unit: str) -> None:
    code = _program(allowed_calls(unit))
    held = ctypes.create_string_buffer(code, len(code))
    filter_of = ctypes.create_string_buffer(
        struct.pack("@HxxxxxxQ", len(code) // 8, ctypes.addressof(held))
    )
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    wanted = [(_NO_NEW_PRIVS, 1, 0, 0, 0)]
    if "MemoryDenyWriteExecute=yes" in unit:
        wanted.append((_MDWE, 1, 0, 0, 0))
    wanted.append((_SECCOMP, 2, ctypes.addressof(filter_of), 0, 0))
    for arguments in wanted:
        if prctl(*map(ctypes.c_ulong, arguments)):
            sys.exit(f"prctl {arguments[0]}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    _confine(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the command a test gave
