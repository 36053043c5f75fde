"""int8-g32: signed 8-bit integers in groups of 32 that share one bfloat16 scale.

A row of K weights has ceil(K / 32) groups; the last may be short.
"""

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from ossc.compiler.quantization import mxfp4
from ossc.compiler.quantization.scheme import Part, QuantizationScheme
from ossc.targets.errors import QuantizationError

GROUP_SIZE = 32
"""Weights that share one scale."""

LARGEST_CODE = 127
"""Codes are symmetric, -127 to 127, so that a product of two never overflows a pair's sum."""

BFloat16 = np.dtype(ml_dtypes.bfloat16)

_ELEMENTS_A_TURN = 1 << 18
"""Weights encoded at once: 1 MiB of float32, so that every pass over them stays in the cache."""


def part_shapes(shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of codes and scales of a weight ``[..., N, K]``."""
    *leading, columns = shape
    return shape, (*leading, -(-columns // GROUP_SIZE))


def weight_shape(shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """Return ``[..., N, K]`` from the shapes of codes and scales."""
    return shapes[0]


def quantize(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.generic]]:
    """Encode float32 as int8 codes, rounded half to even.

    The scale is the largest magnitude of the group over 127, rounded up to bfloat16 so that no
    code leaves the range. A group of zeros has the scale 0.

    Args:
        weight: ``[..., N, K]``.

    Returns:
        codes ``[..., N, K]`` int8 and scales ``[..., N, ceil(K/32)]`` bfloat16.

    Raises:
        QuantizationError: A weight is infinite or NaN.
    """
    codes_shape, scales_shape = part_shapes(weight.shape)
    rows = weight.reshape(-1, weight.shape[-1])
    codes = np.empty(rows.shape, np.int8)
    scales = np.empty((len(rows), scales_shape[-1]), BFloat16)
    rows_a_turn = max(1, _ELEMENTS_A_TURN // max(1, rows.shape[1]))
    for begin in range(0, len(rows), rows_a_turn):
        turn = slice(begin, begin + rows_a_turn)
        codes[turn], scales[turn] = _encode(rows[turn])
    return codes.reshape(codes_shape), scales.reshape(scales_shape)


def _encode(rows: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.generic]]:
    n_rows, columns = rows.shape
    groups = np.pad(rows, ((0, 0), (0, -columns % GROUP_SIZE))).reshape(n_rows, -1, GROUP_SIZE)
    largest = np.abs(groups).max(axis=2)  # [n_rows, n_groups]
    if not np.isfinite(largest).all():
        raise QuantizationError("int8-g32 cannot hold an infinite or NaN weight.")
    scales = _round_up_to_bfloat16(largest / np.float32(LARGEST_CODE))
    divisors = scales.astype(np.float32)
    divisors[divisors == 0] = 1
    codes = np.rint(groups / divisors[:, :, None]).astype(np.int8)
    return codes.reshape(n_rows, -1)[:, :columns], scales


def _round_up_to_bfloat16(values: NDArray[np.float32]) -> NDArray[np.generic]:
    """Return the least bfloat16 that is no less; the values are finite and not negative."""
    bits = (values.view(np.uint32) + np.uint32(0xFFFF)) >> np.uint32(16)
    return bits.astype(np.uint16).view(BFloat16)


def dequantize(
    codes: NDArray[np.int8], scales: NDArray[np.generic], *, columns: int | None = None
) -> NDArray[np.float32]:
    """Decode to float32, exactly.

    Args:
        codes: ``[..., K]``.
        scales: ``[..., ceil(K/32)]`` bfloat16.
        columns: K, when given.

    Returns:
        ``[..., K]``.

    Raises:
        QuantizationError: The shapes do not agree.
    """
    if scales.shape != part_shapes(codes.shape)[1] or columns not in (None, codes.shape[-1]):
        raise QuantizationError(
            f"int8-g32 codes {codes.shape} and scales {scales.shape} do not hold rows of "
            f"{columns or codes.shape[-1]} weights; each {GROUP_SIZE} codes need one scale."
        )
    spread = np.repeat(scales.astype(np.float32), GROUP_SIZE, axis=-1)[..., : codes.shape[-1]]
    return codes.astype(np.float32) * spread


def from_mxfp4(
    blocks: NDArray[np.uint8], scales: NDArray[np.uint8]
) -> tuple[NDArray[np.int8], NDArray[np.generic]]:
    """Convert MXFP4 without loss: codes of half units (0 to 12), the scale halved.

    Args:
        blocks: ``[..., n_blocks, 16]``.
        scales: ``[..., n_blocks]``.

    Returns:
        codes ``[..., n_blocks * 32]`` and scales ``[..., n_blocks]`` bfloat16.

    Raises:
        QuantizationError: A scale stands for NaN.
    """
    if (scales == 255).any():
        raise QuantizationError("int8-g32 cannot hold a NaN weight, and an MXFP4 scale is NaN.")
    half_units = mxfp4.dequantize(blocks, np.full_like(scales, mxfp4.SCALE_BIAS + 1))
    halved = np.ldexp(np.float32(0.5), scales.astype(np.int32) - mxfp4.SCALE_BIAS)
    return half_units.astype(np.int8), halved.astype(BFloat16)


DEQUANTIZE_BODY = f"""
    last_axis = Constant <value_ints = [-1]> ()
    zero = Constant <value_ints = [0]> ()
    group = Constant <value_ints = [{GROUP_SIZE}]> ()
    columns = Shape <start = -1> (codes)
    n_groups = Shape <start = -1> (scales)
    padded_columns = Mul (n_groups, group)
    missing_columns = Sub (padded_columns, columns)
    padding = Concat <axis = 0> (zero, missing_columns)
    padded_codes = Pad (codes, padding, , last_axis)
    leading = Shape <start = 0> (scales)
    group_shape = Concat <axis = 0> (leading, group)
    code_groups = Reshape (padded_codes, group_shape)
    unscaled = Cast <to = 1> (code_groups)
    scales_f32 = Cast <to = 1> (scales)
    scale_column = Unsqueeze (scales_f32, last_axis)
    scaled = Mul (unscaled, scale_column)
    outer = Shape <start = 0, end = -1> (scales)
    padded_shape = Concat <axis = 0> (outer, last_axis)
    padded = Reshape (scaled, padded_shape)
    dequantized = Slice (padded, zero, columns, last_axis)
"""

SCHEME = QuantizationScheme(
    name="int8-g32",
    prefix="Int8G32",
    summary="8-bit integers in groups of 32 with a shared bfloat16 scale",
    bits=8.5,
    group_size=GROUP_SIZE,
    parts=(
        Part(name="codes", dtype=np.dtype(np.int8)),
        Part(name="scales", dtype=BFloat16),
    ),
    part_shapes=part_shapes,
    weight_shape=weight_shape,
    quantize=quantize,
    dequantize=dequantize,
    dequantize_body=DEQUANTIZE_BODY,
    convert_from={"mxfp4": from_mxfp4},
)
