"""Clustering and ranking: the training kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espalier.native.border import F32, U8, U32, U64, check, ffi, lib, take_buffer, view_of
from espalier.native.features import Csr, csr_view


@dataclass(frozen=True, slots=True)
class RankTask:
    """The rows one node is trained on, and which belong to which child.

    Attributes:
        rows: Row numbers of ``x``, distinct, ascending.
        n_children: Number of classifiers.
        positive_ptr: ``(n_children + 1,)``, into ``positive``.
        positive: Places in ``rows``, ascending per child.
        cost: Factor on the cost of each place in ``rows``, or None for 1.
        user: User of each row of ``x``, or None to keep every weight.
        is_context: Per feature, 1 where the support rule holds.
    """

    rows: U32
    n_children: int
    positive_ptr: U32
    positive: U32
    cost: F32 | None = None
    user: U32 | None = None
    is_context: U8 | None = None


@dataclass(frozen=True, slots=True)
class RankOptions:
    """How one-vs-rest classifiers are trained; ``esp_rank_options`` field by field."""

    max_iterations: int = 100
    cp: float = 1.0
    cn: float = 1.0
    epsilon: float = 0.1
    bias: float = 1.0
    threshold: float = 0.1
    max_nonzeros: int = 0
    min_support: int = 1
    weight_bits: int = 16
    seed: int = 0


class Trainer:
    """Buffers of one thread for clustering and ranking. Not shared between threads."""

    def __init__(self, n_features: int) -> None:
        """Prepare for matrices of ``n_features`` columns."""
        error = ffi.new("esp_error *")
        trainer = ffi.new("esp_trainer **")
        check(lib.esp_trainer_new(n_features, trainer, error), error)
        self._trainer = ffi.gc(trainer[0], lib.esp_trainer_free)

    def split(
        self,
        points: Csr,
        members: U32,
        weights: U32 | None,
        *,
        parts: int,
        iterations: int,
        seed: int,
    ) -> U32:
        """Permute ``members`` into ``parts`` balanced groups.

        Returns:
            Bounds of the groups in ``members``, ``(parts + 1,)``.
        """
        view, _keep = csr_view(points)
        options = ffi.new("esp_split_options *")
        options.struct_size = ffi.sizeof("esp_split_options")
        options.parts = parts
        options.iterations = iterations
        options.seed = seed
        bounds = np.zeros(parts + 1, np.uint32)
        if weights is not None:
            weights = np.ascontiguousarray(weights, np.uint32)
        error = ffi.new("esp_error *")
        status = lib.esp_cluster_split(
            self._trainer,
            view,
            view_of("uint32_t", members),
            ffi.NULL if weights is None else view_of("uint32_t", weights),
            len(members),
            options,
            view_of("uint32_t", bounds),
            error,
        )
        check(status, error)
        return bounds

    def rank(self, x: Csr, task: RankTask, options: RankOptions) -> bytes:
        """Train the children of one node and return their encoded chunks."""
        view, _keep_x = csr_view(x)
        c_options = ffi.new("esp_rank_options *")
        c_options.struct_size = ffi.sizeof("esp_rank_options")
        c_options.max_iterations = options.max_iterations
        c_options.cp = options.cp
        c_options.cn = options.cn
        c_options.epsilon = options.epsilon
        c_options.bias = options.bias
        c_options.threshold = options.threshold
        c_options.max_nonzeros = options.max_nonzeros
        c_options.min_support = options.min_support
        c_options.weight_bits = options.weight_bits
        c_options.seed = options.seed
        arrays: dict[str, tuple[str, NDArray[Any] | None]] = {
            "rows": ("uint32_t", np.ascontiguousarray(task.rows, np.uint32)),
            "positive_ptr": ("uint32_t", np.ascontiguousarray(task.positive_ptr, np.uint32)),
            "positive": ("uint32_t", np.ascontiguousarray(task.positive, np.uint32)),
            "cost": ("float", _optional(task.cost, np.float32)),
            "user": ("uint32_t", _optional(task.user, np.uint32)),
            "is_context": ("uint8_t", _optional(task.is_context, np.uint8)),
        }
        c_task = ffi.new("esp_rank_task *")
        views = {
            name: ffi.NULL if array is None else view_of(kind, array)
            for name, (kind, array) in arrays.items()
        }
        for name, pointer in views.items():
            setattr(c_task, name, pointer)
        c_task.n_rows = len(task.rows)
        c_task.n_children = task.n_children
        chunk = ffi.new("uint8_t **")
        length = ffi.new("size_t *")
        error = ffi.new("esp_error *")
        status = lib.esp_rank_node(self._trainer, view, c_task, c_options, chunk, length, error)
        check(status, error)
        return take_buffer(chunk, length)


def _optional(array: NDArray[Any] | None, kind: type[np.generic]) -> NDArray[Any] | None:
    return None if array is None else np.ascontiguousarray(array, kind)


def chunk_encode(
    n_children: int,
    n_features: int,
    col_ptr: U64,
    row: U32,
    val: F32,
    bias: F32,
    *,
    weight_bits: int,
) -> bytes:
    """Encode given weights as the chunks of one node.

    Raises:
        InputError: Rows are not ascending, or a number is not finite.
    """
    chunk = ffi.new("uint8_t **")
    length = ffi.new("size_t *")
    error = ffi.new("esp_error *")
    status = lib.esp_chunk_encode(
        n_children,
        n_features,
        view_of("uint64_t", np.ascontiguousarray(col_ptr, np.uint64)),
        view_of("uint32_t", np.ascontiguousarray(row, np.uint32)),
        view_of("float", np.ascontiguousarray(val, np.float32)),
        view_of("float", np.ascontiguousarray(bias, np.float32)),
        weight_bits,
        chunk,
        length,
        error,
    )
    check(status, error)
    return take_buffer(chunk, length)
