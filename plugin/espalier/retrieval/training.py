"""From a catalogue and pairs to an index of products.

::

    titles --> vectors --> tree --.
                                  +--> weights --> index without some of the queries,
    pairs  --> vectors -----------'         |      five times --> answers --> blender
                                            '----> index with all of them <------'

The stages are those of completion: an indexer, a matcher, a ranker found by name. A
product's rows are its title and, ``pair_weight`` times, the queries it was paired with.
The blender learns the fusion of everything that is known of a candidate from queries
that the index it asks has not seen.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from espalier.catalogue import Catalogue, open_catalogue
from espalier.errors import InputError, LimitError
from espalier.files import refuse_to_overwrite
from espalier.native import (
    ATTRIBUTE_VALUES,
    Csr,
    FeatureKind,
    version,
)
from espalier.progress import NO_PROGRESS, Progress
from espalier.querylog.kinds import Bad
from espalier.querylog.split import is_training_user
from espalier.retrieval.blending import FEWEST_QUESTIONS, Answers, learn_scorer
from espalier.retrieval.pruning import features_kept, worth_of
from espalier.retrieval.reading import Pairs, Products, products_of, read_pairs, read_products
from espalier.retrieval.report import RetrievalTrainReport
from espalier.retrieval.vectors import Documents, Vectoriser, catalogue_section, learn_space
from espalier.settings import RetrievalSettings, TrainSettings, as_json
from espalier.stems import Stemmer
from espalier.train.attributes import LabelAttributes
from espalier.train.beam import BeamSearch
from espalier.train.blend import Blend
from espalier.train.forest import load_lightgbm
from espalier.train.index import IndexerInput
from espalier.train.matrices import csr_of, normalise_rows
from espalier.train.rank import Entries, RankInput, rank_tree
from espalier.train.rows import Labels
from espalier.train.stages import make_indexer, make_matcher, make_ranker
from espalier.train.tree import Tree
from espalier.train.workers import Workers
from espalier.train.write import Model, Sections, all_sections, fingerprint_of, write_index

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]

MAX_HOST: Final = 300
"""Products of another engine that teach."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """What is learned from.

    Attributes:
        products: The catalogue.
        queries: Distinct queries of the pairs that count.
        query, label, weight: One entry a pair, ``(n_pairs,)``: which query, which product.
        titles: Features of the products, ``(n_products, n_features)``.
        typed: Features of the queries, ``(n_queries, n_features)``.
        host: Products another engine found for queries, best first.
    """

    products: Products
    queries: tuple[str, ...]
    query: I64
    label: I64
    weight: F32
    titles: sp.csr_matrix
    typed: sp.csr_matrix
    host: Mapping[str, tuple[int, ...]]


def train_retrieval(
    pairs: Path,
    out: Path,
    settings: RetrievalSettings,
    *,
    catalogue: Path | None = None,
    host: Path | None = None,
    progress: Progress = NO_PROGRESS,
) -> RetrievalTrainReport:
    """Train an index of products.

    Args:
        pairs: A pairs file.
        out: The index; replaced only by a complete new one.
        settings: How.
        catalogue: All products; without it those that are paired, found only by that.
        host: What another engine finds for the queries of the pairs, best first, as pairs:
            teaches the blender what a place in its list is worth.
        progress: Hears of every stage.

    Raises:
        PairsError: A file cannot be read or used.
        ConfigError: A setting or a stage cannot be used.
        StorageError: The index cannot be written.
    """
    started = time.monotonic()
    recorded = {key: value for key, value in as_json(settings).items() if key != "threads"}
    refuse_to_overwrite([one for one in (pairs, catalogue, host) if one is not None], [out])
    if settings.blender == "trees":
        load_lightgbm()
    stemmer = Stemmer(settings.stemmer)
    if settings.attributes and catalogue is None:
        raise InputError("retrieval.attributes are columns of a catalogue; give --catalogue")
    products = None if catalogue is None else read_products(catalogue, settings.attribute_columns)
    found = read_pairs(pairs, None if products is None else products.numbers())
    products = products_of(found) if products is None else products
    listed = None if host is None else read_pairs(host, products.numbers())
    with progress.stage("texts", len(products.ids)) as advance:
        titles = _titles(products, found, stemmer)
        more = Documents.of(products.texts, stemmer) if any(products.texts) else None
        vectoriser = learn_space(titles, settings, more)
        lessons = _lessons(products, found, titles, more, vectoriser)
        if listed is not None:
            lessons = replace(lessons, host=_lists(listed, products.numbers()))
        advance(len(products.ids))
    if not vectoriser.space.keys.size:
        raise InputError(
            "no product has a letter or a digit in its title or its queries; check the columns"
        )
    with Workers(settings.stages().thread_count) as workers:
        # Products that are alike stand together by all that is known of them.
        with progress.stage("tree", 1) as advance:
            tree = _tree(settings.stages(), lessons, workers)
            advance(1)
        vectoriser, lessons = _pruned(vectoriser, lessons)
        trainer = _Trainer(settings, settings.stages(), vectoriser, lessons, titles, workers)
        scorer, asked = _blender(trainer, tree, progress)
        with progress.stage("weights", tree.n_nodes) as advance:
            meta: dict[str, object] = {
                "task": "retrieval",
                "settings": recorded,
                "counts": {
                    "products": len(products.ids),
                    "queries": len(lessons.queries),
                    "pairs": len(lessons.query),
                    "blend_questions": asked,
                },
                "version": version(),
            }
            everything = np.ones(len(lessons.queries), bool)
            sections = trainer.sections(tree, everything, meta, scorer)
            advance(tree.n_nodes)
    digest = _digest(lessons, recorded)
    write_index(out, sections, fingerprint_of(digest, settings.stages(), version()))
    return RetrievalTrainReport(
        out,
        len(products.ids),
        int(np.isin(np.arange(len(products.ids)), lessons.label).sum()),
        len(lessons.queries),
        len(lessons.query),
        vectoriser.space.keys.size,
        asked,
        out.stat().st_size,
        time.monotonic() - started,
        {**products.bad, **found.bad, **({} if listed is None else _of_host(listed.bad))},
    )


def _titles(products: Products, pairs: Pairs, stemmer: Stemmer) -> Documents:
    """Return titles; where there are none, a product is called what it was searched by."""
    if any(products.titles):
        return Documents.of(products.titles, stemmer)
    queries: dict[str, list[str]] = {one: [] for one in products.ids}
    for pair in pairs.rows:
        queries[pair.product_id].append(pair.query)
    return Documents.of((" ".join(queries[one]) for one in products.ids), stemmer)


def _lessons(
    products: Products,
    pairs: Pairs,
    titles: Documents,
    more: Documents | None,
    vectoriser: Vectoriser,
) -> Lessons:
    known = products.numbers()
    lowest = vectoriser.settings.relevant
    entries: dict[tuple[str, int], float] = {}
    for pair in pairs.rows:
        if pair.relevance is None or pair.relevance >= lowest:
            key = pair.query, known[pair.product_id]
            entries[key] = entries.get(key, 0.0) + pair.weight
    queries = tuple(sorted({query for query, _ in entries}))
    number = {query: i for i, query in enumerate(queries)}
    ordered = sorted((number[query], label, weight) for (query, label), weight in entries.items())
    return Lessons(
        products,
        queries,
        np.array([query for query, _, _ in ordered], np.int64),
        np.array([label for _, label, _ in ordered], np.int64),
        np.array([weight for _, _, weight in ordered], np.float32),
        vectoriser.documents(titles, more),
        vectoriser.queries(Documents.of(queries, Stemmer(vectoriser.settings.stemmer))),
        {},
    )


def _of_host(bad: Mapping[str, Bad]) -> dict[str, Bad]:
    return {f"host_{kind}": one for kind, one in bad.items()}


def _lists(listed: Pairs, known: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Return the products of each query in the order of the rows, each once."""
    found: dict[str, dict[int, None]] = {}
    for pair in listed.rows:
        found.setdefault(pair.query, {})[known[pair.product_id]] = None
    return {query: tuple(labels)[:MAX_HOST] for query, labels in found.items()}


def _tree(stages: TrainSettings, lessons: Lessons, workers: Workers) -> Tree:
    vectors = csr_of(normalise_rows(lessons.titles))
    named = IndexerInput(list(lessons.products.ids), lambda: vectors, workers)
    return make_indexer(stages).index(named)


def _pruned(vectoriser: Vectoriser, lessons: Lessons) -> tuple[Vectoriser, Lessons]:
    """Return the features that are kept, and the same lessons in them."""
    settings, space = vectoriser.settings, vectoriser.space
    if settings.keep >= 1:
        return vectoriser, lessons
    kind = vectoriser.kind_of_features()
    worth = worth_of(
        lessons.titles,
        lessons.typed,
        lessons.query,
        lessons.label,
        weight=space.idf * space.idf,
        kind=kind,
    )
    room = np.bincount(lessons.titles.indices, minlength=len(space.keys))
    words = np.array([one.kind == FeatureKind.WORDS for one in vectoriser.kinds])[kind]
    kept = features_kept(worth, room, keep=settings.keep, always=words)
    chosen = np.flatnonzero(kept)
    fewer = replace(lessons, titles=lessons.titles[:, chosen], typed=lessons.typed[:, chosen])
    return vectoriser.only(kept), fewer


@dataclass(frozen=True, slots=True)
class _Trainer:
    """Makes indexes of some of the queries, over a tree of all products."""

    settings: RetrievalSettings
    stages: TrainSettings
    vectoriser: Vectoriser
    lessons: Lessons
    titles: Documents
    workers: Workers

    def _amounts(self) -> F32:
        """Return what each pair counts, by its weight: as BM25 counts repeated words."""
        weight, k1 = self.lessons.weight, np.float32(self.settings.k1)
        return np.asarray(weight * (k1 + 1) / (weight + k1), np.float32)

    def _rows(self) -> tuple[Csr, F32 | None, I64]:
        """Return titles and queries as rows, what each costs a ranker, and each pair's row.

        An envelope takes rows as weights, so a query is a row for each amount its pairs
        count; margins are learned from rows of unit length, one a query, at the mean cost.
        """
        lessons, weight = self.lessons, np.float32(self.settings.pair_weight)
        n = len(lessons.products.ids)
        amounts = self._amounts()
        if self.stages.post_processor == "noop":
            pairs = np.column_stack([lessons.query, amounts])
            distinct, place = np.unique(pairs, axis=0, return_inverse=True)
            factor = sp.diags(distinct[:, 1].astype(np.float32) * weight)
            typed = factor @ lessons.typed[distinct[:, 0].astype(np.int64)]
            rows = sp.vstack([lessons.titles, typed], format="csr", dtype=np.float32)
            return csr_of(rows), None, n + place.ravel()
        x = normalise_rows(sp.vstack([lessons.titles, lessons.typed], format="csr"))
        total = np.bincount(lessons.query, amounts, minlength=len(lessons.queries))
        mean = total / np.maximum(np.bincount(lessons.query, minlength=len(lessons.queries)), 1)
        cost = np.append(np.ones(n), weight * mean).astype(np.float32)
        return csr_of(x), cost, n + lessons.query

    def sections(
        self, tree: Tree, taught: NDArray[np.bool_], meta: dict[str, object], scorer: bytes
    ) -> Sections:
        """Return every section of an index that knows the queries ``taught``."""
        lessons, stages = self.lessons, self.stages
        products = lessons.products
        n = len(products.ids)
        used = taught[lessons.query] & (self.settings.pair_weight > 0)
        x, cost, place = self._rows()
        row = np.append(np.arange(n), place[used]).astype(np.uint32)
        label = np.append(np.arange(n), lessons.label[used]).astype(np.uint32)
        space = self.vectoriser.space
        chunks = rank_tree(
            tree,
            Entries.of(tree, row, label, x.n_rows),
            RankInput(x, None, cost, np.zeros(x.n_cols, np.uint8)),
            matcher=make_matcher(stages),
            ranker=make_ranker(stages),
            workers=self.workers,
            beams=BeamSearch(tree, x, space, stages),
            done=_ignore,
        )
        paired = np.bincount(lessons.label[taught[lessons.query]], minlength=n)
        nothing = np.zeros(0, np.uint32)
        labels = Labels(
            list(products.ids),
            [title or one for one, title in zip(products.ids, products.titles, strict=True)],
            paired.astype(np.uint32),
            nothing,
            nothing.astype(np.int64),
        )
        model = Model(space, tree, chunks)
        made = all_sections(
            stages,
            labels,
            model,
            Blend(1.0, 0.0),
            meta,
            scorer=scorer,
            attributes=_attributes(products).section(),
        )
        return {**made, "CATA": catalogue_section(self.vectoriser, self.titles)}


def _attributes(products: Products) -> LabelAttributes:
    """Return what products can be filtered by.

    Raises:
        LimitError: More values than an index can have.
    """
    values = sorted({value for own in products.attributes for value in own}, key=str.encode)
    if len(values) > ATTRIBUTE_VALUES:
        raise LimitError(
            f"{len(values):,} attribute values; an index has at most {ATTRIBUTE_VALUES:,}: "
            "leave out the column whose values are nearly all different"
        )
    number = {value: i for i, value in enumerate(values)}
    pairs = sorted(
        (label, number[value]) for label, own in enumerate(products.attributes) for value in own
    )
    return LabelAttributes(
        values,
        np.array([label for label, _ in pairs], np.int64),
        np.array([value for _, value in pairs], np.int64),
        len(products.ids),
    )


def _blender(trainer: _Trainer, tree: Tree, progress: Progress) -> tuple[bytes, int]:
    """Return the scorer's section, and how many queries taught it."""
    settings, lessons = trainer.settings, trainer.lessons
    if settings.blender == "none" or len(lessons.queries) < FEWEST_QUESTIONS:
        return b"", 0
    part = _parts(lessons.queries, settings.blend_folds)
    answers = Answers()
    with progress.stage("questions", len(lessons.queries)) as advance:
        for fold in range(settings.blend_folds):
            asked = np.flatnonzero(part == fold)
            if not len(asked):
                continue
            with _temporary(trainer.sections(tree, part != fold, {}, b"")) as catalogue:
                for query in asked.tolist():
                    text = lessons.queries[query]
                    wanted = lessons.label[
                        slice(*np.searchsorted(lessons.query, (query, query + 1)))
                    ]
                    # With the host's list and without: either may be asked for.
                    for host in dict.fromkeys(((), lessons.host.get(text, ()))):
                        catalogue.ask(text, k=1, pool=settings.pool, host=host, features=True)
                        answers.add(*catalogue.described(), wanted)
                    advance(1)
    return learn_scorer(answers, settings, threads=trainer.stages.thread_count, progress=progress)


def _parts(queries: Sequence[str], folds: int) -> NDArray[np.int64]:
    """Return the part of each query: by a hash of its text, so the same every time."""
    edges = [(i + 1) / folds for i in range(folds - 1)]
    return np.array(
        [sum(not is_training_user(query, edge) for edge in edges) for query in queries], np.int64
    )


def _temporary(sections: Sections) -> Catalogue:
    with tempfile.TemporaryDirectory(prefix="espalier-fold-") as folder:
        path = Path(folder) / "fold.esp"
        write_index(path, sections, 0)
        # The mapping outlives the name.
        return open_catalogue(path, verify=False)


def _digest(lessons: Lessons, settings: Mapping[str, object]) -> str:
    """Return the name of what an index is a function of: data and settings."""
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=16)
    for text in (*lessons.products.ids, *lessons.products.titles, *lessons.products.texts):
        digest.update(text.encode() + b"\0")
    for own in lessons.products.attributes:
        digest.update("\t".join(own).encode() + b"\0")
    for text in lessons.queries:
        digest.update(text.encode() + b"\0")
    for query, found in lessons.host.items():
        digest.update(f"{query}\t{found}\0".encode())
    for values in (lessons.query, lessons.label, lessons.weight):
        digest.update(values.tobytes())
    return digest.hexdigest()


def _ignore(steps: int) -> None:
    """Take no notice of ``steps``."""
