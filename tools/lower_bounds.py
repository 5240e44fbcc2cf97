"""Print the lower bound of every dependency as an exact pin, for ``make bounds``."""

from __future__ import annotations

import tomllib
from pathlib import Path


def pins(pyproject: Path) -> list[str]:
    """Return ``name==bound`` for each run-time dependency of ``pyproject``."""
    with pyproject.open("rb") as file:
        project = tomllib.load(file)["project"]
    return [dependency.replace(">=", "==") for dependency in project["dependencies"]]


if __name__ == "__main__":
    print("\n".join(pins(Path(__file__).parent.parent / "pyproject.toml")))
