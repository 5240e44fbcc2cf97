"""What the runner refuses before it starts anything."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from espalier.errors import ConfigError
from espalier.serve import runner
from espalier.serve.listen import ListenError, reserve_tcp
from espalier.serve.runner import run
from espalier.settings import ServeSettings
from tests.unit.serve.fakes import ListLog

SETTINGS = ServeSettings(index={"main": Path("missing.esp")}, listen="127.0.0.1:0")


def test_serving_nothing_is_an_error() -> None:
    """There is no index to fall back on."""
    with pytest.raises(ConfigError, match="name at least one"):
        run(dataclasses.replace(SETTINGS, index={}), log=ListLog())


def test_a_port_of_another_service_is_refused() -> None:
    """No worker has been started by then."""
    other = reserve_tcp("127.0.0.1:0")
    log = ListLog()
    with pytest.raises(ListenError, match="in use"):
        run(dataclasses.replace(SETTINGS, listen=other.address), log=log)
    other.close()

    assert log.events == []


def test_a_unix_path_that_is_no_socket_is_refused(tmp_path: Path) -> None:
    """One for each worker, checked before the first starts."""
    (tmp_path / "s.1").write_text("precious")
    with pytest.raises(ListenError, match=r"s\.1"):
        run(dataclasses.replace(SETTINGS, unix=tmp_path / "s", workers=2), log=ListLog())

    assert (tmp_path / "s.1").read_text() == "precious"


def test_a_front_without_its_extra_is_refused_before_anything_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error says what to install."""
    monkeypatch.setattr(runner, "find_spec", lambda name: None if name == "uvicorn" else object())

    with pytest.raises(ConfigError, match=r"needs uvicorn; pip install 'espalier\[http\]'"):
        runner.refuse_without_http()


def test_who_serves_grpc_alone_needs_no_http_server() -> None:
    """Neither supervisor nor worker loads what only the front uses."""
    loaded = (
        "import sys, espalier.serve.runner, espalier.serve.worker; print('uvicorn' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "False"
