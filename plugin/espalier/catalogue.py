"""An index as a catalogue: products for a query.

>>> catalogue = espalier.open_catalogue("shop.esp")        # doctest: +SKIP
>>> catalogue.retrieve("cordless drill", k=3)              # doctest: +SKIP
[Product(product_id='100012', title='18-volt cordless drill', ...), ...]
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np

from espalier.errors import LimitError, UnsupportedError
from espalier.filters import Filter
from espalier.index import Index, encode_previous, open_native
from espalier.native import (
    CATALOGUE_HEADER,
    Caps,
    NativeIndex,
    RawProduct,
    Retrieval,
    attribute_values,
)
from espalier.stems import Stemmer
from espalier.text import normalise

__all__ = ["Catalogue", "Product", "open_catalogue"]

MAX_K: Final = 1_000
"""Products in one answer, at most."""
MAX_HOST: Final = 1_000
"""Products of another engine that are looked at; those behind are ignored."""
MAX_QUERY_BYTES: Final = 1_024
"""UTF-8 bytes of a normalised query, at most."""
BATCH: Final = 64
"""Queries a thread answers at a stretch."""
WARM_UP: Final = 40
"""Queries asked before the first one counts, about."""
WARM_UP_CODE_POINTS: Final = 16
"""Of each; however much longer normalising makes them, no query is too long."""
MAX_PREVIOUS: Final = 4
"""Previous queries that count; the fifth would weigh less than what rounding takes."""
MAX_PREVIOUS_CODE_POINTS: Final = 128
"""Of a previous query, normalised; what follows does not count."""
PREVIOUS_WEIGHT: Final = 0.2
"""Of what a previous query has, against what the query has."""
_CAPS: Final = Caps(
    k=MAX_K + MAX_HOST,
    beam=MAX_K,
    pool=MAX_K + MAX_HOST,
    prefix_bytes=MAX_QUERY_BYTES,
    # Words and text of every previous query, four bytes a code point, twice over.
    context_bytes=2 * MAX_PREVIOUS * 2 * 4 * MAX_PREVIOUS_CODE_POINTS,
    previous=MAX_PREVIOUS,
)


class Product(NamedTuple):
    """One product.

    Attributes:
        product_id: As the catalogue has it.
        title: As the catalogue has it.
        score: What orders; comparable within one answer, higher is better.
        model: Score of the ranking tree; 0 for what is shown because it is popular.
        pairs: Queries it was paired with in training.
        host_rank: Its place in the host's list from 1; None: not in it.
    """

    product_id: str
    title: str
    score: float
    model: float
    pairs: int
    host_rank: int | None = None


class Catalogue:
    """An open index of products. Safe to share between threads.

    Attributes:
        path: The file.
        stemmer: Name of what makes words of texts.
    """

    def __init__(self, native: NativeIndex, path: Path) -> None:
        """Own an open native index; use :func:`open_catalogue` instead.

        Raises:
            UnsupportedError: The index has no products.
            ConfigError: Its stemmer is not installed.
        """
        section = native.section("CATA", CATALOGUE_HEADER.itemsize)
        if not section:
            raise UnsupportedError(
                f"{path}: has no products, it completes queries; "
                "train one with `espalier train --task retrieval`"
            )
        head = np.frombuffer(section, CATALOGUE_HEADER, 1)[0]
        self.path = path
        self.stemmer = head["stemmer"].tobytes().rstrip(b"\0").decode("ascii", "replace")
        self._native = native
        self._local = threading.local()
        self._own()

    def __enter__(self) -> Self:
        """Return the catalogue."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the catalogue."""
        self.close()

    def __len__(self) -> int:
        """Return the number of products."""
        return self._native.info.labels

    def __repr__(self) -> str:
        """Name the file."""
        return f"<espalier.Catalogue {self.path}>"

    def close(self) -> None:
        """Unmap the file. No call may be under way."""
        self._local = threading.local()
        self._native.close()

    def retrieve(
        self,
        query: str,
        *,
        k: int = 10,
        beam: int = 0,
        pool: int = 0,
        host: Sequence[str] = (),
        fused: bool = True,
        popular: bool = False,
        where: Filter | None = None,
        previous: Sequence[str] = (),
    ) -> list[Product]:
        """Return the ``k`` best products for ``query``, best first.

        Args:
            query: As typed; it is normalised.
            k: Products wanted.
            beam: Nodes of the tree kept per level; 0: as trained. More finds more.
            pool: Products the tree hands to the scorer; 0: as trained.
            host: Ids another engine found, best first: they are ranked together with what
                the tree finds. Unknown and repeated ones are left out.
            fused: Order by the learned scorer; else by the tree alone.
            popular: Answer a query none of whose words and n-grams any product has with
                the products paired most often; else with none.
            where: What products must have, those of ``host`` too.
            previous: Queries of the session, most recent first; the first `MAX_PREVIOUS`
                count. What the newest has weighs `PREVIOUS_WEIGHT` of what the query has,
                each one before it half of that.

        Raises:
            InvalidTextError: A query is no text.
            LimitError: k, beam, pool or the query is above what is documented.
            UnsupportedError: ``where`` asks for something, and the index has no attributes.
        """
        for name, value, low in (("k", k, 1), ("beam", beam, 0), ("pool", pool, 0)):
            if not low <= value <= MAX_K:
                raise LimitError(f"{name} must be {low} to {MAX_K:,}, not {value:,}")
        found = self.ask(
            query,
            k=k,
            beam=beam,
            pool=pool,
            host=self.labels(host),
            model_only=not fused,
            popular=popular,
            where=where,
            previous=previous,
        )
        texts = self._native.texts_of([one.label for one in found])
        pairs = self._native.label_users
        return [
            Product(*both, one.score, one.model, pairs(one.label), one.host_rank or None)
            for both, one in zip(texts, found, strict=True)
        ]

    def retrieve_batch(
        self,
        queries: Iterable[str],
        *,
        k: int = 10,
        beam: int = 0,
        fused: bool = True,
        popular: bool = False,
        where: Filter | None = None,
        threads: int = 0,
    ) -> Generator[list[Product], None, None]:
        """Yield the products of each query, in the order of the queries.

        Who stops before the end closes the generator before the catalogue: the threads
        of it answer ahead.

        Args:
            queries: Taken as answers are, so there may be any number of them.
            k: As for :meth:`retrieve`.
            beam: As for :meth:`retrieve`.
            fused: As for :meth:`retrieve`.
            popular: As for :meth:`retrieve`.
            where: As for :meth:`retrieve`.
            threads: That ask at the same time; 0: one for each processor.

        Raises:
            InvalidTextError, LimitError, UnsupportedError: As :meth:`retrieve`, when the
                answer at fault would come.
        """

        def ask(some: list[str]) -> list[list[Product]]:
            return [
                self.retrieve(query, k=k, beam=beam, fused=fused, popular=popular, where=where)
                for query in some
            ]

        source = iter(queries)
        blocks = iter(lambda: list(islice(source, BATCH)), [])
        workers = threads or os.cpu_count() or 1
        if workers == 1:
            for block in blocks:
                yield from ask(block)
            return
        with ThreadPoolExecutor(workers, "espalier-retrieve") as pool:
            due: deque[Future[list[list[Product]]]] = deque()
            try:
                for block in blocks:
                    due.append(pool.submit(ask, block))
                    if len(due) > 2 * workers:
                        yield from due.popleft().result()
                while due:
                    yield from due.popleft().result()
            finally:
                for one in due:
                    one.cancel()

    def ask(
        self,
        query: str,
        *,
        k: int,
        beam: int = 0,
        pool: int = 0,
        host: Sequence[int] = (),
        model_only: bool = False,
        features: bool = False,
        popular: bool = False,
        where: Filter | None = None,
        previous: Sequence[str] = (),
        previous_weight: float = PREVIOUS_WEIGHT,
    ) -> list[RawProduct]:
        """Return products by number; what :meth:`retrieve` stands on."""
        retrieval, stemmer = self._own()
        earlier = encode_previous(previous, MAX_PREVIOUS, MAX_PREVIOUS_CODE_POINTS)
        return retrieval.ask(
            _analysed(normalise(query), stemmer),
            k,
            beam=beam,
            pool=pool,
            host=host,
            model_only=model_only,
            features=features,
            popular=popular,
            previous=[_analysed(one.decode(), stemmer) for one in earlier],
            previous_weight=previous_weight,
            chosen=None if where is None else where.native(self._native),
        )

    def described(self) -> tuple[np.ndarray, np.ndarray]:
        """Return labels and features of what this thread's last query ranked."""
        return self._own()[0].described()

    def warm_up(self) -> None:
        """Retrieve a few titles, so that the first query pays for no page faults."""
        n = len(self)
        for label in range(0, n, max(1, n // WARM_UP)):
            self.ask(self._native.label_texts(label)[1][:WARM_UP_CODE_POINTS], k=1)

    def labels(self, ids: Sequence[str]) -> list[int]:
        """Return the numbers of products, unknown and repeated ids left out."""
        known = map(self.find, ids[:MAX_HOST])
        return list(dict.fromkeys(number for number in known if number is not None))

    def find(self, product_id: str) -> int | None:
        """Return the number of a product, None if the catalogue has no such id."""
        try:
            wanted = product_id.encode()
        except UnicodeEncodeError:
            return None
        lo, hi = self._native.prefix_range(wanted)
        return lo if lo < hi and self.product_id(lo) == product_id else None

    def attributes(self) -> dict[str, int]:
        """Return every attribute value products have, and how many have it."""
        return dict(attribute_values(self._native.handle))

    def pairs(self, label: int) -> int:
        """Return how many queries a product was paired with in training."""
        return self._native.label_users(label)

    def product_id(self, label: int) -> str:
        """Return the id of a product."""
        return self._native.label_texts(label)[0]

    def _own(self) -> tuple[Retrieval, Stemmer]:
        """Return the calling thread's buffers and stemmer."""
        own: tuple[Retrieval, Stemmer] | None = getattr(self._local, "own", None)
        if own is None:
            own = self._local.own = (Retrieval(self._native, _CAPS), Stemmer(self.stemmer))
        return own


def _analysed(text: str, stemmer: Stemmer) -> tuple[bytes, bytes]:
    return " ".join(stemmer.words(text)).encode(), text.encode()


def catalogue_of(index: Index) -> Catalogue | None:
    """Return the products of an open index, which stays the one to close; None: it has none.

    Raises:
        ConfigError: Its stemmer is not installed.
    """
    holds = any(one.name == "CATA" for one in index.native.sections())
    return Catalogue(index.native, index.path) if holds else None


def open_catalogue(path: Path | str, *, verify: bool = True) -> Catalogue:
    """Open an index file as a catalogue of products.

    Args:
        path: The ``.esp`` file.
        verify: Compare all checksums first. Without it opening takes constant time.

    Raises:
        IndexFileError: As :func:`espalier.open`.
        UnsupportedError: The index has no products.
        ConfigError: Its stemmer is not installed.
    """
    native = open_native(path, verify=verify)
    try:
        return Catalogue(native, Path(path))
    except BaseException:
        native.close()
        raise
