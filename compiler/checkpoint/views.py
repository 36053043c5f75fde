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

from ossc.targets.errors import CheckpointError

SLICE_BYTES = 16 << 20
"""How much of a tensor is held when all of it is streamed."""


class FileTensor(ir.ExternalTensor):
    """A tensor of a checkpoint, which stays in its file.

    ``onnx_ir`` reads no file that a link leads to out of the folder, as in the cache of the Hugging
    Face hub, and none with a second hard link, as after ``ossc export``; this one reads them all.
    """

    def numpy(self) -> NDArray[Any]:
        """Return all values, a read-only view into the file.

        Raises:
            CheckpointError: The file cannot be read, or is shorter than it was.
        """
        return _map_values(self, self.offset or 0, tuple(self.shape.numpy()))

    def __array__(self, dtype: Any = None) -> NDArray[Any]:
        return self.numpy().__array__(dtype)

    def tobytes(self) -> bytes:
        """Return the bytes as they are in the file."""
        return self.numpy().tobytes()


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

    Rows of an external tensor are a read-only view into its file, or a read-only copy where they
    lie at odd bytes.

    Returns:
        ``[end - begin, *tensor.shape[1:]]``; bfloat16 as ``ml_dtypes.bfloat16``.

    Raises:
        CheckpointError: The file cannot be read, or is shorter than it was.
    """
    if isinstance(tensor, SlicedTensor):
        return tensor.read(begin, end)
    if isinstance(tensor, ir.ExternalTensor):
        return _map_rows(tensor, begin, end)
    return tensor.numpy()[begin:end]


def _map_rows(tensor: ir.ExternalTensor, begin: int, end: int) -> NDArray[Any]:
    row_shape = tuple(tensor.shape.numpy()[1:])
    row_bytes = math.prod(row_shape) * tensor.dtype.numpy().itemsize
    return _map_values(tensor, (tensor.offset or 0) + begin * row_bytes, (end - begin, *row_shape))


def _map_values(
    tensor: ir.ExternalTensor, offset_bytes: int, shape: tuple[int, ...]
) -> NDArray[Any]:
    """Return values that begin at a byte of the tensor's file.

    They are a view where that byte suits their type; elsewhere a copy, since not every processor
    and not all of NumPy takes numbers at odd bytes.
    """
    dtype = tensor.dtype.numpy().newbyteorder("<")
    if math.prod(shape) == 0:
        return np.empty(shape, dtype)
    try:
        mapped = np.memmap(Path(tensor.path), dtype, mode="r", offset=offset_bytes, shape=shape)
    except (OSError, ValueError) as reason:
        raise CheckpointError(
            f"{tensor.path}: tensor {tensor.name!r} can no longer be read; the file has changed "
            "since it was opened, so start again when it is whole."
        ) from reason
    values = mapped.view(np.ndarray)
    if values.flags.aligned:
        return values
    copied = values.copy()
    copied.flags.writeable = False
    return copied


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


def interleave_rows(
    name: str, first: ir.TensorProtocol, second: ir.TensorProtocol, axis: int
) -> SlicedTensor:
    """Put rows of two tensors of one shape in turn, without reading them.

    Args:
        name: Name of the result.
        first: ``[rows, *row_shape]``, or ``[n, rows, *row_shape]`` if the axis is 1.
        second: The same.
        axis: Of the rows, 0 or 1.

    Returns:
        The same with ``2 · rows``, of their dtype; of different float types, float32.
    """
    dtype = first.dtype if first.dtype == second.dtype else ir.DataType.FLOAT
    shape = list(first.shape.numpy())
    row_shape = shape[axis + 1 :]
    shape[axis] *= 2

    def both(begin: int, end: int) -> NDArray[Any]:
        rows = [
            read_rows(each, begin, end).astype(dtype.numpy(), copy=False)
            for each in (first, second)
        ]
        return np.stack(rows, axis=axis + 1)

    def read(begin: int, end: int) -> NDArray[Any]:
        if axis == 1:
            return both(begin, end).reshape(end - begin, shape[1], *row_shape)
        whole = both(begin // 2, -(-end // 2)).reshape(-1, *row_shape)
        return whole[begin % 2 :][: end - begin]

    return SlicedTensor(name, dtype, shape, read)


def stack_tensors(name: str, tensors: Sequence[ir.TensorProtocol]) -> SlicedTensor:
    """Make tensors of one shape the rows of one, without reading them.

    Args:
        name: Name of the result.
        tensors: ``[*shape]`` each, of one dtype.

    Returns:
        ``[n, *shape]``.
    """
    shape = tuple(tensors[0].shape.numpy())

    def read(begin: int, end: int) -> NDArray[Any]:
        rows = [read_rows(tensor, 0, shape[0])[None] for tensor in tensors[begin:end]]
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    return SlicedTensor(name, tensors[0].dtype, (len(tensors), *shape), read)


def take_rows(name: str, tensor: ir.TensorProtocol, rows: Sequence[int]) -> SlicedTensor:
    """Choose rows of a tensor along axis 0, without reading them.

    Args:
        name: Name of the result.
        tensor: ``[n, *row_shape]``.
        rows: Numbers of the rows, in the order of the result; at least one.

    Returns:
        ``[len(rows), *row_shape]``.
    """

    def read(begin: int, end: int) -> NDArray[Any]:
        taken = [read_rows(tensor, row, row + 1) for row in rows[begin:end]]
        return taken[0] if len(taken) == 1 else np.concatenate(taken)

    return SlicedTensor(name, tensor.dtype, (len(rows), *tensor.shape.numpy()[1:]), read)


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
