"""Tiles and strips of a chunk's products: what `kernels/tuning.py` says, and its neighbours.

    PYTHONPATH=.links python tests/benchmarks/kernel_tuning.py [INSTRUCTION_SET …]

Prints useful operations a second of one thread, for 1 and 4 tokens (what an expert of gpt-oss-20b
gets of a short prompt), 16 and 64 (of a chunk of 128 and of 512), as medians of rounds in which all
candidates take turns. Put the
best of each column into the table; a difference under 3 % is none. The processor's time is taken,
so what other programs take of it stays out.
"""

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import tvm
from kernel_bandwidth import instruction_sets
from numpy.typing import NDArray

from ossc.compiler.backends.cpu.codegen import generate_code
from ossc.compiler.backends.cpu.kernels.products import tuning
from ossc.compiler.backends.cpu.kernels.products.linear import linear
from ossc.compiler.backends.cpu.kernels.products.tuning import Arithmetic, Tiling
from ossc.compiler.lowering.kernel import Activation, Isa, Kernel
from ossc.targets import resolve_target

ROWS, COLUMNS = 512, 2880
TOKENS = (1, 4, 16, 64)
ROUNDS = 15

CASES: tuple[tuple[Arithmetic, str, Activation], ...] = (
    ("integer", "mxfp4", "int8x2"),
    ("float", "bf16", "f32"),
)


def neighbours(tiling: Tiling) -> Iterator[Tiling]:
    """Yield the table's entry, and those that differ from it in one size."""
    yield tiling
    for tokens in ((8, 4, 2, 1), (6, 4, 2, 1), (4, 2, 1), (3, 1), (2, 1)):
        if tokens != tiling.tokens:
            yield dataclasses.replace(tiling, tokens=tokens)
    for vectors in (1, 2, 4):
        if vectors != tiling.vectors and tiling.lanes * vectors <= 32:
            yield dataclasses.replace(tiling, vectors=vectors)
    for strip_blocks in (3, 6, 10, 15):
        if strip_blocks != tiling.strip_blocks:
            yield dataclasses.replace(tiling, strip_blocks=strip_blocks)
    for direct_tokens in (0, 2, 8):
        yield dataclasses.replace(tiling, direct_tokens=direct_tokens)


def aligned(array: NDArray) -> NDArray:
    """Copy an array to an address that is a multiple of 64."""
    storage = np.zeros(array.nbytes + 64, np.uint8)
    begin = -storage.ctypes.data % 64
    view = storage[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def bind(kernel: Kernel, tvm_target: dict[str, object], tokens: int) -> Callable[[], object]:
    """Compile a kernel and bind random buffers for some tokens."""
    function = generate_code({kernel.name: kernel.func}, tvm.target.Target(tvm_target))[kernel.name]
    rng = np.random.default_rng(0)
    arrays = []
    for buffer in (parameter.ty for parameter in kernel.func.params[:-2]):
        shape = [int(d) if isinstance(d, tvm.tirx.IntImm) else tokens for d in buffer.shape]
        low, high = (0x3A, 0x3E) if str(buffer.dtype) == "uint8" else (-100, 100)
        values = rng.integers(low, high, shape).astype(str(buffer.dtype))
        arrays.append(tvm.runtime.from_dlpack(aligned(values)))
    return lambda: function(*arrays, 0, kernel.tasks.fixed)


def seconds(call: Callable[[], object]) -> float:
    """Return the processor time of one call."""
    begin = time.thread_time()
    call()
    return time.thread_time() - begin


def measure(isa: Isa, arithmetic: Arithmetic, scheme: str, activation: Activation) -> None:
    """Print a row for every candidate."""
    tvm_target = instruction_sets(resolve_target("cpu"))[isa]
    table = tuning.tiling(isa, arithmetic)
    calls = {}
    for candidate in neighbours(table):
        tuning.TILINGS[isa, arithmetic] = candidate
        kernel = linear(
            scheme=scheme,
            activation=activation,
            rows=ROWS,
            columns=COLUMNS,
            bias=False,
            n=None,
            isa=isa,
        )
        for tokens in TOKENS:
            calls[candidate, tokens] = bind(kernel, tvm_target, tokens)
    tuning.TILINGS[isa, arithmetic] = table
    times = {key: [] for key in calls}
    for _ in range(ROUNDS):
        for key, call in calls.items():
            times[key].append(seconds(call))
    for candidate in neighbours(table):
        rates = [
            2e-9 * ROWS * COLUMNS * tokens / np.median(times[candidate, tokens])
            for tokens in TOKENS
        ]
        sizes = (candidate.vectors, candidate.tokens, candidate.strip_blocks)
        cells = [*sizes, candidate.direct_tokens, *(f"{rate:.0f}" for rate in rates)]
        print(f"| {isa} {scheme} × {activation} | {' | '.join(map(str, cells))} |")


def main() -> None:
    """Print a table, the entry of `kernels/tuning.py` first in each case."""
    here = instruction_sets(resolve_target("cpu"))
    counts = " | ".join(f"{tokens} tokens, GOP/s" for tokens in TOKENS)
    print(f"| kernels | vectors | tokens | blocks | direct | {counts} |")
    print("|---" * (5 + len(TOKENS)) + "|")
    for isa in sys.argv[1:] or here:
        for arithmetic, scheme, activation in CASES:
            measure(isa, arithmetic, scheme, activation)


if __name__ == "__main__":
    main()
