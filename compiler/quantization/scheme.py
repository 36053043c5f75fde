"""What a quantization scheme is: how a matrix of weights is stored in few bits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


@cache
def bfloat16() -> np.dtype[Any]:
    """The type bfloat16, from a package that an installation without [compile] has not."""
    import ml_dtypes

    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return dtype


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the arrays that hold a quantized weight."""

    name: str
    """Suffix of the initializer's name, such as ``"scales"``."""
    type_name: str
    """Type of its elements, such as ``"uint8"`` or ``"bfloat16"``."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type itself; for bfloat16, that needs the package ml_dtypes."""
        return bfloat16() if self.type_name == "bfloat16" else np.dtype(self.type_name)


@dataclass(frozen=True, kw_only=True)
class WeightType:
    """Arrays that hold a weight of shape ``[..., N, K]``."""

    name: str
    """As users write it, such as ``"int8-g32"``."""
    parts: tuple[Part, ...]
    weight_shape: Callable[[tuple[tuple[int, ...], ...]], tuple[int, ...]]
    """``[..., N, K]`` from the shape of each part."""


@dataclass(frozen=True, kw_only=True)
class WeightFormat(WeightType):
    """One form for all of a weight, and the way from it to float32."""

    part_shapes: Callable[[tuple[int, ...]], tuple[tuple[int, ...], ...]]
    """``part_shapes([..., N, K])``: shape of each part; QuantizationError where K does not fit."""
    dequantize: Callable[..., NDArray[np.float32]]
    """``dequantize(*parts, columns=K)``: ``[..., N, K]`` float32."""
    dequantize_body: str
    """The same in ONNX: nodes from the parts' names to ``dequantized``, in the textual syntax."""


@dataclass(frozen=True, kw_only=True)
class QuantizationScheme(WeightFormat):
    """A format that a plan can choose, with the way into it; groups run along K.

    Its file is named as the scheme.
    """

    summary: str
    """One line for ``ossc schemes``."""
    bits: float
    """Bits that one weight takes, its share of the scales included."""
    group_size: int
    """Weights along K that share one scale; 1 where there is none."""
    quantize: Callable[[NDArray[np.float32]], tuple[NDArray[Any], ...]]
    """``quantize([..., N, K] float32)``: the parts; QuantizationError for infinities and NaN."""
    convert_from: Mapping[str, Callable[..., tuple[NDArray[Any], ...]]] = field(
        default_factory=dict
    )
    """Conversions without loss, by the name of the format they start from: parts to parts."""
