"""Initializers that are read, or computed, a slice at a time.

No part of the compiler holds a whole large tensor: the packer asks :func:`read_rows` for a few rows
and gets a view into the checkpoint's file, or freshly computed values.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

SLICE_BYTES = 16 << 20
"""How much of a tensor is held when all of it is streamed."""


class SlicedTensor(ir.LazyTensor):
    """A tensor whose values are produced slice by slice along axis 0.

    As any ``onnx_ir`` tensor it also has ``numpy()``, the whole of it: for tests and tiny models.
    """

    def __init__(
        self,
        name: str,
        dtype: ir.DataType,
        shape: Sequence[int],
        read: Callable[[int, int], NDArray[Any]],
    ) -> None:
        """Describe the tensor; nothing is computed.

        Args:
            name: Name of the initializer.
            dtype: Element type.
            shape: Whole shape; axis 0 is the sliced one.
            read: ``read(begin, end)`` returns rows ``begin <= row < end``, of shape
                ``[end - begin, *shape[1:]]``.
        """
        super().__init__(
            lambda: ir.Tensor(np.ascontiguousarray(read(0, shape[0])), dtype),
            dtype,
            ir.Shape(shape),
            name=name,
        )
        self.read = read


def read_rows(tensor: ir.TensorProtocol, begin: int, end: int) -> NDArray[Any]:
    """Return rows ``begin <= row < end`` of an initializer along axis 0, reading nothing else.

    Rows of an external tensor are a read-only view into its file.

    Returns:
        ``[end - begin, *tensor.shape[1:]]``; bfloat16 as ``ml_dtypes.bfloat16``.
    """
    if isinstance(tensor, SlicedTensor):
        return tensor.read(begin, end)
    if isinstance(tensor, ir.ExternalTensor):
        return _map_rows(tensor, begin, end)
    return tensor.numpy()[begin:end]


def _map_rows(tensor: ir.ExternalTensor, begin: int, end: int) -> NDArray[Any]:
    shape = tensor.shape.numpy()
    dtype = tensor.dtype.numpy().newbyteorder("<")
    rows = (end - begin, *shape[1:])
    if math.prod(rows) == 0:
        return np.empty(rows, dtype)
    row_bytes = math.prod(shape[1:]) * dtype.itemsize
    offset = (tensor.offset or 0) + begin * row_bytes
    mapped = np.memmap(Path(tensor.path), dtype, mode="r", offset=offset, shape=rows)
    return mapped.view(np.ndarray)


def iterate_rows(tensor: ir.TensorProtocol) -> Iterator[NDArray[Any]]:
    """Yield all rows in order, a few at a time: at most :data:`SLICE_BYTES`, but at least one."""
    n_rows = tensor.shape.numpy()[0]
    rows_a_slice = max(1, SLICE_BYTES * n_rows // max(1, tensor.nbytes))
    for begin in range(0, n_rows, rows_a_slice):
        yield read_rows(tensor, begin, min(begin + rows_a_slice, n_rows))


def concatenate_rows(name: str, tensors: Sequence[ir.TensorProtocol]) -> SlicedTensor:
    """Put tensors of equal row shape one below the other, without reading them.

    Args:
        name: Name of the result.
        tensors: ``[rows_i, *row_shape]`` each.

    Returns:
        ``[sum of rows_i, *row_shape]`` of their dtype; of different float types, float32.
    """
    dtypes = {tensor.dtype for tensor in tensors}
    dtype = dtypes.pop() if len(dtypes) == 1 else ir.DataType.FLOAT
    starts = np.cumsum([0, *(tensor.shape.numpy()[0] for tensor in tensors)]).tolist()

    def read(begin: int, end: int) -> NDArray[Any]:
        pieces = [
            read_rows(tensor, max(begin - start, 0), min(end, stop) - start).astype(
                dtype.numpy(), copy=False
            )
            for tensor, start, stop in zip(tensors, starts, starts[1:], strict=False)
            if begin < stop and start < end
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces or [empty])

    row_shape = tensors[0].shape.numpy()[1:]
    empty = np.empty((0, *row_shape), dtype.numpy())
    return SlicedTensor(name, dtype, (starts[-1], *row_shape), read)


def transpose_matrices(name: str, tensor: ir.TensorProtocol) -> SlicedTensor:
    """Swap the last two axes, without reading them.

    Args:
        name: Name of the result.
        tensor: ``[n, rows, columns]``.

    Returns:
        ``[n, columns, rows]``.
    """
    n, rows, columns = tensor.shape.numpy()

    def read(begin: int, end: int) -> NDArray[Any]:
        return read_rows(tensor, begin, end).swapaxes(1, 2)

    return SlicedTensor(name, tensor.dtype, (n, columns, rows), read)


def derive_tensors(
    layouts: Sequence[tuple[str, ir.DataType, Sequence[int]]],
    compute: Callable[[int, int], tuple[NDArray[Any], ...]],
) -> tuple[SlicedTensor, ...]:
    """Make several tensors out of one computation, such as the codes and scales of one weight.

    The last slice is kept, so reading the same rows of each tensor in turn computes them once.

    Args:
        layouts: Name, dtype and shape of each tensor; axis 0 has one length in all of them.
        compute: ``compute(begin, end)`` returns these rows of every tensor.
    """
    last_slice = lru_cache(maxsize=1)(compute)

    def reader(index: int) -> Callable[[int, int], NDArray[Any]]:
        return lambda begin, end: last_slice(begin, end)[index]

    return tuple(
        SlicedTensor(name, dtype, shape, reader(index))
        for index, (name, dtype, shape) in enumerate(layouts)
    )
