"""Large weights as the kernels read them, packed a few rows or one expert at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.backends.cpu import packing
from ossc.compiler.backends.cpu.weights.format import ROWS
from ossc.compiler.checkpoint.views import read_rows
from ossc.compiler.lowering.weight_rows import Tensors, pack_by_rows, weight_name, weight_shape
from ossc.compiler.lowering.weights import Bytes, PackedWeight, as_bytes
from ossc.compiler.quantization.scheme import QuantizationScheme
from ossc.runtimes.plan import Role

SLICE_ROWS = 2 * ROWS
"""Rows are packed by multiples of it: a group of gates and the group of ups that meet them."""


@dataclass(frozen=True, kw_only=True)
class PackedMatrix(PackedWeight):
    """A packed weight that remembers what it was."""

    shape: tuple[int, ...]
    """Of the weight, ``[N, K]`` or ``[E, N, K]``."""


@dataclass(frozen=True, kw_only=True)
class PackedExperts(PackedMatrix):
    """The experts' matrices, and where in their bytes each expert begins."""

    table: PackedWeight
    """int64 ``[E]``: bytes from the weight's own begin."""


def matrix_weight(scheme: QuantizationScheme, parts: Tensors) -> PackedMatrix:
    """Describe a matrix ``[N, K]`` for ``linear``."""
    rows, columns = weight_shape(scheme, parts)
    return PackedMatrix(
        name=weight_name(parts),
        shape=(rows, columns),
        scheme=scheme.name,
        size_bytes=packing.packed_bytes(scheme.name, rows, columns),
        pieces=lambda: pack_by_rows(
            parts, columns, SLICE_ROWS, lambda p: packing.pack_rows(scheme.name, p)
        ),
    )


def glu_weight(scheme: QuantizationScheme, parts: Tensors) -> PackedMatrix:
    """Describe gates and ups ``[2·I, K]``, which alternate, for ``linear_glu``."""
    rows, columns = weight_shape(scheme, parts)
    return PackedMatrix(
        name=weight_name(parts),
        shape=(rows, columns),
        scheme=scheme.name,
        size_bytes=packing.glu_bytes(scheme.name, rows // 2, columns),
        pieces=lambda: pack_by_rows(
            parts, columns, SLICE_ROWS, lambda p: packing.pack_glu(scheme.name, p)
        ),
    )


def embedding_weight(scheme: QuantizationScheme, parts: Tensors) -> PackedMatrix:
    """Describe a table ``[N, K]`` for ``embedding``."""
    rows, columns = weight_shape(scheme, parts)
    return PackedMatrix(
        name=f"{weight_name(parts)}.rows",
        shape=(rows, columns),
        scheme=scheme.name,
        size_bytes=packing.embedding_bytes(scheme.name, rows, columns),
        pieces=lambda: pack_by_rows(
            parts, columns, SLICE_ROWS, lambda p: packing.pack_embedding_rows(scheme.name, p)
        ),
    )


def expert_weight(scheme: QuantizationScheme, parts: Tensors) -> PackedExperts:
    """Describe the experts' matrices ``[E, N, K]`` for ``expert_linear``."""
    experts, rows, columns = weight_shape(scheme, parts)
    size = packing.packed_bytes(scheme.name, rows, columns)
    return _experts(
        scheme, parts, (experts, rows, columns), size, lambda p: packing.pack_rows(scheme.name, p)
    )


def expert_glu_weight(scheme: QuantizationScheme, parts: Tensors) -> PackedExperts:
    """Describe the experts' gates and ups ``[E, 2·I, K]`` for ``expert_glu``."""
    experts, rows, columns = weight_shape(scheme, parts)
    size = packing.glu_bytes(scheme.name, rows // 2, columns)
    return _experts(
        scheme, parts, (experts, rows, columns), size, lambda p: packing.pack_glu(scheme.name, p)
    )


def _experts(
    scheme: QuantizationScheme,
    parts: Tensors,
    shape: tuple[int, int, int],
    size_bytes: int,
    pack: Callable[[list[NDArray[Any]]], Bytes],
) -> PackedExperts:
    stride = packing.expert_stride(size_bytes)

    def pieces() -> Iterator[Bytes]:
        for expert in range(shape[0]):
            packed = pack([read_rows(part, expert, expert + 1)[0] for part in parts])
            yield np.pad(packed, (0, stride - size_bytes))

    name = weight_name(parts)
    return PackedExperts(
        name=name,
        shape=shape,
        scheme=scheme.name,
        size_bytes=shape[0] * stride,
        pieces=pieces,
        table=_table(f"{name}.table", [expert * stride for expert in range(shape[0])]),
    )


def _table(name: str, offsets: list[int]) -> PackedWeight:
    values = np.array(offsets, "<i8")
    return PackedWeight(
        name=name,
        size_bytes=values.nbytes,
        scheme="int64",
        pieces=lambda: iter([as_bytes(values)]),
        role=Role.EXPERT_OFFSETS,
    )
