"""What goes into ``weights.bin``: packed tensors that are produced piece by piece."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from ossc.runtimes.manifest import TensorScheme
from ossc.runtimes.plan import Role

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class PackedWeight:
    """A tensor in the form that the kernels read.

    Two weights of the same name are the same bytes: a segment names what it needs, and the bundle
    holds each name once.
    """

    name: str
    """The initializer's name; with a suffix where one initializer is packed in several ways."""

    size_bytes: int

    scheme: TensorScheme
    """The quantization scheme, those of experts that differ, or the element type of a tensor that
    is in none."""

    pieces: Callable[[], Iterator[Bytes]]
    """Yields the bytes in order, in pieces that fit in memory; together ``size_bytes``."""

    role: Role = Role.WEIGHTS
    """What its numbers mean."""


def float_weight(tensor: ir.TensorProtocol, name: str) -> PackedWeight:
    """Describe a small float tensor (a bias, a norm's weight) as float32."""

    def pieces() -> Iterator[Bytes]:
        yield as_bytes(tensor.numpy().astype(np.float32))

    return PackedWeight(name=name, size_bytes=tensor.size * 4, scheme="float32", pieces=pieces)


def raw_weight(tensor: ir.TensorProtocol, name: str) -> PackedWeight:
    """Describe a small tensor as it is."""
    return PackedWeight(
        name=name,
        size_bytes=tensor.nbytes,
        scheme=str(tensor.dtype.numpy()),
        pieces=lambda: iter([as_bytes(tensor.numpy())]),
    )


def as_bytes(array: NDArray[Any]) -> Bytes:
    """View an array's elements as bytes, in row-major order."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
