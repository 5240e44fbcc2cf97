"""Products from a running service: beside completions, through a swap, over HTTP."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import espalier as package
from espalier.admin import Admin
from espalier.client import CallError, Client
from espalier.overlay import Block
from integration.processes import PATIENCE, Sidecar, espalier

TRAINING = ("--task", "retrieval", "--quiet", "--set", "stemmer=none", "--set", "blender=none")


def train(folder: Path, name: str, *more: str) -> Path:
    """Return an index trained by the command line on the products of a demonstration."""
    out = folder / f"{name}.esp"
    files = ("--pairs", folder / "pairs.tsv", "--catalogue", folder / "shop.tsv", "--out", out)
    ended = espalier("train", *TRAINING, *files, *more)
    assert ended.returncode == 0, ended.stderr
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a catalogue, pairs, and two indexes of them."""
    folder = tmp_path_factory.mktemp("products")
    ended = espalier(
        *("demo-log", "--users", "50", "--out", folder / "log.tsv"),
        *("--catalogue", folder / "demo.tsv", "--pairs", folder / "pairs.tsv"),
    )
    assert ended.returncode == 0, ended.stderr
    head, *rows = (folder / "demo.tsv").read_text("utf-8").splitlines()
    place = head.split("\t").index("title")
    first = [row.split("\t")[place].split()[0] for row in rows]
    lines = [f"{row}\t{word}" for row, word in zip(rows, first, strict=True)]
    (folder / "shop.tsv").write_text("\n".join([f"{head}\tfirst_word", *lines]) + "\n", "utf-8")
    train(folder, "shop", "--set", 'attributes=["first=first_word"]')
    train(folder, "tonight", "--set", "arity=2")
    return folder


@pytest.fixture(scope="module")
def sidecar(folder: Path, demo_index: Path) -> Iterator[Sidecar]:
    """Return a service of completions and products, with every listener."""
    shutil.copy(folder / "shop.esp", folder / "served.esp")
    with Sidecar(
        *("--index", f"site={demo_index}", "--index", f"shop={folder / 'served.esp'}"),
        *("--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "2"),
    ) as started:
        yield started


@pytest.fixture
def client(sidecar: Sidecar) -> Iterator[Client]:
    """Return a client of it."""
    with Client(sidecar.address, timeout=PATIENCE) as client:
        yield client


def titles(folder: Path) -> list[str]:
    """Return the titles of the catalogue."""
    head, *rows = (folder / "shop.tsv").read_text("utf-8").splitlines()
    place = head.split("\t").index("title")
    return [row.split("\t")[place] for row in rows]


def ask(sidecar: Sidecar, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Return status and JSON of a reply of the front."""
    connection = HTTPConnection(sidecar.http, timeout=PATIENCE)
    data = None if body is None else json.dumps(body).encode()
    kind = {} if data is None else {"content-type": "application/json"}
    try:
        connection.request(method, path, data, kind)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


def test_answers_are_those_of_the_library(client: Client, folder: Path) -> None:
    """Every field, in order, with what the host found and what was asked before."""
    with package.open_catalogue(folder / "shop.esp") as catalogue:
        host = [one.product_id for one in catalogue.retrieve(titles(folder)[-1], k=3)]
        for query in (*titles(folder)[:20], "no such thing as xqzt"):
            for more in ({}, {"host": host}, {"previous": [titles(folder)[3]]}, {"popular": True}):
                expected = catalogue.retrieve(query, k=7, **more)
                reply = client.retrieve(query, limit=7, **more)
                assert [
                    (p.product_id, p.title, p.score, p.model, p.pairs, p.host_rank or 0)
                    for p in expected
                ] == [
                    (p.product_id, p.title, p.score, p.model_score, p.paired_queries, p.host_rank)
                    for p in reply.products
                ]
                assert reply.header.index == "shop"
                assert reply.product_set_id


def test_a_filter_holds_on_the_wire(client: Client, folder: Path) -> None:
    """By a column of the catalogue; a filter the index cannot answer names its field."""
    word = titles(folder)[0].split()[0]
    wanted = f"first:{word}".lower()

    found = client.retrieve(titles(folder)[0], limit=50, all_of=[wanted]).products
    others = client.retrieve(titles(folder)[0], limit=50, none_of=[wanted]).products

    assert found
    assert others
    assert all(one.title.split()[0] == word for one in found)
    assert all(one.title.split()[0] != word for one in others)


def test_each_kind_of_call_needs_its_kind_of_index(client: Client, sidecar: Sidecar) -> None:
    """Typed, with the field; over HTTP the same."""
    with pytest.raises(CallError) as error:
        client.retrieve("tent", index="site")
    assert (error.value.reason, error.value.metadata) == ("UNSUPPORTED", {"field": "index"})
    assert error.value.code == grpc.StatusCode.FAILED_PRECONDITION
    with pytest.raises(CallError) as error:
        client.complete("te", index="shop")
    assert (error.value.reason, error.value.metadata) == ("UNSUPPORTED", {"field": "index"})
    with pytest.raises(CallError) as error:
        client.retrieve("x" * 1025)
    assert error.value.reason == "QUERY_TOO_LONG"

    status, reply = ask(sidecar, "GET", "/v1/complete?prefix=te&index=shop")
    assert (status, reply["details"][0]["reason"]) == (400, "UNSUPPORTED")


def test_the_front_and_reflection_know_it(sidecar: Sidecar, client: Client, folder: Path) -> None:
    """JSON of the proto's mapping, by GET and POST; health by the service's name."""
    query = titles(folder)[0]
    status, reply = ask(sidecar, "POST", "/v1/retrieve", {"query": query, "maxProducts": 3})
    assert status == 200
    again = ask(sidecar, "GET", f"/v1/retrieve?query={query.replace(' ', '+')}&max_products=3")[1]
    assert again["products"] == reply["products"]
    assert [one["productId"] for one in reply["products"]] == [
        one.product_id for one in client.retrieve(query, limit=3).products
    ]
    with grpc.insecure_channel(sidecar.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service="espalier.v1.RetrievalService")
        assert stub.Check(request, timeout=PATIENCE).status == 1
    assert "espalier.v1.RetrievalService" in _reflected(sidecar)


def _reflected(sidecar: Sidecar) -> str:
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    with grpc.insecure_channel(sidecar.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="*")
        (reply,) = stub.ServerReflectionInfo(iter([asked]), timeout=PATIENCE)
        return str(reply)


def test_a_catalogue_is_swapped_under_load(sidecar: Sidecar, folder: Path) -> None:
    """No call fails or mixes; a broken file changes nothing; products take no rules."""
    revisions = {}
    for name in ("shop", "tonight"):
        with package.open(folder / f"{name}.esp") as index:
            revisions[index.info.fingerprint] = name
    query, seen, failed = titles(folder)[0], set(), []
    over = threading.Event()

    def keep_asking() -> None:
        with Client(sidecar.address, timeout=PATIENCE) as own:
            while not over.is_set():
                try:
                    seen.add(own.retrieve(query).header.index_revision)
                except CallError as error:
                    failed.append(error)

    threads = [threading.Thread(target=keep_asking) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        with Admin(sidecar.admin) as admin:
            for _ in range(5):
                for name in ("tonight", "shop"):
                    admin.load(folder / f"{name}.esp", index="shop", activate=True)
            bad = folder / "bad.esp"
            data = bytearray((folder / "shop.esp").read_bytes())
            data[len(data) // 2] ^= 1
            bad.write_bytes(data)
            with pytest.raises(CallError) as error:
                admin.load(bad, index="shop", activate=True)
            assert error.value.reason == "INDEX_CORRUPT"
            with pytest.raises(CallError) as error:
                admin.add(Block("anything"), index="shop")
            assert error.value.reason == "UNSUPPORTED"
    finally:
        over.set()
        for thread in threads:
            thread.join()

    assert not failed
    assert seen == set(revisions)
