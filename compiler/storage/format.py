"""How a checkpoint's tensors hold a weight."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from ossc.compiler.quantization.scheme import WeightFormat


@dataclass(frozen=True, kw_only=True)
class StorageFormat:
    """Which tensors hold a weight, and what they mean.

    A weight is in the first format whose tensors are all there with its dtypes; a file here holds
    one or several of them.
    """

    format: WeightFormat
    """What the tensors mean, in this order. A quantization scheme where a plan can keep it."""
    suffixes: tuple[str, ...]
    """The tensor of each part is named as the weight, with this at its end."""
    dtypes: tuple[str, ...]
    """The safetensors dtype of each part."""
    quant_method: str | None = None
    """What ``quantization_config`` in config.json calls it; None for plain floats."""
    convert_to: Mapping[str, Callable[..., tuple[NDArray[Any], ...]]] = field(default_factory=dict)
    """Conversions without loss, by the name of the scheme they end in: parts to parts."""

    @property
    def name(self) -> str:
        """The format's."""
        return self.format.name

    def tensor_names(self, weight: str) -> tuple[str, ...]:
        """Return the tensors of a weight."""
        return tuple(weight + suffix for suffix in self.suffixes)


@dataclass(frozen=True, kw_only=True)
class StoredWeight:
    """A weight as it lies in a checkpoint."""

    name: str
    """What the graph calls it: the module's name and the last part of the tensor's."""
    format: WeightFormat
    parts: tuple[ir.TensorProtocol, ...]
    """One for each part of the format; their bytes stay in the checkpoint's files."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``[..., N, K]``."""
        return self.format.weight_shape(tuple(tuple(part.shape.numpy()) for part in self.parts))
