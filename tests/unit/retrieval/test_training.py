"""From a catalogue and pairs to an index of products."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from espalier.catalogue import open_catalogue
from espalier.errors import ConfigError, InputError, PairsError
from espalier.native import NativeIndex, forest_head, retrieval_feature_names
from espalier.retrieval.reading import read_pairs
from espalier.retrieval.training import train_retrieval
from espalier.settings import RetrievalSettings
from tests.unit.retrieval.shop import PLAIN, queries, titles, write_catalogue, write_pairs


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return a catalogue, pairs, and where an index may go."""
    return (
        write_catalogue(tmp_path / "shop.tsv"),
        write_pairs(tmp_path / "pairs.tsv"),
        tmp_path / "shop.esp",
    )


def test_the_report_counts_what_was_learned_from(files: tuple[Path, Path, Path]) -> None:
    """Pairs below the lowest grade teach nothing, unknown products are left out."""
    catalogue, pairs, out = files
    with pairs.open("a") as stream:
        stream.write("acme saw\tp000\t1\nacme saw\tnobody\t3\n")

    report = train_retrieval(pairs, out, PLAIN, catalogue=catalogue)

    assert (160, len(queries())) == (report.products, report.queries)
    assert sum(map(len, queries().values())) == report.pairs
    assert {"unknown_product": 1} == {kind: bad.count for kind, bad in report.bad.items()}
    assert out.stat().st_size == report.to_json()["bytes"]
    assert "160 products" in report.table()


def test_an_index_is_valid_and_the_same_every_time(files: tuple[Path, Path, Path]) -> None:
    """Every invariant holds; neither threads nor the order of rows change a byte."""
    catalogue, pairs, out = files
    settings = replace(PLAIN, blender="linear", blend_folds=2)
    train_retrieval(pairs, out, settings, catalogue=catalogue)
    with NativeIndex.open(out) as index:
        index.verify()
        index.validate()
    lines = pairs.read_text().splitlines(keepends=True)
    pairs.write_text("".join([lines[0], *reversed(lines[1:])]))
    other = out.with_name("other.esp")

    train_retrieval(pairs, other, replace(settings, threads=3), catalogue=catalogue)

    assert out.read_bytes() == other.read_bytes()


def test_a_paired_query_finds_products_that_share_no_word_with_it(
    files: tuple[Path, Path, Path],
) -> None:
    """What a product was bought for is part of it, by `pair_weight`."""
    catalogue, pairs, out = files
    wanted = [product for product, title in titles().items() if title == "Delta red tile"]
    extra = write_pairs(pairs, {**queries(), "fliese": wanted, "tile fliese": wanted})

    train_retrieval(extra, out, PLAIN, catalogue=catalogue)
    with open_catalogue(out) as index:
        # No title has the word, so it is no feature; its neighbour in a query is.
        assert index.retrieve("fliese") == []
        assert index.retrieve("delta red tile", k=1)[0].product_id == wanted[0]

    train_retrieval(extra, out, PLAIN)
    with open_catalogue(out) as index:
        assert index.retrieve("fliese", k=1)[0].product_id == wanted[0]


def test_a_pair_counts_as_much_as_it_weighs(tmp_path: Path) -> None:
    """Of two products with the same words, the one paired more heavily comes first."""
    names = ("red lamp a", "red lamp b", "bright saw", "cheap saw")
    catalogue = write_catalogue(tmp_path / "c.tsv", {name[-1] + name[0]: name for name in names})
    for best, other in (("ar", "br"), ("br", "ar")):
        rows = [f"bright lamp\t{best}\t9\n", f"cheap lamp\t{other}\t9\n"]
        rows += [f"bright lamp\t{other}\t0.1\n", f"cheap lamp\t{best}\t0.1\n"]
        (tmp_path / "p.tsv").write_text("query\tproduct_id\tweight\n" + "".join(rows))
        settings = replace(PLAIN, char_ngrams=0, max_leaf=2, arity=2)

        train_retrieval(tmp_path / "p.tsv", tmp_path / "o.esp", settings, catalogue=catalogue)

        with open_catalogue(tmp_path / "o.esp") as index:
            assert index.retrieve("bright lamp", k=1)[0].product_id == best


def test_a_linear_ranker_heeds_the_weight_of_a_pair(files: tuple[Path, Path, Path]) -> None:
    """A heavier query is a dearer row: its product scores higher for it."""
    catalogue, pairs, out = files
    scores = []
    for weight in (0.01, 100):
        pairs.write_text(f"query\tproduct_id\tweight\nred paint\tp000\t{weight}\n")
        train_retrieval(pairs, out, replace(PLAIN, ranker="linear"), catalogue=catalogue)
        with open_catalogue(out) as index:
            found = index.retrieve("red paint", k=200, beam=100, pool=200)
        scores.append(next(one.score for one in found if one.product_id == "p000"))

    assert scores[1] > scores[0]


def test_rare_words_count_no_more_where_that_is_switched_off(tmp_path: Path) -> None:
    """Then a product with two frequent words is better than one with a rare one."""
    names = [f"red lamp {i}" for i in range(20)] + ["zebra"]
    catalogue = write_catalogue(tmp_path / "c.tsv", {name: name for name in names})
    (tmp_path / "p.tsv").write_text("query\tproduct_id\nzebra\tzebra\n")
    best = {}
    for idf in (True, False):
        settings = replace(PLAIN, idf=idf, char_ngrams=0, word_ngrams=1, pair_weight=0.0)
        train_retrieval(tmp_path / "p.tsv", tmp_path / "o.esp", settings, catalogue=catalogue)
        with open_catalogue(tmp_path / "o.esp") as index:
            best[idf] = index.retrieve("red lamp zebra", k=1)[0].product_id

    assert best[True] == "zebra"
    assert best[False].startswith("red lamp")


def test_more_text_is_found_but_counts_less_than_a_title(tmp_path: Path) -> None:
    """The column `text` adds to a product, also words that no title has."""
    catalogue = tmp_path / "c.tsv"
    rows = ["product_id\ttitle\ttext", "a\tred lamp\t", "b\tblue shelf\tred", "c\tgreen saw\tak47"]
    catalogue.write_text("\n".join([*rows, *(f"x{i}\tthing {i}\t" for i in range(20))]))
    pairs = tmp_path / "p.tsv"
    pairs.write_text("query\tproduct_id\nlamp\ta\n")

    train_retrieval(pairs, tmp_path / "c.esp", PLAIN, catalogue=catalogue)

    with open_catalogue(tmp_path / "c.esp") as index:
        assert ["a", "b"] == [one.product_id for one in index.retrieve("red")]
        assert ["c"] == [one.product_id for one in index.retrieve("ak47")]
    with NativeIndex.open(tmp_path / "c.esp") as native:
        native.validate()

    train_retrieval(pairs, tmp_path / "c.esp", replace(PLAIN, text_weight=0.0), catalogue=catalogue)

    with open_catalogue(tmp_path / "c.esp") as index:
        assert index.retrieve("ak47") == []


@pytest.mark.parametrize("blender", ["linear", "trees"])
def test_a_fusion_is_taught_by_queries_the_index_has_not_seen(
    files: tuple[Path, Path, Path], blender: str
) -> None:
    """It learns here that a word of the query missing in the title is bad."""
    catalogue, pairs, out = files
    many = {**queries(), **{f"{query} new": found for query, found in queries().items()}}
    write_pairs(pairs, many)
    settings = replace(PLAIN, blender=blender, blend_folds=2, blend_trees=20, blend_leaves=4)

    report = train_retrieval(pairs, out, settings, catalogue=catalogue)

    assert report.questions > 100
    with NativeIndex.open(out) as native:
        assert retrieval_feature_names() == forest_head(native.section("FRST")).names
    with open_catalogue(out) as index:
        fused = index.retrieve("corvo paint new", k=4)
        alone = index.retrieve("corvo paint new", k=4, fused=False)
    assert all("Corvo" in one.title and one.title.endswith("paint") for one in fused)
    assert [one.score for one in fused] != [one.score for one in alone]
    assert fused == sorted(fused, key=lambda one: -one.score)


def test_a_fusion_without_pair_counts_does_not_look_at_them(
    files: tuple[Path, Path, Path],
) -> None:
    """`blend_pairs` switches off what a catalogue's history may distort."""
    catalogue, pairs, out = files
    many = {f"{query} {end}": found for query, found in queries().items() for end in ("", "new")}
    write_pairs(pairs, many)
    settings = replace(PLAIN, blender="linear", blend_folds=2, blend_pairs=False)

    train_retrieval(pairs, out, settings, catalogue=catalogue)

    with NativeIndex.open(out) as native:
        section = native.section("FRST")
    weights = np.frombuffer(section, np.dtype([("weight", "<f4"), ("fill", "<f4")]), 25, 64)
    assert weights["weight"][retrieval_feature_names().index("log_pairs")] == 0
    assert weights["weight"].any()


def test_pruned_weights_make_a_smaller_index(files: tuple[Path, Path, Path]) -> None:
    """By a least weight, and by a number per product."""
    catalogue, pairs, out = files
    sizes = []
    for change in ({}, {"threshold": 0.7}, {"max_nonzeros": 4}):
        train_retrieval(pairs, out, replace(PLAIN, **change), catalogue=catalogue)
        with NativeIndex.open(out) as native:
            native.validate()
            sizes.append(len(native.section("WGHT")))

    assert sizes[0] > sizes[1] > 0
    assert sizes[0] > sizes[2] > 0


def test_without_titles_products_are_called_by_their_queries(
    files: tuple[Path, Path, Path],
) -> None:
    """A catalogue of pairs alone; the title shown is then the id."""
    _, pairs, out = files

    train_retrieval(pairs, out, PLAIN)

    with open_catalogue(out) as index:
        best = index.retrieve("ember saw", k=1)[0]
    assert best.title == best.product_id
    assert best.product_id in queries()["ember saw"]


def test_a_linear_ranker_takes_the_same_rows(files: tuple[Path, Path, Path]) -> None:
    """The published model is one word away."""
    catalogue, pairs, out = files
    train_retrieval(pairs, out, replace(PLAIN, ranker="linear"), catalogue=catalogue)

    with open_catalogue(out) as index:
        assert index.retrieve("ember cordless saw", k=1)[0].title == "Ember cordless saw"


@pytest.mark.parametrize(
    ("change", "error"),
    [({"ranker": "nothing"}, ConfigError), ({"stemmer": "klingon"}, ConfigError)],
)
def test_a_setting_nobody_provides_leaves_no_file(
    files: tuple[Path, Path, Path], change: dict[str, str], error: type[Exception]
) -> None:
    """Nothing is half written."""
    catalogue, pairs, out = files
    with pytest.raises(error):
        train_retrieval(pairs, out, replace(PLAIN, **change), catalogue=catalogue)  # type: ignore[arg-type]

    assert sorted([catalogue, pairs]) == sorted(out.parent.iterdir())


def test_pairs_of_other_products_only_are_refused(files: tuple[Path, Path, Path]) -> None:
    """The kinds of bad rows are in the error."""
    catalogue, pairs, out = files
    pairs.write_text("query\tproduct_id\nsaw\tnobody\n")

    with pytest.raises(PairsError, match="unknown_product"):
        train_retrieval(pairs, out, PLAIN, catalogue=catalogue)


def test_titles_without_a_letter_are_refused(tmp_path: Path) -> None:
    """Nothing could ever be found."""
    catalogue = write_catalogue(tmp_path / "c.tsv", {"a": "***", "b": "!"})
    (tmp_path / "p.tsv").write_text("query\tproduct_id\n?\ta\n")

    with pytest.raises(InputError, match="no product has a letter"):
        train_retrieval(tmp_path / "p.tsv", tmp_path / "o.esp", PLAIN, catalogue=catalogue)


def test_the_catalogue_is_not_overwritten(files: tuple[Path, Path, Path]) -> None:
    """Neither are the pairs."""
    catalogue, pairs, _ = files
    for target in (catalogue, pairs):
        with pytest.raises(ConfigError):
            train_retrieval(pairs, target, PLAIN, catalogue=catalogue)


def test_defaults_are_one_set_of_stages() -> None:
    """What the stages are told is what the settings say."""
    settings = RetrievalSettings()
    stages = settings.stages()

    assert (settings.arity, settings.beam, "noop") == (
        stages.arity,
        stages.beam,
        stages.post_processor,
    )


def test_pairs_named_twice_count_once(files: tuple[Path, Path, Path]) -> None:
    """Their weights add up, the pair stays one."""
    catalogue, pairs, out = files
    rows = len(read_pairs(pairs).rows)
    pairs.write_text(pairs.read_text() + pairs.read_text().split("\n", 1)[1])

    assert rows == train_retrieval(pairs, out, PLAIN, catalogue=catalogue).pairs


def test_what_the_host_finds_teaches_the_fusion(files: tuple[Path, Path, Path]) -> None:
    """A list that is always right is followed, where it comes with a query."""
    catalogue, pairs, out = files
    taught = write_pairs(pairs.with_name("host.tsv"))
    # Any of those that fit, so nothing but the list can tell.
    wanted = {
        query: [found[crc32(query.encode()) % len(found)]] for query, found in queries().items()
    }
    write_pairs(pairs, {f"{q} {n}": found for q, found in wanted.items() for n in ("it", "now")})
    rows = [f"{q} {n}\t{found[0]}\n" for q, found in wanted.items() for n in ("it", "now")]
    taught.write_text("query\tproduct_id\n" + "".join(rows) + "lamp it\tnothing\n")
    settings = replace(PLAIN, blender="trees", blend_trees=20, pool=40)

    report = train_retrieval(pairs, out, settings, catalogue=catalogue, host=taught)

    assert report.bad["host_unknown_product"].count == 1
    with open_catalogue(out) as index:
        asked = [(query, one) for query, found in queries().items() for one in found]
        first = [index.retrieve(query, k=1, host=[one])[0].product_id for query, one in asked]
        alone = [index.retrieve(query, k=1)[0].product_id for query, _ in asked]
    right = sum(one == found for (_, one), found in zip(asked, first, strict=True))
    by_chance = sum(one == found for (_, one), found in zip(asked, alone, strict=True))
    assert right > 0.8 * len(asked) > 2 * by_chance
