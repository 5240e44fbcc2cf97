"""Which index a name means."""

from __future__ import annotations

import pytest

from espalier.errors import ConfigError
from espalier.serve.errors import UnknownIndexError
from espalier.serve.indexes import Indexes
from tests.unit.serve.fakes import FakeIndex, indexes_of


def test_the_first_index_is_the_default() -> None:
    """Whoever names none gets that."""
    indexes = indexes_of(de=FakeIndex(), en=FakeIndex())

    assert indexes.get("") is indexes.default is indexes.get("de")
    assert [one.name for one in indexes] == ["de", "en"]


def test_a_name_nobody_serves_is_an_error_that_lists_those_there_are() -> None:
    """So that the client sees its slip."""
    with pytest.raises(UnknownIndexError, match="use one of: de,en") as caught:
        indexes_of(de=FakeIndex(), en=FakeIndex()).get("fr")

    assert caught.value.metadata == {"served": "de,en"}


def test_serving_nothing_is_a_mistake() -> None:
    """There is no default index then."""
    with pytest.raises(ConfigError, match="name at least one"):
        Indexes([])
