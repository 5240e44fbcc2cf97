"""A small shop: titles and pairs made of a few words, the same every time."""

from __future__ import annotations

import itertools
from pathlib import Path

from espalier.settings import RetrievalSettings

KINDS = ("drill", "hammer", "ladder", "lamp", "paint", "saw", "shelf", "tile")
BRANDS = ("acme", "bolt", "corvo", "delta", "ember")
LOOKS = ("red", "blue 12 in", "heavy duty", "cordless")
PLAIN = RetrievalSettings(stemmer="none", arity=4, max_leaf=8, pool=40, threads=1, blender="none")
"""Nothing to install, nothing random, quick."""


def titles() -> dict[str, str]:
    """Return 160 products: id to title."""
    words = itertools.product(BRANDS, LOOKS, KINDS)
    return {f"p{i:03d}": f"{b.title()} {look} {kind}" for i, (b, look, kind) in enumerate(words)}


def queries() -> dict[str, list[str]]:
    """Return queries with a brand or a look and a kind, and the products that have both."""
    found = {}
    for first, kind in itertools.product((*BRANDS, *LOOKS), KINDS):
        found[f"{first} {kind}"] = [
            product
            for product, title in titles().items()
            if first in title.lower() and title.endswith(kind)
        ]
    return found


def write_catalogue(path: Path, products: dict[str, str] | None = None) -> Path:
    """Write products as a catalogue."""
    rows = titles() if products is None else products
    lines = [f"{product}\t{title}\n" for product, title in rows.items()]
    path.write_text("product_id\ttitle\n" + "".join(lines), "utf-8")
    return path


def write_pairs(path: Path, chosen: dict[str, list[str]] | None = None) -> Path:
    """Write pairs, every product of a query graded 3."""
    rows = queries() if chosen is None else chosen
    lines = [f"{query}\t{product}\t3\n" for query, found in rows.items() for product in found]
    path.write_text("query\tproduct_id\trelevance\n" + "".join(lines), "utf-8")
    return path
