"""What an index of products is worth, on judgements it has not seen.

=================  ====================================================================
system             products, best first
=================  ====================================================================
``bm25``           BM25 (k1 1.2, b 0.75) over the titles' words
``bm25_stemmed``   the same over stems, by the stemmer of the index
``lexical``        stems and, with a weight of 0.2, character 4-grams; k1 0.5, b 0.5
``model``          the index, ordered by its tree
``fused``          the index, ordered by its scorer
=================  ====================================================================

A product is relevant if its grade is at least ``relevant``; what nobody judged is not.
Recall divides by all relevant products of a query; nDCG@10 takes the grade of a relevant
product as its gain; MRR is over ten places. A figure is a mean over queries with a
relevant product. Buckets are about queries (``all``, by number of words, ``misspelt``:
with a word whose stem no title has) or about products (``seen``, ``unseen``: only
relevant products with and without a pair in training count, over queries that have some).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from espalier.catalogue import open_catalogue
from espalier.errors import PairsError
from espalier.evaluate.measures import CUT, reciprocal_rank
from espalier.progress import NO_PROGRESS, Progress
from espalier.querylog.kinds import Bad, explain
from espalier.retrieval.lexical import Bm25, Field, character_ngrams
from espalier.retrieval.reading import read_pairs, read_products
from espalier.stems import NONE, Stemmer
from espalier.text import normalise

SYSTEMS: Final = ("bm25", "bm25_stemmed", "lexical", "model", "fused")
MEASURES: Final = ("recall10", "recall100", "ndcg10", "mrr")
BUCKETS: Final = (
    "all", "words_1", "words_2", "words_3", "words_4_plus",
    "misspelt", "spelt", "seen", "unseen",
)  # fmt: skip
DEPTH: Final = 100
"""Products of an answer that are looked at."""
LEXICAL_NGRAM: Final = 4
LEXICAL_WEIGHT: Final = 0.2

Ranking = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RetrievalReport:
    """Figures of every system.

    Attributes:
        queries: That have a relevant product, by bucket.
        systems: system -> measure -> bucket -> mean.
        p50_us, p99_us: Microseconds of a fused answer of 100 products, from Python.
        relevant: The lowest grade that counts.
        bad: Rows of the judgements left out, by kind.
    """

    queries: Mapping[str, int]
    systems: Mapping[str, Mapping[str, Mapping[str, float]]]
    p50_us: float
    p99_us: float
    relevant: float
    bad: Mapping[str, Bad]

    def to_json(self) -> dict[str, object]:
        """Return a dictionary that ``json`` can write."""
        return {
            "task": "retrieval",
            "relevant": self.relevant,
            "queries": dict(self.queries),
            "systems": {
                system: {measure: dict(found) for measure, found in measures.items()}
                for system, measures in self.systems.items()
            },
            "latency_us": {"p50": round(self.p50_us, 1), "p99": round(self.p99_us, 1)},
            "rows_bad": {kind: bad.to_json() for kind, bad in self.bad.items()},
        }

    def rows(self) -> list[list[str]]:
        """Return the figures for people: a header, and a row a bucket and system."""
        rows = [["bucket", "queries", "system", *MEASURES]]
        for bucket in BUCKETS:
            if self.queries[bucket]:
                rows += [
                    [bucket, f"{self.queries[bucket]:,}", system]
                    + [f"{self.systems[system][measure][bucket]:.4f}" for measure in MEASURES]
                    for system in SYSTEMS
                ]
        return rows

    def remarks(self) -> str:
        """Return what stands below the figures."""
        text = f"fused, one query at a time: p50 {self.p50_us:.0f} us, p99 {self.p99_us:.0f} us"
        return f"{text}\nleft out: {explain(self.bad)}" if self.bad else text


def evaluate_retrieval(
    index: Path,
    judgements: Path,
    catalogue: Path,
    *,
    relevant: float = 2.33,
    verify: bool = True,
    progress: Progress = NO_PROGRESS,
) -> RetrievalReport:
    """Measure an index and the lexical baselines on the same judgements.

    Args:
        index: An index of products.
        judgements: A pairs file with a column ``relevance``.
        catalogue: The titles the baselines search.
        relevant: The lowest grade that counts.
        verify: Compare the index with its checksums first.
        progress: Gets a step per query and system.

    Raises:
        PairsError: A file cannot be read, or no judgement of a product of the catalogue is
            good enough.
        IndexFileError: The index cannot be used.
        UnsupportedError: It has no products.
    """
    products = read_products(catalogue)
    numbers = products.numbers()
    judged = read_pairs(judgements, numbers)
    grades: dict[str, dict[int, float]] = {}
    for pair in judged.rows:
        if pair.relevance is None:
            raise PairsError(f"{judgements}: no column 'relevance', or a row without a value in it")
        if pair.relevance >= relevant:
            grades.setdefault(pair.query, {})[numbers[pair.product_id]] = pair.relevance
    if not grades:
        raise PairsError(
            f"{judgements}: no product has a relevance of {relevant:g} or more; lower --relevant"
        )
    queries = sorted(grades)
    titles = [normalise(title) for title in products.titles]
    with open_catalogue(index, verify=verify) as opened:
        ids = {number: numbers.get(opened.product_id(number), -1) for number in range(len(opened))}
        seconds: list[float] = []

        def ask(query: str, *, model_only: bool) -> Ranking:
            start = time.perf_counter()
            found = opened.retrieve(query, k=DEPTH, fused=not model_only)
            if not model_only:
                seconds.append(time.perf_counter() - start)
            return np.array([numbers.get(one.product_id, -1) for one in found], np.int64)

        stemmed = _stemmed(titles, opened.stemmer)
        rankers: dict[str, Callable[[str], Ranking]] = {
            "bm25": _searcher(Bm25(titles, [Field(Stemmer(NONE).words)])),
            "bm25_stemmed": _searcher(stemmed),
            "lexical": _searcher(_lexical(titles, opened.stemmer)),
            "model": lambda query: ask(query, model_only=True),
            "fused": lambda query: ask(query, model_only=False),
        }
        with progress.stage("queries", len(queries) * len(rankers)) as advance:
            answers: dict[str, list[Ranking]] = {name: [] for name in rankers}
            for query in queries:
                for name, ranker in rankers.items():
                    answers[name].append(ranker(query))
                    advance(1)
        seen = {number for label, number in ids.items() if number >= 0 and opened.pairs(label) > 0}
    wanted = [grades[query] for query in queries]
    chosen = _buckets(queries, wanted, seen, stemmed)
    figures = {system: _figures(found, wanted, chosen, seen) for system, found in answers.items()}
    taken = np.array(seconds) * 1e6
    return RetrievalReport(
        {bucket: int(mask.sum()) for bucket, mask in chosen.items()},
        figures,
        float(np.percentile(taken, 50)),
        float(np.percentile(taken, 99)),
        relevant,
        judged.bad,
    )


def measure(found: Sequence[int], grades: Mapping[int, float]) -> tuple[float, float, float, float]:
    """Return recall@10, recall@100, nDCG@10 and reciprocal rank of one answer.

    Args:
        found: Products, best first, distinct.
        grades: Of the relevant products, at least one.
    """
    hit = [grades.get(one, 0.0) for one in found[:DEPTH]]
    hits = np.array(hit, np.float64)
    discount = 1 / np.log2(np.arange(2, CUT + 2))
    ideal = np.array(sorted(grades.values(), reverse=True)[:CUT])
    gain = float((hits[:CUT] * discount[: len(hits[:CUT])]).sum())
    first = int(np.argmax(hits > 0)) + 1 if (hits > 0).any() else 0
    return (
        float((hits[:CUT] > 0).sum() / len(grades)),
        float((hits > 0).sum() / len(grades)),
        gain / float((ideal * discount[: len(ideal)]).sum()),
        float(reciprocal_rank(np.array([first]))[0]),
    )


def _figures(
    answers: Sequence[Ranking],
    wanted: Sequence[Mapping[int, float]],
    chosen: Mapping[str, NDArray[np.bool_]],
    seen: set[int],
) -> dict[str, dict[str, float]]:
    """Return measure -> bucket -> mean; 0 for a bucket without queries."""
    everything = _measured(answers, wanted)
    by_bucket = {
        "seen": _measured(answers, [_only(grades, seen, known=True) for grades in wanted]),
        "unseen": _measured(answers, [_only(grades, seen, known=False) for grades in wanted]),
    }
    return {
        measure_name: {
            bucket: float(by_bucket.get(bucket, everything)[mask, column].mean())
            if mask.any()
            else 0.0
            for bucket, mask in chosen.items()
        }
        for column, measure_name in enumerate(MEASURES)
    }


def _measured(
    answers: Sequence[Ranking], wanted: Sequence[Mapping[int, float]]
) -> NDArray[np.float64]:
    """Return the measures of every answer, ``(n, 4)``; zeros where nothing is wanted."""
    nothing = (0.0,) * len(MEASURES)
    return np.array(
        [
            measure(found.tolist(), grades) if grades else nothing
            for found, grades in zip(answers, wanted, strict=True)
        ]
    )


def _only(grades: Mapping[int, float], seen: set[int], *, known: bool) -> dict[int, float]:
    return {product: grade for product, grade in grades.items() if (product in seen) == known}


def _buckets(
    queries: Sequence[str],
    wanted: Sequence[Mapping[int, float]],
    seen: set[int],
    stemmed: Bm25,
) -> dict[str, NDArray[np.bool_]]:
    words = np.array([len(query.split(" ")) for query in queries])
    misspelt = np.array([not stemmed.knows(query) for query in queries])
    return {
        "all": np.ones(len(queries), bool),
        "words_1": words == 1,
        "words_2": words == 2,
        "words_3": words == 3,
        "words_4_plus": words > 3,
        "misspelt": misspelt,
        "spelt": ~misspelt,
        "seen": np.array([any(one in seen for one in grades) for grades in wanted]),
        "unseen": np.array([any(one not in seen for one in grades) for grades in wanted]),
    }


def _searcher(index: Bm25) -> Callable[[str], Ranking]:
    return lambda query: index.top(query, DEPTH)


def _stemmed(titles: Sequence[str], stemmer: str) -> Bm25:
    return Bm25(titles, [Field(Stemmer(stemmer).words)])


def _lexical(titles: Sequence[str], stemmer: str) -> Bm25:
    plain = Stemmer(NONE)

    def grams(text: str) -> list[str]:
        return character_ngrams(plain.words(text), LEXICAL_NGRAM)

    return Bm25(
        titles,
        [
            Field(Stemmer(stemmer).words, 1.0, 0.5, 0.5),
            Field(grams, LEXICAL_WEIGHT, 0.5, 0.5),
        ],
    )
