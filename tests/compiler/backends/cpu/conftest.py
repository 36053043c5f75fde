"""Calling a kernel on NumPy arrays, with guards around every buffer."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import tvm
from numpy.typing import NDArray

from kernel_operands import TVM_TARGETS
from ossc.compiler.backends.cpu.codegen import generate_code
from ossc.compiler.backends.cpu.signature import BufferType, signature_of
from ossc.compiler.lowering.flatten import PLAN_DTYPES
from ossc.compiler.lowering.kernel import Kernel

GUARD_BYTES = 64
"""Bytes before and after each buffer that must stay as they are; all ones, which is NaN."""

Output = NDArray | tuple[str, tuple[int, ...]]
Run = Callable[..., list[NDArray]]

_functions: dict[tuple[str, str | None], tvm.tirx.PrimFunc] = {}


@pytest.fixture
def run() -> Run:
    """``run(kernel, inputs, outputs, n=…)`` gives the arrays of ``outputs`` after the call.

    ``inputs`` are arrays, ``outputs`` arrays or (dtype, shape) pairs, which start as all ones.
    Without ``tasks=(begin, end)`` all tasks are done, once in one range and once in three, which
    must give the same bytes. Fails if a byte beside any buffer changes.
    """
    return _run


def _run(
    kernel: Kernel,
    inputs: Sequence[NDArray],
    outputs: Sequence[Output],
    *,
    n: int = 1,
    tasks: tuple[int, int] | None = None,
    cpu: str | None = None,
) -> list[NDArray]:
    started = [x if isinstance(x, np.ndarray) else _all_ones(*x) for x in outputs]
    key = (kernel.name, kernel.isa)
    _functions.setdefault(key, kernel.func)
    if tasks is not None:
        return _call(key, cpu, inputs, started, tasks)
    count = kernel.tasks.fixed + kernel.tasks.per_token * n
    whole = _call(key, cpu, inputs, started, (0, count))
    pieces = started
    cuts = [0, count // 3, count - count // 4, count]
    for begin, end in reversed(list(pairwise(cuts))):
        pieces = _call(key, cpu, inputs, pieces, (begin, end))
    for one, other in zip(whole, pieces, strict=True):
        assert one.tobytes() == other.tobytes(), "ranges of tasks depend on each other"
    return whole


def _call(
    key: tuple[str, str | None],
    cpu: str | None,
    inputs: Sequence[NDArray],
    outputs: Sequence[NDArray],
    tasks: tuple[int, int],
) -> list[NDArray]:
    assert _takes(key, [*inputs, *outputs]), "it is called with what it does not take"
    guarded = [_guarded(array) for array in (*inputs, *outputs)]
    tensors = [tvm.runtime.from_dlpack(view) for _, view in guarded]
    _compiled(key, cpu)(*tensors, *tasks)
    for whole, view in guarded:
        before, after = whole[:GUARD_BYTES], whole[GUARD_BYTES + view.nbytes :]
        assert (before == 0xFF).all(), "wrote before a buffer"
        assert (after == 0xFF).all(), "wrote beyond a buffer"
    for array, (_, view) in zip(inputs, guarded, strict=False):
        assert array.tobytes() == view.tobytes(), "wrote to an input"
    return [view for _, view in guarded[len(inputs) :]]


def _takes(key: tuple[str, str | None], arrays: Sequence[NDArray]) -> bool:
    """Whether a kernel takes arrays; its code does not look."""
    buffers = [BufferType(PLAN_DTYPES[str(array.dtype)], array.shape) for array in arrays]
    return signature_of(_functions[key]).takes(buffers)


@cache
def _compiled(key: tuple[str, str | None], cpu: str | None) -> Callable[..., None]:
    name, isa = key
    target = {**TVM_TARGETS[isa or "avx2"]}
    if cpu is not None:
        target["mcpu"] = cpu
    return generate_code({name: _functions[key]}, tvm.target.Target(target))[name]


def _all_ones(dtype: str, shape: tuple[int, ...]) -> NDArray:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.full(size, 0xFF, np.uint8).view(dtype).reshape(shape)


def _guarded(array: NDArray) -> tuple[NDArray, NDArray]:
    """Copy an array between guards, 64-byte aligned; returns (all bytes, the array)."""
    storage = np.full(array.nbytes + 2 * GUARD_BYTES + 64, 0xFF, np.uint8)
    begin = -storage.ctypes.data % 64
    whole = storage[begin : begin + array.nbytes + 2 * GUARD_BYTES]
    inner = whole[GUARD_BYTES : GUARD_BYTES + array.nbytes]
    inner[:] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return whole, inner.view(array.dtype).reshape(array.shape)
