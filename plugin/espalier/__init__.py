"""Espalier: session-aware search-as-you-type, learned from the site's own query log.

>>> import espalier
>>> index = espalier.open("site.esp")                    # doctest: +SKIP
>>> [s.text for s in index.complete("ni", previous=["running shoes"])]  # doctest: +SKIP
"""

from __future__ import annotations

from espalier.errors import EspalierError
from espalier.index import Completion, Index, IndexInfo, Suggestion, open  # noqa: A004
from espalier.native import Source

__all__ = [
    "Completion",
    "EspalierError",
    "Index",
    "IndexInfo",
    "Source",
    "Suggestion",
    "open",
]
