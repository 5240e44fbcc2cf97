"""Espalier: session-aware search-as-you-type, learned from the site's own query log.

>>> import espalier
>>> index = espalier.open("site.esp")                    # doctest: +SKIP
>>> [s.text for s in index.complete("ni", previous=["running shoes"])]  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from espalier.errors import EspalierError

if TYPE_CHECKING:
    from espalier.catalogue import Catalogue, Product, open_catalogue
    from espalier.filters import Filter
    from espalier.index import Completion, Index, IndexInfo, Suggestion, open  # noqa: A004
    from espalier.model import Model, open_model
    from espalier.native import Source

__all__ = [
    "Catalogue",
    "Completion",
    "EspalierError",
    "Filter",
    "Index",
    "IndexInfo",
    "Model",
    "Product",
    "Source",
    "Suggestion",
    "open",
    "open_catalogue",
    "open_model",
]

__version__ = "0.1.0"

# Loaded at first use: `espalier --help` and shell completion need no numpy.
_LATER = {
    "Catalogue": "espalier.catalogue",
    "Completion": "espalier.index",
    "Filter": "espalier.filters",
    "Index": "espalier.index",
    "IndexInfo": "espalier.index",
    "Model": "espalier.model",
    "Product": "espalier.catalogue",
    "Source": "espalier.native",
    "Suggestion": "espalier.index",
    "open": "espalier.index",
    "open_catalogue": "espalier.catalogue",
    "open_model": "espalier.model",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_LATER[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
