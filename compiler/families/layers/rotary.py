"""Frequencies of rotary position embedding: the same bits on every machine.

The formulas and their float32 steps are those of ``transformers.modeling_rope_utils``. Its powers
and logarithms come from the machine's math library; here they are correctly rounded.
YaRN: "YaRN: Efficient Context Window Extension of Large Language Models" (arXiv:2309.00071).
"""

import math
from decimal import Context, Decimal

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.families.fields.rope_types import RopeParameters

_EXACT = Context(prec=60)
"""Digits enough to tell on which side of a rounding boundary a power or logarithm lies."""


def inverse_frequencies(rope: RopeParameters, head_dim: int) -> NDArray[np.float32]:
    """Return the angle by which each pair of dimensions turns from one position to the next.

    Returns:
        ``[head_dim / 2]`` float32.
    """
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    theta = np.float32(rope.rope_theta)
    wavelengths = np.array([_power(theta, exponent) for exponent in exponents], np.float32)
    extrapolated = np.float32(1) / wavelengths
    if rope.rope_type == "default":
        return extrapolated
    if rope.rope_type == "linear":
        return extrapolated / np.float32(rope.factor)
    if rope.rope_type == "llama3":
        return _llama3(rope, extrapolated)
    interpolated = np.float32(1) / (np.float32(rope.factor) * wavelengths)
    kept = np.float32(1) - _ramp(rope, head_dim)
    return interpolated * (np.float32(1) - kept) + extrapolated * kept


def _llama3(rope: RopeParameters, plain: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide slow frequencies by the factor, leave fast ones, and go over between the two."""
    wavelengths = np.float32(2 * math.pi) / plain
    original, factor = rope.original_max_position_embeddings, np.float32(rope.factor)
    low, high = rope.low_freq_factor, rope.high_freq_factor
    kept = (np.float32(original) / wavelengths - np.float32(low)) / np.float32(high - low)
    between = (np.float32(1) - kept) * plain / factor + kept * plain
    fast, slow = wavelengths < original / high, wavelengths > original / low
    return np.where(fast, plain, np.where(slow, plain / factor, between))


def _ramp(rope: RopeParameters, head_dim: int) -> NDArray[np.float32]:
    """Return how far each frequency is divided by the factor, 0 to 1: ``[head_dim / 2]``."""
    first = _turning_dimension(rope, rope.beta_fast, head_dim)
    last = _turning_dimension(rope, rope.beta_slow, head_dim)
    if rope.truncate:
        first, last = math.floor(first), math.ceil(last)
    low, high = max(first, 0.0), min(last, head_dim - 1.0)
    if low == high:
        high += 0.001  # as transformers does, against a division by zero
    dimensions = np.arange(head_dim // 2, dtype=np.float32)
    ramp: NDArray[np.float32] = (dimensions - np.float32(low)) / np.float32(high - low)
    return ramp.clip(0, 1)


def _turning_dimension(rope: RopeParameters, rotations: float, head_dim: int) -> float:
    """Return the dimension that turns so often over the original context."""
    turns = rope.original_max_position_embeddings / (rotations * 2 * math.pi)
    return (head_dim * _logarithm(turns)) / (2 * _logarithm(rope.rope_theta))


def _logarithm(value: float) -> float:
    return float(Decimal(value).ln(_EXACT))


def _power(base: np.float32, exponent: np.float32) -> np.float32:
    """Return base ** exponent, correctly rounded to float32."""
    exact = _EXACT.power(Decimal(float(base)), Decimal(float(exponent)))
    near = np.float32(float(exact))
    neighbours = (near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(np.inf)))
    return min(neighbours, key=lambda value: abs(_EXACT.subtract(Decimal(float(value)), exact)))
