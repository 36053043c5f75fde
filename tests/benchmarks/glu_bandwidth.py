"""The gated product of one token against the plain product of the same bytes, on one thread.

    PYTHONPATH=.links python tests/benchmarks/glu_bandwidth.py

Each round runs `linear` and `linear_glu` in turns on the same packed weights, and reads them with a
plain loop in C, from memory and from a near cache; the ratio of a round is what to look at. Times
are the processor's, so what other programs take of it stays out.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from kernel_bandwidth import (
    COLUMNS,
    ROUNDS,
    WEIGHTS_BYTES,
    instruction_sets,
    kernel_call,
    random_bytes,
    read_probe,
    seconds,
)
from numpy.typing import NDArray

from ossc.compiler.backends.cpu.kernels.products.linear import linear
from ossc.compiler.backends.cpu.kernels.products.linear_glu import linear_glu
from ossc.compiler.lowering.glu import Glu
from ossc.compiler.lowering.kernel import Activation, Isa, Kernel
from ossc.compiler.quantization import find_scheme
from ossc.targets import resolve_target

NEAR_BYTES = 512 << 10
"""Weights that stay in the second cache."""

PAIRS: tuple[tuple[str, Activation], ...] = (
    ("int8-g32", "int8x2"),
    ("int4-g32", "int8x2"),
    ("mxfp4", "int8x2"),
    ("int8-g32", "int8"),
    ("bf16", "f32"),
    ("int8-g32", "f32"),
)


def kernels(
    scheme: str, activation: Activation, isa: Isa, size_bytes: int
) -> tuple[Kernel, Kernel]:
    """Return the plain and the gated product of weights of the same size."""
    outputs = int(size_bytes * 8 / find_scheme(scheme).bits / COLUMNS) // 16 * 8
    options: dict[str, Any] = {"scheme": scheme, "activation": activation, "isa": isa, "n": 1}
    plain = linear(**options, rows=2 * outputs, columns=COLUMNS, bias=False)
    glu = Glu(kind="silu")
    gated = linear_glu(**options, intermediate=outputs, hidden=COLUMNS, glu=glu, bias=False)
    return plain, gated


def measure(
    scheme: str,
    activation: Activation,
    isa: Isa,
    tvm_target: dict[str, Any],
    read: Callable[[NDArray[np.uint8]], object],
    size_bytes: int,
) -> str:
    """Return a row of the table."""
    plain, gated = kernels(scheme, activation, isa, size_bytes)
    assert plain.cost.bytes.fixed == gated.cost.bytes.fixed
    weights = random_bytes(plain.cost.bytes.fixed)
    calls = [kernel_call(kernel, tvm_target, weights) for kernel in (plain, gated)]
    actions = [lambda: read(weights), *calls]
    repeats = WEIGHTS_BYTES // size_bytes
    for action in actions:
        action()
    times = np.array([[repeated(action, repeats) for action in actions] for _ in range(ROUNDS)])
    rates = repeats * weights.nbytes / np.median(times, axis=0) / 1e9
    low, middle, high = np.percentile(times[:, 1] / times[:, 2], [25, 50, 75])
    return (
        f"| {scheme} × {activation} | {isa} | {size_bytes >> 10} "
        f"| {rates[0]:.1f} | {rates[1]:.1f} | {rates[2]:.1f} "
        f"| {middle:.2f} ({low:.2f}–{high:.2f}) |"
    )


def repeated(action: Callable[[], object], repeats: int) -> float:
    """Return the time of some calls."""
    return seconds(lambda: [action() for _ in range(repeats)])


def main() -> None:
    """Print a table of the pairs named on the command line (``scheme:activation``), or of all."""
    chosen = [tuple(each.split(":")) for each in sys.argv[1:]]
    print(
        "| weights × activations | kernels | KiB | read GB/s | linear | linear_glu | glu / linear |"
    )
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        read = read_probe(Path(folder))
        for scheme, activation in PAIRS:
            if chosen and (scheme, activation) not in chosen:
                continue
            for isa, tvm_target in instruction_sets(resolve_target("cpu")).items():
                for size in (WEIGHTS_BYTES, NEAR_BYTES):
                    row = measure(scheme, activation, isa, tvm_target, read, size)
                    print(row, flush=True)


if __name__ == "__main__":
    main()
