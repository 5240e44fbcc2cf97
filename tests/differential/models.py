"""Random ranking models, and their folders as libpecos writes and reads them.

Needs numpy and scipy only, in versions old enough for libpecos: the same module makes
the models here and in the environment of libpecos.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

I64 = NDArray[np.int64]
Asked = tuple[int, int]

POST_PROCESSORS: Final = (
    "noop",
    "sigmoid",
    "log-sigmoid",
    "l1-hinge",
    "l2-hinge",
    "l3-hinge",
    "log-l1-hinge",
    "log-l2-hinge",
    "log-l3-hinge",
)
_WIDE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Layer:
    """One level of a model.

    Attributes:
        weights: ``csc_matrix`` of float32, ``(features + 1, children)``; without the
            last row where ``bias`` is not above 0.
        parents: Cluster of each child, ``(children,)``.
        bias: Value of the constant last feature; 0 or less for none.
    """

    weights: Any
    parents: I64
    bias: float


@dataclass(frozen=True, slots=True)
class Case:
    """A model, and questions to ask it.

    Attributes:
        layers: Top layer first.
        post_processor: How margins become scores.
        x: ``csr_matrix`` of float32, ``(rows, features)``.
        asked: Pairs of beam and k.
    """

    layers: list[Layer]
    post_processor: str
    x: Any
    asked: list[Asked]

    @property
    def n_labels(self) -> int:
        """Children of the last layer."""
        return len(self.layers[-1].parents)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as named arrays."""
        arrays = {
            "post_processor": np.array(self.post_processor),
            "asked": np.array(self.asked),
            "biases": np.array([layer.bias for layer in self.layers]),
            **pack("x", self.x),
        }
        for number, layer in enumerate(self.layers):
            arrays |= {f"parents{number}": layer.parents, **pack(f"w{number}", layer.weights)}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Case:
        """Return what ``to_arrays`` took apart."""
        return cls(
            [
                Layer(
                    scipy.sparse.csc_matrix(unpack(f"w{number}", arrays)),
                    arrays[f"parents{number}"],
                    bias,
                )
                for number, bias in enumerate(arrays["biases"].tolist())
            ],
            str(arrays["post_processor"]),
            unpack("x", arrays),
            [(int(beam), int(k)) for beam, k in arrays["asked"].tolist()],
        )


def pack(name: str, matrix: Any) -> dict[str, NDArray[Any]]:
    """Return a sparse matrix as arrays; rows keep the order of their entries."""
    rows = matrix.tocsr()
    return {
        f"{name}_shape": np.array(rows.shape),
        f"{name}_data": rows.data,
        f"{name}_indices": rows.indices,
        f"{name}_indptr": rows.indptr,
    }


def unpack(name: str, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Return the ``csr_matrix`` that ``pack`` took apart."""
    parts = tuple(arrays[f"{name}_{part}"] for part in ("data", "indices", "indptr"))
    return scipy.sparse.csr_matrix(parts, shape=tuple(arrays[f"{name}_shape"]))


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays, compressed."""
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


# ---- making ---------------------------------------------------------------------


def random_case(seed: int) -> Case:
    """Return a model nobody would think of: see ``_widths`` and ``_weights``."""
    rng = np.random.default_rng([20_100, seed])
    n_features = int(rng.choice([1, 3, 17, 60, 300]))
    bias = float(rng.choice([1.0, 0.5, 3.0, 0.0, -1.0]))
    duplicates = bool(rng.integers(3) == 0)
    layers: list[Layer] = []
    above = 1
    for width in _widths(rng):
        parents = _partition(rng, above, max(width, above))
        layers.append(
            Layer(_weights(rng, n_features, len(parents), bias, duplicates), parents, bias)
        )
        above = len(parents)
    asked = [(1, 1), (1, 7), (2, 3), (int(rng.integers(2, 12)), int(rng.integers(1, 30)))]
    return Case(
        layers,
        POST_PROCESSORS[seed % len(POST_PROCESSORS)],
        _questions(rng, n_features),
        [*asked, (_WIDE, _WIDE)],
    )


def _widths(rng: np.random.Generator) -> list[int]:
    """Return the children of each level: a label alone, one level, arities 1 to 40."""
    shape = int(rng.integers(8))
    if shape == 0:
        return [1] * int(rng.integers(1, 4))
    if shape == 1:
        return [int(rng.integers(1, 400))]
    widths = []
    width = 1
    for _ in range(int(rng.integers(2, 5))):
        width = min(600, max(1, round(width * float(rng.choice([1, 1.5, 2, 3, 8, 16, 40])))))
        widths.append(width)
    return widths


def _partition(rng: np.random.Generator, n_parents: int, n_children: int) -> I64:
    """Return a cluster for each child, none empty, side by side or shuffled."""
    parents = np.append(np.arange(n_parents), rng.integers(n_parents, size=n_children - n_parents))
    parents.sort()
    if rng.integers(2):
        rng.shuffle(parents)
    return parents.astype(np.int64)


def _weights(
    rng: np.random.Generator, n_features: int, n_children: int, bias: float, duplicates: bool
) -> Any:
    """Return weights with empty rows and columns, and some columns twice."""
    density = float(rng.choice([0.02, 0.2, 0.7, 1.0]))
    dense = rng.normal(size=(n_features, n_children)) * (
        rng.random((n_features, n_children)) < density
    )
    # Margins of about 1, whatever the density: where the hinges bend.
    dense *= 1.5 / np.sqrt(max(1.0, 0.3 * density * n_features))
    dense[:, rng.random(n_children) < 0.05] = 0
    dense[rng.random(n_features) < 0.1] = 0
    if bias > 0:
        offsets = rng.normal(size=(1, n_children)) * (rng.random((1, n_children)) < 0.8)
        dense = np.vstack([dense, offsets / bias])
    if duplicates:
        dense = dense[:, rng.integers(n_children, size=n_children)]
    return scipy.sparse.csc_matrix(dense.astype(np.float32))


def _questions(rng: np.random.Generator, n_features: int) -> Any:
    """Return rows, some empty, some full."""
    n_rows = int(rng.integers(1, 30))
    density = rng.choice([0.0, 0.1, 0.3, 1.0], size=(n_rows, 1))
    mask = rng.random((n_rows, n_features)) < density
    return scipy.sparse.csr_matrix((rng.normal(size=mask.shape) * mask).astype(np.float32))


# ---- folders --------------------------------------------------------------------


def save_model(folder: Path, case: Case, *, only_topk: int = 10) -> None:
    """Write the folder that ``XLinearModel.save`` would write."""
    ranker = folder / "ranker"
    _write_json(
        folder / "param.json",
        {"__meta__": {"class_fullname": "pecos.xmc.xlinear.model###XLinearModel"}},
    )
    above = 1
    for number, layer in enumerate(case.layers):
        place = ranker / f"{number}.model"
        n_children = len(layer.parents)
        codes = scipy.sparse.csc_matrix(
            (np.ones(n_children, np.float32), (np.arange(n_children), layer.parents)),
            shape=(n_children, above),
        )
        sizes = {
            "nr_labels": n_children,
            "nr_features": layer.weights.shape[0] - (layer.bias > 0),
            "nr_codes": above,
        }
        prediction = {"only_topk": only_topk, "post_processor": case.post_processor}
        _write_json(
            place / "param.json",
            {
                "__meta__": {"class_fullname": "pecos.xmc.base###MLModel"},
                "model": "MLModel",
                **sizes,
                "bias": layer.bias,
                "pred_kwargs": {
                    "__meta__": {"class_fullname": "pecos.xmc.base###MLModel.PredParams"},
                    **prediction,
                },
            },
        )
        scipy.sparse.save_npz(place / "W.npz", layer.weights, compressed=False)
        scipy.sparse.save_npz(place / "C.npz", codes, compressed=False)
        above = n_children
    _write_json(
        ranker / "param.json",
        {
            "__meta__": {"class_fullname": "pecos.xmc.base###HierarchicalMLModel"},
            "model": "HierarchicalMLModel",
            "depth": len(case.layers),
            **sizes,
        },
    )


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
