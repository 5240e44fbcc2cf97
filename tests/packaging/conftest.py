"""The source distribution, the wheel from it, and an environment with that, once a run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.packaging.building import run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the source distribution of this tree."""
    out = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "-o", out, ROOT, cwd=out)
    return next(out.glob("*.tar.gz"))


@pytest.fixture(scope="session")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel built from the source distribution, not from this tree."""
    out = tmp_path_factory.mktemp("wheel")
    run("tar", "-xzf", sdist, cwd=out)
    source = next(path for path in out.iterdir() if path.is_dir())
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "-o", out, source, cwd=out)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def home(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment with the wheel and what it depends on. Shared: change nothing."""
    folder = tmp_path_factory.mktemp("home")
    home = folder / "venv"
    run(sys.executable, "-m", "venv", home, cwd=folder)
    run(home / "bin" / "python", "-m", "pip", "--quiet", "install", wheel, cwd=folder)
    return home
