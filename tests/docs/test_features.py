"""The lists of features are the ones the library has."""

from __future__ import annotations

import re
from pathlib import Path

from espalier.native import feature_groups, feature_names, retrieval_feature_names

PAGE = Path(__file__).parents[2] / "native" / "FEATURES.md"


def test_every_feature_is_explained_in_its_group_and_order() -> None:
    """FEATURES.md names the features as ``--explain`` prints them."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| .+ \|$", PAGE.read_text("utf-8"), re.MULTILINE)

    assert list(zip(feature_names(), feature_groups(), strict=True)) == rows


def test_every_feature_of_a_product_is_explained_in_its_order() -> None:
    """The second table is the list retrieval's forests are trained on."""
    part = PAGE.read_text("utf-8").split("# What retrieval knows of a product", 1)[1]
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \|$", part, re.MULTILINE)

    assert list(retrieval_feature_names()) == rows
