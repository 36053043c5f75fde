"""ONNX's external data: which file, and which bytes of it, hold each large initializer."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx
import onnx_ir as ir

from ossc.compiler.checkpoint.views import SlicedTensor, iterate_rows

LargeTensor = ir.ExternalTensor | SlicedTensor
"""A tensor whose values are not in memory."""


def to_proto(model: ir.Model, locate: Callable[[LargeTensor], tuple[str, int]]) -> onnx.ModelProto:
    """Serialize a model; its large tensors become references.

    Args:
        model: It stays as it is.
        locate: Returns the location of a tensor's file, as ONNX wants it, and the offset in it.
    """
    copy = model.clone()
    for value in copy.graph.initializers.values():
        tensor = value.const_value
        if isinstance(tensor, LargeTensor):
            location, offset = locate(tensor)
            value.const_value = ir.ExternalTensor(
                location,
                offset,
                tensor.nbytes,
                tensor.dtype,
                shape=ir.Shape(tensor.shape),
                name=value.name or "",
            )
    return ir.to_proto(copy)


def file_of(tensor: ir.ExternalTensor) -> Path:
    """Return the file that holds a tensor; links, as in the Hugging Face cache, are followed."""
    return Path(tensor.path).resolve()


def append_tensor(file: BinaryIO, tensor: SlicedTensor) -> int:
    """Compute a tensor and append its bytes to a file, a slice at a time.

    Returns:
        The offset at which they begin.
    """
    offset = file.tell()
    for rows in iterate_rows(tensor):
        file.write(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)
    return offset
