"""The manual of events names what there is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from espalier.events import Action, TextPolicy
from espalier.events.writer import Mode
from espalier.serve.telemetry.families import FAMILIES
from espalier.settings import ServeSettings

MANUAL = (
    Path(__file__).resolve().parents[2].joinpath("integration/ops/EVENTS.md").read_text("utf-8")
)

WORDS = [
    *(action.value for action in Action),
    *(mode.value for mode in Mode),
    *(policy.value for policy in TextPolicy),
    *(outcome for (outcome,) in FAMILIES["events"].series),
    *(one.name for one in dataclasses.fields(ServeSettings) if one.name.startswith("events")),
]


@pytest.mark.parametrize("word", WORDS)
def test_the_manual_explains_every_word_of_events(word: str) -> None:
    """Actions, modes, policies, outcomes and settings."""
    assert f"`{word}`" in MANUAL
