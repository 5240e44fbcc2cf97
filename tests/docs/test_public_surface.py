"""The names other people build on: exact, sorted, and there."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import espalier

ROOT = Path(__file__).resolve().parents[2]


def test_the_public_names_are_sorted_and_there() -> None:
    """``__all__`` is the promise; each name in it can be had."""
    assert sorted(espalier.__all__) == espalier.__all__
    for name in espalier.__all__:
        assert getattr(espalier, name) is not None


def test_nothing_public_is_missing_from_the_promise() -> None:
    """A name without underscore is either promised or a module of the package."""
    modules = {path.stem for path in (ROOT / "plugin" / "espalier").iterdir()}
    public = {name for name in vars(espalier) if not name.startswith("_")}

    assert public - modules - {"annotations", "importlib"} <= {
        *espalier.__all__,
        "TYPE_CHECKING",
        "Any",
    }


def test_the_version_is_said_once() -> None:
    """pyproject.toml, the installed metadata and the package agree."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["project"]["version"]

    assert importlib.metadata.version("espalier") == declared
    assert espalier.__version__ == declared


def test_help_comes_without_the_heavy_imports() -> None:
    """`espalier --help` and shell completion load none of the numerical packages."""
    code = (
        "import sys, espalier.cli; "
        "print(sorted({'numpy', 'scipy', 'duckdb', 'grpc'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout == "[]\n"


def test_the_package_says_that_it_is_typed() -> None:
    """Type checkers of other projects read our annotations."""
    assert (Path(espalier.__file__).parent / "py.typed").exists()
