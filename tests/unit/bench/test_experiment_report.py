"""The synthetic events of a benchmark are events."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.experiment_report import EXPERIMENT, write_events
from espalier.analysis import Question, analyse


@pytest.mark.parametrize("compress", [False, True])
def test_what_is_measured_is_a_whole_experiment(tmp_path: Path, *, compress: bool) -> None:
    """As many events as asked for, every episode found again, and nothing left out."""
    written = write_events(tmp_path, 5_000, compress=compress)
    report = analyse(
        sorted(tmp_path.iterdir()),
        Question(EXPERIMENT),
        now=datetime(2026, 2, 1, tzinfo=UTC),
        threads=1,
    )

    assert written == pytest.approx(5_000, rel=0.1)
    assert {kind for kind, count in report.events.items() if count} == {"lines"}
    assert report.events["lines"] == written
    assert sum(one.episodes for one in report.variants.values()) == round(5_000 / 7.2)
    assert sum(one.lists for one in report.variants.values()) == 5 * round(5_000 / 7.2)
