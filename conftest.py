"""What tests/ and integration/ share: property-test profiles, data rule, demo index."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

DATA = os.environ.get("ESPALIER_DATA") or None

# Machines that run tests are shared: a slow example is not a wrong one.
_relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", _relaxed, max_examples=25)
settings.register_profile("ci", _relaxed, max_examples=100, derandomize=True)
settings.register_profile("long", _relaxed, max_examples=5_000)
settings.load_profile(os.environ.get("ESPALIER_PROFILE", "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies under integration/, and skip what needs data that is not there."""
    for item in items:
        if item.path.is_relative_to(item.config.rootpath / "integration"):
            item.add_marker("integration")
        if DATA is None and "data" in item.keywords:
            item.add_marker(
                pytest.mark.skip(reason="ESPALIER_DATA does not name the evaluation data")
            )


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Return the folder of evaluation data; only for tests marked ``data``."""
    if DATA is None:
        pytest.skip("ESPALIER_DATA does not name the evaluation data")
    return Path(DATA)


@pytest.fixture(scope="session")
def demo_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small synthetic log, the same on every run."""
    from espalier.querylog import write_demo_log

    path = tmp_path_factory.mktemp("demo") / "log.tsv"
    write_demo_log(path, catalogue=path.with_name("catalogue.tsv"), users=300, seed=7)
    return path


@pytest.fixture(scope="session")
def demo_index(demo_log: Path) -> Path:
    """Return an index trained on ``demo_log``. Shared: copy it before changing it."""
    from espalier.settings import TrainSettings
    from espalier.train import train_index

    path = demo_log.with_name("demo.esp")
    train_index([demo_log], path, TrainSettings(min_users=1, threads=1))
    return path
