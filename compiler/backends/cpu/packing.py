"""Packing weights for the kernels, a slice of rows at a time.

The layouts are in `kernels/weights`, one file a scheme. Here is what they share: rows come in
groups of 8, and the last group of a matrix is filled with zeros.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.backends.cpu.weights import find_format
from ossc.compiler.backends.cpu.weights.format import ROWS
from ossc.targets.errors import LoweringError

Bytes = NDArray[np.uint8]
Parts = Sequence[NDArray[Any]]

ALIGNMENT_BYTES = 64
"""Each expert starts at a multiple of this."""


def packed_bytes(scheme: str, rows: int, columns: int) -> int:
    """Return the size of a packed ``rows`` × ``columns`` matrix.

    Raises:
        LoweringError: No kernel reads this scheme.
    """
    return -(-rows // ROWS) * find_format(scheme).row_group_bytes(columns)


def pack_rows(scheme: str, parts: Parts) -> Bytes:
    """Pack some rows of a matrix.

    Args:
        scheme: The scheme's name.
        parts: Its parts, ``[rows, …]`` each. Only the last slice of a matrix may have a number of
            rows that is not a multiple of 8; rows of zeros are added to it.

    Returns:
        The bytes that follow those of the rows before.

    Raises:
        LoweringError: No kernel reads this scheme.
    """
    whole = [_whole_groups(part) for part in parts]
    return find_format(scheme).pack(*whole).reshape(-1)


def glu_bytes(scheme: str, intermediate: int, columns: int) -> int:
    """Return the size of packed gate and up rows, ``2 · intermediate`` of them."""
    return 2 * packed_bytes(scheme, intermediate, columns)


def pack_glu(scheme: str, parts: Parts) -> Bytes:
    """Pack gate and up rows for the products that gate at once.

    Eight rows of gates are followed by the eight rows of ups that meet them.

    Args:
        scheme: The scheme's name.
        parts: Its parts, ``[2 · intermediate, …]`` each; even rows are gates, odd rows are ups.
            Only the last slice of a matrix may have a number of rows that is not a multiple of 16;
            rows of zeros are added to it.

    Returns:
        The bytes that follow those of the rows before.

    Raises:
        LoweringError: The number of rows is odd, or no kernel reads this scheme.
    """
    if any(len(part) % 2 for part in parts):
        rows = [len(part) for part in parts]
        raise LoweringError(f"Gates and ups alternate, so their rows are even in number; {rows}.")
    layout = find_format(scheme)
    gates, ups = (
        layout.pack(*[_whole_groups(part[first::2]) for part in parts]) for first in (0, 1)
    )
    return np.stack([gates, ups], axis=1).reshape(-1)


def expert_stride(size_bytes: int) -> int:
    """Return the distance between experts whose packed rows take ``size_bytes``."""
    return -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _whole_groups(part: NDArray[Any]) -> NDArray[Any]:
    missing = -len(part) % ROWS
    if not missing:
        return np.ascontiguousarray(part)
    return np.concatenate([part, np.zeros((missing, *part.shape[1:]), part.dtype)])
