"""A PECOS linear model becomes an index file, answer for answer.

A layer of PECOS is a level of the tree: its C names the children of each cluster, its W
has a column of weights per child. Children keep their order, clusters are numbered
breadth first, weights stay float32. PECOS breaks ties by the order in which its beam
holds the parents, Espalier by node and label number, so answers agree up to ties.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espalier.errors import ConfigError, ModelError
from espalier.interop.pecos_files import (
    Chain,
    LayerFacts,
    check_labels,
    read_chain,
    read_facts,
    read_weights,
)
from espalier.native import Matcher, chunk_encode, version
from espalier.progress import NO_PROGRESS, Progress
from espalier.train.tree import Tree
from espalier.train.write import POST_PROCESSORS, tree_params, tree_sections, write_index

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

_DEFAULT_BEAM = 10


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Account of one import.

    Attributes:
        out: The index written.
        fingerprint: Names what was imported, 16 hexadecimal digits.
        counts: Labels, features, nodes, levels, weights.
        post_processor: How margins become scores.
        beam: Nodes kept per level by default.
        k: Labels in an answer by default.
        file_bytes: Size of the index.
        notes: What is not as in the model, in sentences; mostly none.
    """

    out: Path
    fingerprint: str
    counts: dict[str, int]
    post_processor: str
    beam: int
    k: int
    file_bytes: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the report as a dictionary that ``json`` can write."""
        return {
            "out": str(self.out),
            "fingerprint": self.fingerprint,
            "counts": self.counts,
            "post_processor": self.post_processor,
            "beam": self.beam,
            "k": self.k,
            "file_bytes": self.file_bytes,
            "notes": list(self.notes),
        }

    def table(self) -> str:
        """Return the report as text for a terminal."""
        rows = {
            **{name: f"{count:,}" for name, count in self.counts.items()},
            "post-processor": self.post_processor,
            "beam": f"{self.beam:,}",
            "k": f"{self.k:,}",
            "bytes": f"{self.file_bytes:,}",
        }
        lines = [f"{self.out}  fingerprint {self.fingerprint}", ""]
        lines += [f"{name:<16}{value:>16}" for name, value in rows.items()]
        return "\n".join([*lines, *(f"\nnote: {note}" for note in self.notes)])


def import_pecos(folder: Path, out: Path, *, progress: Progress = NO_PROGRESS) -> ImportReport:
    """Write the model in ``folder`` as an index file.

    Args:
        folder: What ``XLinearModel.save`` wrote, in npz form.
        out: The index. An old file is replaced only by a complete new one.
        progress: Told about layers and nodes.

    Raises:
        ModelError: The folder holds no model that can be imported; ``out`` is as before.
        ConfigError: ``out`` lies in the model's folder.
        StorageError: ``out`` cannot be written; it is as before.
    """
    if out.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"{out}: would be written into the model's folder; name another place")
    facts = read_facts(folder)
    post_processor = _one_post_processor(facts)
    with progress.stage("read clusters"):
        chain = read_chain(facts)
        check_labels(folder, chain.n_labels)
        tree, orders = tree_of(chain)
    digest = hashlib.blake2b(digest_size=8)
    with progress.stage("encode weights", tree.n_nodes) as done:
        chunks, n_features, n_weights = _encode(
            facts, chain, tree, orders, digest=digest.update, done=done
        )
    beam, notes = _default_beam(facts)
    k = min(facts[-1].only_topk, tree.n_labels)
    digest.update(f"{post_processor}\0{beam}\0{k}\0{version()}".encode())
    counts = {
        "labels": tree.n_labels,
        "features": n_features,
        "nodes": tree.n_nodes,
        "levels": tree.n_levels,
        "weights": n_weights,
    }
    meta = {
        "version": version(),
        "origin": "PECOS XLinearModel",
        "fingerprint": digest.hexdigest(),
        "counts": counts,
        "layers": [
            {"children": len(parents), "bias": layer.bias, "only_topk": layer.only_topk}
            for layer, parents in zip(facts, chain.parents, strict=True)
        ],
        "settings": {"post_processor": post_processor, "beam": beam, "pool": k, "weight_bits": 32},
    }
    with progress.stage("write"):
        sections = {
            "META": json.dumps(meta, sort_keys=True).encode(),
            "PARM": tree_params(
                tree,
                n_features=n_features,
                post_processor=POST_PROCESSORS[post_processor],
                default_beam=beam,
                default_pool=k,
                # There is no prefix to constrain by.
                default_matcher=Matcher.UNCONSTRAINED,
            ),
            **tree_sections(tree, chunks),
        }
        write_index(out, sections, int(digest.hexdigest(), 16))
    return ImportReport(
        out=out,
        fingerprint=digest.hexdigest(),
        counts=counts,
        post_processor=post_processor,
        beam=beam,
        k=k,
        file_bytes=out.stat().st_size,
        notes=notes,
    )


def tree_of(chain: Chain) -> tuple[Tree, list[I64]]:
    """Return the chain as a tree, and per layer its children in tree order.

    A level is ordered by the parents' places, then by the children's own numbers: the
    order of columns wherever PECOS has the children of a cluster side by side.
    """
    place: I64 = np.zeros(1, np.int64)
    orders: list[I64] = []
    counts: list[I64] = []
    for parents in chain.parents:
        order = np.lexsort((np.arange(len(parents)), place[parents]))
        counts.append(np.bincount(place[parents], minlength=len(place)).astype(np.int64))
        place = np.empty(len(parents), np.int64)
        place[order] = np.arange(len(parents))
        orders.append(order)
    # Nodes are the root and the children of every layer but the last.
    widths = [1, *(len(order) for order in orders[:-1])]
    n_nodes = sum(widths)
    children = np.concatenate(counts)
    child_end = np.minimum(1 + np.cumsum(children), n_nodes)
    child_begin = np.minimum(1 + np.cumsum(children) - children, n_nodes)
    pos_end = np.empty(n_nodes, np.int64)
    pos_begin = np.empty(n_nodes, np.int64)
    first = n_nodes - widths[-1]
    pos_end[first:] = np.cumsum(counts[-1])
    pos_begin[first:] = pos_end[first:] - counts[-1]
    for width in reversed(widths[:-1]):
        level = slice(first - width, first)
        pos_begin[level] = pos_begin[child_begin[level]]
        pos_end[level] = pos_end[child_end[level] - 1]
        first -= width
    tree = Tree(
        child_begin=child_begin.astype(np.uint32),
        child_end=child_end.astype(np.uint32),
        pos_begin=pos_begin.astype(np.uint32),
        pos_end=pos_end.astype(np.uint32),
        depth=np.repeat(np.arange(len(widths)), widths).astype(np.uint32),
        label_at=orders[-1].astype(np.uint32),
    )
    return tree, orders


def _one_post_processor(facts: list[LayerFacts]) -> str:
    names = {layer.post_processor for layer in facts}
    if len(names) > 1:
        raise ModelError(
            f"{facts[0].folder.parent}: layers with different post-processors "
            f"({', '.join(sorted(names))}); save the model with one for all"
        )
    return names.pop()


def _default_beam(facts: list[LayerFacts]) -> tuple[int, tuple[str, ...]]:
    kept = [layer.only_topk for layer in facts[:-1]]
    beam = max(kept, default=_DEFAULT_BEAM)
    if len(set(kept)) > 1:
        shown = ", ".join(map(str, kept))
        return beam, (f"the layers keep {shown} nodes; the default beam is {beam} on each",)
    return beam, ()


def _encode(
    facts: list[LayerFacts],
    chain: Chain,
    tree: Tree,
    orders: list[I64],
    *,
    digest: Callable[[bytes | memoryview], object],
    done: Callable[[int], None],
) -> tuple[list[bytes], int, int]:
    """Return the chunks of every node, the number of features, and that of weights."""
    chunks: list[bytes] = []
    n_features: int | None = None
    n_weights = 0
    sizes = tree.n_children
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for number, (layer, parents, order) in enumerate(
            zip(facts, chain.parents, orders, strict=True)
        ):
            weights = read_weights(layer, len(parents))
            features = weights.shape[0] - (layer.bias > 0)
            if n_features not in {None, features}:
                raise ModelError(
                    f"{layer.folder / 'W.npz'}: weights of {features:,} features, while the layer "
                    f"above has {n_features:,}; copy the folder again"
                )
            n_features = features
            n_weights += weights.nnz
            for part in (order, weights.indptr, weights.indices, weights.data):
                digest(np.ascontiguousarray(part).data)
            digest(f"{weights.shape}\0{layer.bias}".encode())
            columns = Columns.of(weights[:, order], layer, features)
            edges = np.append(0, np.cumsum(sizes[tree.depth == number])).tolist()
            for chunk in pool.map(columns.encode, edges[:-1], edges[1:]):
                chunks.append(chunk)
                done(1)
    assert n_features is not None  # noqa: S101 - a model has at least one layer
    return chunks, n_features, n_weights


@dataclass(frozen=True, slots=True)
class Columns:
    """The weights of a layer in tree order, bias apart.

    Attributes:
        n_features: Features, the constant one not counted.
        pointer: Where each column begins, ``(children + 1,)``.
        feature: Feature of each weight.
        value: The weights.
        bias: What each column adds to every margin, ``(children,)``.
    """

    n_features: int
    pointer: NDArray[np.uint64]
    feature: NDArray[np.uint32]
    value: F32
    bias: F32

    @classmethod
    def of(cls, weights: Any, layer: LayerFacts, n_features: int) -> Columns:
        """Take the last row out of ``weights`` where the layer has a bias.

        Raises:
            ModelError: Bias times weight is too large for float32.
        """
        is_bias = weights.indices == n_features
        column = np.repeat(np.arange(weights.shape[1]), np.diff(weights.indptr))[is_bias]
        bias = np.zeros(weights.shape[1], np.float32)
        with np.errstate(over="ignore"):
            bias[column] = np.float32(layer.bias) * weights.data[is_bias]
        if not np.isfinite(bias).all():
            raise ModelError(
                f"{layer.folder / 'W.npz'}: bias weights too large for float32; train again"
            )
        taken = np.append(0, np.cumsum(np.bincount(column, minlength=weights.shape[1])))
        return cls(
            n_features,
            (weights.indptr - taken).astype(np.uint64),
            weights.indices[~is_bias].astype(np.uint32),
            weights.data[~is_bias],
            bias,
        )

    def encode(self, first: int, last: int) -> bytes:
        """Return the columns ``[first, last)`` as the chunks of one node."""
        return chunk_encode(
            last - first,
            self.n_features,
            self.pointer[first : last + 1],
            self.feature,
            self.value,
            self.bias[first:last],
            weight_bits=32,
        )
