"""An index file of labels and users only, no model: all that the baseline needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from espalier.native import IndexWriter, maxima_build, trie_build

_PARAMS_BYTES = 64


def write_label_index(path: Path, users: Mapping[str, int]) -> None:
    """Write the labels of ``users`` with their numbers of distinct users to ``path``."""
    texts = sorted(label.encode() for label in users)
    counts = np.array([users[text.decode()] for text in texts], np.uint32)
    offsets = np.append(0, np.cumsum([len(text) for text in texts])).astype(np.uint32)
    blob = b"".join(texts)
    params = np.zeros(_PARAMS_BYTES // 4, np.uint32)
    params[0] = len(texts)
    with IndexWriter(path, 7) as writer:
        writer.add("META", b"{}")
        writer.add("PARM", params.tobytes())
        writer.add("LOFF", offsets.tobytes())
        writer.add("LTXT", blob)
        writer.add("DIDS", b"")
        writer.add("DOFF", bytes(4))
        writer.add("DTXT", b"")
        writer.add("TRIE", trie_build(np.frombuffer(blob, np.uint8), offsets))
        writer.add("USER", counts.tobytes())
        writer.add("PMAX", maxima_build(counts))
