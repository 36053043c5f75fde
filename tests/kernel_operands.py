"""Random weights and activations in the forms that matrix kernels read, with their values."""

from dataclasses import dataclass
from itertools import cycle, islice

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from ossc.compiler.quantization import find_scheme
from ossc.compiler.quantization.scheme import QuantizationScheme
from ossc.compiler.storage import find_format
from ossc.targets import find_target
from ossc.targets.machine import this_machine

BLOCK = 32

TERM_RANGE = 254
"""What one of the high term of int8x2 counts."""

PAIRS = [
    ("bf16", "f32"),
    ("f16", "f32"),
    ("f32", "f32"),
    ("mxfp4", "f32"),
    ("int4-g32", "f32"),
    ("int8-g32", "f32"),
    ("mxfp4", "int8"),
    ("int4-g32", "int8"),
    ("int8-g32", "int8"),
    ("mxfp4", "int8x2"),
    ("int4-g32", "int8x2"),
    ("int8-g32", "int8x2"),
]
"""Weight schemes and the activation types that kernels multiply them with."""


TVM_TARGETS = {
    name: dict(find_target(target).host.tvm_target)
    for name, target in (("avx2", "cpu:x86-64-v3"), ("portable", "cpu:x86-64-v3"))
} | {
    each.name: dict(each.tvm_target) for each in find_target("cpu:x86-64-v3").host.instruction_sets
}
"""What the kernels of each instruction set are compiled for; portable ones so that they round as
the others do."""


def supported_isas() -> list[str]:
    """Return the instruction sets of kernels that this machine has."""
    here = this_machine().cpu_features
    more = find_target("cpu:x86-64-v3").host.instruction_sets
    return ["avx2", "portable", *(each.name for each in more if here.issuperset(each.cpu_features))]


def products() -> list[tuple[str, str, str]]:
    """Return each weight scheme, activation type and instruction set that a kernel may have here.

    An instruction set for integers only has no kernels of float32; see `write_objects`.
    """
    sets = find_target("cpu:x86-64-v3").host.instruction_sets
    integers_only = {each.name for each in sets if each.integers_only}
    return [
        (scheme, activation, isa)
        for scheme, activation in PAIRS
        for isa in supported_isas()
        if activation != "f32" or isa not in integers_only
    ]


def some_products() -> list[tuple[str, str, str]]:
    """Return as few of `products` as have each pair, and each instruction set with each type.

    For kernels that differ from the plain matrix product in where rows and tokens are, and have the
    rest from it: of that, test_linear.py has them all.
    """
    chosen: list[tuple[str, str, str]] = []
    for first, activation in enumerate(dict.fromkeys(activation for _, activation in PAIRS)):
        here = [each for each in products() if each[1] == activation]
        schemes, isas = (list(dict.fromkeys(each[i] for each in here)) for i in (0, 2))
        count = max(len(schemes), len(isas))
        with_isas = zip(cycle(schemes), islice(cycle(isas), first, first + count), strict=False)
        chosen += [(scheme, activation, isa) for scheme, isa in with_isas]
    return chosen


def random_parts(scheme: str, shape: tuple[int, ...], seed: int = 0) -> list[NDArray]:
    """Return the parts of a random weight ``[..., N, K]`` that use every code of the scheme."""
    rng = np.random.default_rng(seed)
    *leading, columns = shape
    if scheme == "mxfp4":
        blocks = rng.integers(0, 256, (*leading, columns // BLOCK, 16), dtype=np.uint8)
        return [blocks, rng.integers(118, 125, blocks.shape[:-1], dtype=np.uint8)]
    if scheme == "int4-g32":
        codes = rng.integers(0, 256, (*leading, columns // 2), dtype=np.uint8)
        scales = rng.uniform(0.5, 2, (*leading, -(-columns // BLOCK))) / 8
        signs = rng.choice([-1, 1], scales.shape)
        return [codes, (scales * signs).astype(ml_dtypes.bfloat16)]
    if scheme == "int8-g32":
        codes = rng.integers(-127, 128, shape, dtype=np.int8)
        scales = rng.uniform(0.5, 2, (*leading, -(-columns // BLOCK))) / 127
        return [codes, scales.astype(ml_dtypes.bfloat16)]
    weight = find_format(scheme)
    if isinstance(weight, QuantizationScheme):
        return list(weight.quantize(rng.standard_normal(shape).astype(np.float32)))
    sizes = zip(weight.parts, weight.part_shapes(shape), strict=True)
    return [_random_part(rng, part.dtype, size) for part, size in sizes]


def _random_part(rng: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...]) -> NDArray:
    """Return every code of an integer type, or scales."""
    if np.issubdtype(dtype, np.integer):
        return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, shape, dtype=dtype)
    return (rng.uniform(0.5, 2, shape) / 127).astype(dtype)


def values(scheme: str, parts: list[NDArray]) -> NDArray[np.float64]:
    """Return the weights' values, exactly."""
    return find_scheme(scheme).dequantize(*parts).astype(np.float64)


@dataclass(frozen=True)
class Activations:
    """Activations of one type: what a kernel is given, and the values that this stands for."""

    chunk: list[NDArray]
    """For kernels of any number of tokens."""
    token: list[NDArray]
    """For kernels of a single token."""
    values: NDArray[np.float64]

    def arrays(self, n: int) -> list[NDArray]:
        """Return what a kernel for ``n`` tokens reads."""
        return self.token if n == 1 else self.chunk

    def of(self, tokens: slice) -> "Activations":
        """Return those of some tokens."""
        chunk, token = ([a[tokens] for a in arrays] for arrays in (self.chunk, self.token))
        return Activations(chunk, token, self.values[tokens])


def random_activations(activation: str, shape: tuple[int, ...], seed: int = 1) -> Activations:
    """Return random activations ``[n, …, K]`` as float32, or as codes and scales."""
    rng = np.random.default_rng(seed)
    if activation == "f32":
        x = rng.standard_normal(shape).astype(np.float32)
        return Activations([x], [x], x.astype(np.float64))
    *leading, columns = shape
    n_blocks = -(-columns // BLOCK)
    terms = 2 if activation == "int8x2" else 1
    padded = np.zeros((terms, *leading, n_blocks * BLOCK), np.int8)
    padded[..., :columns] = rng.integers(-127, 128, (terms, *shape), dtype=np.int8)
    codes = np.moveaxis(padded.reshape(terms, *leading, n_blocks, BLOCK), 0, -2)
    scales = rng.uniform(0.005, 0.03, codes.shape[:-2]).astype(np.float32)
    scales /= np.float32(TERM_RANGE ** (terms - 1))  # values of the same size
    sums = codes.sum(-1, dtype=np.float32).reshape(*leading, -1)
    joined = codes[..., 0, :].astype(np.int16)
    if terms == 2:
        joined = joined * TERM_RANGE + codes[..., 1, :]
    exact = (joined * scales.astype(np.float64)[..., None]).reshape(*leading, -1)[..., :columns]
    token = [codes.reshape(*leading, -1), scales, sums]
    return Activations([paired(joined).reshape(*leading, -1), scales], token, exact)


def paired(codes: NDArray) -> NDArray:
    """Let the second and third of four neighbours change places, as a chunk's codes have it."""
    quads = codes.reshape(*codes.shape[:-1], -1, 4)
    return np.ascontiguousarray(quads[..., [0, 2, 1, 3]]).reshape(codes.shape)
