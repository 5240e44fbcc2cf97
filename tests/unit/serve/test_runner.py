"""What the runner refuses before it starts anything."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from espalier.errors import ConfigError, IndexMissingError
from espalier.serve.runner import run
from espalier.settings import ServeSettings
from tests.unit.serve.fakes import ListLog

SETTINGS = ServeSettings(index={"main": Path("missing.esp")}, listen="127.0.0.1:0")


def test_more_workers_than_it_has_are_refused() -> None:
    """A setting that would be ignored is an error."""
    with pytest.raises(ConfigError, match=r"serve\.workers is 2"):
        run(dataclasses.replace(SETTINGS, workers=2), log=ListLog())


def test_a_missing_index_is_an_error_that_names_it(tmp_path: Path) -> None:
    """Nothing listens by then."""
    path = tmp_path / "missing.esp"
    log = ListLog()
    with pytest.raises(IndexMissingError, match=r"missing\.esp"):
        run(dataclasses.replace(SETTINGS, index={"main": path}), log=log)

    assert log.events == []


def test_serving_nothing_is_an_error() -> None:
    """There is no index to fall back on."""
    with pytest.raises(ConfigError, match="name at least one"):
        run(dataclasses.replace(SETTINGS, index={}), log=ListLog())
