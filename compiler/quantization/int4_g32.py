"""int4-g32: signed 4-bit integers in groups of 32 that share one bfloat16 scale of either sign.

A weight is code * scale, and codes go from -8 to 7. The weight of the largest magnitude gets a
negative code: the scale's sign is chosen for that, so that the code -8 is never wasted. A minimum
for each group besides the scale would give 1 dB more and cost half a bit more
(docs/decisions/0005-int4-is-symmetric.md).
"""

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.quantization.groups import (
    APPLY_SCALES_BODY,
    GROUP_SIZE,
    apply_scales,
    count_groups,
    pad_to_groups,
)
from ossc.compiler.quantization.scheme import Part, QuantizationScheme, bfloat16
from ossc.targets.errors import QuantizationError

SMALLEST_CODE, LARGEST_CODE = -8, 7

BIAS = 8
"""Codes are stored with it added, as 0 to 15."""

LARGEST_WEIGHT = 2.0**126
"""Of a group with a larger one, a dequantized weight might not be finite."""

_TRIED_CODES = (7.2, 7.8, 8.2, 8.6)
"""What the largest magnitude is scaled to in each try: the four that together lose least of
Gaussian weights. Three lose 0.03 dB more, and any number of them gains no more than 0.03."""

_ELEMENTS_A_TURN = 1 << 15
"""Weights encoded at once: 128 KiB of float32, so that every pass over them stays in the cache."""


def part_shapes(shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of codes and scales of a weight ``[..., N, K]``.

    Raises:
        QuantizationError: K is odd.
    """
    *leading, columns = shape
    if columns % 2:
        raise QuantizationError(
            f"int4-g32 needs rows of an even number of weights, not {columns}; "
            "choose int8-g32 or bf16 for this tensor."
        )
    return (*leading, columns // 2), (*leading, count_groups(columns))


def weight_shape(shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """Return ``[..., N, K]`` from the shapes of codes and scales."""
    *leading, n_bytes = shapes[0]
    return (*leading, n_bytes * 2)


def quantize(weight: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.generic]]:
    """Encode float32 as int4 codes, rounded half to even.

    Of a few scales the one with the least sum of squared errors over the group is taken. (Weighing
    them by the weight's magnitude makes the sample model no better.) A group of zeros has the
    scale 0.

    Args:
        weight: ``[..., N, K]``.

    Returns:
        codes ``[..., N, K/2]`` (code + 8, two a byte, the low nibble first) and
        scales ``[..., N, ceil(K/32)]`` bfloat16.

    Raises:
        QuantizationError: K is odd, or a weight is infinite, NaN or beyond 2^126.
    """
    codes_shape, scales_shape = part_shapes(weight.shape)
    rows = weight.reshape(-1, weight.shape[-1])
    codes = np.empty((len(rows), codes_shape[-1]), np.uint8)
    scales = np.empty((len(rows), scales_shape[-1]), bfloat16())
    rows_a_turn = max(1, _ELEMENTS_A_TURN // max(1, rows.shape[1]))
    for begin in range(0, len(rows), rows_a_turn):
        turn = slice(begin, begin + rows_a_turn)
        codes[turn], scales[turn] = _encode(rows[turn])
    return codes.reshape(codes_shape), scales.reshape(scales_shape)


def _encode(rows: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.generic]]:
    n_rows, columns = rows.shape
    groups = np.ascontiguousarray(pad_to_groups(rows).T)  # [32, n]: sums run over whole rows
    largest, least = groups.max(axis=0), groups.min(axis=0)
    extreme = np.where(largest > -least, largest, least)  # [n]
    if not (np.abs(extreme) <= LARGEST_WEIGHT).all():
        raise QuantizationError(
            "int4-g32 cannot hold a weight that is infinite, NaN or beyond 2^126."
        )
    scales = _search_scales(groups, extreme)
    codes = _nearest_codes(groups / _or_one(scales.astype(np.float32)))
    stored = (codes + np.float32(BIAS)).astype(np.uint8)
    packed = stored[0::2] | stored[1::2] << np.uint8(4)  # [16, n]
    return packed.T.reshape(n_rows, -1)[:, : columns // 2], scales.reshape(n_rows, -1)


def _search_scales(
    groups: NDArray[np.float32], extreme: NDArray[np.float32]
) -> NDArray[np.generic]:
    """Return the scale ``[n]`` of each group ``[32, n]`` with the largest gain among those tried.

    A try rounds the weights to codes and takes the scale that fits these codes best: with
    a = sum(weight * code) and b = sum(code * code) that is a / b, and a scale s makes the error
    smaller by s * (2 a - s * b). All in units in which the extreme weight is -1.
    """
    unit = -_or_one(extreme)
    weights = groups / unit
    best = np.zeros(len(unit), bfloat16())
    best_gain = np.zeros(len(unit), np.float32)
    for largest_code in _TRIED_CODES:
        codes = _nearest_codes(weights * np.float32(largest_code))
        a = np.einsum("kn,kn->n", weights, codes)
        b = np.einsum("kn,kn->n", codes, codes)
        scales = (a / _or_one(b) * unit).astype(bfloat16())
        relative = scales.astype(np.float32) / unit
        gain = relative * (2 * a - relative * b)
        better = gain > best_gain
        np.copyto(best, scales, where=better)
        np.copyto(best_gain, gain, where=better)
    return best


def _nearest_codes(scaled: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round half to even, in place, and keep to the range of the codes."""
    np.rint(scaled, out=scaled)
    np.maximum(scaled, SMALLEST_CODE, out=scaled)
    return np.minimum(scaled, LARGEST_CODE, out=scaled)


def _or_one(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Replace zeros by one, to divide by them."""
    return np.where(values == 0, np.float32(1), values)


_NIBBLES = np.arange(16, dtype=np.float32) - BIAS
_BYTE_VALUES = np.stack([np.tile(_NIBBLES, 16), np.repeat(_NIBBLES, 16)], axis=1)


def dequantize(
    codes: NDArray[np.uint8], scales: NDArray[np.generic], *, columns: int | None = None
) -> NDArray[np.float32]:
    """Decode to float32, exactly.

    Args:
        codes: ``[..., K/2]``; code + 8, two a byte, the low nibble first.
        scales: ``[..., ceil(K/32)]`` bfloat16.
        columns: K, when given.

    Returns:
        ``[..., K]``.

    Raises:
        QuantizationError: The shapes do not agree.
    """
    shape = weight_shape((codes.shape,))
    if scales.shape != part_shapes(shape)[1] or columns not in (None, shape[-1]):
        raise QuantizationError(
            f"int4-g32 codes {codes.shape} and scales {scales.shape} do not hold rows of "
            f"{columns or shape[-1]} weights; each {GROUP_SIZE // 2} bytes need one scale."
        )
    return apply_scales(_BYTE_VALUES[codes].reshape(shape), scales)


DEQUANTIZE_BODY = f"""
    low_bits = Constant <value = uint8 {{15}}> ()
    four = Constant <value = uint8 {{4}}> ()
    bias = Constant <value = float {{{BIAS}}}> ()
    nibble_axis = Constant <value_ints = [-1]> ()
    low = BitwiseAnd (codes, low_bits)
    high = BitShift <direction = "RIGHT"> (codes, four)
    low_column = Unsqueeze (low, nibble_axis)
    high_column = Unsqueeze (high, nibble_axis)
    pairs = Concat <axis = -1> (low_column, high_column)
    outer_bytes = Shape <start = 0, end = -1> (codes)
    row_shape = Concat <axis = 0> (outer_bytes, nibble_axis)
    stored = Reshape (pairs, row_shape)
    stored_f32 = Cast <to = 1> (stored)
    unscaled = Sub (stored_f32, bias)
    {APPLY_SCALES_BODY}
"""

SCHEME = QuantizationScheme(
    name="int4-g32",
    summary="4-bit integers in groups of 32 with a shared bfloat16 scale",
    bits=4.5,
    group_size=GROUP_SIZE,
    parts=(
        Part(name="codes", type_name="uint8"),
        Part(name="scales", type_name="bfloat16"),
    ),
    part_shapes=part_shapes,
    weight_shape=weight_shape,
    quantize=quantize,
    dequantize=dequantize,
    dequantize_body=DEQUANTIZE_BODY,
)
