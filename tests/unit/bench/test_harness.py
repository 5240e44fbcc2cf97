"""What all benchmarks share."""

from __future__ import annotations

import functools
import importlib
import json
import sys
from pathlib import Path

import pytest

from bench import harness
from bench.__main__ import BENCHMARKS
from bench.paper_comparison import CONFIGURATIONS
from espalier.settings import load_settings


def test_sides_run_interleaved_and_the_first_rotates() -> None:
    """Three sides in four rounds: each round has all, and starts one later."""
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return float(len(order))

    sides = {name: functools.partial(side, name) for name in "abc"}
    figures = harness.interleaved(sides, 4)

    assert "".join(order) == "abc" + "bca" + "cab" + "abc"
    assert figures["b"] == [2.0, 4.0, 9.0, 11.0]


def test_a_spread_is_median_and_fastest() -> None:
    """One slow round moves neither."""
    assert harness.Spread.of([3.0, 1.0, 900.0]) == harness.Spread(3.0, 1.0, 3)


def test_a_child_is_measured_by_itself() -> None:
    """Printing the version takes some time and some memory, and not a gigabyte."""
    moments = iter([10.0, 12.5])
    run = harness.espalier("--help", clock=lambda: next(moments))

    assert run.seconds == 2.5
    assert 2**20 < run.peak_bytes < 2**30


def test_a_child_that_fails_ends_the_benchmark() -> None:
    """A figure of a failed command is no figure."""
    with pytest.raises(SystemExit, match="ended with 2"):
        harness.espalier("no-such-verb", clock=lambda: 0.0)


def test_figures_are_text_or_json_lines_never_both(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON mode prints nothing but objects, each with machine and commit."""
    reporter = harness.Reporter("some", as_json=True)
    reporter.text("for people")
    reporter.table(["name", "us"], [["a", "1"]])
    reporter.record(figure=98765.25)
    (line,) = capsys.readouterr().out.splitlines()
    loaded = json.loads(line)

    assert (loaded["benchmark"], loaded["figure"]) == ("some", 98765.25)
    assert loaded["machine"].keys() >= {"cpu", "processors", "commit", "python", "load"}

    harness.Reporter("some", as_json=False).record(figure=98765.25)

    assert "98765.25" not in capsys.readouterr().out


# These make their own log where none is given.
OWN_LOG = {
    "experiment_cost",
    "experiment_report",
    "http_load",
    "page_latency",
    "serve_load",
    "telemetry_load",
}
NEED_DATA = sorted(set(BENCHMARKS) - OWN_LOG)


@pytest.mark.parametrize("name", NEED_DATA)
def test_a_benchmark_without_data_says_so_and_ends_well(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0 and the reason: nothing failed, it could not be measured."""
    monkeypatch.delenv(harness.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "argv", [name])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"bench.{name}").main()

    assert ended.value.code == 0
    assert f"skipped: {harness.DATA_VARIABLE} is not set" in capsys.readouterr().out


def test_a_folder_without_the_file_is_named_as_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong folder is told from none."""
    monkeypatch.setenv(harness.DATA_VARIABLE, str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        harness.data_file()

    assert ended.value.code == 0
    assert f"holds no {harness.SESSIONS_LOG}" in capsys.readouterr().out


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_explains_itself(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--help needs no data."""
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"bench.{name}").main()

    assert ended.value.code == 0
    assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize("number", CONFIGURATIONS)
def test_every_published_configuration_is_one_of_settings(number: int) -> None:
    """All twelve are spelled in keys and values that training knows."""
    settings = load_settings(None, "train", dict(CONFIGURATIONS[number]), {})

    assert settings.indexer == CONFIGURATIONS[number]["indexer"]
