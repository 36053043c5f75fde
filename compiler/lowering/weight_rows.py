"""Reading a weight's parts a few rows at a time, for packing."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from ossc.compiler.checkpoint.views import read_rows
from ossc.compiler.lowering.weights import Bytes
from ossc.compiler.quantization.scheme import QuantizationScheme

Tensors = Sequence[ir.TensorProtocol]
"""The parts of a weight."""

PIECE_ELEMENTS = 1 << 22
"""Weights packed at once: 16 MiB as float32 on the way."""


def weight_shape(scheme: QuantizationScheme, parts: Tensors) -> tuple[int, ...]:
    """Return the shape of the weight that the parts hold."""
    return scheme.weight_shape(tuple(tuple(part.shape.numpy()) for part in parts))


def pack_by_rows(
    parts: Tensors,
    columns: int,
    slice_rows: int,
    pack: Callable[[list[NDArray[Any]]], Bytes],
) -> Iterator[Bytes]:
    """Pack a matrix in slices.

    Args:
        parts: Of the matrix ``[N, columns]``.
        columns: Of the matrix.
        slice_rows: Slices but the last have a multiple of so many rows.
        pack: Makes bytes of the rows of a slice.
    """
    rows = parts[0].shape.numpy()[0]
    step = max(slice_rows, PIECE_ELEMENTS // columns // slice_rows * slice_rows)
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
