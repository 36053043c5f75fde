"""How close the products of one token come to the memory's read bandwidth, on one thread.

    PYTHONPATH=.links python tests/benchmarks/kernel_bandwidth.py

Each round reads the packed weights once with a plain loop in C and once with the kernel, so that
both meet the same load of the machine; the ratio of a round is what to look at. Times are the
processor's, so what other programs take of it stays out.
"""

import ctypes
import mmap
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray

from ossc.compiler.backends.cpu.codegen import generate_code
from ossc.compiler.backends.cpu.kernels.products.linear import linear
from ossc.compiler.lowering.kernel import Activation, Isa, Kernel
from ossc.compiler.quantization import find_scheme
from ossc.targets import Target, resolve_target
from ossc.targets.machine import this_machine

COLUMNS = 2880
WEIGHTS_BYTES = 256 << 20
"""Far larger than the last cache."""

ROUNDS = 15

PAIRS: tuple[tuple[str, Activation], ...] = (
    ("mxfp4", "int8x2"),
    ("int4-g32", "int8x2"),
    ("int8-g32", "int8x2"),
    ("mxfp4", "int8"),
    ("int4-g32", "int8"),
    ("int8-g32", "int8"),
    ("mxfp4", "int8x2"),
    ("int4-g32", "int8x2"),
    ("int8-g32", "int8x2"),
    ("bf16", "f32"),
    ("f16", "f32"),
    ("f32", "f32"),
    ("mxfp4", "f32"),
    ("int4-g32", "f32"),
    ("int8-g32", "f32"),
)

READ_SOURCE = """
#include <stddef.h>
#include <stdint.h>
typedef int32_t vector __attribute__((vector_size(32), aligned(1)));
int32_t read_all(const uint8_t* bytes, size_t size) {
  vector sums[8] = {0};
  for (size_t i = 0; i + 256 <= size; i += 256)
    for (int j = 0; j < 8; ++j) sums[j] += *(const vector*)(bytes + i + 32 * j);
  vector total = sums[0];
  for (int j = 1; j < 8; ++j) total += sums[j];
  return total[0];
}
"""


def read_probe(folder: Path) -> Callable[[NDArray[np.uint8]], object]:
    """Compile the plain reader."""
    source, library = folder / "read.c", folder / "read.so"
    source.write_text(READ_SOURCE)
    compiler = [sys.executable, "-m", "ziglang", "cc", "-O3", "-march=native"]
    subprocess.run([*compiler, "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    function = ctypes.CDLL(str(library)).read_all
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return lambda array: function(array.ctypes.data, array.nbytes)


def instruction_sets(target: Target) -> dict[Isa, dict[str, Any]]:
    """Return those that this machine has, and what TVM needs to know for each."""
    here = this_machine().cpu_features
    more = [each for each in target.host.instruction_sets if here.issuperset(each.cpu_features)]
    base: dict[Isa, dict[str, Any]] = {target.host.kernel_isa: dict(target.host.tvm_target)}
    return base | {each.name: dict(each.tvm_target) for each in more}


def kernel_call(
    kernel: Kernel, tvm_target: dict[str, Any], weights: NDArray[np.uint8]
) -> Callable[[], object]:
    """Compile a product and bind its buffers: random weights, one token."""
    target = tvm.target.Target(tvm_target)
    function = generate_code({kernel.name: kernel.func}, target)[kernel.name]
    rng = np.random.default_rng(0)
    arrays = []
    for buffer in (parameter.ty for parameter in kernel.func.params[:-2]):
        shape = [int(dim) for dim in buffer.shape]
        if len(shape) == 1:
            arrays.append(weights)
        elif str(buffer.dtype) == "float32":
            arrays.append(paged(rng.uniform(0, 1, shape).astype(np.float32)))
        else:
            arrays.append(paged(rng.integers(-100, 100, shape).astype(str(buffer.dtype))))
    tensors = [tvm.runtime.from_dlpack(array) for array in arrays]
    return lambda: function(*tensors, 0, kernel.tasks.fixed)


def seconds(action: Callable[[], object]) -> float:
    """Return the processor time of one call: what others do on this machine stays out."""
    begin = time.thread_time()
    action()
    return time.thread_time() - begin


def paged(array: NDArray[Any]) -> NDArray[Any]:
    """Copy an array into pages of 4 KiB, as those of a mapped file are."""
    pages = np.frombuffer(mmap.mmap(-1, array.nbytes), np.uint8)
    pages[:] = array.reshape(-1).view(np.uint8)
    return pages.view(array.dtype).reshape(array.shape)


def random_bytes(size_bytes: int) -> NDArray[np.uint8]:
    """Return the same 4 MiB of random bytes over and over.

    As scales they are normal numbers in every scheme: others take a time of their own.
    """
    some = np.random.default_rng(1).integers(0x3A, 0x3E, 1 << 22, np.uint8)
    return paged(np.resize(some, size_bytes))


def measure(
    scheme: str,
    activation: Activation,
    isa: Isa,
    tvm_target: dict[str, Any],
    read: Callable[[NDArray[np.uint8]], object],
) -> str:
    """Return a row of the table."""
    bits = find_scheme(scheme).bits
    kernel = linear(
        scheme=scheme,
        activation=activation,
        rows=int(WEIGHTS_BYTES * 8 / bits / COLUMNS) // 8 * 8,
        columns=COLUMNS,
        bias=False,
        n=1,
        isa=isa,
    )
    weights = random_bytes(int(kernel.func.params[-4].ty.shape[0]))
    call = kernel_call(kernel, tvm_target, weights)
    call()
    times = [(seconds(lambda: read(weights)), seconds(call)) for _ in range(ROUNDS)]
    reads, calls = np.array(times).T
    read_rate, kernel_rate = (weights.nbytes / np.median(t) / 1e9 for t in (reads, calls))
    low, middle, high = np.percentile(reads / calls, [25, 50, 75])
    return (
        f"| {scheme} × {activation} | {isa} | {read_rate:.1f} | {kernel_rate:.1f} "
        f"| {middle:.2f} ({low:.2f}–{high:.2f}) |"
    )


def main() -> None:
    """Print a table of the pairs named on the command line (``scheme:activation``), or of all."""
    chosen = [tuple(each.split(":")) for each in sys.argv[1:]]
    print("| weights × activations | kernels | read GB/s | kernel GB/s | kernel / read |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        read = read_probe(Path(folder))
        for scheme, activation in PAIRS:
            if chosen and (scheme, activation) not in chosen:
                continue
            for isa, tvm_target in instruction_sets(resolve_target("cpu")).items():
                print(measure(scheme, activation, isa, tvm_target, read), flush=True)


if __name__ == "__main__":
    main()
