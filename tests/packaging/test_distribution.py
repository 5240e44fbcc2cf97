"""What is published works: sdist, a wheel from that sdist, an environment of its own."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.building import run

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_source_distribution_holds_the_whole_c_library(sdist: Path) -> None:
    """Whoever has it can build, test and understand what is compiled."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    expected = {
        str(path.relative_to(ROOT))
        for folder in ("include", "src", "tests", "fuzz", "bench")
        for path in (ROOT / "native" / folder).glob("*.[ch]")
    }
    assert expected <= names
    assert {"native/cffi_build.py", "native/FORMAT.md", "LICENSE", "setup.py"} <= names
    assert any(name.startswith("proto/espalier/v1/") for name in names)
    assert not [name for name in names if name.endswith((".so", ".o"))]


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """One stable-ABI wheel: every module, the types marker, the extension, the licence."""
    names = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "plugin"

    assert "-cp311-abi3-" in wheel.name
    assert {str(path.relative_to(package)) for path in package.rglob("*.py")} <= names
    assert {"espalier/py.typed", "espalier/_native.abi3.so"} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    pages = (package / "espalier" / "serve" / "demo" / "page").rglob("*.*")
    assert {str(path.relative_to(package)) for path in pages} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"espalier"}


_USE = """
import espalier, pathlib
assert pathlib.Path(espalier.__file__).is_relative_to({home!r}), espalier.__file__
with espalier.open("tiny.esp") as index:
    learned = "FRST" in {{section.name for section in index.info.sections}}
    print(index.complete("red sh", previous=["blue shoes"])[0].text, learned)
"""


@pytest.mark.slow
def test_the_wheel_trains_and_completes_in_an_environment_of_its_own(
    home: Path, tmp_path: Path
) -> None:
    """Installed away from the tree, it makes an index, with a scorer, and answers from it."""
    python = home / "bin" / "python"
    log = tmp_path / "log.tsv"
    typed = ("blue shoes", "red shoes", "red hat", "blue hat")
    rows = [f"u{i}\t{query}" for i in range(200) for query in typed]
    log.write_text("user\tquery\n" + "\n".join(rows) + "\n", encoding="utf-8")

    command: list[str | Path] = [
        home / "bin" / "espalier",
        "train",
        "--log",
        log,
        "--out",
        "tiny.esp",
    ]
    run(*command, "--set", "blend_share=0.5", "--set", "blend_trees=5", cwd=tmp_path)
    printed = run(python, "-c", _USE.format(home=str(home)), cwd=tmp_path)

    assert printed == "red shoes True\n"
