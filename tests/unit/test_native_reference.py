"""The second reader stands alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REFERENCE = Path(__file__).resolve().parents[1] / "reference"


@pytest.mark.parametrize("name", ["format", "invariants", "query"])
def test_the_second_reader_does_not_use_the_first(name: str) -> None:
    """No import of the package it is compared with, in any form."""
    tree = ast.parse((REFERENCE / f"{name}.py").read_text("utf-8"))
    imported = {
        module
        for node in ast.walk(tree)
        for module in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert not any(module.split(".")[0] == "espalier" for module in imported)
    assert "tests.reference.build" not in imported
