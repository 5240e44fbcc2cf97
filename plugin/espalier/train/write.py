"""Writer: everything learned becomes one index file.

The sections and their layouts are those of ``native/FORMAT.md``. The file is
written beside the target and renamed over it at the end, so an interrupted or
failed run leaves the old index as it was.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from espalier.errors import LimitError
from espalier.native import (
    PARAMS,
    TREE_NODE,
    IndexWriter,
    Matcher,
    PostProcessor,
    Space,
    maxima_build,
    trie_build,
)
from espalier.settings import TrainSettings, as_json
from espalier.train.blend import Blend
from espalier.train.recency import Recency
from espalier.train.rows import Labels
from espalier.train.tree import Tree

U32 = NDArray[np.uint32]

POST_PROCESSORS: Final = {
    "noop": PostProcessor.NOOP,
    "sigmoid": PostProcessor.SIGMOID,
    "log-sigmoid": PostProcessor.LOG_SIGMOID,
    "l1-hinge": PostProcessor.L1_HINGE,
    "l2-hinge": PostProcessor.L2_HINGE,
    "l3-hinge": PostProcessor.L3_HINGE,
    "log-l1-hinge": PostProcessor.LOG_L1_HINGE,
    "log-l2-hinge": PostProcessor.LOG_L2_HINGE,
    "log-l3-hinge": PostProcessor.LOG_L3_HINGE,
}
MATCHERS: Final = {"constrained": Matcher.CONSTRAINED, "unconstrained": Matcher.UNCONSTRAINED}

Sections = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Model:
    """A tree, what its nodes learned, and the space they learned it in."""

    space: Space
    tree: Tree
    chunks: list[bytes]


def label_sections(labels: Labels) -> Sections:
    """Return texts, display texts, trie and popularity.

    Raises:
        LimitError: The texts together are 4 GiB or more.
    """
    texts = [text.encode() for text in labels.texts]
    offsets = _offsets(texts, "label texts")
    blob = b"".join(texts)
    shown = [
        number
        for number, (text, display) in enumerate(zip(labels.texts, labels.display, strict=True))
        if text != display
    ]
    display_texts = [labels.display[number].encode() for number in shown]
    users = labels.users.astype("<u4")
    return {
        "LOFF": offsets.tobytes(),
        "LTXT": blob,
        "DIDS": np.array(shown, "<u4").tobytes(),
        "DOFF": _offsets(display_texts, "display texts").tobytes(),
        "DTXT": b"".join(display_texts),
        "TRIE": trie_build(np.frombuffer(blob, np.uint8), offsets),
        "USER": users.tobytes(),
        "PMAX": maxima_build(users),
    }


def recency_sections(recency: Recency | None) -> Sections:
    """Return decayed popularity and its maxima; nothing where popularity does not decay."""
    if recency is None:
        return {}
    return {"RCNT": recency.values.astype("<u4").tobytes(), "RMAX": maxima_build(recency.values)}


def _offsets(texts: list[bytes], what: str) -> U32:
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    if len(ends) and ends[-1] > np.iinfo(np.uint32).max:
        raise LimitError(
            f"{what} of {ends[-1]:,} bytes do not fit into an index (4 GiB); raise min_users"
        )
    return np.append(0, ends).astype("<u4")


def tree_sections(tree: Tree, chunks: list[bytes]) -> Sections:
    """Return nodes, label order and weights."""
    low, high = tree.label_bounds()
    nodes = np.zeros(tree.n_nodes, TREE_NODE)
    nodes["child_begin"] = tree.child_begin
    nodes["child_end"] = tree.child_end
    nodes["pos_begin"] = tree.pos_begin
    nodes["pos_end"] = tree.pos_end
    nodes["label_min"] = low
    nodes["label_max"] = high
    sizes = np.fromiter(map(len, chunks), np.int64, len(chunks))
    nodes["chunk"] = np.cumsum(sizes) - sizes
    return {
        "TREE": nodes.tobytes(),
        "LPOS": tree.label_at.astype("<u4").tobytes(),
        "POSL": tree.position_of().astype("<u4").tobytes(),
        "WGHT": b"".join(chunks),
    }


def params_section(settings: TrainSettings, model: Model, blend: Blend) -> bytes:
    """Return the numbers a reader needs before anything else."""
    return tree_params(
        model.tree,
        n_features=len(model.space.keys),
        post_processor=POST_PROCESSORS[settings.post_processor],
        prefix_features=model.space.prefix_features,
        max_context=model.space.max_context,
        context_decay=model.space.context_decay,
        blend_model=blend.model,
        blend_popularity=blend.popularity,
        default_beam=settings.beam,
        default_pool=settings.pool,
        default_matcher=MATCHERS[settings.matcher],
    )


def tree_params(tree: Tree, **fields: float) -> bytes:
    """Return PARM for a tree: its own numbers, and ``fields`` by their names in the format."""
    params = np.zeros(1, PARAMS)
    params["n_labels"] = tree.n_labels
    params["n_nodes"] = tree.n_nodes
    params["tree_depth"] = tree.n_levels
    params["max_children"] = tree.n_children.max()
    for name, value in fields.items():
        params[name] = value
    return params.tobytes()


def all_sections(
    settings: TrainSettings,
    labels: Labels,
    model: Model,
    blend: Blend,
    meta: dict[str, Any],
    *,
    recency: Recency | None = None,
    words: Sections | None = None,
    scorer: bytes = b"",
    attributes: bytes = b"",
) -> Sections:
    """Return every section of an index, by id, in file order."""
    return {
        "META": json.dumps(meta, ensure_ascii=False, sort_keys=True).encode(),
        "PARM": params_section(settings, model, blend),
        **label_sections(labels),
        **recency_sections(recency),
        "FKEY": model.space.keys.astype("<u4").tobytes(),
        "FIDF": model.space.idf.astype("<f4").tobytes(),
        **tree_sections(model.tree, model.chunks),
        **(words or {}),
        **({"FRST": scorer} if scorer else {}),
        **({"ATTR": attributes} if attributes else {}),
    }


def recorded_settings(settings: TrainSettings) -> dict[str, object]:
    """Return the settings an index is a function of.

    The number of threads changes nothing, nor does what an index must beat, and
    paths name a machine: what a blocklist holds is in the data digest, where it
    lies is nobody's business.
    """
    used = as_json(settings)
    del used["threads"], used["must_beat_margin"]
    log = used["log"]
    assert isinstance(log, dict)  # noqa: S101 - as_json nests LogSettings
    used["log"] = {
        key: value
        for key, value in log.items()
        if key not in {"blocklist", "blocked_words", "blocked_patterns"}
    }
    return used


def fingerprint_of(data_digest: str, settings: TrainSettings, version: str) -> int:
    """Return the 64-bit name of a training run: its data, its settings, its code."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (data_digest, json.dumps(recorded_settings(settings), sort_keys=True), version):
        digest.update(part.encode())
        digest.update(b"\0")
    return int.from_bytes(digest.digest(), "little")


def write_index(path: Path, sections: Sections, fingerprint: int) -> None:
    """Write the sections to ``path``, replacing it only when all are on disk.

    Raises:
        StorageError: The operating system refused, as on a full disk; ``path`` is as before.
    """
    with IndexWriter(path, fingerprint) as writer:
        for name, data in sections.items():
            writer.add(name, data)
