"""The weights that the parts of each format stand for, in float64: as docs/onnx-dialect.md has it.

A format is read here from its description, by no code of the compiler.
"""

from collections.abc import Callable, Mapping, Sequence
from inspect import signature

import numpy as np
from numpy.typing import NDArray

GROUP = 32
"""Weights along a row that share one scale."""

E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6])
"""The 4-bit floats of the OCP specification, by their code."""

NO_NUMBER = 255
"""The scale of mxfp4 that stands for NaN."""


def dequantized(name: str, parts: Sequence[NDArray]) -> NDArray[np.float64]:
    """Return the weight ``[..., N, K]`` whose parts these are."""
    if "+" in name:
        return _mixed(name.split("+"), parts)
    return FORMATS[name](*parts)


def _mixed(names: Sequence[str], parts: Sequence[NDArray]) -> NDArray[np.float64]:
    """Return each expert from the place that the table, the last part, has for it."""
    *held, table = parts
    matrices = []
    for name in names:
        count = len(signature(FORMATS[name]).parameters)
        matrices.append(FORMATS[name](*held[:count]))
        held = held[count:]
    assert not held
    return np.stack([matrices[number][row] for number, row in table])


def _nibbles(stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the codes ``[..., 2 n]`` of bytes ``[..., n]``, the low nibble first."""
    return np.stack([stored % 16, stored // 16], axis=-1).reshape(*stored.shape[:-1], -1)


def _scaled(codes: NDArray, scales: NDArray) -> NDArray[np.float64]:
    """Multiply codes ``[..., K]`` with the scales ``[..., ceil(K / 32)]`` of their groups."""
    columns = np.arange(codes.shape[-1])
    return codes.astype(np.float64) * scales.astype(np.float64)[..., columns // GROUP]


def _mxfp4(blocks: NDArray[np.uint8], scales: NDArray[np.uint8]) -> NDArray[np.float64]:
    codes = _nibbles(blocks.reshape(*blocks.shape[:-2], -1))
    powers = np.where(scales == NO_NUMBER, np.nan, 2.0 ** (scales.astype(np.float64) - 127))
    return _scaled(E2M1[codes], powers)


def _int4(codes: NDArray[np.uint8], scales: NDArray) -> NDArray[np.float64]:
    return _scaled(_nibbles(codes).astype(np.float64) - 8, scales)


def _floats(weight: NDArray) -> NDArray[np.float64]:
    return weight.astype(np.float64)


FORMATS: Mapping[str, Callable[..., NDArray[np.float64]]] = {
    "bf16": _floats,
    "f16": _floats,
    "f32": _floats,
    "int4-g32": _int4,
    "int8-g32": _scaled,
    "mxfp4": _mxfp4,
}
