"""Random weights, as streams of bytes.

A small tensor gets random numbers of its own. A large one walks through a pool of random blocks
whose length is prime, so that writing it costs little more than copying, and no two rows of it
are equal.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

POOL_VALUES = 4_194_301
"""Floats of a pool; a prime."""

POOL_BLOCKS = 1_048_573
"""MXFP4 blocks of the pool; a prime."""

BLOCK = 32
"""Elements of a block; in MXFP4 they share one scale."""

E2M1_EDGES = np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0], np.float32)
"""Between the magnitudes 0, 0.5, 1, 1.5, 2, 3, 4 and 6."""

E8M0_BIAS = 127
E2M1_MAX_EXPONENT = 2

Mxfp4Part = Literal["blocks", "scales"]

FloatType = Literal["BF16", "F16", "F32"]
"""As safetensors names it."""


def normal_floats(
    name: str, seed: int, count: int, dtype: FloatType, *, std: float, mean: float
) -> Iterator[NDArray[Any]]:
    """Yield ``count`` normally distributed floats; bf16 as bits.

    Those of one name are the same numbers in every type, but for the rounding.
    """
    if count <= POOL_VALUES:
        yield _rounded(_normal(_random(name, seed), count, std) + np.float32(mean), dtype)
    else:
        yield from _walk(_float_pool(seed, dtype, std, mean), name, seed, count)


def mxfp4(
    name: str, seed: int, n_blocks: int, *, std: float, part: Mxfp4Part
) -> Iterator[NDArray[np.uint8]]:
    """Yield one part of ``n_blocks`` MXFP4 blocks: ``[n, 16]`` codes or ``[n]`` scales.

    Both parts of a weight come from the same numbers when they are given the same name.
    """
    if n_blocks <= POOL_BLOCKS:
        yield _mxfp4_blocks(_random(name, seed), n_blocks, std)[part]
    else:
        yield from _walk(_mxfp4_pool(seed, std)[part], name, seed, n_blocks)


def _rounded(values: NDArray[np.float32], dtype: FloatType) -> NDArray[Any]:
    return bf16_bits(values) if dtype == "BF16" else values.astype(f"<f{int(dtype[1:]) // 8}")


def bf16_bits(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round float32 to bf16, to nearest, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def _random(name: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, crc32(name.encode())])


def _normal(random: np.random.Generator, count: int, std: float) -> NDArray[np.float32]:
    return random.standard_normal(count, dtype=np.float32) * np.float32(std)


def _mxfp4_blocks(
    random: np.random.Generator, n_blocks: int, std: float
) -> dict[Mxfp4Part, NDArray[np.uint8]]:
    """Quantize normally distributed numbers as the OCP MX specification says (section 6.3)."""
    values = _normal(random, n_blocks * BLOCK, std).reshape(n_blocks, BLOCK)
    exponents = np.floor(np.log2(np.abs(values).max(axis=1))) - E2M1_MAX_EXPONENT
    scaled = values * np.exp2(-exponents)[:, None]
    codes = np.searchsorted(E2M1_EDGES, np.abs(scaled)).astype(np.uint8)
    codes |= np.signbit(scaled).astype(np.uint8) << 3
    return {
        "blocks": codes[:, 0::2] | (codes[:, 1::2] << 4),
        "scales": (exponents + E8M0_BIAS).astype(np.uint8),
    }


@lru_cache(maxsize=8)
def _float_pool(seed: int, dtype: FloatType, std: float, mean: float) -> NDArray[Any]:
    values = _normal(_random("bf16", seed), POOL_VALUES, std)
    return _rounded(values + np.float32(mean), dtype)


@lru_cache(maxsize=2)
def _mxfp4_pool(seed: int, std: float) -> dict[Mxfp4Part, NDArray[np.uint8]]:
    return _mxfp4_blocks(_random("mxfp4", seed), POOL_BLOCKS, std)


def _walk(pool: NDArray[Any], name: str, seed: int, count: int) -> Iterator[NDArray[Any]]:
    """Yield ``count`` rows of the pool: from a random one on, and on from its start at its end."""
    begin = int(_random(name, seed).integers(len(pool)))
    while count:
        piece = pool[begin : begin + count]
        yield piece
        count -= len(piece)
        begin = 0
