"""Large matrices as the kernels read them, packed a few rows at a time."""

from dataclasses import dataclass

from ossc.compiler.backends.cpu import packing
from ossc.compiler.backends.cpu.weights.format import ROWS
from ossc.compiler.lowering.weight_rows import Tensors, pack_by_rows, weight_name, weight_shape
from ossc.compiler.lowering.weights import PackedWeight
from ossc.compiler.quantization.scheme import QuantizationScheme

SLICE_ROWS = 2 * ROWS
"""Rows are packed by multiples of it: a group of gates and the group of ups that meet them."""


@dataclass(frozen=True, kw_only=True)
class PackedMatrix(PackedWeight):
    """A packed weight that remembers what it was."""

    shape: tuple[int, ...]
    """Of the weight, ``[N, K]`` or ``[E, N, K]``."""


def matrix_weight(scheme: QuantizationScheme, parts: Tensors) -> PackedMatrix:
    """Describe a matrix ``[N, K]`` for ``linear`` and ``embedding``."""
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
