"""Build the extension module ``espalier._native`` from the C library.

The declarations Python sees are cut from the public header between its two
markers, so there is one set of prototypes. Run as a script it builds in place,
into ``plugin/espalier/``; setuptools calls it through ``cffi_modules``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cffi import FFI

NATIVE = Path(__file__).resolve().parent
ROOT = NATIVE.parent
HEADER = NATIVE / "include" / "espalier.h"
BEGIN, END = "/* cffi: begin */", "/* cffi: end */"


def declarations() -> str:
    """Return the part of the public header between the cffi markers."""
    text = HEADER.read_text(encoding="utf-8")
    return text.split(BEGIN, 1)[1].split(END, 1)[0]


def relative(path: Path) -> str:
    """Return ``path`` relative to the working folder, as setuptools wants it."""
    return os.path.relpath(path)


ffibuilder = FFI()
ffibuilder.cdef(declarations())
ffibuilder.set_source(
    "espalier._native",
    '#include "espalier.h"',
    sources=[relative(path) for path in sorted((NATIVE / "src").glob("*.c"))],
    depends=[
        relative(path) for path in (HEADER, *sorted((NATIVE / "src").glob("*.h")), Path(__file__))
    ],
    include_dirs=[relative(NATIVE / "include")],
    extra_compile_args=["-std=c17", "-O3", "-fvisibility=hidden", "-DNDEBUG"],
    libraries=["m"],
    py_limited_api=True,
)

if __name__ == "__main__":
    # Through setup.py, so that both ways use the same flags; compiles only what
    # is older than a source, a header or this file.
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    raise SystemExit(subprocess.run(command, cwd=ROOT, check=False).returncode)
