"""What the supervisor can ask real workers: here it runs in the process of the test."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from espalier.client import CallError, Client
from espalier.serve.counters import Counters
from espalier.serve.listen import reserve_tcp
from espalier.serve.orders import IndexOrder, Orders
from espalier.serve.supervisor import Supervisor, command
from espalier.serve.telemetry.exposition import merged
from espalier.serve.telemetry.page import Page, hold_page
from espalier.settings import ServeSettings
from integration.processes import PATIENCE, environment
from tests.unit.serve.fakes import ListLog

COMPLETE = "/espalier.v1.CompletionService/Complete"


def test_workers_count_what_they_did_where_the_supervisor_sees_it(
    demo_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls by outcome, degraded answers by kind, and what waits now; no worker is asked."""
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    reserved = reserve_tcp("127.0.0.1:0")
    settings = ServeSettings(index={"default": demo_index}, workers=2, sessions="memory")
    indexes = (IndexOrder("default", demo_index, demo_index),)
    held = [hold_page(f"test-{number}") for number in range(2)]
    orders = [
        Orders(
            number,
            settings,
            reserved.address,
            unix=None,
            sessions=None,
            verify=True,
            indexes=indexes,
            page=page.path,
        )
        for number, page in enumerate(held)
    ]
    supervisor = Supervisor(
        command(),
        [one.as_message() for one in orders],
        grace=PATIENCE,
        log=ListLog(),
        counters=Counters(),
    )
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
    numbers = merged([Page.at(page.path).read() for page in held])
    for page in held:
        page.close()
    calls = {
        key[2]: count for key, (count, *_) in numbers.items() if key[:2] == ("calls", COMPLETE)
    }
    assert [numbers["waiting", str(number)] for number in range(2)] == [[0], [0]]
    assert calls["OK"] >= 20
    assert calls["INVALID_ARGUMENT"] == 3
    # Of the hasty calls some were over before they were sent.
    assert 23 <= sum(calls.values()) <= 73
    assert numbers["degraded", "popular_only"][0] <= 50
