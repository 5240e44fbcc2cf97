"""Words as retrieval compares them."""

from __future__ import annotations

import sys

import pytest

from espalier.errors import ConfigError
from espalier.stems import Stemmer


def test_words_are_runs_of_letters_and_digits() -> None:
    """Without a stemmer they stay as they are."""
    assert ["18", "volt", "drills", "straße", "a", "b"] == Stemmer("none").words(
        "18-volt drills, straße a_b"
    )


def test_a_stemmer_brings_forms_of_a_word_together() -> None:
    """English has many; the Snowball stemmer knows them."""
    pytest.importorskip("Stemmer")
    stemmer = Stemmer("english")

    assert stemmer.words("drills") == stemmer.words("drill") == stemmer.words("drilling")


def test_an_unknown_stemmer_is_refused_with_those_there_are() -> None:
    """A misspelt language would silently find less."""
    pytest.importorskip("Stemmer")
    with pytest.raises(ConfigError, match="english"):
        Stemmer("englsh")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install, and what does without."""
    monkeypatch.setitem(sys.modules, "Stemmer", None)

    with pytest.raises(ConfigError, match="stemmer=none"):
        Stemmer("english")
    assert Stemmer("none").name == "none"
