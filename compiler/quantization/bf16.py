"""bf16: bfloat16, as checkpoints store their dense weights."""

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.quantization.scheme import Part, QuantizationScheme, bfloat16
from ossc.targets.errors import QuantizationError


def part_shapes(shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the shape of the one part: the weight's own."""
    return (shape,)


def weight_shape(shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """Return ``[..., N, K]`` from the shape of the one part."""
    return shapes[0]


def quantize(weight: NDArray[np.float32]) -> tuple[NDArray[np.generic]]:
    """Round float32 to bfloat16, half to even.

    Args:
        weight: ``[..., N, K]``.

    Returns:
        The weight ``[..., N, K]`` in bfloat16.

    Raises:
        QuantizationError: A weight is infinite or NaN, or beyond bfloat16's range.
    """
    with np.errstate(over="ignore"):
        rounded = weight.astype(bfloat16())
    if not np.isfinite(rounded).all():
        raise QuantizationError("bf16 weights must be finite; one is infinite, NaN or too large.")
    return (rounded,)


def dequantize(weight: NDArray[np.generic], *, columns: int | None = None) -> NDArray[np.float32]:
    """Widen bfloat16 to float32, exactly.

    Args:
        weight: ``[..., N, K]`` bfloat16.
        columns: K, when given.

    Returns:
        ``[..., N, K]``.

    Raises:
        QuantizationError: The rows do not hold K weights.
    """
    if columns not in (None, weight.shape[-1]):
        raise QuantizationError(
            f"The bf16 weight {weight.shape} does not hold rows of {columns} weights."
        )
    return weight.astype(np.float32)


SCHEME = QuantizationScheme(
    name="bf16",
    prefix="Bf16",
    summary="bfloat16, not quantized",
    bits=16,
    group_size=1,
    parts=(Part(name="weight", type_name="bfloat16"),),
    part_shapes=part_shapes,
    weight_shape=weight_shape,
    quantize=quantize,
    dequantize=dequantize,
    dequantize_body="dequantized = Cast <to = 1> (weight)",
)
