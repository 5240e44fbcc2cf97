"""Attributes from a column of the log to the wire: filtered and explained completions."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import pytest

from espalier.client import CallError, Client
from espalier.text import normalise
from integration.processes import PATIENCE, Sidecar, espalier

Values = dict[str, set[str]]


@pytest.fixture(scope="module")
def shop(demo_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index trained by the command line on a log with attribute columns."""
    path = tmp_path_factory.mktemp("filters") / "shop.esp"
    columns = 'log.attributes=["locale", "kind=category"]'
    settings = [columns, "min_users=2", "attribute_share=0", "blender=linear", "threads=1"]
    flags = [word for setting in settings for word in ("--set", setting)]
    ended = espalier("train", "--log", demo_log, "--out", path, "--quiet", *flags)
    assert ended.returncode == 0, ended.stderr
    return path


@pytest.fixture(scope="module")
def client(shop: Path, demo_index: Path) -> Iterator[Client]:
    """Return a client of a sidecar that serves it, and an index without attributes."""
    with (
        Sidecar("--index", f"shop={shop}", "--index", f"plain={demo_index}") as running,
        Client(running.address, timeout=PATIENCE) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def values(demo_log: Path) -> Values:
    """Return the values two people typed each query with."""
    head, *rows = demo_log.read_text(encoding="utf-8").splitlines()
    names = head.split("\t")
    people: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        cell = dict(zip(names, row.split("\t"), strict=True))
        for value in (f"locale:{cell['locale']}", f"kind:{cell['category']}"):
            people[normalise(cell["query"]), normalise(value)].add(cell["user"])
    had: Values = defaultdict(set)
    for (text, value), users in people.items():
        if len(users) > 1 and not value.endswith(":"):
            had[text].add(value)
    return had


def texts(
    client: Client,
    prefix: str,
    *,
    all_of: Sequence[str] = (),
    any_of: Sequence[str] = (),
    none_of: Sequence[str] = (),
) -> list[str]:
    """Return the suggestions that pass the filter."""
    reply = client.complete(prefix, index="shop", all_of=all_of, any_of=any_of, none_of=none_of)
    return [one.text for one in reply.suggestions]


def test_every_suggestion_has_what_was_asked_for(client: Client, values: Values) -> None:
    """As the log has it, for every locale and every kind."""
    known = sorted(set().union(*values.values()))
    assert {"locale:en-gb", "locale:en-us"} <= set(known)
    for value in known:
        for prefix in ("", "s", "la"):
            found = texts(client, prefix, all_of=[value.upper()])
            others = texts(client, prefix, none_of=[value])

            assert all(value in values[text] for text in found)
            # What nobody has typed has no values, so nothing rules it out.
            assert not any(value in values.get(text, ()) for text in others)
            assert found or prefix
    both = texts(client, "", any_of=["kind:home", "locale:en-gb", "no:such"])
    assert all(values[text] & {"kind:home", "locale:en-gb"} for text in both)
    assert len(both) == 10
    assert [] == texts(client, "", all_of=["no:such"]) == texts(client, "", any_of=["no:such"])


def test_a_filter_too_large_or_without_attributes_is_refused(client: Client) -> None:
    """With the reason, the field to blame and the limit."""
    with pytest.raises(CallError) as many:
        client.complete("a", index="shop", any_of=["a:b"] * 33)
    with pytest.raises(CallError) as long:
        client.complete("a", index="shop", none_of=["a:b", "x" * 129])
    with pytest.raises(CallError) as none:
        client.complete("a", index="plain", all_of=["a:b"])

    code = grpc.StatusCode.INVALID_ARGUMENT
    assert (code, "INVALID_REQUEST") == (many.value.code, many.value.reason)
    assert many.value.metadata == {"field": "filter.any_of", "limit_values": "32"}
    assert (code, "INVALID_REQUEST") == (long.value.code, long.value.reason)
    assert long.value.metadata == {"field": "filter.none_of[1]", "limit_bytes": "128"}
    assert (
        none.value.code,
        none.value.reason,
    ) == (grpc.StatusCode.FAILED_PRECONDITION, "UNSUPPORTED")
    assert none.value.metadata == {"field": "filter"}


def test_contributions_add_up_to_the_score(client: Client) -> None:
    """The suggestions are those of the same request without explanations."""
    plain = client.complete("la", previous=["table"], index="shop")
    reply = client.complete("la", previous=["table"], index="shop", explain=True)

    assert reply.suggestions
    for one, other in zip(reply.suggestions, plain.suggestions, strict=True):
        assert len(one.contributions) > 2
        total = sum(part.contribution for part in one.contributions)
        assert math.isclose(one.score, total, rel_tol=1e-4, abs_tol=1e-4)
        del one.contributions[:]
        assert other == one


def test_the_command_line_filters_and_lists_attributes(shop: Path, values: Values) -> None:
    """`complete` takes the same lists, `inspect` says what there is."""
    flags = ("--any-of", "kind:home", "--none-of", "locale:en-us", "-k", "5", "--source", "popular")
    found = espalier("complete", shop, "", *flags).stdout
    inspected = espalier("inspect", shop).stdout

    assert len(found.splitlines()) == 5
    assert "attributes.kind" in inspected
    assert "attributes.locale" in inspected
    assert any("kind:home" in had and "locale:en-us" not in had for had in values.values())
