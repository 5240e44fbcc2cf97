"""Overlay files: written whole, read strictly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import InputError, InvalidTextError, StorageError
from espalier.overlay import Block, BlockPattern, BlockWord, Boost, BoostWord, Overlay, Pin
from espalier.overlay.document import dumps, loads
from espalier.text import normalise

EVERY_KIND = Overlay([
    Block("rolex replica"), BlockWord("fake"), BlockPattern("^cheap .* online$"),
    Pin("Summer sale", position=2, min_prefix=0), Boost("garden hose", 0.5),
    BoostWord("généralement", -1),
])  # fmt: skip

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(normalise)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Every kind of rule, with all it says."""
    path = tmp_path / "rules.json"
    EVERY_KIND.save(path)

    assert Overlay.load(path) == EVERY_KIND
    assert Overlay.load(str(path)).patterns == EVERY_KIND.patterns


def test_a_file_is_for_people(tmp_path: Path) -> None:
    """A rule a line, texts as they are, nothing that is at its default."""
    path = tmp_path / "rules.json"
    EVERY_KIND.save(path)

    assert path.read_text(encoding="utf-8").splitlines() == [
        "{",
        '  "espalier_overlay": 1,',
        '  "rules": [',
        '    {"block": "rolex replica"},',
        '    {"block_word": "fake"},',
        '    {"block_pattern": "^cheap .* online$"},',
        '    {"pin": "summer sale", "position": 2, "min_prefix": 0, "display": "Summer sale"},',
        '    {"boost": "garden hose", "by": 0.5},',
        '    {"boost_word": "généralement", "by": -1}',
        "  ]",
        "}",
    ]


def test_an_overlay_without_rules_is_a_file_too(tmp_path: Path) -> None:
    """And a file without the list is that overlay."""
    Overlay().save(tmp_path / "rules.json")

    assert Overlay.load(tmp_path / "rules.json") == Overlay()
    assert loads('{"espalier_overlay": 1}', Overlay) == Overlay()


@given(st.lists(TEXTS, max_size=5), st.floats(-1e6, 1e6), st.integers(1, 100))
def test_any_text_survives_a_file(texts: list[str], by: float, position: int) -> None:
    """Quotes, line ends and every script."""
    rules = [rule for text in texts for rule in (Block(text), Boost(text, by), Pin(text, position))]
    overlay = Overlay(rules)

    assert loads(dumps(overlay.rules), Overlay) == overlay
    assert json.loads(dumps(overlay.rules))["espalier_overlay"] == 1


BAD = {
    "": r"line 1: not JSON",
    '{"espalier_overlay": 1, "rules": [,]}': r"line 1: not JSON",
    "[]": r'not an overlay this version reads; it begins with "espalier_overlay": 1',
    '{"rules": []}': r"not an overlay this version reads",
    '{"espalier_overlay": 2}': r"not an overlay this version reads",
    '{"espalier_overlay": true}': r"not an overlay this version reads",
    '{"espalier_overlay": 1, "rule": []}': r"unknown field 'rule'",
    '{"espalier_overlay": 1, "rules": {}}': r"rules is not a list",
    '{"espalier_overlay": 1, "rules": ["x"]}': r"rule 1: not an object",
    '{"espalier_overlay": 1, "rules": [{"block": "a"}, {}]}': r"rule 2: needs exactly one of block",
    '{"espalier_overlay": 1, "rules": [{"block": "a", "pin": "b"}]}': r"rule 1: needs exactly one",
    '{"espalier_overlay": 1, "rules": [{"block": "a", "by": 1}]}': r"'by'; it has no other field",
    '{"espalier_overlay": 1, "rules": [{"pin": "a", "at": 1}]}': r"'at'; it may have position",
    '{"espalier_overlay": 1, "rules": [{"boost": "a"}]}': r"rule 1 \(boost\): needs by",
    '{"espalier_overlay": 1, "rules": [{"boost": "a", "by": NaN}]}': r"NaN is not a number of JSON",
    '{"espalier_overlay": 1, "rules": [{"boost": "a", "by": 1e999}]}': r"by must be a number",
    '{"espalier_overlay": 1, "rules": [{"block": ["a"]}]}': r"its text must be a string",
    '{"espalier_overlay": 1, "rules": [{"block_word": "a b"}]}': r"a word has no space in it",
    "[" * 100_000: r"nested too deeply",
}


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_a_bad_file_is_refused_with_its_name_and_the_fix(tmp_path: Path, text: str) -> None:
    """A misspelt field is not a rule that silently does less."""
    path = tmp_path / "rules.json"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(InputError, match=BAD[text]) as caught:
        Overlay.load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_file_that_is_not_utf8_or_not_there_is_refused(tmp_path: Path) -> None:
    """With the byte, or with what the system says."""
    path = tmp_path / "rules.json"
    path.write_bytes(b'{"espalier_overlay": 1, "rules": [{"block": "\xff"}]}')

    with pytest.raises(InputError, match="byte 45 is not UTF-8"):
        Overlay.load(path)
    with pytest.raises(InputError, match="cannot be read"):
        Overlay.load(tmp_path / "missing.json")
    with pytest.raises(InputError, match="cannot be read"):
        Overlay.load(tmp_path)
    path.write_text('{"espalier_overlay": 1, "rules": [{"block": "a\\ud800"}]}', encoding="utf-8")
    with pytest.raises(InvalidTextError, match="lone surrogate"):
        Overlay.load(path)


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """Nothing half written stays behind either."""
    path = tmp_path / "rules.json"
    EVERY_KIND.save(path)
    with pytest.raises(StorageError):
        Overlay().save(tmp_path / "no folder" / "rules.json")

    assert Overlay.load(path) == EVERY_KIND
    assert list(tmp_path.iterdir()) == [path]
