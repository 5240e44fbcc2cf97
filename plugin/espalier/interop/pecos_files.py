"""The folder of a PECOS model, as ``XLinearModel.save`` writes it, checked.

::

    MODEL_DIR/param.json                which class saved it
    MODEL_DIR/ranker/param.json         depth, sizes
    MODEL_DIR/ranker/0.model/           the top layer, then 1.model, 2.model ...
        param.json                      bias, only_topk, post_processor
        C.npz                           (children, parents): 1 where a child belongs
        W.npz                           (features + 1, children): weights, bias last

PECOS: H.-F. Yu, K. Zhong, J. Zhang, W.-C. Chang, I. S. Dhillon, *PECOS: Prediction for
Enormous and Correlated Output Spaces*, JMLR 2022. Everything read is checked before it
is used, and nothing is ever unpickled.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from espalier.errors import MatrixError, ModelError
from espalier.matrices import read_matrix
from espalier.train.write import POST_PROCESSORS

I64 = NDArray[np.int64]

_NEEDED: Final = "name a folder written by XLinearModel.save"
_AGAIN: Final = "copy the folder again, or save the model again with XLinearModel.save"
# Beyond float32 a bias is no number; beyond a million labels a beam is no beam.
_MAX_BIAS: Final = 3.4e38
_MAX_TOPK: Final = 1 << 20
_MAX_FEATURES: Final = 1 << 28


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What the parameters of one layer say.

    Attributes:
        folder: Where it lies.
        bias: Value of the constant last feature; 0 where there is none.
        post_processor: How margins become scores.
        only_topk: Children kept after this layer.
        stated: Everything the file says.
    """

    folder: Path
    bias: float
    post_processor: str
    only_topk: int
    stated: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Chain:
    """The clusters of every layer.

    Attributes:
        parents: Per layer the parent of each child, ``(children,)``, top layer first.
    """

    parents: list[I64]

    @property
    def n_labels(self) -> int:
        """Children of the last layer."""
        return len(self.parents[-1])


def read_facts(folder: Path) -> list[LayerFacts]:
    """Return what the parameter files say, top layer first.

    Raises:
        ModelError: The folder holds no model that can be imported.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder; {_NEEDED}")
    saved_by = _params(folder / "param.json")
    if saved_by.get("model") == "HierarchicalMLModel":
        raise ModelError(f"{folder}: the ranker of a model; name the folder above it")
    meta = saved_by.get("__meta__")
    name = str(meta.get("class_fullname")) if isinstance(meta, dict) else "unknown"
    if not name.endswith("XLinearModel"):
        raise ModelError(
            f"{folder / 'param.json'}: a model of class {name.split('#')[-1]}, not XLinearModel; "
            "import its linear ranker"
        )
    ranker = folder / "ranker"
    about = _params(ranker / "param.json")
    _check_class(ranker, about, "HierarchicalMLModel")
    _check_not_mapped(ranker, about)
    depth = _whole(ranker, about, "depth")
    if (ranker / f"{depth}.model").exists():
        raise ModelError(
            f"{ranker / 'param.json'}: depth is {depth:,}, but there is a layer "
            f"{depth}.model too; {_AGAIN}"
        )
    return [_layer_facts(ranker / f"{number}.model", depth) for number in range(depth)]


def check_labels(folder: Path, n_labels: int) -> None:
    """Compare the labels found with the number the model states.

    Raises:
        ModelError: It states another number.
    """
    path = folder / "ranker" / "param.json"
    stated = _params(path).get("nr_labels", n_labels)
    if stated != n_labels:
        raise ModelError(
            f"{path}: nr_labels is {stated!r}, while the clusters hold {n_labels:,}; {_AGAIN}"
        )


def read_chain(facts: list[LayerFacts]) -> Chain:
    """Return the clusters of every layer.

    Raises:
        ModelError: A layer is missing, does not fit the one above, or is no partition.
    """
    parents: list[I64] = []
    above = 1
    for layer in facts:
        found = _parents(layer.folder / "C.npz", above, first=not parents)
        parents.append(found)
        above = len(found)
    return Chain(parents)


def read_weights(layer: LayerFacts, n_children: int) -> Any:
    """Return the weights of a layer, ``(features, children)``, bias row included.

    Raises:
        ModelError: They are missing, damaged, not finite, or of another shape.
    """
    path = layer.folder / "W.npz"
    weights = _matrix(path)
    if weights.shape[1] != n_children:
        raise ModelError(
            f"{path}: weights of {weights.shape[1]:,} columns, while C.npz beside it has "
            f"{n_children:,} rows; {_AGAIN}"
        )
    features = weights.shape[0] - (layer.bias > 0)
    if features < 0:
        raise ModelError(f"{path}: no row for the bias of {layer.bias:g}; {_AGAIN}")
    if features > _MAX_FEATURES:
        raise ModelError(f"{path}: {features:,} features; an index holds at most {_MAX_FEATURES:,}")
    for key, value in (("nr_features", features), ("nr_labels", n_children)):
        if layer.stated.get(key, value) != value:
            raise ModelError(
                f"{layer.folder / 'param.json'}: {key} is {layer.stated[key]!r}, while W.npz "
                f"beside it has {value:,}; {_AGAIN}"
            )
    return weights


# ---- parameters -----------------------------------------------------------------


def _params(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"{path}: missing; {_NEEDED}") from None
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror or error}); check its permissions"
        ) from None
    except (ValueError, RecursionError):
        raise ModelError(f"{path}: not JSON; {_AGAIN}") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path}: not a JSON object; {_AGAIN}")
    return value


def _check_class(folder: Path, about: dict[str, Any], wanted: str) -> None:
    if about.get("model") != wanted:
        raise ModelError(
            f"{folder / 'param.json'}: describes {about.get('model')!r}, not {wanted}; {_NEEDED}"
        )


def _check_not_mapped(folder: Path, about: dict[str, Any]) -> None:
    if about.get("is_mmap") or any(folder.glob("*.mmap_store")):
        raise ModelError(
            f"{folder}: compiled for memory mapping; import the npz model it was compiled from, "
            "the folder that was given to compile_mmap_model first"
        )


def _whole(folder: Path, about: dict[str, Any], key: str) -> int:
    value = about.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelError(
            f"{folder / 'param.json'}: {key} is {value!r}, not a whole number above 0; {_AGAIN}"
        )
    return value


def _layer_facts(folder: Path, depth: int) -> LayerFacts:
    if not folder.is_dir():
        raise ModelError(f"{folder}: missing, while the model has {depth:,} layer(s); {_AGAIN}")
    about = _params(folder / "param.json")
    _check_class(folder, about, "MLModel")
    _check_not_mapped(folder, about)
    bias = about.get("bias")
    # A JSON integer can be larger than any float.
    if isinstance(bias, bool) or not isinstance(bias, int | float) or not abs(bias) < _MAX_BIAS:
        raise ModelError(f"{folder / 'param.json'}: bias is {bias!r}, not a number; {_AGAIN}")
    prediction = about.get("pred_kwargs")
    if not isinstance(prediction, dict):
        raise ModelError(f"{folder / 'param.json'}: no pred_kwargs; {_AGAIN}")
    post_processor = prediction.get("post_processor")
    if not isinstance(post_processor, str) or post_processor not in POST_PROCESSORS:
        raise ModelError(
            f"{folder / 'param.json'}: unknown post_processor {post_processor!r}; "
            f"use one of {', '.join(POST_PROCESSORS)}"
        )
    return LayerFacts(
        folder=folder,
        bias=max(float(bias), 0.0),
        post_processor=post_processor,
        only_topk=min(_whole(folder, prediction, "only_topk"), _MAX_TOPK),
        stated=about,
    )


# ---- matrices -------------------------------------------------------------------


def _matrix(path: Path) -> Any:
    if not path.exists():
        raise ModelError(f"{path}: missing; {_AGAIN}")
    try:
        return read_matrix(path, "csc")
    except MatrixError as error:
        raise ModelError(str(error)) from None


def _parents(path: Path, n_parents: int, *, first: bool) -> I64:
    """Return the parent of each child, having checked that this is a partition."""
    codes = _matrix(path)
    if codes.shape[1] != n_parents:
        above = "the root, a single cluster" if first else f"a layer of {n_parents:,} clusters"
        raise ModelError(
            f"{path}: children of {codes.shape[1]:,} clusters below {above}; import a model "
            "trained in mode full-model"
        )
    if (codes.data == 0).any():
        raise ModelError(
            f"{path}: no partition: zeros are stored; call eliminate_zeros() and save again"
        )
    each = np.bincount(codes.indices, minlength=codes.shape[0])
    for wrong, what in ((each == 0, "no cluster"), (each > 1, "more than one cluster")):
        if wrong.any():
            raise ModelError(
                f"{path}: no partition: {int(wrong.sum()):,} child(ren), the first "
                f"{int(np.argmax(wrong)):,}, in {what}; save the model before labels are removed "
                "from it, or train it on a proper cluster chain"
            )
    sizes = np.diff(codes.indptr)
    if not sizes.all() or not len(each):
        raise ModelError(
            f"{path}: no partition: cluster {int(np.argmin(sizes)):,} has no child; leave empty "
            "clusters out of the chain and train again"
        )
    parents = np.empty(len(each), np.int64)
    parents[codes.indices] = np.repeat(np.arange(n_parents), sizes)
    return parents
