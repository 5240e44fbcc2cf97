"""Print the lower bound of every dependency as an exact pin, for ``make bounds``.

Of the extras, those count that are for users; what ``dev`` pins is for the gate.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path


def pins(pyproject: Path) -> list[str]:
    """Return ``name==bound`` for each run-time dependency of ``pyproject``."""
    with pyproject.open("rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + [
        dependency for extra in sorted(extras) if extra != "dev" for dependency in extras[extra]
    ]
    return [re.sub("[>~]=", "==", dependency) for dependency in wanted]


if __name__ == "__main__":
    print("\n".join(pins(Path(__file__).parent.parent / "pyproject.toml")))
