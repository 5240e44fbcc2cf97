"""The list of the blender's features is the one the library has."""

from __future__ import annotations

import re
from pathlib import Path

from espalier.native import feature_groups, feature_names

PAGE = Path(__file__).parents[2] / "native" / "FEATURES.md"


def test_every_feature_is_explained_in_its_group_and_order() -> None:
    """FEATURES.md names the features as ``--explain`` prints them."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| .+ \|$", PAGE.read_text("utf-8"), re.MULTILINE)

    assert list(zip(feature_names(), feature_groups(), strict=True)) == rows
