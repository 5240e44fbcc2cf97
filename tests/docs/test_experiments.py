"""The experiment of EXPERIMENTS.md comes out as it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.docs.reader import Reader, blocks_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_an_experiment_runs_as_it_is_written(tmp_path: Path) -> None:
    """Configuration, service, replay, report with plots, and an index of what was typed."""
    reader = Reader(tmp_path)
    try:
        for language, code in blocks_of(ROOT / "EXPERIMENTS.md"):
            reader.follow(language, code)
    finally:
        reader.leave()

    report = json.loads((tmp_path / "report" / "report.json").read_text())
    (verdict,) = report["verdicts"]
    assert verdict["text"].startswith("variant labels worse by 0.")
    assert " in acceptance rate, -" in verdict["text"]
    lost = report["differences"]["labels"]["metrics"]["keystrokes_saved"]
    assert lost["interval"][1] < 0
    assert (tmp_path / "report" / "report.html").read_text().count("<svg") == 3
    assert (tmp_path / "tomorrow.esp").stat().st_size > 100_000
