"""What the integer schemes share: groups of 32 codes along a row, each with one bfloat16 scale.

A row of K weights has ceil(K / 32) groups; the last may be short. Scales are bfloat16 and not
float16, because it has the range of the weights, so that no scale under- or overflows, and every
CPU widens it with one shift; its 8 bits are enough, because the codes are chosen for the rounded
scale.
"""

import numpy as np
from numpy.typing import NDArray

GROUP_SIZE = 32
"""Weights that share one scale."""


def count_groups(columns: int) -> int:
    """Return how many groups a row of K weights has."""
    return -(-columns // GROUP_SIZE)


def pad_to_groups(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows ``[N, K]`` as ``[N * ceil(K/32), 32]``; a short last group gets zeros."""
    missing = -rows.shape[1] % GROUP_SIZE
    whole = np.pad(rows, ((0, 0), (0, missing))) if missing else rows
    return whole.reshape(-1, GROUP_SIZE)


def apply_scales(codes: NDArray[np.float32], scales: NDArray[np.generic]) -> NDArray[np.float32]:
    """Multiply codes ``[..., K]`` with the scales ``[..., ceil(K/32)]`` of their groups."""
    spread = np.repeat(scales.astype(np.float32), GROUP_SIZE, axis=-1)[..., : codes.shape[-1]]
    scaled: NDArray[np.float32] = codes * spread
    return scaled


APPLY_SCALES_BODY = f"""
    last_axis = Constant <value_ints = [-1]> ()
    zero = Constant <value_ints = [0]> ()
    group = Constant <value_ints = [{GROUP_SIZE}]> ()
    columns = Shape <start = -1> (unscaled)
    n_groups = Shape <start = -1> (scales)
    padded_columns = Mul (n_groups, group)
    missing_columns = Sub (padded_columns, columns)
    padding = Concat <axis = 0> (zero, missing_columns)
    padded_codes = Pad (unscaled, padding, , last_axis)
    leading = Shape <start = 0> (scales)
    group_shape = Concat <axis = 0> (leading, group)
    code_groups = Reshape (padded_codes, group_shape)
    scales_f32 = Cast <to = 1> (scales)
    scale_column = Unsqueeze (scales_f32, last_axis)
    scaled = Mul (code_groups, scale_column)
    outer = Shape <start = 0, end = -1> (scales)
    padded_shape = Concat <axis = 0> (outer, last_axis)
    padded = Reshape (scaled, padded_shape)
    dequantized = Slice (padded, zero, columns, last_axis)
"""
"""`apply_scales` in ONNX: from ``unscaled`` f32 ``[..., K]`` and ``scales`` to ``dequantized``."""
