"""What a worker is told survives the wire."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from espalier.serve.orders import IndexOrder, Orders, RulesOrder
from espalier.settings import ServeSettings


@pytest.mark.parametrize("unix", [None, Path("/run/espalier.0")])
def test_orders_come_out_as_they_went_in(unix: Path | None) -> None:
    """Paths, numbers and the names of indexes included."""
    settings = ServeSettings(
        index={"de": Path("german.esp"), "en": Path("english.esp")},
        unix=Path("/run/espalier"),
        workers=3,
        admin="unix:/run/admin",
        index_roots=("/srv/indexes",),
        http="127.0.0.1:8080",
        http_origins=("https://shop.example",),
        grace_seconds=2.5,
    )
    table = Path("/proc/7/fd/9")
    orders = Orders(
        2,
        settings,
        "127.0.0.1:50051",
        unix,
        table,
        verify=False,
        indexes=(
            IndexOrder("de", Path("german.esp"), Path("/proc/7/fd/8")),
            IndexOrder("de", Path("old.esp"), Path("/proc/7/fd/5"), "00ff", active=False),
        ),
        overlays={"de": RulesOrder(Path("/proc/7/fd/10"), 3)},
        unwell=("en",),
        http=True,
        experiments={"experiments": {"e": {"coverage": 5}}, "well": False},
    )

    assert Orders.of(json.loads(json.dumps(orders.as_message()))) == orders


def test_the_default_settings_travel_too() -> None:
    """No setting is of a kind that JSON does not know."""
    orders = Orders(0, ServeSettings(), "[::1]:1", None, None, verify=True)

    assert Orders.of(json.loads(json.dumps(orders.as_message()))) == orders
