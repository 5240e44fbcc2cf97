"""Products for a file of queries."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from espalier.catalogue import Catalogue
from espalier.errors import InputError, LimitError, PairsError, UnsupportedError
from espalier.filters import Filter
from espalier.retrieval.batch import retrieve_file
from tests.unit.retrieval.shop import queries


def write_queries(path: Path, *rows: str) -> Path:
    """Write a file of queries."""
    path.write_text("".join(f"{row}\n" for row in ("id\tquery", *rows)), "utf-8")
    return path


@pytest.mark.parametrize("threads", [1, 3])
def test_a_batch_answers_as_one_query_after_the_other(index: Catalogue, threads: int) -> None:
    """In the order asked, repeated ones repeated, more than one block of them."""
    asked = [*queries(), "zzz", *queries()] * 3

    found = list(index.retrieve_batch(iter(asked), k=3, threads=threads))

    assert [index.retrieve(query, k=3) for query in asked] == found


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_that_cannot_be_asked_says_so(index: Catalogue, threads: int) -> None:
    """The error is that of the query; who stops early leaves no thread behind."""
    with pytest.raises(LimitError):
        list(index.retrieve_batch(["saw"] * 200, k=0, threads=threads))
    answers = index.retrieve_batch(["saw"] * 1_000, threads=threads)
    assert next(answers)
    answers.close()
    assert list(index.retrieve_batch([], threads=threads)) == []


def test_a_file_of_queries_becomes_a_file_of_products(
    shop: Path, index: Catalogue, tmp_path: Path
) -> None:
    """One line a product; what cannot be asked is counted, and the columns are as written."""
    asked = write_queries(
        tmp_path / "q.tsv",
        "1\tEmber Saw",
        "2\t  ",
        "3\tzzz",
        "4\t" + "x" * 1025,
        "5",
        "6\tred lamp",
    )

    report = retrieve_file(shop / "shop.esp", asked, tmp_path / "out.tsv.gz", k=4, threads=1)

    head, *rows = gzip.decompress((tmp_path / "out.tsv.gz").read_bytes()).decode().splitlines()
    assert head == "query\trank\tproduct_id\tscore"
    expected = [
        f"{query}\t{rank}\t{one.product_id}\t{one.score:.9g}"
        for query in ("Ember Saw", "red lamp")
        for rank, one in enumerate(index.retrieve(query, k=4), 1)
    ]
    assert expected == rows
    assert (report.queries, report.unanswered, report.products) == (3, 1, 8)
    assert {kind: bad.count for kind, bad in report.bad.items()} == {
        "empty_query": 1,
        "query_too_long": 1,
        "wrong_field_count": 1,
    }
    assert report.to_json()["products"] == 8
    assert "left out" in report.summary()


@pytest.mark.parametrize(
    ("rows", "more", "kind"),
    [
        ((), {}, PairsError),
        (("1\t ",), {}, PairsError),
        (("1\tsaw",), {"k": 0}, LimitError),
        (("1\tsaw",), {"where": Filter(all_of=["a:b"])}, UnsupportedError),
    ],
)
def test_what_fails_leaves_the_old_file(
    shop: Path, tmp_path: Path, rows: tuple[str, ...], more: dict[str, int], kind: type[Exception]
) -> None:
    """And nothing beside it."""
    asked = write_queries(tmp_path / "q.tsv", *rows)
    (tmp_path / "out.tsv").write_text("old")

    with pytest.raises(kind):
        retrieve_file(shop / "shop.esp", asked, tmp_path / "out.tsv", **more)  # type: ignore[arg-type]

    assert (tmp_path / "out.tsv").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"q.tsv", "out.tsv"}


def test_a_batch_that_is_stopped_ends_its_threads_before_the_index(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk or Ctrl-C: nobody reads a file that is no longer mapped."""
    asked = write_queries(tmp_path / "q.tsv", *("1\tred saw",) * 1_000)
    answering: list[str] = []
    close = Catalogue.close

    def watched(catalogue: Catalogue) -> None:
        answering.extend(
            one.name for one in threading.enumerate() if one.name.startswith("espalier-retrieve")
        )
        close(catalogue)

    class Stopping:
        @contextmanager
        def stage(
            self,
            name: str,  # noqa: ARG002 - the port
            total: int | None = None,  # noqa: ARG002 - the port
        ) -> Iterator[Callable[[int], None]]:
            def advance(steps: int) -> None:
                raise KeyboardInterrupt(steps)

            yield advance

    monkeypatch.setattr(Catalogue, "close", watched)
    with pytest.raises(KeyboardInterrupt):
        retrieve_file(
            shop / "shop.esp", asked, tmp_path / "out.tsv", threads=2, progress=Stopping()
        )

    assert answering == []


def test_the_queries_are_not_overwritten(shop: Path, tmp_path: Path) -> None:
    """Nor the index."""
    asked = write_queries(tmp_path / "q.tsv", "1\tsaw")
    for target in (asked, shop / "shop.esp"):
        with pytest.raises(InputError):
            retrieve_file(shop / "shop.esp", asked, target)
