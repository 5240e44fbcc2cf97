"""The experiments of a service: taken over everywhere, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from espalier.errors import ConfigError
from espalier.experiments import Experiment, as_message, read_experiments
from espalier.serve.control import ControlError, Params
from espalier.serve.experiment_book import ExperimentBook
from tests.unit.serve.fakes import ListLog


def experiments(*names: str) -> tuple[Experiment, ...]:
    """Return experiments that change nothing."""
    table = {"variants": {"a": {"weight": 5_000}, "b": {"weight": 5_000}}}
    return read_experiments(dict.fromkeys(names, table), "here")


class Workers:
    """Workers that keep what they are asked, and refuse what they are told to."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self.refuse: str | None = None

    def request_all(
        self, method: str, params: Params | None = None, *, timeout: float
    ) -> Mapping[int, Mapping[str, Any]]:
        """Take a request."""
        assert (method, timeout > 0) == ("experiments", True)
        assert params is not None
        self.asked.append(params)
        if self.refuse is not None and self.refuse in params:
            raise ControlError("no", reason="INVALID_CONFIG")
        return {}


class Bench:
    """A book with everything around it within reach."""

    def __init__(self) -> None:
        self.wanted: tuple[Experiment, ...] | ConfigError = experiments("e")
        self.log = ListLog()
        self.health: list[bool] = []
        self.renewed: list[dict[str, Any]] = []
        self.workers = Workers()
        self.book = ExperimentBook(
            experiments("e"), self._read, log=self.log, told=self.health.append
        )

    def _read(self) -> tuple[Experiment, ...]:
        if isinstance(self.wanted, ConfigError):
            raise self.wanted
        return self.wanted

    def reread(self) -> None:
        """Read the configuration anew."""
        self.book.reread(self.workers, lambda: self.renewed.append(self.book.order()))


@pytest.fixture
def bench() -> Bench:
    """Return a fresh one."""
    return Bench()


def order(*names: str, well: bool = True) -> dict[str, Any]:
    """Return what a worker is told when it starts."""
    return {"experiments": as_message(experiments(*names)), "well": well}


def test_a_new_set_is_prepared_everywhere_before_it_holds_anywhere(bench: Bench) -> None:
    """Workers that start in between begin with it."""
    bench.wanted = experiments("e", "f")
    bench.reread()

    message = as_message(experiments("e", "f"))
    assert bench.workers.asked == [
        {"experiments": message, "apply": False},
        {"experiments": message, "apply": True},
    ]
    assert bench.renewed == [order("e", "f")]
    assert bench.log.names() == ["experiments_taken_over"]
    assert bench.health == [True]


def test_what_did_not_change_is_not_told(bench: Bench) -> None:
    """Whatever else of the configuration did."""
    bench.reread()

    assert bench.workers.asked == []
    assert bench.log.names() == []


def test_a_broken_set_keeps_the_one_before(bench: Bench) -> None:
    """It shows in health, here and in workers, until it is mended."""
    bench.wanted = ConfigError("weights")
    bench.reread()
    bench.reread()

    assert bench.log.names() == ["experiments_refused"] * 2
    assert bench.health == [True, False]
    assert bench.workers.asked == [{"well": False}]
    assert bench.book.order() == order("e", well=False)

    bench.wanted = experiments("e")
    bench.reread()
    assert bench.health == [True, False, True]
    assert bench.workers.asked == [{"well": False}, {"well": True}]
    assert bench.book.order() == order("e")


def test_a_set_that_a_worker_refuses_holds_nowhere(bench: Bench) -> None:
    """As one whose plug-in is not installed where the workers run."""
    bench.wanted = experiments("f")
    bench.workers.refuse = "experiments"
    bench.reread()

    assert bench.log.names() == ["experiments_refused"]
    assert [one.get("apply") for one in bench.workers.asked] == [False, None]
    assert bench.book.order() == order("e", well=False)


def test_a_worker_that_is_gone_stops_nothing(bench: Bench) -> None:
    """Its successor begins with what holds."""
    bench.wanted = ConfigError("weights")
    bench.workers.refuse = "well"
    bench.reread()

    assert bench.log.names() == ["experiments_refused", "experiments_not_acknowledged"]
    assert bench.renewed == [order("e", well=False)]


def test_without_a_configuration_nothing_is_read_anew(bench: Bench) -> None:
    """A service may be started from code."""
    book = ExperimentBook((), None, log=bench.log, told=bench.health.append)
    book.reread(bench.workers, lambda: bench.renewed.append({}))

    assert (bench.workers.asked, bench.renewed) == ([], [])
