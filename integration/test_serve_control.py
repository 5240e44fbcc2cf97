"""What the supervisor can ask real workers: here it runs in the process of the test."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from espalier.client import CallError, Client
from espalier.serve.listen import reserve_tcp
from espalier.serve.orders import IndexOrder, Orders
from espalier.serve.supervisor import Supervisor, command
from espalier.settings import ServeSettings
from integration.processes import PATIENCE, environment
from tests.unit.serve.fakes import ListLog

COMPLETE = "/espalier.v1.CompletionService/Complete"


def added(reports: Mapping[int, Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """Return the counts of all workers, added up."""
    found: dict[str, Counter[str]] = {}
    for report in reports.values():
        for family, counts in report.items():
            if isinstance(counts, Mapping):
                found.setdefault(family, Counter()).update(counts)
    return found


def test_workers_count_what_they_did_and_tell_on_request(
    demo_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls by outcome, degraded answers by kind, and what waits now."""
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    reserved = reserve_tcp("127.0.0.1:0")
    settings = ServeSettings(index={"default": demo_index}, workers=2, sessions="memory")
    indexes = (IndexOrder("default", demo_index, demo_index),)
    orders = [
        Orders(number, settings, reserved.address, None, None, verify=True, indexes=indexes)
        for number in range(2)
    ]
    supervisor = Supervisor(
        command(), [one.as_message() for one in orders], grace=PATIENCE, log=ListLog()
    )
    reports: list[Mapping[int, Mapping[str, Any]]] = []
    faults: list[BaseException] = []

    def act() -> None:
        try:
            assert supervisor.request_all("ping", timeout=PATIENCE).keys() == {0, 1}
            with Client(reserved.address, timeout=PATIENCE, channels=4) as client:
                for _ in range(20):
                    client.complete("a")
                for _ in range(3):
                    with pytest.raises(CallError):
                        client.complete("x" * 2_000)
            # The deadline is short, not over: the answer is made of popular queries.
            with Client(reserved.address, timeout=0.0045) as hasty:
                for _ in range(50):
                    try:
                        hasty.complete("a")
                    except CallError:
                        continue
            reports.append(supervisor.request_all("counters", timeout=PATIENCE))
        except BaseException as error:
            faults.append(error)
            raise
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=act)
    assert supervisor.run(thread.start) == 0
    thread.join(PATIENCE)
    reserved.close()

    assert faults == []
    (report,) = reports
    counts = added(report)
    assert report.keys() == {0, 1}
    assert all(one["waiting"] == 0 for one in report.values())
    assert counts["calls"][f"{COMPLETE} OK"] >= 20
    assert counts["calls"][f"{COMPLETE} INVALID_ARGUMENT"] == 3
    # Of the hasty calls some were over before they were sent.
    assert 23 <= sum(counts["calls"].values()) <= 73
    assert counts["degraded"]["popular_only"] <= 50
