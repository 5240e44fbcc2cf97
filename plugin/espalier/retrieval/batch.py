"""Products for a file of queries: as fast as all processors go, into a file that is whole."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from espalier.catalogue import open_catalogue
from espalier.files import refuse_to_overwrite
from espalier.filters import Filter
from espalier.progress import NO_PROGRESS, Progress
from espalier.querylog.kinds import Bad, explain
from espalier.querylog.output import new_text_file
from espalier.retrieval.reading import read_queries


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What was answered.

    Attributes:
        out: The file of products.
        queries: That were asked.
        unanswered: Those of them without a product.
        products: Lines of the file.
        bad: Rows left out, by kind.
    """

    out: Path
    queries: int
    unanswered: int
    products: int
    bad: Mapping[str, Bad]

    def to_json(self) -> dict[str, object]:
        """Return a dictionary that ``json`` can write."""
        return {
            "out": str(self.out),
            "queries": self.queries,
            "unanswered": self.unanswered,
            "products": self.products,
            "rows_bad": {kind: bad.to_json() for kind, bad in self.bad.items()},
        }

    def summary(self) -> str:
        """Return the same for people."""
        text = (
            f"{self.out}: {self.products:,} products for {self.queries:,} queries, "
            f"{self.unanswered:,} of them without any"
        )
        return f"{text}\nleft out: {explain(self.bad)}" if self.bad else text


def retrieve_file(
    index: Path,
    queries: Path,
    out: Path,
    *,
    k: int = 10,
    beam: int = 0,
    fused: bool = True,
    popular: bool = False,
    where: Filter | None = None,
    threads: int = 0,
    verify: bool = True,
    progress: Progress = NO_PROGRESS,
) -> BatchReport:
    """Write the products of every query: ``query``, ``rank`` from 1, ``product_id``, ``score``.

    Args:
        index: An index of products.
        queries: A TSV file with a column ``query``.
        out: Replaced only by a complete new one.
        k: As for one query, like ``beam``, ``fused``, ``popular`` and ``where``.
        beam: As for one query.
        fused: As for one query.
        popular: As for one query.
        where: As for one query.
        threads: That ask at the same time; 0: one for each processor.
        verify: Compare the index with its checksums first.
        progress: Gets a step per query.

    Raises:
        PairsError: The queries cannot be read.
        IndexFileError: The index cannot be used.
        UnsupportedError: It has no products, or no attributes to filter by.
        LimitError: k or beam is above what is documented.
        StorageError: The file cannot be written; ``out`` is as before.
    """
    refuse_to_overwrite([index, queries], [out])
    asked, bad = read_queries(queries)
    unanswered = products = 0
    with (
        open_catalogue(index, verify=verify) as catalogue,
        new_text_file(out) as stream,
        progress.stage("queries", len(asked)) as advance,
    ):
        stream.write("query\trank\tproduct_id\tscore\n")
        answers = catalogue.retrieve_batch(
            asked, k=k, beam=beam, fused=fused, popular=popular, where=where, threads=threads
        )
        # A full disk or Ctrl-C ends this loop; the threads must end before the index does.
        with closing(answers):
            for query, found in zip(asked, answers, strict=True):
                unanswered += not found
                products += len(found)
                stream.writelines(
                    f"{query}\t{rank}\t{one.product_id}\t{one.score:.9g}\n"
                    for rank, one in enumerate(found, 1)
                )
                advance(1)
    return BatchReport(out, len(asked), unanswered, products, bad)
