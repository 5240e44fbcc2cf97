"""Encoded weights come back as they were, whatever their shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from espalier.native import Csr, NativeIndex
from tests.property.indexes import random_weights
from tests.reference import build, invariants
from tests.reference import format as reference

F32 = NDArray[np.float32]


def _model(weights: F32, bias: F32, weight_bits: int) -> bytes:
    """Return a file with one node, no texts and no feature space."""
    n_features, n_labels = weights.shape
    made = build.sections(
        [build.Label(b"%06d" % i) for i in range(n_labels)],
        tree=build.flatten(list(range(n_labels))),
        weigh=lambda _, n: (np.zeros((0, n), np.float32), bias),
        params=build.Params(post_processor=0),
    )
    kept = {name: made[name] for name in ("META", "PARM", "TREE", "LPOS", "POSL")}
    kept["WGHT"] = build.encode(weights, bias, weight_bits=weight_bits)
    return build.assemble(build.with_params(kept, n_features=n_features))


def _margins(native: NativeIndex, dense: F32) -> NDArray[np.float64]:
    columns = np.nonzero(dense)[0].astype(np.uint32)
    x = Csr(np.array([0, len(columns)], np.uint64), columns, dense[columns], len(dense))
    n = native.info.labels
    labels, scores, _ = native.predict_top(x, beam=1, k=n)
    margins = np.empty(n)
    margins[labels[0]] = scores[0]
    return margins


def _check(weights: F32, bias: F32, weight_bits: int, seed: int) -> reference.Index:
    data = _model(weights, bias, weight_bits)
    native, twin = NativeIndex.from_bytes(data), reference.parse(data)
    invariants.verify(twin)
    native.validate()
    decoded = np.concatenate([chunk.weights for chunk in twin.chunks(0)], axis=1)
    step = max(
        (float(chunk.head["scale"]) for chunk in twin.chunks(0) if not chunk.head["flags"] & 1),
        default=0.0,
    )
    rng = np.random.default_rng(seed)
    dense = np.zeros(len(weights), np.float32)
    some = rng.integers(0, len(weights), 20)
    dense[some] = rng.normal(size=20)

    assert np.abs(decoded - weights).max(initial=0) <= step * 0.501
    np.testing.assert_allclose(
        bias + dense.astype(np.float64) @ decoded, _margins(native, dense), rtol=1e-5, atol=1e-5
    )
    return twin


@given(
    st.sampled_from([1, 2, 3, 16, 17, 255, 300]),
    st.sampled_from([1, 2, 255, 256, 257, 300, 513]),
    st.sampled_from([16, 32]),
    st.integers(0, 2**32),
)
def test_weights_come_back(n_features: int, n_children: int, bits: int, seed: int) -> None:
    """32 bits exactly, 16 bits within half a step of the chunk; several chunks a node."""
    weights, bias = random_weights(n_features, n_children, np.random.default_rng(seed))
    twin = _check(weights, bias, bits, seed)
    invariants.validate(twin)


@given(st.integers(65_530, 140_000), st.integers(0, 2**32))
def test_feature_numbers_above_sixteen_bits_are_named_exactly(n_features: int, seed: int) -> None:
    """A directory and a 16-bit key tell all features of a large space apart."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((n_features, 3), np.float32)
    some = rng.integers(0, n_features, 200)
    weights[some, rng.integers(0, 3, 200)] = rng.normal(size=200)
    _check(weights, np.zeros(3, np.float32), 32, seed)


@pytest.mark.parametrize("bits", [16, 32])
def test_a_chunk_of_more_than_sixteen_bit_entries_is_wide(bits: int) -> None:
    """Above 65,535 entries indexes take four bytes each."""
    rng = np.random.default_rng(5)
    weights = rng.uniform(1, 2, (300, 256)).astype(np.float32)
    twin = _check(weights, np.zeros(256, np.float32), bits, 5)

    assert twin.chunks(0)[0].head["nnz"] == 76_800
    assert twin.chunks(0)[0].head["flags"] & reference.WIDE_FLAG


@pytest.mark.parametrize("largest", [1e-45, 1e-42, 3e-39, 1e-38, 1e-36, 1e38])
def test_tiny_and_huge_weights_keep_their_sign(largest: float) -> None:
    """Quantising never turns a weight round, not even where the scale is denormal."""
    weights = np.array([[largest, -largest], [largest / 2, 0]], np.float32)
    data = _model(weights, np.zeros(2, np.float32), 16)
    decoded = reference.parse(data).chunks(0)[0].weights

    assert np.abs(decoded - weights).max() <= max(largest / 60_000, 1.2e-38)
    assert (decoded * weights.astype(np.float64) >= 0).all()
