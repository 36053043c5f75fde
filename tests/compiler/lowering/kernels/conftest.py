"""Calling a kernel on NumPy arrays, with guards around every buffer."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest
import tvm
from numpy.typing import NDArray

from ossc.compiler.lowering.kernels.kernel import Kernel

GUARD_BYTES = 64
"""Bytes before and after each buffer that must stay as they are; all ones, which is NaN."""

Run = Callable[..., list[NDArray]]


@pytest.fixture
def run() -> Run:
    """``run(kernel, inputs, outputs)`` gives the arrays of ``outputs`` after the call.

    ``inputs`` are arrays, ``outputs`` arrays or (dtype, shape) pairs, which start as all ones.
    ``begin`` and ``end`` limit the tasks. Fails if a byte beside any buffer changes.
    """
    return _run


@cache
def compiled(name: str, cpu: str) -> tvm.runtime.Module:
    """Compile the kernel of this name once per session."""
    target = {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": cpu}
    return tvm.compile(_functions[name], tvm.target.Target(target))[name]


_functions: dict[str, tvm.tirx.PrimFunc] = {}


def _run(
    kernel: Kernel,
    inputs: Sequence[NDArray],
    outputs: Sequence[NDArray | tuple[str, tuple[int, ...]]],
    *,
    n: int = 1,
    begin: int = 0,
    end: int | None = None,
    cpu: str = "x86-64-v3",
) -> list[NDArray]:
    if end is None:
        end = kernel.tasks_fixed + kernel.tasks_per_token * n
    _functions.setdefault(kernel.name, kernel.func)
    function = compiled(kernel.name, cpu)
    started = [x if isinstance(x, np.ndarray) else _all_ones(*x) for x in outputs]
    guarded = [_guarded(array) for array in (*inputs, *started)]
    function(*[tvm.runtime.from_dlpack(view) for _, view in guarded], begin, end)
    for whole, view in guarded:
        before, after = whole[:GUARD_BYTES], whole[GUARD_BYTES + view.nbytes :]
        assert (before == 0xFF).all(), "wrote before a buffer"
        assert (after == 0xFF).all(), "wrote beyond a buffer"
    for array, (_, view) in zip(inputs, guarded, strict=False):
        assert array.tobytes() == view.tobytes(), "wrote to an input"
    return [view for _, view in guarded[len(inputs) :]]


def _all_ones(dtype: str, shape: tuple[int, ...]) -> NDArray:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.full(size, 0xFF, np.uint8).view(dtype).reshape(shape)


def _guarded(array: NDArray) -> tuple[NDArray, NDArray]:
    """Copy an array between guards, 64-byte aligned; returns (all bytes, the array)."""
    storage = np.full(array.nbytes + 2 * GUARD_BYTES + 64, 0xFF, np.uint8)
    begin = -storage.ctypes.data % 64
    whole = storage[begin : begin + array.nbytes + 2 * GUARD_BYTES]
    view = whole[GUARD_BYTES : GUARD_BYTES + array.nbytes].view(array.dtype).reshape(array.shape)
    view[...] = array
    return whole, view
