"""An open index of products: answers, limits, and what it knows of each product."""

from __future__ import annotations

import itertools
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import espalier
from espalier.catalogue import Catalogue, open_catalogue
from espalier.errors import InputError, InvalidTextError, LimitError, UnsupportedError
from espalier.filters import Filter
from espalier.native import retrieval_feature_names
from espalier.retrieval.training import train_retrieval
from tests.reference import catalogue as twin
from tests.reference import format as reference
from tests.reference.query import WORD_SEED, hash_ngram
from tests.unit.retrieval.shop import BRANDS, KINDS, LOOKS, PLAIN, titles, write_pairs

WORDS = (*BRANDS, *KINDS, *" ".join(LOOKS).split(), "unheard", "7")
QUERIES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)


def test_products_with_every_word_come_first(index: Catalogue) -> None:
    """Ids and titles are as the catalogue wrote them."""
    found = index.retrieve("ember cordless SAW", k=3)

    assert found[0].title == "Ember cordless saw"
    assert titles()[found[0].product_id] == found[0].title
    assert found[0].score > found[1].score >= found[2].score


def test_a_misspelt_word_is_found_by_its_characters(index: Catalogue) -> None:
    """No title has the word; some have most of its runs of three characters."""
    assert all(one.title.endswith("ladder") for one in index.retrieve("laddder", k=5))


@pytest.mark.parametrize("query", ["", "   ", "!?", "zzz"])
def test_a_query_nothing_is_known_of_has_no_answer_or_the_popular_one(
    index: Catalogue, query: str
) -> None:
    """As the caller chose; the popular ones are those paired most."""
    assert index.retrieve(query) == []

    popular = index.retrieve(query, k=4, popular=True)
    most = sorted((index.pairs(label) for label in range(len(index))), reverse=True)[:4]
    assert most == [one.pairs for one in popular]


def test_what_the_host_found_is_ranked_with_the_rest(index: Catalogue) -> None:
    """Ids it does not know are left out, and each product stands once."""
    far = index.product_id(0)
    near = index.retrieve("ember cordless saw", k=1)[0].product_id

    found = index.retrieve("ember cordless saw", k=200, pool=20, host=[far, "none", near, far])

    ranks = {one.product_id: one.host_rank for one in found}
    assert len(ranks) == len(found)
    assert (1, 2) == (ranks[far], ranks[near])
    assert index.retrieve("zzz", host=[far])[0].product_id == far


def test_limits_are_said(index: Catalogue) -> None:
    """Not cut silently."""
    for wrong in ({"k": 0}, {"k": 1001}, {"beam": -1}, {"pool": 1001}):
        with pytest.raises(LimitError):
            index.retrieve("saw", **wrong)  # type: ignore[arg-type]
    with pytest.raises(LimitError, match="1024"):
        index.retrieve("x" * 1025)
    with pytest.raises(InvalidTextError):
        index.retrieve("\ud800")


def test_an_index_of_queries_is_no_catalogue() -> None:
    """The error says how to make one."""
    path = Path(__file__).parents[2] / "golden" / "v1" / "plain.esp"
    with pytest.raises(UnsupportedError, match="--task retrieval"):
        espalier.open_catalogue(path)


def test_threads_share_an_index(index: Catalogue) -> None:
    """Each has buffers of its own; answers are those of one thread."""
    asked = [f"{brand} {kind}" for brand in BRANDS for kind in KINDS]
    alone = [index.retrieve(query) for query in asked]
    answers: dict[int, list[list[espalier.Product]]] = {}

    def ask(number: int) -> None:
        answers[number] = [index.retrieve(query) for query in asked]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(found == alone for found in answers.values())
    assert len(answers) == 3


def test_a_wide_beam_scores_as_bm25_does(index: Catalogue) -> None:
    """The tree's score is the formula's sum over words, pairs of words and n-grams."""
    documents = [titles()[index.product_id(label)].lower() for label in range(len(index))]
    query = "cordless bolt lamp"

    found = index.ask(query, k=160, beam=160, pool=160, model_only=True)

    for one in found:
        score = sum(
            weight * _bm25(query, documents, one.label, terms)
            for weight, terms in ((1.0, str.split), (0.2, _pairs), (0.1, _grams))
        )
        assert math.isclose(score, one.score, rel_tol=1e-4)
    assert found


def _pairs(text: str) -> list[str]:
    words = text.split()
    return [f"{a} {b}" for a, b in itertools.pairwise(words)]


def _grams(text: str) -> list[str]:
    marked = [f"_{word}_" for word in text.split()]
    return [word[i : i + 3] for word in marked for i in range(max(1, len(word) - 2))]


def _bm25(query: str, documents: list[str], place: int, terms: Callable[[str], list[str]]) -> float:
    cut = [Counter(terms(document)) for document in documents]
    n = len(cut)
    average = sum(sum(one.values()) for one in cut) / n
    slow = PLAIN.k1 * (1 - PLAIN.b + PLAIN.b * sum(cut[place].values()) / average)
    total = 0.0
    for term in terms(query):
        df = sum(term in one for one in cut)
        tf = cut[place][term]
        idf = math.log(1 + (n - df + 0.5) / (df + 0.5))
        total += idf * tf * (PLAIN.k1 + 1) / (tf + slow)
    return total


@given(QUERIES, st.lists(st.integers(0, 159), max_size=4, unique=True))
def test_every_feature_is_what_its_definition_says(shop: Path, query: str, host: list[int]) -> None:
    """Numbers of the library and of the second reader agree, whatever is asked."""
    with open_catalogue(shop / "shop.esp", verify=False) as index:
        by_tree = len(index.ask(query, k=30, pool=30))
        found = {one.label for one in index.ask(query, k=30, pool=30, host=host, features=True)}
        labels, rows = index.described()
    file = reference.parse((shop / "shop.esp").read_bytes())
    assert file.keys is not None
    assert file.idf is not None
    assert file.users is not None
    number = {int(key): i for i, key in enumerate(file.keys)}
    parsed = twin.parse(file.sections["CATA"], file.n_labels, len(number))
    names = retrieval_feature_names()
    model = rows[:, names.index("model")].tolist()
    by_host = {label: place for place, label in enumerate(host, 1)}
    products = [
        twin.Found(label, model[i], i, by_host.get(label, 0))
        for i, label in enumerate(labels.tolist())
    ]
    asked = twin.Asked(
        [number.get(hash_ngram(WORD_SEED, word)) for word in query.split()],
        [any(c.isdigit() for c in word) for word in query.split()],
    )
    known = twin.Shop(parsed, file.idf.tolist(), file.users.tolist())
    expected = twin.features(known, asked, products, by_tree)

    assert set(names) == set(expected[0]) if expected else not len(labels)
    for row, wanted in zip(rows.tolist(), expected, strict=True):
        for name, value in zip(names, row, strict=True):
            assert math.isclose(value, wanted[name], rel_tol=2e-4, abs_tol=2e-4), name
    assert found <= set(labels.tolist())
    assert set(host) <= set(labels.tolist())
    assert np.isfinite(rows).all()


# ---- filters, and what was asked before ---------------------------------------------


@pytest.fixture(scope="module")
def filtered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    """Return the shop with its brands and looks as attributes."""
    folder = tmp_path_factory.mktemp("filtered")
    rows = [
        f"{product}\t{title}\t{title.split()[0]}|any brand\t{' '.join(title.split()[1:-1])}\n"
        for product, title in titles().items()
    ]
    path = folder / "shop.tsv"
    path.write_text("product_id\ttitle\tmaker\tlook\n" + "".join(rows), "utf-8")
    settings = replace(PLAIN, attributes=("brand=maker", "look"))
    index = folder / "shop.esp"
    train_retrieval(write_pairs(folder / "pairs.tsv"), index, settings, catalogue=path)
    with open_catalogue(index) as opened:
        yield opened


VALUES = ("brand:acme", "brand:ember", "brand:any brand", "look:red", "look:cordless", "brand:none")
SOME = st.lists(st.sampled_from(VALUES), max_size=3)


def _has(title: str) -> set[str]:
    first, *look, _ = title.lower().split()
    return {f"brand:{first}", "brand:any brand", f"look:{' '.join(look)}"}


@given(QUERIES, st.tuples(SOME, SOME, SOME), st.integers(1, 40))
def test_a_filter_lets_through_what_looking_at_every_answer_would(
    filtered: Catalogue,
    query: str,
    lists: tuple[list[str], list[str], list[str]],
    k: int,
) -> None:
    """In the same order, with the same scores; a beam over everything is the twin."""
    all_of, any_of, none_of = lists
    everything = filtered.retrieve(query, k=160, beam=160, pool=160)
    wanted = [
        one
        for one in everything
        if set(all_of) <= _has(one.title)
        and (not any_of or _has(one.title) & set(any_of))
        and not _has(one.title) & set(none_of)
    ]

    found = filtered.retrieve(query, k=k, beam=160, where=Filter(all_of, any_of, none_of))

    assert [one.product_id for one in wanted[:k]] == [one.product_id for one in found]


def test_products_of_a_rare_value_are_found_with_a_narrow_beam(filtered: Catalogue) -> None:
    """The beam goes only where they are, so one node of each level finds what there is."""
    where = Filter(all_of=["brand:delta", "look:red"])

    assert len(filtered.retrieve("red", k=8, beam=8, where=where)) == 8


def test_a_filter_holds_for_the_host_and_the_popular(filtered: Catalogue) -> None:
    """Whoever found a product."""
    where = Filter(all_of=["brand:acme"])
    acme = filtered.retrieve("acme", k=1)[0].product_id
    ember = filtered.retrieve("ember", k=1)[0].product_id

    assert [acme] == [
        one.product_id for one in filtered.retrieve("zz", host=[ember, acme], where=where)
    ]
    popular = filtered.retrieve("zz", k=50, popular=True, where=where)
    assert len(popular) == 32
    assert all(one.title.startswith("Acme") for one in popular)
    assert [one.score for one in popular] == sorted((one.score for one in popular), reverse=True)


def test_attributes_are_counted_and_one_without_any_refuses_filters(
    filtered: Catalogue, index: Catalogue
) -> None:
    """The values are those of the catalogue, normalised."""
    assert filtered.attributes()["look:blue 12 in"] == 40
    assert filtered.attributes()["brand:any brand"] == 160
    with pytest.raises(UnsupportedError, match="no attributes"):
        index.retrieve("saw", where=Filter(all_of=["brand:acme"]))


def test_previous_queries_decide_between_equals(index: Catalogue) -> None:
    """What was asked before orders what the query leaves open, and finds nothing by itself."""
    before = index.retrieve("saw", k=4, previous=["ember cordless"])

    assert before[0].title == "Ember cordless saw"
    assert {one.title.split()[-1] for one in before} == {"saw"}
    assert index.retrieve("zzz", previous=["ember cordless saw"]) == []
    assert index.retrieve("saw", previous=["", "  "]) == index.retrieve("saw")


def test_the_newest_previous_query_counts_most_and_only_a_few_count(index: Catalogue) -> None:
    """Four at most; a longer list, or longer queries, are no error."""
    assert index.retrieve("saw", k=1, previous=["ember", "acme"])[0].title.startswith("Ember")
    assert index.retrieve("saw", k=1, previous=["acme", "ember"])[0].title.startswith("Acme")
    few = ["zz"] * 4
    assert index.retrieve("saw", previous=[*few, "ember"]) == index.retrieve("saw", previous=few)
    assert index.retrieve("saw", previous=["\u6f22" * 5_000] * 40)


@pytest.mark.parametrize("wrong", [{"previous": "saw"}, {"where": Filter(all_of="brand:acme")}])
def test_a_string_is_no_list(index: Catalogue, wrong: dict[str, Any]) -> None:
    """Its letters are not what was meant."""
    with pytest.raises(InputError):
        index.retrieve("saw", **wrong)
