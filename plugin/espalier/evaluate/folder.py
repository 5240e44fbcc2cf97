"""The folder of a report: ``report.html`` to look at, ``report.json`` to compute with."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espalier.errors import ConfigError, StorageError
from espalier.evaluate.report import EvaluationReport
from espalier.files import new_file


def report_files(folder: Path) -> tuple[Path, Path]:
    """Return the page and the figures that :func:`write_report` writes into ``folder``."""
    return folder / "report.html", folder / "report.json"


def prepare_folder(folder: Path) -> None:
    """Make ``folder`` if it is missing, and see that a report can be drawn.

    To be called before the work whose report it is.

    Raises:
        ConfigError: matplotlib is not installed.
        StorageError: There is no such folder and none can be made.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError(
            "the plots of a report are drawn by matplotlib, which is not installed; "
            "install the extra: pip install 'espalier[report]'"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{folder}: cannot be made a folder ({error.strerror or error}); name another"
        ) from None


def write_report(report: EvaluationReport, folder: Path) -> None:
    """Write both files; each appears whole or not at all.

    Raises:
        StorageError: One cannot be written.
    """
    # Only here is matplotlib needed, which is an extra and takes a second to load.
    from espalier.evaluate.page import render_page  # noqa: PLC0415

    write_files(folder, render_page(report), report.to_json())


def write_files(folder: Path, page: str, figures: Mapping[str, Any]) -> None:
    """Write a page and its figures; each file appears whole or not at all.

    Raises:
        StorageError: One cannot be written.
    """
    drawn, numbers = report_files(folder)
    with new_file(numbers) as stream:
        stream.write((json.dumps(figures, indent=2, allow_nan=False) + "\n").encode())
    with new_file(drawn) as stream:
        stream.write(page.encode())
