"""What may import what: data flows down the page, never back."""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "plugin" / "espalier"
NATIVE = ROOT / "native"

# A part may import what stands before it, and what the second table adds. The
# parts of one row do not know each other.
ROWS: tuple[tuple[str, ...], ...] = (
    ("errors", "progress", "v1"),
    ("text", "files", "re2", "stems", "addresses"),
    ("matrices",),
    ("schema", "access"),
    ("gather",),
    ("experiments",),
    ("settings",),
    ("config",),
    ("events",),
    ("_native",),
    ("native",),
    ("overlay", "filters"),
    ("withheld",),
    ("index",),
    ("model", "catalogue"),
    ("querylog", "sessions", "client"),
    ("train", "evaluate", "serve", "admin", "calling"),
    ("interop", "publish", "retrieval", "analysis"),
    ("replay",),
    ("console",),
    ("terminal",),
    ("verbs",),
    ("cli",),
    ("__main__",),
)
# Only these may know transport, and only this one the extension module.
GRPC = {"serve", "client", "admin", "calling", "v1"}
NATIVE_IMPORTERS = {"native"}
# Reading logs is free of C: it runs where nothing was compiled.
FORBIDDEN = {("querylog", "native"), ("querylog", "index"), ("querylog", "_native")}

LEVEL = {part: level for level, row in enumerate(ROWS) for part in row}


def part_of(module: Path) -> str:
    """Return the part of the package that ``module`` belongs to."""
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    """Return every hand-written module of the package but its front door."""
    found = sorted(PACKAGE.rglob("*.py"))
    return [path for path in found if path != PACKAGE / "__init__.py" and part_of(path) != "v1"]


def imported(module: Path) -> Iterator[str]:
    """Yield the full names that ``module`` imports, wherever the import stands."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import; name the package"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_imports_upwards(module: Path) -> None:
    """Each part knows only parts above it on the page."""
    part = part_of(module)
    assert part in LEVEL, f"{part} is not on the map: add it to ROWS"
    for name in imported(module):
        if not name.startswith("espalier."):
            continue
        other = name.split(".")[1]
        if other in {part, "__version__", "open"}:
            continue
        assert other in LEVEL, f"{module}: imports {name}, which is not on the map"
        assert LEVEL[other] < LEVEL[part], f"{part} imports {other}, which stands below it"
        assert (part, other) not in FORBIDDEN, f"{part} must not import {other}"
        if other == "_native":
            assert part in NATIVE_IMPORTERS, f"{part} reaches the C library past espalier.native"


def test_no_two_modules_import_each_other() -> None:
    """Inside a part as well, imports run one way; for type checking too."""
    names = {
        ".".join(("espalier", *path.relative_to(PACKAGE).with_suffix("").parts)): path
        for path in modules()
        if path.name != "__init__.py"
    }
    graph = {
        name: {
            candidate
            for target in imported(path)
            for candidate in (target, target.rpartition(".")[0])
            if candidate in names
        }
        for name, path in names.items()
    }

    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError

    assert set(names) == set(order)


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_serving_knows_grpc(module: Path) -> None:
    """The domain modules work without a transport."""
    foreign = {name.split(".")[0] for name in imported(module)}

    assert part_of(module) in GRPC or not foreign & {"grpc", "grpc_health", "grpc_reflection"}


def test_every_part_of_the_map_is_in_architecture_md() -> None:
    """The map in prose and the map in code name the same parts."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    parts = {part_of(module) for module in modules()} | {"v1"}

    missing = {part for part in parts if f"`{part}" not in text and f"{part}.py" not in text}
    assert missing == set()


def test_c_files_include_only_what_stands_above_them() -> None:
    """The files of the C library have an order; no header closes a circle."""
    pattern = re.compile(r'^#include "(?:.*/)?([^"/]+)"', re.MULTILINE)
    includes = {
        path.name: pattern.findall(path.read_text(encoding="utf-8"))
        for path in sorted((NATIVE / "src").glob("*.[ch]"))
    }
    done: set[str] = {"espalier.h"}
    waiting = {name: set(names) for name, names in includes.items()}
    while ready := {name for name, names in waiting.items() if names <= done}:
        done |= ready
        waiting = {name: names for name, names in waiting.items() if name not in ready}

    assert waiting == {}, "these include each other in a circle, or a header that is not there"


def test_no_c_file_includes_another_c_file() -> None:
    """Sources meet in headers."""
    for path in sorted((NATIVE / "src").glob("*.[ch]")):
        assert not re.search(r'#include "[^"]+\.c"', path.read_text(encoding="utf-8")), path.name
