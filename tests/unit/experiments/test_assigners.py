"""Assigners in place of the hash: plug-ins by name, and OpenFeature."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from espalier.errors import ConfigError
from espalier.experiments import Experiment, Participant, Variant
from espalier.experiments.assigners import assigner_named, assigners_of

EXPERIMENT = Experiment("ranking", (Variant("a"), Variant("b")), assigner="site")
WHO = Participant(unit="u-1", attributes={"country": "de"})


class Last:
    """Puts everybody into the last variant."""

    def assign(self, experiment: Experiment, who: Participant) -> str | None:
        """Decide."""
        return experiment.variants[-1].name if who.unit else None


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Return a module of a site, with an entry point ``site`` at its ``factory``."""
    made = types.ModuleType("site_flags")
    monkeypatch.setitem(sys.modules, "site_flags", made)
    point = EntryPoint("site", "site_flags:factory", "espalier.assigners")
    monkeypatch.setattr("espalier.experiments.assigners.entry_points", lambda **_group: [point])
    return made


@pytest.fixture
def _no_providers() -> Iterator[None]:
    yield
    api.clear_providers()


def test_the_hash_needs_no_assigner() -> None:
    """It is what there is without one."""
    assert assigner_named("hash") is None
    assert assigners_of([Experiment("e", (Variant("a"),))]) == {"hash": None}


def test_a_plug_in_is_found_by_its_name(module: types.ModuleType) -> None:
    """Its factory is called once, however many experiments name it."""
    calls: list[Last] = []

    def factory() -> Last:
        calls.append(Last())
        return calls[-1]

    module.factory = factory  # type: ignore[attr-defined]
    made = assigners_of([EXPERIMENT, EXPERIMENT])["site"]

    assert made is not None
    assert made.assign(EXPERIMENT, WHO) == "b"
    assert made.assign(EXPERIMENT, Participant()) is None
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("name", "factory", "says"),
    [
        ("sight", Last, "no assigner is called sight.* or use one of: hash, openfeature, site"),
        ("site", object, "has no method assign"),
        ("site", lambda: 1 // 0, "cannot be made: ZeroDivisionError"),
        ("site", None, "cannot be made: TypeError"),
        ("openfeature:site_flags:missing", Last, "cannot be made: AttributeError"),
        ("openfeature:no_such_module:factory", Last, "cannot be made: ModuleNotFoundError"),
        ("openfeature:site_flags:factory", object, "cannot be used"),
    ],
)
@pytest.mark.usefixtures("_no_providers")
def test_an_assigner_that_cannot_be_made_says_why(
    module: types.ModuleType, name: str, factory: object, says: str
) -> None:
    """Before anything depends on it."""
    module.factory = factory  # type: ignore[attr-defined]

    with pytest.raises(ConfigError, match=says):
        assigner_named(name)


class Flags(InMemoryProvider):
    """A flag platform that decides by unit and country."""

    def __init__(self) -> None:
        super().__init__({"ranking": InMemoryFlag("b", {"a": "a", "b": "b"})})

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """Say ``b`` to one person in Germany."""
        context = evaluation_context
        if context and context.targeting_key == "u-1" and context.attributes["country"] == "de":
            return super().resolve_string_details(flag_key, default_value, context)
        return FlagResolutionDetails(default_value)


@pytest.mark.usefixtures("_no_providers")
def test_a_flag_platform_decides_through_openfeature(module: types.ModuleType) -> None:
    """The flag has the name of the experiment, its value is the name of a variant."""
    module.factory = Flags  # type: ignore[attr-defined]
    made = assigner_named("openfeature:site_flags:factory")

    assert made is not None
    assert made.assign(EXPERIMENT, WHO) == "b"
    assert made.assign(EXPERIMENT, Participant("u-2", attributes={"country": "de"})) is None
    assert made.assign(Experiment("unknown", EXPERIMENT.variants), WHO) is None


@pytest.mark.usefixtures("_no_providers")
def test_openfeature_alone_asks_the_provider_that_is_registered() -> None:
    """Without one its default says nothing, so nobody is in a variant."""
    made = assigner_named("openfeature")

    assert made is not None
    assert made.assign(EXPERIMENT, WHO) is None
    api.set_provider(Flags())
    assert made.assign(EXPERIMENT, WHO) == "b"


def test_openfeature_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the error says what to install."""
    for name in [one for one in sys.modules if one.partition(".")[0] == "openfeature"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openfeature", None)

    with pytest.raises(ConfigError, match=r"pip install 'espalier\[openfeature\]'"):
        assigner_named("openfeature")
