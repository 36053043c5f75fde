"""int8-g32: signed 8-bit integers in groups of 32 that share one bfloat16 scale.

A row of K weights has ceil(K / 32) groups; the last may be short.
"""

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.quantization import mxfp4
from ossc.compiler.quantization.groups import (
    APPLY_SCALES_BODY,
    GROUP_SIZE,
    apply_scales,
    count_groups,
    pad_to_groups,
)
from ossc.compiler.quantization.scheme import Part, QuantizationScheme, bfloat16
from ossc.targets.errors import QuantizationError

LARGEST_CODE = 127
"""Codes are symmetric, -127 to 127, so that a product of two never overflows a pair's sum."""

_ELEMENTS_A_TURN = 1 << 18
"""Weights encoded at once: 1 MiB of float32, so that every pass over them stays in the cache."""


def part_shapes(shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of codes and scales of a weight ``[..., N, K]``."""
    *leading, columns = shape
    return shape, (*leading, count_groups(columns))


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
    scales = np.empty((len(rows), scales_shape[-1]), bfloat16())
    rows_a_turn = max(1, _ELEMENTS_A_TURN // max(1, rows.shape[1]))
    for begin in range(0, len(rows), rows_a_turn):
        turn = slice(begin, begin + rows_a_turn)
        codes[turn], scales[turn] = _encode(rows[turn])
    return codes.reshape(codes_shape), scales.reshape(scales_shape)


def _encode(rows: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.generic]]:
    n_rows, columns = rows.shape
    groups = pad_to_groups(rows).reshape(n_rows, -1, GROUP_SIZE)
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
    return bits.astype(np.uint16).view(bfloat16())


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
    return apply_scales(codes.astype(np.float32), scales)


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
    return half_units.astype(np.int8), halved.astype(bfloat16())


SCHEME = QuantizationScheme(
    name="int8-g32",
    summary="8-bit integers in groups of 32 with a shared bfloat16 scale",
    bits=8.5,
    group_size=GROUP_SIZE,
    parts=(
        Part(name="codes", type_name="int8"),
        Part(name="scales", type_name="bfloat16"),
    ),
    part_shapes=part_shapes,
    weight_shape=weight_shape,
    quantize=quantize,
    dequantize=dequantize,
    dequantize_body=f"unscaled = Cast <to = 1> (codes)\n {APPLY_SCALES_BODY}",
    convert_from={"mxfp4": from_mxfp4},
)
