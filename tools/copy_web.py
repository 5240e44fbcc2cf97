"""Copies the module of ``integration/web/`` to where the demo page has it.

The package has to hold what it serves, and npm what it publishes; a test compares the two.

    python -m tools.copy_web
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULE = ROOT / "integration" / "web" / "src"
PAGE = ROOT / "plugin" / "espalier" / "serve" / "demo" / "page" / "espalier"

_IMPORT = re.compile(r'^(?:import|export) .* from "\./([\w.]+)";$', re.MULTILINE)


def files() -> list[Path]:
    """Return the files of the module that ``index.js`` loads, itself first."""
    found = [MODULE / "index.js"]
    for file in found:
        names = _IMPORT.findall(file.read_text(encoding="utf-8"))
        found += [MODULE / name for name in names if MODULE / name not in found]
    return found


if __name__ == "__main__":
    shutil.rmtree(PAGE, ignore_errors=True)
    PAGE.mkdir(parents=True)
    for path in files():
        shutil.copy(path, PAGE)
