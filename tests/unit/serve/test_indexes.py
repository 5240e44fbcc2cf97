"""Loading indexes: all or none, checked and warmed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

import espalier
from espalier.errors import ConfigError, IndexMissingError
from espalier.serve.indexes import Indexes, load_indexes
from tests.unit.serve.fakes import FakeIndex, ListLog


class OpenableIndex(FakeIndex):
    """A fake that `espalier.open` may return."""

    info = SimpleNamespace(fingerprint="00ff", labels=4, bytes=99)


def opening(monkeypatch: pytest.MonkeyPatch, files: dict[str, OpenableIndex]) -> list[bool]:
    """Let `espalier.open` find ``files``; return the list of its ``verify`` arguments."""
    verified = []

    def fake_open(path: Path, *, verify: bool) -> OpenableIndex:
        verified.append(verify)
        if str(path) not in files:
            raise IndexMissingError(f"{path}: no such file")
        return files[str(path)]

    monkeypatch.setattr(espalier, "open", fake_open)
    return verified


@pytest.mark.parametrize("verify", [True, False])
def test_every_index_is_opened_warmed_and_named(
    monkeypatch: pytest.MonkeyPatch, *, verify: bool
) -> None:
    """The first is the default, the fingerprint the revision."""
    files = {"a.esp": OpenableIndex(), "b.esp": OpenableIndex()}
    verified = opening(monkeypatch, files)
    log = ListLog()

    indexes = load_indexes({"a": Path("a.esp"), "b": Path("b.esp")}, verify=verify, log=log)

    assert [(one.name, one.revision) for one in indexes] == [("a", "00ff"), ("b", "00ff")]
    assert indexes.get("").name == "a"
    assert verified == [verify, verify]
    assert log.names() == ["index_loaded", "index_loaded"]
    assert all(file.asked for file in files.values())
    indexes.close()
    assert all(file.closed for file in files.values())


def test_one_bad_file_closes_those_opened_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half-loaded is left behind."""
    good = OpenableIndex()
    opening(monkeypatch, {"a.esp": good})

    with pytest.raises(IndexMissingError, match=r"b\.esp"):
        load_indexes({"a": Path("a.esp"), "b": Path("b.esp")}, verify=True, log=ListLog())

    assert good.closed


def test_serving_nothing_is_a_mistake() -> None:
    """There is no default index then."""
    with pytest.raises(ConfigError, match="name at least one"):
        Indexes([])
