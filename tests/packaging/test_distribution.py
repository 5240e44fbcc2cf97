"""What is published works: sdist, a wheel from that sdist, an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    """Run ``command`` outside the tree and return what it printed."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, f"{command}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the source distribution of this tree."""
    out = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "-o", out, ROOT, cwd=out)
    return next(out.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel built from the source distribution, not from this tree."""
    out = tmp_path_factory.mktemp("wheel")
    run("tar", "-xzf", sdist, cwd=out)
    source = next(path for path in out.iterdir() if path.is_dir())
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "-o", out, source, cwd=out)
    return next(out.glob("*.whl"))


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
    wheel: Path, tmp_path: Path
) -> None:
    """Installed away from the tree, it makes an index, with a scorer, and answers from it."""
    home = tmp_path / "venv"
    run(sys.executable, "-m", "venv", home, cwd=tmp_path)
    python = home / "bin" / "python"
    run(python, "-m", "pip", "--quiet", "install", wheel, cwd=tmp_path)
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
