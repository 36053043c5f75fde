"""MXFP4: 4-bit floats (E2M1) in blocks of 32 that share one power-of-two scale (E8M0).

Format: OCP Microscaling Formats (MX) Specification v1.0.
gpt-oss checkpoints store their expert weights in this form.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.quantization.scheme import Part, QuantizationScheme
from ossc.targets.errors import QuantizationError

BLOCK_SIZE = 32
"""Elements that share one scale."""

BLOCK_BYTES = 16
"""Bytes of one block: two codes a byte."""

SCALE_BIAS = 127
"""A scale byte e stands for 2 ** (e - 127); 255 stands for NaN."""

CODE_VALUES = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6] * 2, np.float32) * np.repeat(
    np.array([1, -1], np.float32), 8
)
"""Value of each code; the high bit is the sign."""

_LARGEST_EXPONENT = 2
"""Exponent of the largest code: 6 is 1.5 * 2 ** 2."""

_BLOCKS_A_TURN = 8192
"""Blocks encoded at once: 1 MiB of float32, so that every pass over them stays in the cache."""


def part_shapes(shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of blocks and scales of a weight ``[..., N, K]``.

    Raises:
        QuantizationError: K is not a multiple of 32.
    """
    *leading, columns = shape
    if columns % BLOCK_SIZE:
        raise QuantizationError(
            f"mxfp4 needs rows of a multiple of {BLOCK_SIZE} weights, not {columns}; "
            "choose int8-g32 or bf16 for this tensor."
        )
    n_blocks = columns // BLOCK_SIZE
    return (*leading, n_blocks, BLOCK_BYTES), (*leading, n_blocks)


def weight_shape(shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """Return ``[..., N, K]`` from the shapes of blocks and scales."""
    *leading, n_blocks = shapes[1]
    return (*leading, n_blocks * BLOCK_SIZE)


def quantize(weight: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Encode float32 as MXFP4: the scale from the largest magnitude, codes to nearest even.

    The scale is the specification's: the exponent of the largest magnitude less 2, so magnitudes
    above 6 scales become 6. A block of zeros has the scale 1.

    Args:
        weight: ``[..., N, K]``.

    Returns:
        blocks ``[..., N, K/32, 16]`` (two codes a byte, the low nibble first) and
        scales ``[..., N, K/32]``.

    Raises:
        QuantizationError: K is not a multiple of 32, or a weight is infinite or NaN.
    """
    blocks_shape, scales_shape = part_shapes(weight.shape)
    groups = weight.reshape(-1, BLOCK_SIZE)
    blocks = np.empty((len(groups), BLOCK_BYTES), np.uint8)
    scales = np.empty(len(groups), np.uint8)
    for begin in range(0, len(groups), _BLOCKS_A_TURN):
        turn = slice(begin, begin + _BLOCKS_A_TURN)
        blocks[turn], scales[turn] = _encode(groups[turn])
    return blocks.reshape(blocks_shape), scales.reshape(scales_shape)


def _encode(groups: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    largest = np.abs(groups).max(axis=1)  # [n_blocks]
    if not np.isfinite(largest).all():
        raise QuantizationError("mxfp4 cannot hold an infinite or NaN weight.")
    exponent = np.frexp(largest)[1] - 1 - _LARGEST_EXPONENT
    exponent = np.where(largest > 0, np.maximum(exponent, -SCALE_BIAS), 0)
    scaled = np.ldexp(groups, -exponent[:, None])
    codes = _nearest_code(np.abs(scaled)) | np.signbit(scaled) * np.uint8(8)
    blocks = codes[:, 0::2] | codes[:, 1::2] * np.uint8(16)
    return blocks, (exponent + SCALE_BIAS).astype(np.uint8)


def _nearest_code(magnitude: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Count the midpoints below a magnitude; a midpoint itself goes to the even code."""
    code = (magnitude > 0.25).astype(np.uint8)
    for midpoint in (1.25, 2.5, 5.0):
        code += magnitude > midpoint
    for midpoint in (0.75, 1.75, 3.5):
        code += magnitude >= midpoint
    return code


_BYTE_VALUES = np.stack([np.tile(CODE_VALUES, 16), np.repeat(CODE_VALUES, 16)], axis=1)
_SCALE_VALUES = np.append(np.ldexp(np.float32(1), np.arange(255) - SCALE_BIAS), np.float32(np.nan))


def dequantize(
    blocks: NDArray[np.uint8], scales: NDArray[np.uint8], *, columns: int | None = None
) -> NDArray[np.float32]:
    """Decode MXFP4 blocks to float32, exactly.

    Args:
        blocks: ``[..., n_blocks, 16]``; two codes a byte, the low nibble first.
        scales: ``[..., n_blocks]``; exponents with bias 127.
        columns: K, which must be ``n_blocks * 32`` when given.

    Returns:
        ``[..., n_blocks * 32]``.

    Raises:
        QuantizationError: The shapes do not agree.
    """
    n_columns = scales.shape[-1] * BLOCK_SIZE
    if blocks.shape != (*scales.shape, BLOCK_BYTES) or columns not in (None, n_columns):
        raise QuantizationError(
            f"MXFP4 blocks {blocks.shape} and scales {scales.shape} do not hold rows of "
            f"{columns or n_columns} weights; the blocks need the shape of the scales and 16 bytes."
        )
    weight: NDArray[np.float32] = _BYTE_VALUES[blocks]  # [..., n_blocks, 16, 2]
    weight *= _SCALE_VALUES[scales][..., None, None]
    return weight.reshape(*scales.shape[:-1], n_columns)


def _onnx_floats(values: NDArray[Any]) -> str:
    """Return a constant in ONNX's textual syntax."""
    numbers = ", ".join(repr(float(value)) for value in values.reshape(-1))
    return f"float{list(values.shape)} {{{numbers}}}"


DEQUANTIZE_BODY = f"""
    byte_values = Constant <value = {_onnx_floats(_BYTE_VALUES)}> ()
    scale_values = Constant <value = {_onnx_floats(_SCALE_VALUES)}> ()
    last_axis = Constant <value_ints = [-1]> ()
    last_two_axes = Constant <value_ints = [-2, -1]> ()
    bytes = Cast <to = 6> (blocks)
    pairs = Gather (byte_values, bytes)
    scale_bytes = Cast <to = 6> (scales)
    scale = Gather (scale_values, scale_bytes)
    scale_of_pairs = Unsqueeze (scale, last_two_axes)
    scaled = Mul (pairs, scale_of_pairs)
    leading = Shape <start = 0, end = -1> (scales)
    weight_shape = Concat <axis = 0> (leading, last_axis)
    dequantized = Reshape (scaled, weight_shape)
"""

SCHEME = QuantizationScheme(
    name="mxfp4",
    summary="4-bit floats in blocks of 32 with a shared power-of-two scale (OCP MX)",
    bits=4.25,
    group_size=BLOCK_SIZE,
    parts=(
        Part(name="blocks", type_name="uint8"),
        Part(name="scales", type_name="uint8"),
    ),
    part_shapes=part_shapes,
    weight_shape=weight_shape,
    quantize=quantize,
    dequantize=dequantize,
    dequantize_body=DEQUANTIZE_BODY,
)
