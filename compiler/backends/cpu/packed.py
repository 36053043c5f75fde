"""Large matrices as the kernels read them, packed a few rows at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from ossc.compiler.backends.cpu import packing
from ossc.compiler.backends.cpu.weights.format import ROWS
from ossc.compiler.checkpoint.views import read_rows
from ossc.compiler.lowering.weights import Bytes, PackedWeight
from ossc.compiler.quantization.scheme import QuantizationScheme

Tensors = Sequence[ir.TensorProtocol]

PIECE_ELEMENTS = 1 << 22
"""Weights packed at once: 16 MiB as float32 on the way."""

SLICE_ROWS = 2 * ROWS
"""Rows are packed by multiples of it: a group of gates and the group of ups that meet them."""


@dataclass(frozen=True, kw_only=True)
class PackedMatrix(PackedWeight):
    """A packed weight that remembers what it was."""

    shape: tuple[int, ...]
    """Of the weight, ``[N, K]`` or ``[E, N, K]``."""


def weight_shape(scheme: QuantizationScheme, parts: Tensors) -> tuple[int, ...]:
    """Return the shape of the weight that the parts hold."""
    return scheme.weight_shape(tuple(tuple(part.shape.numpy()) for part in parts))


def matrix_weight(scheme: QuantizationScheme, parts: Tensors) -> PackedMatrix:
    """Describe a matrix ``[N, K]`` for ``linear``."""
    rows, columns = weight_shape(scheme, parts)
    return PackedMatrix(
        name=weight_name(parts),
        shape=(rows, columns),
        scheme=scheme.name,
        size_bytes=packing.packed_bytes(scheme.name, rows, columns),
        pieces=lambda: _by_rows(parts, columns, lambda p: packing.pack_rows(scheme.name, p)),
    )


def glu_weight(scheme: QuantizationScheme, parts: Tensors) -> PackedMatrix:
    """Describe gates and ups ``[2·I, K]``, which alternate, for ``linear_glu``."""
    rows, columns = weight_shape(scheme, parts)
    return PackedMatrix(
        name=weight_name(parts),
        shape=(rows, columns),
        scheme=scheme.name,
        size_bytes=packing.glu_bytes(scheme.name, rows // 2, columns),
        pieces=lambda: _by_rows(parts, columns, lambda p: packing.pack_glu(scheme.name, p)),
    )


def embedding_weight(scheme: QuantizationScheme, parts: Tensors) -> PackedMatrix:
    """Describe a table ``[N, K]`` for ``embedding``."""
    rows, columns = weight_shape(scheme, parts)
    return PackedMatrix(
        name=f"{weight_name(parts)}.rows",
        shape=(rows, columns),
        scheme=scheme.name,
        size_bytes=packing.embedding_bytes(scheme.name, rows, columns),
        pieces=lambda: _by_rows(
            parts, columns, lambda p: packing.pack_embedding_rows(scheme.name, p)
        ),
    )


def _by_rows(
    parts: Tensors, columns: int, pack: Callable[[list[NDArray[Any]]], Bytes]
) -> Iterator[Bytes]:
    rows = parts[0].shape.numpy()[0]
    step = max(SLICE_ROWS, PIECE_ELEMENTS // columns // SLICE_ROWS * SLICE_ROWS)
    for begin in range(0, rows, step):
        end = min(rows, begin + step)
        yield pack([read_rows(part, begin, end) for part in parts])


def weight_name(parts: Tensors) -> str:
    """Return what the parts' names begin with: the name of the weight."""
    names = [str(part.name) for part in parts]
    return names[0] if len(names) == 1 else _common_prefix(names).rstrip("._")


def _common_prefix(names: list[str]) -> str:
    first, last = min(names), max(names)
    length = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b),
        min(len(first), len(last)),
    )
    return first[:length]
