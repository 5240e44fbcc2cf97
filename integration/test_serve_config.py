"""A running service reads its configuration anew, and keeps the last good one."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

from espalier.client import Client
from espalier.settings import TrainSettings
from espalier.train import train_index
from integration.processes import PATIENCE, Sidecar, espalier


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def other_index(folder: Path) -> Path:
    """Return an index that answers with what no other has."""
    rows = [f"{user}\tcamel {other}" for user in range(4) for other in "abcd"]
    (folder / "log.tsv").write_text("\n".join(["user\tquery", *rows]) + "\n", encoding="utf-8")
    path = folder / "other.esp"
    train_index([folder / "log.tsv"], path, TrainSettings(min_users=1, threads=1))
    return path


def test_sighup_takes_over_what_can_change(demo_index: Path, tmp_path: Path) -> None:
    """A broken file changes nothing and is logged; what needs a restart is named."""
    config = tmp_path / "site.toml"
    other_index(tmp_path)

    def write(index: str, more: str) -> None:
        text = f"[serve]\nworkers = 1\n{more}\nindex.default = '{index}'\n"
        config.write_text(text, encoding="utf-8")

    write(str(demo_index), "grace_seconds = 5")
    with Sidecar("--config", config) as sidecar:

        def told(event: str) -> list[dict[str, object]]:
            return [one for one in sidecar.events() if one["event"] == event]

        write("other.esp", "grace_second = 6")
        sidecar.send(signal.SIGHUP)
        until(lambda: len(told("config_refused")) == 1)
        write("other.esp", "grace_seconds = 6\nthreads = 2")
        sidecar.send(signal.SIGHUP)
        until(lambda: len(told("index_activated")) == 1)
        with Client(sidecar.address, timeout=PATIENCE) as client:
            found = {one.text for one in client.complete("camel").suggestions}
        sidecar.send(signal.SIGTERM)

        assert sidecar.wait() == 0
        assert "did you mean 'grace_seconds'" in str(told("config_refused")[0]["error"])
        assert [one["keys"] for one in told("config_needs_restart")] == ["threads"]
        assert found >= {"camel a", "camel b", "camel c", "camel d"}
        assert {one["grace"] for one in told("draining")} == {6.0}


def test_what_is_printed_is_a_configuration_to_serve_with(demo_index: Path, tmp_path: Path) -> None:
    """By the command alone, from any folder."""
    printed = espalier("serve", "--index", demo_index, "--workers", "1", "--print-config")
    config = tmp_path / "site.toml"
    config.write_text(printed.stdout, encoding="utf-8")
    checked = espalier("check-config", config)

    with (
        Sidecar("--config", config) as sidecar,
        Client(sidecar.address, timeout=PATIENCE) as client,
    ):
        assert client.complete("c").suggestions
    assert (printed.returncode, checked.returncode) == (0, 0)
